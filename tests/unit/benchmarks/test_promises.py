"""A benchmark whose promise is not kept fails, whatever it prints."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import managers
from benchmarks.promises import Promises
from benchmarks.ratios import Ratio


def test_one_promise_that_is_not_kept_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    promises = Promises()
    promises.say("memory", 90.0, 100.0, " MB")
    assert promises.exit_code == 0
    promises.say_ratio("a / b", Ratio((3.0,), (2.0,)), 1.2)
    promises.judge("requests; promised none", is_kept=True)
    assert promises.exit_code == 1
    assert capsys.readouterr().out.splitlines() == [
        "memory: 90.00 MB; promised at most 100 MB: kept",
        "a / b: 1.50 times (from 1.50 to 1.50; 3.00 s against 2.00 s); promised at most 1.2: "
        "NOT KEPT",
        "requests; promised none: kept",
    ]


@pytest.mark.parametrize(
    ("ratio", "asked", "exit_code"),
    [
        (1.0, {"watch": 1}, 0),
        (1.0, {"watch": 1, "list": 1}, 1),
        # Promised are 1.2 for an import and 4 for a start.
        (3.0, {}, 1),
    ],
)
def test_the_benchmark_of_the_managers_says_it_by_its_exit_code(
    ratio: float, asked: dict[str, int], exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def no_kubernetes(**options: Any) -> Iterator[Any]:
        yield SimpleNamespace(kubeconfig=Path("nowhere"))

    monkeypatch.setenv("KUBECONFIG", "nowhere")
    monkeypatch.setattr(managers, "LocalKubernetes", SimpleNamespace(in_thread=no_kubernetes))
    monkeypatch.setattr(managers, "measure_ratio", lambda *_: Ratio((ratio,), (1.0,)))
    monkeypatch.setattr(managers, "count_requests_while_idle", lambda: Counter(asked))
    assert managers.main(1) == exit_code
