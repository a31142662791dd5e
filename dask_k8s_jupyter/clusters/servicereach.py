"""How to reach a scheduler behind any Service: where no DaskCluster tells names and labels.

``choose_way`` decides (pure), ``reach_service`` goes it. From inside Kubernetes that is the
Service's name; from outside the address of a load balancer or of a node where the Service has one,
and otherwise a tunnel through the API to a Pod that is ready.

Guarantees a tunnel wherever the better way is not to be had: a load balancer that is still waiting
for its address, nodes that we may not list. Refuses to guess node addresses.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from dask_k8s_operator.kube import KubeClient, PortForward
from dask_k8s_operator.kube.errors import ForbiddenError, NotFoundError, Target
from dask_k8s_operator.resources.kinds import NODES, PODS
from dask_k8s_operator.resources.names import (
    COMM_PORT,
    COMM_PORT_NAME,
    DASHBOARD_PORT,
    DASHBOARD_PORT_NAMES,
)

from .dashboard import BASE_URL_VARIABLE, build_address_link
from .podwatch import judge_pod
from .reach import Address, is_inside

Manifest = Mapping[str, Any]

_PORT_NAMES: dict[int, tuple[str, ...]] = {
    COMM_PORT: (COMM_PORT_NAME, "comm"),
    DASHBOARD_PORT: DASHBOARD_PORT_NAMES,
}


@dataclass(frozen=True)
class Wish:
    """What a person said about the way to a scheduler; None decides by what there is.

    Parameters
    ----------
    port_forward
        True takes a tunnel, False does not.
    local_port
        Local port of the tunnel.
    node_host, node_port
        A node's address and port, for a Service of type NodePort.
    """

    port_forward: bool | None = None
    local_port: int | None = None
    node_host: str | None = None
    node_port: int | None = None


def choose_way(
    service: Manifest, port: int, wish: Wish, *, inside: bool, nodes: Sequence[Manifest] = ()
) -> Address | None:
    """Choose the address of a Service's port; None for a tunnel.

    Parameters
    ----------
    service
        The Service.
    port
        The Pod's port, 8786 for Dask and 8787 for the dashboard.
    wish
        What the person said.
    inside
        Whether we run in a Pod of the same Kubernetes.
    nodes
        What we may see of the nodes.

    Examples
    --------
    >>> service = {"metadata": {"name": "s", "namespace": "n"}, "spec": {"ports": [{"port": 8786}]}}
    >>> choose_way(service, 8786, Wish(), inside=True)
    ('s.n.svc.cluster.local', 8786)
    >>> choose_way(service, 8786, Wish(), inside=False) is None
    True
    """
    if wish.port_forward:
        return None
    spec, metadata = service["spec"], service["metadata"]
    ports = find_port(service, port)
    if wish.node_host is None and wish.node_port is None:
        if inside or wish.port_forward is False:
            host = f"{metadata['name']}.{metadata['namespace']}.svc.cluster.local"
            return host, int(ports["port"])
        balancer = _find_balancer(service)
        if spec.get("type") == "LoadBalancer" and balancer:
            return balancer, int(ports["port"])
    # The port that a person names is that of Dask; the dashboard has one of its own.
    node_port = (wish.node_port if port == COMM_PORT else None) or ports.get("nodePort")
    host_of_node = wish.node_host or _find_node(nodes)
    wants_node = spec.get("type") == "NodePort" or wish.node_host or wish.node_port
    if wants_node and node_port and host_of_node:
        return host_of_node, int(node_port)
    return None


def find_port(service: Manifest, port: int) -> Manifest:
    """Find the entry of a Service that leads to a Pod's port, by number or by name."""
    named = _PORT_NAMES.get(port, ())
    entries = service["spec"].get("ports") or ()
    for entry in entries:
        target = entry.get("targetPort", entry.get("port"))
        if target == port or target in named or entry.get("name") in named:
            return dict(entry)
    return {"port": port}


def _find_balancer(service: Manifest) -> str | None:
    status = (service.get("status") or {}).get("loadBalancer") or {}
    for ingress in status.get("ingress") or ():
        address = ingress.get("hostname") or ingress.get("ip")
        if address:
            return str(address)
    return None


def _find_node(nodes: Sequence[Manifest]) -> str | None:
    addresses = [
        address for node in nodes for address in (node.get("status") or {}).get("addresses") or ()
    ]
    for kind in ("ExternalIP", "InternalIP"):
        for address in addresses:
            if address.get("type") == kind:
                return str(address["address"])
    return None


@asynccontextmanager
async def reach_service(
    client: KubeClient, service: Manifest, port: int, wish: Wish | None = None
) -> AsyncIterator[Address]:
    """Give an address where a port of the Pods behind a Service can be reached.

    Parameters
    ----------
    client
        Connection to the API.
    service
        The Service.
    port
        The Pod's port.
    wish
        What the person said about the way.
    """
    wish = wish or Wish()
    nodes = await _list_nodes(client, service, wish)
    address = choose_way(service, port, wish, inside=is_inside(client), nodes=nodes)
    if address is not None:
        yield address
        return
    selector = service["spec"].get("selector") or {}
    labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    namespace = service["metadata"]["namespace"]

    async def find() -> str:
        return await find_ready_pod(client, namespace, labels)

    tunnel = PortForward(client, namespace, port=port, pod=find, local_port=wish.local_port or 0)
    async with tunnel as local:
        yield local


async def find_ready_pod(client: KubeClient, namespace: str, label_selector: str) -> str:
    """Find the youngest of some Pods that is ready, or at least runs.

    Raises
    ------
    NotFoundError
        When none runs right now.
    """
    pods = (await client.list(PODS, namespace, label_selector=label_selector)).items
    candidates = [
        (judge_pod(pod).outcome == "ready", str(pod["metadata"]["creationTimestamp"]), pod)
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and (pod.get("status") or {}).get("phase") == "Running"
    ]
    if not candidates:
        target = Target("portforward", "pods", "", namespace, label_selector)
        raise NotFoundError(404, "NotRunning", "no Pod of the scheduler runs", None, target)
    return str(max(candidates, key=lambda each: each[:2])[2]["metadata"]["name"])


async def _list_nodes(client: KubeClient, service: Manifest, wish: Wish) -> list[dict[str, Any]]:
    if service["spec"].get("type") != "NodePort" or wish.node_host or wish.port_forward:
        return []
    if is_inside(client) and wish.node_port is None:
        return []
    try:
        return (await client.list(NODES)).items
    except ForbiddenError:
        return []


def build_proxied_link(address: Address | None) -> str:
    """Build the link to a dashboard that our server extension does not know.

    In a notebook that is jupyter-server-proxy's path, for a port of this machine; elsewhere what
    ``distributed.dashboard.link`` says.

    Parameters
    ----------
    address
        Where the dashboard can be reached from this process; None when it cannot.
    """
    if address is None:
        return ""
    host, port = address
    base_url = os.environ.get(BASE_URL_VARIABLE)
    if base_url and host == "127.0.0.1":
        return f"{base_url.rstrip('/')}/proxy/{port}/status"
    return build_address_link(address)


def wants_local_dashboard() -> bool:
    """Whether the browser looks through a notebook server, which proxies ports of this machine."""
    return bool(os.environ.get(BASE_URL_VARIABLE))
