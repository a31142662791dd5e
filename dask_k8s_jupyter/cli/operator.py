"""``dask-k8s operator``: installs the operator, looks at it, uninstalls it."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import Any

import click

from dask_k8s_jupyter.clusters.operatorinstall import (
    apply_operator,
    delete_operator,
    find_losses,
    prune_operator,
    wait_operator,
)
from dask_k8s_jupyter.clusters.operatorstate import observe_operator, observe_release
from dask_k8s_operator import __version__
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ForbiddenError, NotFoundError
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS
from dask_k8s_operator.resources.manifests import DEFAULT_IMAGE, DEFAULT_NAMESPACE

from .common import Command, confirm, connect, connection_options, run, yes_option
from .output import output_option, print_document, print_table
from .progress import Progress
from .waiting import wait_options

NAMED_LOSSES = 5


def operator_namespace_option(command: Command) -> Command:
    """Add ``--namespace``, here that of the operator."""
    return click.option(
        "--namespace",
        "-n",
        default=DEFAULT_NAMESPACE,
        show_default=True,
        help="Where the operator runs.",
    )(command)


def single_namespace_option(command: Command) -> Command:
    """Add ``--single-namespace``."""
    return click.option(
        "--single-namespace",
        is_flag=True,
        help="It serves only its own namespace, with Roles; else all, with ClusterRoles.",
    )(command)


@click.group()
def operator() -> None:
    """Install, look at or uninstall the operator (for administrators)."""


@operator.command()
@operator_namespace_option
@click.option("--image", default=DEFAULT_IMAGE, show_default=True, help="The operator's image.")
@single_namespace_option
@click.option(
    "--skip-definitions",
    is_flag=True,
    help="Leave the custom resource definitions as they are, where you may not change them.",
)
@wait_options
@connection_options
def install(
    namespace: str,
    image: str,
    single_namespace: bool,
    skip_definitions: bool,
    wait: bool,
    timeout_s: float,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Install the operator, or bring an earlier release up to this one.

    Applies the manifests that `kubectl apply -k operator/manifests` applies. Clusters go on
    meanwhile.
    """

    async def work() -> None:
        async with connect(kubeconfig, context) as client:
            with Progress(f"Installing the operator {__version__}") as progress:
                applied = await apply_operator(
                    client,
                    namespace,
                    image,
                    single_namespace=single_namespace,
                    with_definitions=not skip_definitions,
                    say=progress.say,
                )
                pruned = await prune_operator(client, namespace, single_namespace=single_namespace)
            click.echo(f"Applied {len(applied)} objects: {', '.join(applied)}")
            if pruned:
                click.echo(f"Deleted what another release had: {', '.join(pruned)}")
            if wait:
                with Progress("Waiting for the operator") as progress:
                    await wait_operator(client, namespace, timeout_s, progress.say)
                click.echo(f"The operator {__version__} runs in namespace {namespace}")

    run(work())


@operator.command()
@operator_namespace_option
@output_option
@connection_options
def status(namespace: str, output: str, kubeconfig: str | None, context: str | None) -> None:
    """Tell whether the operator runs, and which release is installed.

    The exit code is 0 when it runs, 1 otherwise.
    """

    async def work() -> dict[str, Any]:
        async with connect(kubeconfig, context) as client:
            return await _observe(client, namespace)

    found = run(work())
    if output == "table":
        rows = [(key.replace("_", " "), _say(value)) for key, value in found.items()]
        print_table(("", ""), rows)
    else:
        print_document(found, output)
    sys.exit(0 if found["outcome"] == "running" else 1)


async def _observe(client: KubeClient, namespace: str) -> dict[str, Any]:
    state = await observe_operator(client, datetime.now(timezone.utc), namespace)
    try:
        release = await observe_release(client)
        definitions = release or "of another operator"
    except NotFoundError:
        definitions = None
    return {
        **state.to_json(),
        "definitions": definitions,
        "this_release": __version__,
        "clusters": await _count_clusters(client),
    }


async def _count_clusters(client: KubeClient) -> int | None:
    try:
        return len((await client.list(DASK_CLUSTERS)).items)
    except (NotFoundError, ForbiddenError):
        return None


def _say(value: Any) -> str:
    return "none" if value is None else str(value)


@operator.command()
@operator_namespace_option
@click.option(
    "--keep-clusters",
    is_flag=True,
    help="Leave the definitions and all clusters; nobody tends them until it is installed again.",
)
@single_namespace_option
@yes_option
@connection_options
def uninstall(
    namespace: str,
    keep_clusters: bool,
    single_namespace: bool,
    yes: bool,
    kubeconfig: str | None,
    context: str | None,
) -> None:
    """Uninstall the operator, and with its definitions every Dask cluster and job.

    The definitions stay with --single-namespace, as others may use them.
    """
    stays = keep_clusters or single_namespace

    async def work() -> None:
        async with connect(kubeconfig, context) as client:
            scope = namespace if single_namespace else None
            confirm(describe_loss(await find_losses(client, scope), stays), yes=yes)
            with Progress("Uninstalling the operator") as progress:
                deleted = await delete_operator(
                    client,
                    namespace,
                    single_namespace=single_namespace,
                    keep_definitions=stays,
                    say=progress.say,
                )
            click.echo(f"Deleted {', '.join(deleted)}" if deleted else "Nothing was there")

    run(work())


def describe_loss(losses: dict[str, list[str]], keep_clusters: bool) -> str:
    """Ask whether the operator may go, with what is lost by it.

    Examples
    --------
    >>> describe_loss({"DaskCluster": ["team-a/demo"], "DaskJob": []}, False)
    'This deletes 1 DaskCluster (team-a/demo) with all Pods, and the definitions. Uninstall?'
    """
    said = [
        f"{len(names)} {kind}{'' if len(names) == 1 else 's'} ({_enumerate(names)})"
        for kind, names in losses.items()
        if names
    ]
    if keep_clusters:
        alone = f"; {' and '.join(said)} stay, with nobody to tend them" if said else ""
        return f"This deletes the operator and its roles{alone}. Uninstall?"
    if not said:
        return "This deletes the operator and the definitions; no cluster is there. Uninstall?"
    return f"This deletes {' and '.join(said)} with all Pods, and the definitions. Uninstall?"


def _enumerate(names: list[str]) -> str:
    more = len(names) - NAMED_LOSSES
    return ", ".join(names[:NAMED_LOSSES]) + (f" and {more} more" if more > 0 else "")
