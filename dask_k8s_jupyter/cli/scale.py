"""``dask-k8s scale`` and ``adapt``: how many workers a cluster has."""

from __future__ import annotations

import click

from dask_k8s_jupyter.clusters.actions import adapt_cluster, scale_cluster
from dask_k8s_jupyter.state import ClusterView, observe_cluster
from dask_k8s_operator.resources import names

from .common import (
    choose_namespace,
    cluster_argument,
    confirm,
    connect,
    connection_options,
    namespace_option,
    run,
    yes_option,
)
from .listing import print_view
from .output import output_option
from .waiting import has_all_workers, wait_options, wait_view

group_option = click.option(
    "--group", "-g", help="Worker group by its short or full name; else the default one."
)


@click.command()
@cluster_argument
@click.argument("workers", type=click.IntRange(min=0))
@namespace_option
@group_option
@yes_option
@wait_options
@output_option
@connection_options
def scale(
    name: str,
    workers: int,
    namespace: str | None,
    group: str | None,
    yes: bool,
    wait: bool,
    timeout_s: float,
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Give the cluster NAME a fixed number of WORKERS.

    Workers that have to go finish what they run and hand over what they hold. That ends `adapt`.
    """

    async def work() -> ClusterView:
        async with connect(kubeconfig, context) as client:
            where = choose_namespace(client, namespace)
            before = await observe_cluster(client, where, name)
            lost = describe_loss(before, group, workers)
            if lost:
                confirm(f"{lost} Go on?", yes=yes)
            await scale_cluster(client, where, name, workers, group)
            if wait:
                doing = f"Scaling {where}/{name}"
                return await wait_view(client, where, name, has_all_workers, doing, timeout_s)
            return await observe_cluster(client, where, name)

    print_view(run(work()), output)


def describe_loss(view: ClusterView, group: str | None, workers: int) -> str:
    """Say what is lost by scaling a group; empty when nothing is.

    As long as one worker stays, it takes what the others hold.
    """
    full_name = names.group_name(view.name, group or "default")
    left = sum(g.workers.desired for g in view.groups if g.name not in (full_name, group))
    holding = view.workers.running
    if workers or left or not holding:
        return ""
    which = f"the last {holding} workers" if holding > 1 else "the last worker"
    return f"That ends {which} of {view.namespace}/{view.name}: results held there are lost."


@click.command()
@cluster_argument
@namespace_option
@group_option
@click.option("--minimum", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--maximum", type=click.IntRange(min=1), required=True)
@output_option
@connection_options
def adapt(
    name: str,
    namespace: str | None,
    group: str | None,
    minimum: int,
    maximum: int,
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Let the load of the cluster NAME choose how many workers it has.

    `list` shows the bounds of the default group; `kubectl get daskautoscalers` those of all.
    """
    if minimum > maximum:
        raise click.UsageError(f"--minimum {minimum} is above --maximum {maximum}")

    async def work() -> ClusterView:
        async with connect(kubeconfig, context) as client:
            where = choose_namespace(client, namespace)
            await adapt_cluster(client, where, name, minimum, maximum, group)
            return await observe_cluster(client, where, name)

    print_view(run(work()), output)
