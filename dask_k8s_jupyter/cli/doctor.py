"""``dask-k8s doctor``: what works here, what does not, and what to do about it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.text import Text

from dask_k8s_jupyter.clusters.doctor import Examination, examine
from dask_k8s_jupyter.clusters.findings import Finding
from dask_k8s_operator.resources.manifests import DEFAULT_NAMESPACE

from .common import connection_options, namespace_option
from .output import build_console, output_option, print_document
from .progress import Progress

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}
_UNKNOWN = ("?", "yellow")


@click.command()
@namespace_option
@click.option("--image", help="Image to try; else the configured one.")
@click.option(
    "--passive", is_flag=True, help="Create nothing: look at clusters that run, if any does."
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=Examination.timeout_s,
    show_default=True,
    metavar="SECONDS",
    help="How long the small cluster may take to start.",
)
@click.option(
    "--operator-namespace", default=DEFAULT_NAMESPACE, show_default=True, help="Where it runs."
)
@output_option
@connection_options
def doctor(output: str, passive: bool, **asked: Any) -> None:
    """Check the way from here to a running Dask cluster, and say what to do where it breaks.

    Where no cluster of the image runs, a scheduler and a small worker are started for a moment and
    deleted again. The exit code is 1 when something has to be mended.
    """
    findings = asyncio.run(_collect(Examination(creates=not passive, **asked), output))
    is_well = not any(finding.is_bad for finding in findings)
    if output == "table":
        click.echo(summarize(findings))
    else:
        document = {"ok": is_well, "findings": [finding.to_json() for finding in findings]}
        print_document(document, output)
    sys.exit(0 if is_well else 1)


async def _collect(asked: Examination, output: str) -> list[Finding]:
    console = build_console()
    findings: list[Finding] = []
    with Progress("Trying") as progress:
        async for finding in examine(asked, progress.say):
            progress.pause()
            if output == "table":
                console.print(draw_finding(finding, _last_fix(findings)))
            findings.append(finding)
    return findings


def _last_fix(findings: list[Finding]) -> str | None:
    """What was advised last, so that the same for nine permissions is said once."""
    return next((finding.fix for finding in reversed(findings) if finding.fix), None)


def draw_finding(finding: Finding, last_fix: str | None = None) -> Text:
    """Draw a finding: a mark, what was seen, and below it what to do, unless that was just said.

    Examples
    --------
    >>> draw_finding(Finding("operator", "failed", "It is gone", "Install it")).plain
    '✗ It is gone\\n    Install it'
    """
    mark, style = _MARKS.get(finding.outcome, _UNKNOWN)
    text = Text.assemble((mark, style), f" {finding.message}")
    if finding.fix and finding.fix != last_fix:
        text.append(f"\n    {finding.fix}", style="dim")
    return text


def summarize(findings: Iterable[Finding]) -> str:
    """Say in one line how it stands.

    Examples
    --------
    >>> summarize([Finding("version", "ok", "Kubernetes 1.36")])
    'All is well.'
    """
    outcomes = [finding.outcome for finding in findings]
    failed, warned = outcomes.count("failed"), outcomes.count("warning")
    if failed:
        return f"{failed} {'thing has' if failed == 1 else 'things have'} to be mended."
    if warned:
        return f"It works; {warned} {'thing' if warned == 1 else 'things'} could be better."
    return "All is well, as far as could be seen." if "unknown" in outcomes else "All is well."
