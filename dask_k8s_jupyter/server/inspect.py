"""What the Pods of a cluster wrote.

Guarantees that only what belongs to the cluster is shown: a Pod's name from the browser is looked
up among the cluster's own. Refuses to write.
"""

from __future__ import annotations

from typing import Any

from dask_k8s_jupyter.errors import ClusterNotFoundError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import InvalidError
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import PODS

# Ten thousand lines of any length are more than a browser shows.
MAX_LOG_BYTES = 4 * 2**20
_DASK_CONTAINERS = (names.SCHEDULER, names.WORKER)


async def observe_log(
    client: KubeClient, namespace: str, name: str, *, pod: str | None, tail_lines: int
) -> dict[str, Any]:
    """Read the last lines of a Pod of a cluster; ``pod=None`` means the scheduler's.

    Raises
    ------
    ClusterNotFoundError
        When the cluster has no such Pod.
    """
    selector = f"{names.CLUSTER_NAME_LABEL}={name}"
    pods = {
        found["metadata"]["name"]: found
        for found in (await client.list(PODS, namespace, label_selector=selector)).items
    }
    ordered = sorted(pods, key=lambda found: (_component(pods[found]) != names.SCHEDULER, found))
    chosen = pod if pod is not None else next(iter(ordered), None)
    if chosen is None:
        return {"pods": [], "pod": None, "text": ""}
    if chosen not in pods:
        raise ClusterNotFoundError(f"DaskCluster {namespace}/{name} has no Pod {chosen[:253]!r}")
    text = await _read_log(client, namespace, pods[chosen], tail_lines)
    return {"pods": ordered, "pod": chosen, "text": text}


async def _read_log(
    client: KubeClient, namespace: str, pod: dict[str, Any], tail_lines: int
) -> str:
    containers = [container["name"] for container in pod["spec"]["containers"]]
    container = next((name for name in containers if name in _DASK_CONTAINERS), containers[0])
    try:
        return await client.logs(
            pod["metadata"]["name"],
            namespace,
            container=container,
            tail_lines=tail_lines,
            limit_bytes=MAX_LOG_BYTES,
        )
    except InvalidError as error:
        # A container that has yet to start has written nothing: the API's sentence says so.
        return error.message


def _component(pod: dict[str, Any]) -> str | None:
    label: str | None = (pod["metadata"].get("labels") or {}).get(names.COMPONENT_LABEL)
    return label
