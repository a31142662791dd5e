"""Prints answers: as tables for people, as JSON or YAML for programs.

Guarantees that a table that is piped is not folded to a width that nobody has, and that JSON and
YAML hold the same. Refuses colours in what is not a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

Command = TypeVar("Command", bound=Callable[..., Any])

FORMATS = ("table", "json", "yaml")
# Wide enough for the longest sentence of an Event; lines end where their text does.
_PIPED_WIDTH = 10_000


def output_option(command: Command) -> Command:
    """Add ``--output``."""
    return click.option(
        "--output", "-o", type=click.Choice(FORMATS), default="table", show_default=True
    )(command)


def print_document(document: Any, output: str) -> None:
    """Print a document as JSON or YAML.

    Parameters
    ----------
    document
        What JSON can hold.
    output
        ``"json"`` or ``"yaml"``.
    """
    click.echo(format_document(document, output), nl=False)


def format_document(document: Any, output: str) -> str:
    """Write a document as JSON or YAML, with a new line at its end.

    Examples
    --------
    >>> format_document({"name": "demo"}, "json")
    '{\\n  "name": "demo"\\n}\\n'
    >>> format_document({"name": "demo"}, "yaml")
    'name: demo\\n'
    """
    if output == "json":
        return json.dumps(document, indent=2) + "\n"
    import yaml

    return str(yaml.dump(document, Dumper=_build_dumper(yaml), sort_keys=False, width=100))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings, if there are any; texts are printed as they are."""
    console = build_console()
    style = "bold" if console.is_terminal else ""
    table = Table(box=None, pad_edge=False, header_style=style, show_header=any(headings))
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as captured:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


def build_console(*, stderr: bool = False) -> Console:
    """A console that does not fold what is piped."""
    console = Console(stderr=stderr, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    return console


def _build_dumper(yaml: Any) -> Any:
    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """Writes everything out: a reader of a manifest should not have to follow aliases."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    return Dumper
