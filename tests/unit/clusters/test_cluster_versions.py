"""Different versions of Dask or Python are said once, with both numbers and what to change."""

from __future__ import annotations

import warnings
from typing import Any

import distributed.versions
import pytest
from distributed.versions import error_message

from dask_k8s_jupyter.clusters import versions
from dask_k8s_jupyter.clusters.versions import SCHEDULER, VersionCheck, describe_mismatch
from dask_k8s_jupyter.errors import VersionMismatchWarning

HERE: dict[str, str | None] = {
    "python": "3.11.7.final.0",
    "dask": "2026.8.0",
    "distributed": "2026.8.0",
    "lz4": "4.4.4",
}
OLD_DASK = {**HERE, "dask": "2024.1.0", "distributed": "2024.1.0"}
OTHER_PYTHON = {**HERE, "python": "3.13.1.final.0"}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (HERE, []),
        ({**HERE, "python": "3.11.9.final.0"}, []),
        ({**HERE, "distributed": None}, []),
        ({**HERE, "numpy": "1.26.4"}, []),
        (
            {**OLD_DASK, "python": "3.11.9.final.0", "numpy": None},
            ["(beside it: Python 3.11.7 here, 3.11.9 in the scheduler; numpy 2.4.6 here, none in"],
        ),
        (
            {**OLD_DASK, "numpy": "1.26.4"},
            ["dask 2026.8.0 here", "(beside it: numpy 2.4.6 here, 1.26.4 in the scheduler)"],
        ),
        (OTHER_PYTHON, ["Python 3.11 here, 3.13 in the scheduler", "dask:2026.8.0-py3.11"]),
        (
            OLD_DASK,
            [
                "dask 2026.8.0 here, 2024.1.0 in the scheduler",
                "distributed 2026.8.0 here, 2024.1.0 in the scheduler",
                "`pip install dask==2024.1.0 distributed==2024.1.0`",
            ],
        ),
    ],
)
def test_what_differs_is_said(there: dict[str, str | None], said: list[str]) -> None:
    told = describe_mismatch({**HERE, "numpy": "2.4.6"}, {SCHEDULER: there})
    assert (told is None) == (not said)
    for part in said:
        assert part in (told or "")


class Scheduler:
    """Answers as a scheduler does, and remembers whom it was asked about."""

    def __init__(self, own: dict[str, Any], of_workers: dict[str, Any]) -> None:
        self.own, self.of_workers = own, of_workers
        self.asked: list[Any] = []

    async def versions(self, packages: list[str]) -> dict[str, Any]:
        self.asked.append("scheduler")
        return {"packages": self.own}

    async def broadcast(self, msg: dict[str, Any], workers: list[str]) -> dict[str, Any]:
        assert msg["op"] == "versions"
        self.asked += workers
        return {worker: {"packages": self.of_workers} for worker in workers}


def _workers(*names: str) -> dict[str, dict[str, str]]:
    return {f"tcp://{name}": {"name": name} for name in names}


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "get_versions", lambda: {"packages": HERE})


async def test_one_worker_of_each_group_is_asked_once() -> None:
    scheduler = Scheduler(HERE, HERE)
    said: list[str] = []
    check = VersionCheck("default/demo", said.append)
    await check.check(scheduler, _workers("demo-default-worker-1", "demo-default-worker-2"))
    await check.check(scheduler, _workers("demo-default-worker-3", "demo-fast-worker-1"))
    assert scheduler.asked == [
        "scheduler",
        "tcp://demo-default-worker-1",
        "tcp://demo-fast-worker-1",
    ]
    assert said == []


async def test_there_is_one_warning_however_much_differs() -> None:
    scheduler = Scheduler(OLD_DASK, OTHER_PYTHON)
    said: list[str] = []
    check = VersionCheck("default/demo", said.append)
    with pytest.warns(VersionMismatchWarning, match="^DaskCluster default/demo: Python 3.11 here"):
        await check.check(scheduler, _workers("demo-default-worker-1"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await check.check(scheduler, _workers("demo-fast-worker-1"))
    assert len(said) == 1
    assert "3.13 in the workers of demo-default" in said[0]
    assert "2024.1.0 in the scheduler" in said[0]
    # One line, beside the warning that says what to change.
    assert said[0].startswith("Versions differ: Python 3.11 here, ")
    assert "pip install" not in said[0]


JANUARY = {**HERE, "dask": "2024.1", "distributed": "2024.1"}
OCTOBER = {**HERE, "dask": "2024.10.0", "distributed": "2024.10.0"}
OTHERWISE = {**OLD_DASK, "python": "3.11.9.final.0", "lz4": None}


@pytest.mark.parametrize(
    ("said_of", "in_table", "is_silenced"),
    [
        ((OLD_DASK, OLD_DASK), (OLD_DASK, [OLD_DASK]), True),
        ((OLD_DASK, OLD_DASK), (OLD_DASK, []), True),
        ((OLD_DASK, HERE), (OLD_DASK, [OLD_DASK, HERE]), True),
        ((HERE, OLD_DASK), (HERE, [OLD_DASK]), True),
        ((OTHER_PYTHON, OTHER_PYTHON), (OTHER_PYTHON, [OTHER_PYTHON]), True),
        ((OTHERWISE, OTHERWISE), (OTHERWISE, [OTHERWISE]), True),
        ((OLD_DASK, OLD_DASK), (HERE, [{**HERE, "dask": "2023.1.0"}]), False),
        ((OLD_DASK, OLD_DASK), (OLD_DASK, [OLD_DASK, {**HERE, "dask": "2023.1.0"}]), False),
        ((OLD_DASK, OLD_DASK), (HERE, [{**HERE, "python": "3.11.9.final.0"}]), False),
        # Something else beside what was said, and a version that begins with one that was said.
        ((OLD_DASK, OLD_DASK), (OLD_DASK, [{**OLD_DASK, "lz4": None}]), False),
        ((JANUARY, JANUARY), (OCTOBER, [OCTOBER]), False),
    ],
)
async def test_distributed_does_not_say_it_again_and_says_what_is_something_else(
    said_of: tuple[dict[str, Any], dict[str, Any]],
    in_table: tuple[dict[str, Any], list[dict[str, Any]]],
    is_silenced: bool,
) -> None:
    of_scheduler, of_workers = in_table
    workers = {f"tcp://{i}": {"packages": each} for i, each in enumerate(of_workers)}
    table = error_message({"packages": of_scheduler}, workers, {"packages": HERE})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scheduler = Scheduler(*said_of)
        await VersionCheck("default/demo", print).check(scheduler, _workers("demo-default-worker"))
        warnings.warn(distributed.versions.VersionMismatchWarning(table["warning"]), stacklevel=1)
    kinds = [warning.category for warning in caught]
    theirs = [] if is_silenced else [distributed.versions.VersionMismatchWarning]
    assert kinds == [VersionMismatchWarning, *theirs]


async def test_workers_that_join_later_are_checked_too() -> None:
    scheduler = Scheduler(HERE, HERE)
    check = VersionCheck("default/demo", print)
    await check.check(scheduler, {})
    check.follow(scheduler, _workers("demo-default-worker-1"))
    assert check._task is not None
    await check._task
    check.follow(scheduler, _workers("demo-default-worker-2"))
    await check.close()
    assert scheduler.asked == ["scheduler", "tcp://demo-default-worker-1"]
