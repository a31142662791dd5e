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
REFUSED_PAUSE_S = 0.1


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


async def find_direct_address(
    client: KubeClient, namespace: str, name: str, timeout_s: float = ANSWER_TIMEOUT_S
) -> Address | None:
    """Find the address of a load balancer or of a node that answers; None when none does."""
    try:
        service = await client.get(SERVICES, scheduler_name(name), namespace)
        is_node_port = service["spec"].get("type") == "NodePort"
        nodes = (await client.list(NODES)).items if is_node_port else []
    except ApiError:  # not ours to see, or not there yet
        return None
    address = choose_way(service, COMM_PORT, Wish(), inside=False, nodes=nodes)
    return address if address is not None and await answers(address, timeout_s) else None


async def answers(address: Address, timeout_s: float) -> bool:
    """Whether somebody listens at an address, or does so within the time.

    A node that refuses may only have yet to hear that the scheduler's Pod is ready.
    """
    try:
        return await asyncio.wait_for(_connect_at_last(address), timeout_s)
    except asyncio.TimeoutError:
        return False


async def _connect_at_last(address: Address) -> bool:
    while True:
        try:
            _, writer = await asyncio.open_connection(*address)
        except OSError:
            await asyncio.sleep(REFUSED_PAUSE_S)
            continue
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True
