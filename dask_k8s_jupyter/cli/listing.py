"""``dask-k8s list``: the clusters that are there, as sidebar and panel see them."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from dask_k8s_jupyter.clusters.actions import check_installed
from dask_k8s_jupyter.errors import DaskKubernetesError, explain
from dask_k8s_jupyter.state import (
    ClusterView,
    build_cluster_view,
    format_age,
    format_workers,
    parse_time,
)
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError
from dask_k8s_operator.resources.kinds import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS


@click.command("list")
@click.option("--namespace", "-n", help="Whose clusters; else the context's namespace.")
@click.option("--all-namespaces", "-A", is_flag=True, help="Those of every namespace.")
@click.option(
    "--output", "-o", type=click.Choice(["table", "json"]), default="table", show_default=True
)
def list_clusters(namespace: str | None, all_namespaces: bool, output: str) -> None:
    """List Dask clusters, with what they wait for."""
    try:
        views = asyncio.run(read_views(namespace, all_namespaces))
    except (KubeError, DaskKubernetesError) as error:
        raise click.ClickException(str(explain(error))) from error
    if output == "json":
        click.echo(json.dumps([view.to_json() for view in views], indent=2))
    else:
        Console(highlight=False).print(build_table(views))


async def read_views(namespace: str | None, all_namespaces: bool) -> list[ClusterView]:
    """Read the clusters of a namespace, or of all, once."""
    async with await KubeClient.connect() as client:
        scope = None if all_namespaces else namespace or client.namespace
        await check_installed(client)
        return await _draw(client, scope)


async def _draw(client: KubeClient, namespace: str | None) -> list[ClusterView]:
    clusters, groups, autoscalers = [
        listed.items
        for listed in await asyncio.gather(
            client.list(DASK_CLUSTERS, namespace),
            client.list(DASK_WORKER_GROUPS, namespace),
            client.list(DASK_AUTOSCALERS, namespace),
        )
    ]
    now = datetime.now(timezone.utc)
    return [
        build_cluster_view(
            cluster,
            [group for group in groups if _belongs(group, cluster)],
            next((each for each in autoscalers if _belongs(each, cluster)), None),
            now,
        )
        for cluster in clusters
    ]


def _belongs(part: dict[str, Any], cluster: dict[str, Any]) -> bool:
    metadata = cluster["metadata"]
    is_there = part["metadata"]["namespace"] == metadata["namespace"]
    return bool(is_there and part["spec"]["cluster"] == metadata["name"])


def build_table(views: list[ClusterView]) -> Table:
    """Draw clusters as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("NAMESPACE", "NAME", "STATE", "WORKERS", "AGE", "REASON"):
        table.add_column(heading, overflow="fold")
    now = datetime.now(timezone.utc)
    for view in views:
        created = parse_time(view.created)
        table.add_row(
            view.namespace,
            view.name,
            view.state,
            format_workers(view.workers.ready, view.workers.desired),
            format_age((now - created).total_seconds()) if created else "",
            view.reason or "",
        )
    return table
