"""A start shows itself: live in a terminal, line by line elsewhere, not at all when quiet."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from dask_k8s_jupyter.clusters.display import StartDisplay


def _start(display: StartDisplay) -> None:
    display.begin("Connecting to Kubernetes")
    display.done("Created DaskCluster default/demo")
    display.wait("scheduler: Insufficient memory")
    display.done("The scheduler is ready")
    display.close()


def _terminal() -> tuple[Console, io.StringIO]:
    screen = io.StringIO()
    return Console(file=screen, force_terminal=True, color_system=None, width=80), screen


def test_in_a_terminal_steps_stay_and_waits_stand_below_them() -> None:
    console, screen = _terminal()
    _start(StartDisplay(lambda: False, console, lambda: 0.0))
    drawn = screen.getvalue()
    assert "✓ Created DaskCluster default/demo (0.0 s)" in drawn
    assert "Connecting to Kubernetes" in drawn
    assert "scheduler: Insufficient memory" in drawn
    assert drawn.index("Insufficient memory") < drawn.index("✓ The scheduler is ready")


def test_elsewhere_each_step_and_each_wait_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    _start(StartDisplay(lambda: False, Console(file=io.StringIO())))
    assert capsys.readouterr().out.splitlines() == [
        "Created DaskCluster default/demo",
        "scheduler: Insufficient memory",
        "The scheduler is ready",
    ]


def test_when_quiet_nothing_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    console, screen = _terminal()
    display = StartDisplay(lambda: True, console, lambda: 0.0)
    _start(display)
    assert screen.getvalue() == capsys.readouterr().out == ""
    assert [line.plain for line in display.lines] == [
        "✓ Created DaskCluster default/demo (0.0 s)",
        "✓ The scheduler is ready (0.0 s)",
    ]


def test_what_is_waited_for_is_known_until_it_is_over() -> None:
    display = StartDisplay(lambda: True)
    display.wait("The image is pulled")
    assert display.waits_for == "The image is pulled"
    display.close()
    assert display.waits_for == ""
