"""``dask-k8s port-forward``: a scheduler and its dashboard at ports of this machine.

Guarantees that the ports stay while the scheduler's Pod is replaced, and that a connection which
cannot be made is told. Refuses a cluster that is not there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import click

from dask_k8s_jupyter.clusters.actions import get_cluster
from dask_k8s_jupyter.clusters.reach import find_scheduler_pod
from dask_k8s_jupyter.errors import DaskKubernetesError, explain
from dask_k8s_operator.kube import KubeClient, PortForward
from dask_k8s_operator.resources.names import COMM_PORT, DASHBOARD_PORT

from .common import (
    choose_namespace,
    cluster_argument,
    connect,
    connection_options,
    namespace_option,
    run,
    wait_for_end,
)

LOOK_S = 1.0
_PORT = click.IntRange(0, 65535)


@click.command("port-forward")
@cluster_argument
@namespace_option
@click.option("--scheduler-port", type=_PORT, default=0, help="Local port of the scheduler.")
@click.option("--dashboard-port", type=_PORT, default=0, help="Local port of the dashboard.")
@connection_options
def port_forward(
    name: str,
    namespace: str | None,
    scheduler_port: int,
    dashboard_port: int,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Bring the scheduler and the dashboard of NAME to ports of this machine, until Ctrl-C.

    Without a port, any free one is taken.
    """

    async def work() -> None:
        async with connect(kubeconfig, context) as client:
            where = choose_namespace(client, namespace)
            cluster = await get_cluster(client, where, name)
            address = (cluster.get("status") or {}).get("schedulerAddress") or "tcp://"
            async with contextlib.AsyncExitStack() as stack:
                tunnels = []
                for port, local in ((COMM_PORT, scheduler_port), (DASHBOARD_PORT, dashboard_port)):
                    tunnel = _build_tunnel(client, where, name, port, local)
                    await stack.enter_async_context(_open(tunnel, local))
                    tunnels.append(tunnel)
                _print_addresses(address.partition("://")[0], tunnels)
                watching = asyncio.ensure_future(_tell_failures(tunnels))
                await wait_for_end()
                watching.cancel()

    run(work())


def _build_tunnel(
    client: KubeClient, namespace: str, name: str, port: int, local_port: int
) -> PortForward:
    async def pod() -> str:
        return await find_scheduler_pod(client, namespace, name)

    return PortForward(client, namespace, port=port, pod=pod, local_port=local_port)


@contextlib.asynccontextmanager
async def _open(tunnel: PortForward, local_port: int) -> AsyncIterator[None]:
    try:
        await tunnel.start()
    except OSError as error:
        raise DaskKubernetesError(
            f"Port {local_port} of 127.0.0.1 cannot be used: {error.strerror}",
            fix="Give another one, or none for any free one",
        ) from error
    try:
        yield
    finally:
        await tunnel.close()


def _print_addresses(scheme: str, tunnels: Sequence[PortForward]) -> None:
    (host, comm), (_, dashboard) = (tunnel.address for tunnel in tunnels)
    click.echo(f"Scheduler at: {scheme}://{host}:{comm}")
    click.echo(f"Dashboard at: http://{host}:{dashboard}/status")
    click.echo("Ctrl-C ends it", err=True)


async def _tell_failures(tunnels: Sequence[PortForward]) -> None:
    """Say when connections cannot be made, once each time the reason changes."""
    said: str | None = None
    while True:
        error = next((tunnel.error for tunnel in tunnels if tunnel.error is not None), None)
        sentence = explain(error).message if error else None
        if sentence != said:
            click.echo(f"Not connected: {sentence}" if sentence else "Connected again", err=True)
            said = sentence
        await asyncio.sleep(LOOK_S)
