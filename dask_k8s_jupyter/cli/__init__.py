"""``dask-k8s``: the command line.

A subcommand's module is imported when it is used, so that ``dask-k8s --help`` is quick.
"""

from __future__ import annotations

from importlib import import_module

import click

# Subcommand -> module and name of the click command, and its line in the help.
COMMANDS = {
    "doctor": (
        "dask_k8s_jupyter.cli.doctor:doctor",
        "Check the way from here to a running Dask cluster.",
    ),
    "list": (
        "dask_k8s_jupyter.cli.listing:list_clusters",
        "List Dask clusters, with what they wait for.",
    ),
    "up": (
        "dask_k8s_jupyter.cli.up:up",
        "Kubernetes, the operator and JupyterLab on this machine.",
    ),
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all subcommands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="dask-k8s-jupyter")
def main() -> None:
    """Dask clusters on Kubernetes."""
