"""``dask-k8s list``: the clusters that are there, as sidebar and panel see them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone

import click

from dask_k8s_jupyter.clusters.actions import check_installed
from dask_k8s_jupyter.state import (
    ClusterView,
    format_age,
    format_cores,
    format_memory,
    observe_clusters,
    parse_time,
)

from .common import choose_namespace, connect, connection_options, namespace_option, run
from .output import output_option, print_document, print_table

HEADINGS = ("NAMESPACE", "NAME", "STATE", "WORKERS", "CORES", "MEMORY", "ADAPTS", "AGE", "REASON")


@click.command("list")
@namespace_option
@click.option("--all-namespaces", "-A", is_flag=True, help="Those of every namespace.")
@output_option
@connection_options
def list_clusters(
    namespace: str | None,
    all_namespaces: bool,
    output: str,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """List Dask clusters, with what they wait for."""
    if namespace and all_namespaces:
        raise click.UsageError("Give --namespace or --all-namespaces, not both")
    where, views = run(_read_views(kubeconfig, context, namespace, all_namespaces))
    if output == "table" and not views:
        click.echo(f"No Dask clusters {where}. Make one with `dask-k8s create NAME`", err=True)
        return
    print_views(views, output)


async def _read_views(
    kubeconfig: str | None, context: str | None, namespace: str | None, everywhere: bool
) -> tuple[str, list[ClusterView]]:
    async with connect(kubeconfig, context) as client:
        scope = None if everywhere else choose_namespace(client, namespace)
        await check_installed(client)
        where = f"in namespace {scope}" if scope else "in any namespace"
        return where, await observe_clusters(client, scope)


def print_views(views: Iterable[ClusterView], output: str) -> None:
    """Print several clusters."""
    if output == "table":
        now = datetime.now(timezone.utc)
        print_table(HEADINGS, (draw_row(view, now) for view in views))
    else:
        print_document([view.to_json() for view in views], output)


def print_view(view: ClusterView, output: str) -> None:
    """Print one cluster."""
    if output == "table":
        print_views([view], output)
    else:
        print_document(view.to_json(), output)


def draw_row(view: ClusterView, now: datetime) -> tuple[str, ...]:
    """Draw a cluster as a row of the table.

    Parameters
    ----------
    view
        The cluster.
    now
        The time, with a time zone.
    """
    created = parse_time(view.created)
    ranges = ((name, f"{of.minimum} to {of.maximum}") for name, of in view.list_ranges())
    adapts = (f"{name} {said}" if name else said for name, said in ranges)
    return (
        view.namespace,
        view.name,
        view.state,
        f"{view.workers.ready}/{view.workers.desired}",
        format_cores(view.cores) if view.cores else "",
        format_memory(view.memory_bytes) if view.memory_bytes else "",
        ", ".join(adapts),
        format_age((now - created).total_seconds()) if created else "",
        view.reason or "",
    )
