"""The way from this process to a cluster's scheduler, by what its Service offers.

From inside Kubernetes that is the Service's name; from outside the address of its load balancer or
of a node where that answers, and otherwise a tunnel through the API.

Guarantees a way at once: a load balancer that still waits for its address holds up nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ApiError
from dask_k8s_operator.resources.kinds import NODES, SERVICES
from dask_k8s_operator.resources.names import COMM_PORT, scheduler_name

from .reach import Address, is_inside, reach
from .servicereach import Wish, choose_way

# An address that answers does so within this; a firewall in between says nothing at all.
ANSWER_TIMEOUT_S = 2.0


@asynccontextmanager
async def reach_scheduler(
    client: KubeClient,
    namespace: str,
    name: str,
    *,
    service_type: str = "ClusterIP",
    port_forward: bool | None = None,
) -> AsyncIterator[Address]:
    """Give an address where Dask's clients reach the scheduler.

    Parameters
    ----------
    client
        Connection to the API.
    namespace, name
        The cluster.
    service_type
        That of the scheduler's Service.
    port_forward
        True forwards a port, False takes the Service's name; None decides by what there is.
    """
    address = None
    if port_forward is None and service_type != "ClusterIP" and not is_inside(client):
        address = await find_direct_address(client, namespace, name)
    if address is not None:
        yield address
        return
    way = reach(client, namespace, name, COMM_PORT, port_forward=port_forward)
    async with way as tunnel:
        yield tunnel


async def find_direct_address(client: KubeClient, namespace: str, name: str) -> Address | None:
    """Find the address of a load balancer or of a node that answers; None when none does."""
    try:
        service = await client.get(SERVICES, scheduler_name(name), namespace)
        is_node_port = service["spec"].get("type") == "NodePort"
        nodes = (await client.list(NODES)).items if is_node_port else []
    except ApiError:  # not ours to see, or not there yet
        return None
    address = choose_way(service, COMM_PORT, Wish(), inside=False, nodes=nodes)
    return address if address is not None and await answers(address) else None


async def answers(address: Address, timeout_s: float = ANSWER_TIMEOUT_S) -> bool:
    """Whether somebody listens at an address."""
    try:
        connecting = asyncio.open_connection(*address)
        _, writer = await asyncio.wait_for(connecting, timeout_s)
    except (OSError, asyncio.TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
