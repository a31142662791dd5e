"""``dask kubernetes``: the part of our command line that Dask's own shows.

Dask finds it by the entry point ``dask_cli``, and loads it for every ``dask`` command: it imports
nothing heavy.
"""

from __future__ import annotations

import click

from . import LazyGroup, choose_commands


@click.group(
    cls=LazyGroup,
    commands_by_name=choose_commands("gen", "port-forward"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
def kubernetes() -> None:
    """Dask clusters on Kubernetes; `dask-k8s` can do more."""
