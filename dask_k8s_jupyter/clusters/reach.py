"""How to reach a scheduler: by its Service from inside Kubernetes, through the API from outside.

Guarantees an address that stays good while the scheduler's Pod is replaced. Refuses to trust a name
that another cluster's DNS could answer: inside means that our API is that of the Pod we run in.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from dask_k8s_operator.kube import KubeClient, PortForward
from dask_k8s_operator.kube.errors import NotFoundError, Target
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import PODS

Address = tuple[str, int]


@asynccontextmanager
async def reach(
    client: KubeClient,
    namespace: str,
    name: str,
    port: int,
    *,
    port_forward: bool | None = None,
    local_port: int | None = None,
) -> AsyncIterator[Address]:
    """Give an address where a port of a cluster's scheduler can be reached.

    Parameters
    ----------
    client
        Connection to the API.
    namespace, name
        The cluster.
    port
        8786 for Dask, 8787 for the dashboard.
    port_forward
        True forwards a port, False takes the Service's name; None decides by where we run.
    local_port
        Port to listen on when forwarding; None for any free one.

    Examples
    --------
    >>> async def address_of_dashboard(client):
    ...     async with reach(client, "default", "demo", 8787) as (host, port):
    ...         return f"http://{host}:{port}/status"
    """
    if port_forward is None:
        port_forward = not is_inside(client)
    if not port_forward:
        yield names.scheduler_host(name, namespace), port
        return

    async def pod() -> str:
        return await find_scheduler_pod(client, namespace, name)

    tunnel = PortForward(client, namespace, port=port, pod=pod, local_port=local_port or 0)
    async with tunnel as address:
        yield address


def is_inside(client: KubeClient) -> bool:
    """Whether we run in a Pod of the very cluster that the client speaks to."""
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    host = f"[{host}]" if ":" in host else host
    return bool(host) and client.host == f"https://{host}:{port}"


async def find_scheduler_pod(client: KubeClient, namespace: str, name: str) -> str:
    """Find the Pod of a cluster's scheduler that is there to stay.

    Raises
    ------
    NotFoundError
        When none runs right now.
    """
    selector = f"{names.CLUSTER_NAME_LABEL}={name},{names.COMPONENT_LABEL}={names.SCHEDULER}"
    pods = await client.list(PODS, namespace, label_selector=selector)
    running = [pod for pod in pods.items if _is_running(pod)]
    if not running:
        target = Target("portforward", "pods", "", namespace, names.scheduler_name(name))
        message = "the scheduler's Pod does not run"
        raise NotFoundError(404, "NotRunning", message, None, target)
    newest = max(running, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return str(newest["metadata"]["name"])


def _is_running(pod: dict[str, Any]) -> bool:
    is_leaving = "deletionTimestamp" in pod["metadata"]
    return not is_leaving and (pod.get("status") or {}).get("phase") == "Running"
