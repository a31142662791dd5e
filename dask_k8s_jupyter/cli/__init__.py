"""``dask-k8s``: the command line.

A subcommand's module is imported when it is used, so that ``dask-k8s --help`` is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

# Subcommand -> module and name of the click command, and its line in the help.
Commands = Mapping[str, tuple[str, str]]
COMMANDS: Commands = {
    "adapt": ("dask_k8s_jupyter.cli.scale:adapt", "Let the load choose the number of workers."),
    "completion": (
        "dask_k8s_jupyter.cli.completion:completion",
        "Print what a shell needs to complete commands and names.",
    ),
    "create": ("dask_k8s_jupyter.cli.create:create", "Create a cluster, and wait until it runs."),
    "delete": ("dask_k8s_jupyter.cli.delete:delete", "Delete clusters."),
    "doctor": (
        "dask_k8s_jupyter.cli.doctor:doctor",
        "Check the way from here to a running Dask cluster.",
    ),
    "events": ("dask_k8s_jupyter.cli.events:events", "Show what happened to a cluster."),
    "gen": ("dask_k8s_jupyter.cli.gen:gen", "Write a manifest for kubectl."),
    "list": (
        "dask_k8s_jupyter.cli.listing:list_clusters",
        "List Dask clusters, with what they wait for.",
    ),
    "logs": ("dask_k8s_jupyter.cli.logs:logs", "Show what the Pods of a cluster write."),
    "operator": (
        "dask_k8s_jupyter.cli.operator:operator",
        "Install, look at or uninstall the operator.",
    ),
    "port-forward": (
        "dask_k8s_jupyter.cli.portforward:port_forward",
        "Bring a scheduler and its dashboard to ports of this machine.",
    ),
    "scale": ("dask_k8s_jupyter.cli.scale:scale", "Give a cluster a fixed number of workers."),
    "up": (
        "dask_k8s_jupyter.cli.up:up",
        "Kubernetes, the operator and JupyterLab on this machine.",
    ),
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported on demand.

    Parameters
    ----------
    commands_by_name
        Where the subcommands are.
    """

    def __init__(self, *args: Any, commands_by_name: Commands, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._homes = commands_by_name

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of all subcommands."""
        return sorted(self._homes)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand; None when there is none of that name."""
        if cmd_name not in self._homes:
            return None
        module, _, name = self._homes[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._homes[name][1]) for name in sorted(self._homes)])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete subcommands without importing them."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [
            CompletionItem(name, help=self._homes[name][1])
            for name in sorted(self._homes)
            if name.startswith(incomplete)
        ]


def choose_commands(*names: str) -> Commands:
    """Some of our subcommands, for another command line to show."""
    return {name: COMMANDS[name] for name in names}


@click.group(
    cls=LazyGroup,
    commands_by_name=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="dask-k8s-jupyter")
def main() -> None:
    """Dask clusters on Kubernetes."""
