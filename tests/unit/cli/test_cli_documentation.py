"""The examples of docs/cli.md are commands that exist, with options that they have."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from dask_k8s_jupyter.cli import COMMANDS, main

DOCUMENT = Path(__file__).parents[3] / "docs" / "cli.md"
EXAMPLES = sorted(
    {
        line.strip().removeprefix("$ ").split(" | ")[0].split(" > ")[0]
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith("    $ dask-k8s ")
    }
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_can_be_read(example: str) -> None:
    _, *words = shlex.split(example)
    command: click.Command = main
    context = click.Context(main)
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, name
        command = found
    command.make_context(name, words)


def test_every_command_is_documented() -> None:
    said = DOCUMENT.read_text()
    assert [name for name in COMMANDS if f"`{name}" not in said] == []
