"""What is not a wait stands on the screen, and nothing is left at work when a wait is over."""

from __future__ import annotations

import asyncio
import io
import re
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from rich.console import Console

from dask_k8s_jupyter import KubeCluster
from dask_k8s_jupyter.clusters import actions, steering
from dask_k8s_jupyter.clusters.display import StartDisplay
from dask_k8s_jupyter.clusters.kubecluster import Status

STAYS = "DaskCluster team-a/demo stays: `dask-k8s delete demo` deletes it"
DIFFERS = "Versions differ: dask 2026.8.0 here, 2024.1.0 in the scheduler"
# Carriage return, new line, one line up, erase the line; the rest is colour or the cursor's look.
_CONTROLS = re.compile(r"(\r|\n|\x1b\[1A|\x1b\[2K|\x1b\[\??[0-9;]*[A-Za-z])")


def draw(written: str) -> list[str]:
    """What stands in the lines of a terminal after all that was written to it."""
    lines, row, column = [""], 0, 0
    for part in _CONTROLS.split(written):
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        elif part == "\x1b[1A":
            row -= 1
        elif part == "\x1b[2K":
            lines[row] = ""
        elif not part.startswith("\x1b"):
            lines[row] = lines[row][:column] + part + lines[row][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines if line.strip()]


class Screen:
    """A terminal, and the display of a start in it."""

    def __init__(self) -> None:
        self._written = io.StringIO()
        console = Console(file=self._written, force_terminal=True, color_system=None, width=80)
        self.display = StartDisplay(lambda: False, console, lambda: 0.0)

    @property
    def lines(self) -> list[str]:
        return draw(self._written.getvalue())


@pytest.fixture
def screen() -> Iterator[Screen]:
    """A screen, after whose test nothing draws any more."""
    stdout, threads = sys.stdout, set(threading.enumerate())
    yield (screen := Screen())
    begun = set(threading.enumerate()) - threads
    for thread in begun:
        thread.join(1.0)  # one that was told to end needs a moment
    left = {thread for thread in begun if thread.is_alive()}
    is_redirected = sys.stdout is not stdout
    screen.display.close()
    assert (left, is_redirected) == (set(), False)


@pytest.fixture
async def cluster(screen: Screen) -> AsyncIterator[Any]:
    """A cluster manager that has not been started."""
    cluster: Any = KubeCluster(
        name="demo", namespace="team-a", keep_on_failure=True, asynchronous=True
    )
    cluster._display = screen.display
    yield cluster
    cluster.status = Status.closed


def test_a_note_stands_after_all_that_follows(screen: Screen) -> None:
    screen.display.begin("Waiting for the scheduler")
    screen.display.note(DIFFERS)
    screen.display.wait("The image is pulled")
    screen.display.done("The scheduler is ready")
    screen.display.close()
    assert screen.lines == [f"! {DIFFERS}", "✓ The scheduler is ready (0.0 s)"]
    assert [str(line) for line in screen.display.lines] == screen.lines


def test_a_late_note_starts_nothing(screen: Screen) -> None:
    screen.display.note(DIFFERS)
    assert screen.lines == [f"! {DIFFERS}"]


def test_elsewhere_a_note_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    StartDisplay(lambda: False, Console(file=io.StringIO())).note(DIFFERS)
    StartDisplay(lambda: True).note(DIFFERS)
    assert capsys.readouterr().out.splitlines() == [DIFFERS]


async def test_what_is_kept_of_a_failed_start_is_said_for_good(
    cluster: Any, screen: Screen
) -> None:
    cluster.session.is_new = True
    screen.display.begin("Waiting for the scheduler")
    assert not cluster._takes_back(TimeoutError())
    screen.display.close()
    assert " ".join(screen.lines) == f"! {STAYS}"


async def test_nothing_is_left_on_the_screen_of_a_resumption(
    cluster: Any, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*args: Any, **kwargs: Any) -> None:
        pass

    async def wait_ready(say: Any) -> None:
        say("The scheduler is starting")

    cluster.session._client = object()
    monkeypatch.setattr(actions, "suspend_cluster", nothing)
    monkeypatch.setattr(steering, "wait_seen", nothing)
    monkeypatch.setattr(cluster.session, "wait_ready", wait_ready)
    monkeypatch.setattr(cluster, "_sync_cluster_info", nothing)
    await cluster._resume()
    await asyncio.gather(cluster._sync_cluster_info_task)
    assert screen.lines == []


async def test_a_notebooks_panel_says_it_instead(cluster: Any, screen: Screen) -> None:
    noted: list[str] = []

    class Widget:
        note = noted.append

    cluster._panel._widget = Widget()
    cluster._display = StartDisplay(lambda: cluster._panel.is_shown, screen.display._console)
    cluster._log_note(DIFFERS)
    assert (noted, screen.lines) == ([DIFFERS], [])
