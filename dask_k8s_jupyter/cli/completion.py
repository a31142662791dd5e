"""Completes names while a person types, and prints what a shell needs for it.

Guarantees an answer within a moment, if only an empty one: whatever goes wrong there, nobody wants
to read about it at a half-written command. Refuses to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import click
from click.shell_completion import get_completion_class

PATIENCE_S = 5.0
SHELLS = ("bash", "zsh", "fish")


def complete_clusters(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Names of clusters that begin so."""
    from dask_k8s_operator.resources.kinds import DASK_CLUSTERS

    async def read(client: Any) -> list[str]:
        from .common import choose_namespace

        namespace = choose_namespace(client, context.params.get("namespace"))
        return [c["metadata"]["name"] for c in (await client.list(DASK_CLUSTERS, namespace)).items]

    return _complete(context, read, incomplete)


def complete_namespaces(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[str]:
    """Names of namespaces that begin so, where we may list them."""
    from dask_k8s_operator.resources.kinds import NAMESPACES

    async def read(client: Any) -> list[str]:
        return [found["metadata"]["name"] for found in (await client.list(NAMESPACES)).items]

    return _complete(context, read, incomplete)


def _complete(
    context: click.Context, read: Callable[[Any], Awaitable[list[str]]], incomplete: str
) -> list[str]:
    from .common import connect

    async def ask() -> list[str]:
        given = context.params
        async with connect(given.get("kubeconfig"), given.get("context")) as client:
            return await read(client)

    try:
        names = asyncio.run(asyncio.wait_for(ask(), PATIENCE_S))
    except Exception:  # noqa: BLE001  see above: a shell waits, and has no place for a message
        return []
    return sorted(name for name in names if name.startswith(incomplete))


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    r"""Print what SHELL needs to complete commands, options and names of clusters.

    For bash, put this line into ~/.bashrc; zsh and fish likewise:

    \b
        eval "$(dask-k8s completion bash)"
    """
    root = context.find_root()
    completes = get_completion_class(shell)
    if completes is None:
        raise click.ClickException(f"{shell} is not supported by this version of click")
    click.echo(completes(root.command, {}, "dask-k8s", "_DASK_K8S_COMPLETE").source())
