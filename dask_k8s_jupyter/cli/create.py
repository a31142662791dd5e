"""``dask-k8s create``: makes a cluster, and waits until it runs."""

from __future__ import annotations

from typing import Any

import click

from dask_k8s_jupyter.clusters.actions import adapt_cluster, create_cluster, preflight
from dask_k8s_jupyter.errors import DaskKubernetesError
from dask_k8s_jupyter.state import ClusterView, observe_cluster

from .common import (
    build_failure,
    choose_namespace,
    connect,
    connection_options,
    namespace_option,
    run,
)
from .listing import print_view
from .options import build_cluster, cluster_options, worker_options
from .output import output_option
from .waiting import WAIT_LONGER, wait_created, wait_options

DEFAULT_WORKERS = 2


@click.command()
@click.argument("name")
@namespace_option
@worker_options(DEFAULT_WORKERS)
@click.option(
    "--adapt",
    type=(click.IntRange(min=0), click.IntRange(min=0)),
    metavar="MINIMUM MAXIMUM",
    help="Let the load choose between so many workers.",
)
@cluster_options
@wait_options
@output_option
@connection_options
def create(
    name: str,
    namespace: str | None,
    adapt: tuple[int, int] | None,
    wait: bool,
    timeout_s: float,
    output: str,
    kubeconfig: str | None,
    context: str | None,
    **options: Any,
) -> None:
    """Create the cluster NAME, and wait until it runs."""
    if adapt and adapt[0] > adapt[1]:
        raise click.UsageError(f"--adapt: the minimum {adapt[0]} is above the maximum {adapt[1]}")
    try:
        spec = build_cluster(name, **options)
    except (ValueError, TypeError) as error:
        raise build_failure(error) from error

    async def work() -> ClusterView:
        async with connect(kubeconfig, context) as client:
            where = choose_namespace(client, namespace)
            await preflight(client, where)
            await create_cluster(client, spec, where)
            try:
                if adapt:
                    await adapt_cluster(client, where, name, *adapt)
                if wait:
                    await wait_created(client, where, name, timeout_s)
            except DaskKubernetesError as error:
                # It is what was asked for: a person may mend what is in its way, and it goes on.
                error.fix = advise_to_delete(error, where, name)
                raise
            return await observe_cluster(client, where, name)

    print_view(run(work()), output)


def advise_to_delete(error: DaskKubernetesError, namespace: str, name: str) -> str:
    """Say what to do about a cluster that did not start, and that it is still there."""
    fix = WAIT_LONGER if error.code == "time-out" else error.fix
    there = f"It is still there; `dask-k8s delete {name} -n {namespace}` removes it"
    return f"{fix}. {there}" if fix else there
