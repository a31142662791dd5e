"""``dask-k8s events``: what happened to a cluster, the newest last."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import click

from dask_k8s_jupyter.clusters.actions import get_cluster
from dask_k8s_jupyter.clusters.events import observe_events
from dask_k8s_jupyter.state import format_age, parse_time

from .common import (
    choose_namespace,
    cluster_argument,
    connect,
    connection_options,
    namespace_option,
    run,
)
from .output import output_option, print_document, print_table

HEADINGS = ("AGE", "TYPE", "OBJECT", "REASON", "COUNT", "MESSAGE")


@click.command()
@cluster_argument
@namespace_option
@output_option
@connection_options
def events(
    name: str, namespace: str | None, output: str, kubeconfig: str | None, context: str | None
) -> None:
    """Show what happened to the cluster NAME and its parts, the newest last."""

    async def work() -> list[dict[str, Any]]:
        async with connect(kubeconfig, context) as client:
            where = choose_namespace(client, namespace)
            found = await observe_events(client, where, name)
            if not found:
                # Events outlive their cluster by an hour; without any, it should be there at least.
                await get_cluster(client, where, name)
            return found[::-1]

    found = run(work())
    if output != "table":
        print_document(found, output)
    elif found:
        now = datetime.now(timezone.utc)
        print_table(HEADINGS, (draw_row(event, now) for event in found))
    else:
        click.echo(
            "Nothing happened within the last hour, as far as Kubernetes remembers", err=True
        )


def draw_row(event: dict[str, Any], now: datetime) -> tuple[str, ...]:
    """Draw an Event as a row of the table."""
    happened = parse_time(event["time"])
    return (
        format_age((now - happened).total_seconds()) if happened else "",
        event["type"],
        event["object"],
        event["reason"],
        str(event["count"]),
        # A table has one line for each.
        " ".join(event["message"].split()),
    )
