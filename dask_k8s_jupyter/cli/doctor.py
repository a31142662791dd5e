"""``dask-k8s doctor``: what works here, what does not, and what to do about it.

Guarantees that it changes nothing, and that a check which cannot be made is not reported as passed.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import click
from rich.console import Console
from rich.markup import escape

from dask_k8s_jupyter.clusters import actions
from dask_k8s_jupyter.errors import DaskKubernetesError, OperatorSilentError, explain
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ForbiddenError, KubeError
from dask_k8s_operator.resources.kinds import DEPLOYMENTS

OPERATOR_SELECTOR = "app.kubernetes.io/name=dask-operator"
_MARKS = {"ok": "[green]✓[/]", "failed": "[red]✗[/]", "unknown": "[yellow]?[/]"}


@dataclass(frozen=True)
class Finding:
    """What one check found; ``fix`` says what to do where something is wrong."""

    outcome: Literal["ok", "failed", "unknown"]
    message: str
    fix: str | None = None


@click.command()
@click.option("--namespace", "-n", help="Where clusters should run; else the context's namespace.")
def doctor(namespace: str | None) -> None:
    """Check the way from here to a running Dask cluster."""
    console = Console(highlight=False)
    if not asyncio.run(_print_findings(console, namespace)):
        sys.exit(1)


async def _print_findings(console: Console, namespace: str | None) -> bool:
    is_well = True
    async for finding in examine(namespace):
        console.print(f"{_MARKS[finding.outcome]} {escape(finding.message)}", soft_wrap=True)
        if finding.fix:
            console.print(f"  {escape(finding.fix)}", style="dim", soft_wrap=True)
        is_well = is_well and finding.outcome != "failed"
    return is_well


async def examine(namespace: str | None) -> AsyncIterator[Finding]:
    """Check one thing after the other; those that need a broken one are left out."""
    try:
        async with await KubeClient.connect() as client:
            namespace = namespace or client.namespace
            yield Finding("ok", f"Kubernetes at {client.host} ({client.source})")
            version = await client.request("GET", "/version")
            yield Finding("ok", f"It answers: version {version['gitVersion']}")
            await actions.check_installed(client)
            yield Finding("ok", "It knows Dask clusters")
            yield await _examine_operator(client)
            await actions.preflight(client, namespace)
            yield Finding("ok", f"You may create and use clusters in namespace {namespace}")
    except (KubeError, DaskKubernetesError) as error:
        explained = explain(error)
        yield Finding("failed", explained.message, explained.fix)


async def _examine_operator(client: KubeClient) -> Finding:
    try:
        found = (await client.list(DEPLOYMENTS, label_selector=OPERATOR_SELECTOR)).items
    except ForbiddenError:
        return Finding("unknown", "Whether an operator runs, you may not see")
    if not found:
        # It may run under another name, or outside Kubernetes.
        return Finding("unknown", "No Deployment of the operator is there", OperatorSilentError.fix)
    metadata = found[0]["metadata"]
    name = f"{metadata['namespace']}/{metadata['name']}"
    if not (found[0].get("status") or {}).get("availableReplicas"):
        return Finding("failed", f"The operator {name} does not run", OperatorSilentError.fix)
    return Finding("ok", f"The operator {name} runs")
