"""``dask-k8s up``: reads its options and shows its progress; ``local.up`` does the work."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
from rich.console import Console

from dask_k8s_jupyter.local.addresses import NoLoopbackError
from dask_k8s_jupyter.local.node.quantities import parse_quantity
from dask_k8s_jupyter.local.up import DEFAULT_BASE_URL, UpError, UpOptions, run_up


def _read_quantity(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> float | None:
    if text is None:
        return None
    try:
        return parse_quantity(text)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Port of JupyterLab; else a free one.")
@click.option("--base-url", default=DEFAULT_BASE_URL, show_default=True, help="Its URL prefix.")
@click.option(
    "--notebook-dir",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    default=".",
    help="What JupyterLab shows; else the current folder.",
)
@click.option("--no-lab", is_flag=True, help="Kubernetes and the operator only.")
@click.option("--cpus", callback=_read_quantity, help="CPUs that Pods may request; else all.")
@click.option("--memory", callback=_read_quantity, help="Memory likewise, such as 8Gi; else all.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def up(
    port: int | None,
    base_url: str,
    notebook_dir: Path,
    no_lab: bool,
    cpus: float | None,
    memory: float | None,
    command: tuple[str, ...],
) -> None:
    """Run Kubernetes, the Dask operator and JupyterLab on this machine, without Docker or root.

    Pods run as processes in this Python environment. With COMMAND (after --), that runs in place of
    JupyterLab, and everything ends when it ends.

    On a machine with other users: Dask's schedulers listen on loopback, open to all of them (but
    for clusters with spec.tls: true).
    """
    console = Console(stderr=bool(command), highlight=False)
    options = UpOptions(
        port=port,
        base_url=base_url,
        notebook_folder=notebook_dir,
        has_lab=not no_lab,
        command=command,
        cpus=cpus,
        memory_bytes=None if memory is None else int(memory),
    )

    def say(message: str) -> None:
        console.print(message, soft_wrap=True)

    try:
        code = asyncio.run(run_up(options, say))
    except (UpError, NoLoopbackError) as error:
        console.print(f"dask-k8s up: {error}", markup=False, soft_wrap=True)
        code = 1
    sys.exit(code)
