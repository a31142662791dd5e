"""What every subcommand shares: the way to Kubernetes, and how failures are said.

Guarantees that a failure is one sentence with what to do about it and a non-zero exit code, never a
traceback. Refuses to swallow what nobody foresaw: that is a bug, and shows as one.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import click

from dask_k8s_jupyter.errors import DaskKubernetesError, explain
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError

from .completion import complete_clusters, complete_namespaces

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])


def connection_options(command: Command) -> Command:
    """Add ``--kubeconfig`` and ``--context``."""
    for option in (
        click.option("--context", help="Context of the kubeconfig; else its current one."),
        click.option(
            "--kubeconfig",
            type=click.Path(dir_okay=False),
            help="Kubeconfig file; else KUBECONFIG, ~/.kube/config or the Pod's service account.",
        ),
    ):
        command = option(command)
    return command


def namespace_option(command: Command) -> Command:
    """Add ``--namespace``."""
    return click.option(
        "--namespace",
        "-n",
        shell_complete=complete_namespaces,
        help="Namespace; else the configured one, else that of the context.",
    )(command)


def cluster_argument(command: Command) -> Command:
    """Add the name of a cluster that exists."""
    return click.argument("name", shell_complete=complete_clusters)(command)


def yes_option(command: Command) -> Command:
    """Add ``--yes``, for what would ask otherwise."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask.")(command)


@asynccontextmanager
async def connect(kubeconfig: str | None, context: str | None) -> AsyncIterator[KubeClient]:
    """Connect to Kubernetes."""
    async with await KubeClient.connect(kubeconfig, context) as client:
        yield client


def choose_namespace(client: KubeClient, namespace: str | None) -> str:
    """The namespace that is meant: as asked for, as configured, as the context says."""
    from dask_k8s_jupyter import config

    return str(config.get("namespace", namespace) or client.namespace)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a subcommand's work to its end.

    Raises
    ------
    click.ClickException
        When it fails: what failed, and what to do.
    """
    try:
        return asyncio.run(work)
    except (KubeError, DaskKubernetesError) as error:
        raise build_failure(error) from error


def build_failure(error: Exception) -> click.ClickException:
    """Say a failure as click prints it.

    Examples
    --------
    >>> build_failure(DaskKubernetesError("It fell over", fix="Lift it")).message
    'It fell over. Lift it'
    """
    return click.ClickException(str(explain(error)))


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost, unless told not to.

    Raises
    ------
    click.ClickException
        When the answer is no, or there is nobody to ask.
    """
    if yes:
        return
    try:
        is_agreed = click.confirm(question, err=True)
    except click.Abort:
        raise click.ClickException(
            "Nobody has confirmed that, and nothing was changed. Add --yes"
        ) from None
    if not is_agreed:
        raise click.ClickException("Nothing was changed")


async def wait_for_end() -> None:
    """Wait until Ctrl-C, or until this process is told to end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows: KeyboardInterrupt ends us as well
            break
    await ended.wait()
