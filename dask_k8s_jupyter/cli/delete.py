"""``dask-k8s delete``: ends clusters, after asking, and waits until they are gone."""

from __future__ import annotations

import asyncio

import click

from dask_k8s_jupyter.clusters.actions import delete_cluster
from dask_k8s_jupyter.clusters.signal import wait_any
from dask_k8s_jupyter.clusters.watched import WatchedCluster
from dask_k8s_jupyter.errors import StartTimeoutError
from dask_k8s_jupyter.state import ClusterView, observe_cluster
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import PODS
from dask_k8s_operator.resources.names import CLUSTER_NAME_LABEL

from .common import (
    choose_namespace,
    confirm,
    connect,
    connection_options,
    namespace_option,
    run,
    yes_option,
)
from .completion import complete_clusters
from .progress import Progress
from .waiting import WAIT_LONGER, wait_options

PODS_LOOK_S = 0.5


@click.command()
@click.argument("names", nargs=-1, required=True, shell_complete=complete_clusters)
@namespace_option
@yes_option
@wait_options
@connection_options
def delete(
    names: tuple[str, ...],
    namespace: str | None,
    yes: bool,
    wait: bool,
    timeout_s: float,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Delete the clusters NAMES with all that belongs to them."""

    async def work() -> None:
        async with connect(kubeconfig, context) as client:
            where = choose_namespace(client, namespace)
            views = [await observe_cluster(client, where, name) for name in dict.fromkeys(names)]
            confirm(describe_loss(views), yes=yes)
            for view in views:
                await delete_cluster(client, where, view.name, uid=view.uid or None)
            for view in views:
                if wait:
                    await _wait_gone(client, where, view.name, timeout_s)
                click.echo(f"{where}/{view.name} {'is gone' if wait else 'is being deleted'}")

    run(work())


def describe_loss(views: list[ClusterView]) -> str:
    """Ask whether clusters may be deleted, with what is lost by it."""
    which = ", ".join(f"{view.namespace}/{view.name}" for view in views)
    running = sum(view.workers.running for view in views)
    if not running:
        return f"Delete {which}?"
    whose = "its" if len(views) == 1 else "their"
    lost = "worker computes and holds" if running == 1 else "workers compute and hold"
    return f"Delete {which}? What {whose} {running} running {lost} is lost."


async def _wait_gone(client: KubeClient, namespace: str, name: str, timeout_s: float) -> None:
    watched = WatchedCluster(client, namespace, name)
    try:
        with Progress(f"Deleting {namespace}/{name}") as progress:
            await watched.start()
            await asyncio.wait_for(_follow_end(client, watched, progress), timeout_s)
    except asyncio.TimeoutError:
        raise StartTimeoutError(
            f"Pods of {namespace}/{name} still end after {timeout_s:.0f} s", fix=WAIT_LONGER
        ) from None
    finally:
        await watched.close()


async def _follow_end(client: KubeClient, watched: WatchedCluster, progress: Progress) -> None:
    while True:
        change = watched.changes.next()
        if watched.resource is None:
            break
        await wait_any(change)
    selector = f"{CLUSTER_NAME_LABEL}={watched.name}"
    while left := (await client.list(PODS, watched.namespace, label_selector=selector)).items:
        progress.say(describe_ending([pod["metadata"]["name"] for pod in left]))
        await asyncio.sleep(PODS_LOOK_S)


def describe_ending(pods: list[str]) -> str:
    """Say which Pods a deletion waits for.

    Examples
    --------
    >>> describe_ending(["demo-scheduler"])
    'Pod demo-scheduler has still to end'
    """
    if len(pods) == 1:
        return f"Pod {pods[0]} has still to end"
    return f"{len(pods)} Pods have still to end"
