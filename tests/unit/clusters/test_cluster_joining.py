"""Waiting for workers where no operator speaks for them: told, never asking again and again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dask_k8s_jupyter.clusters import joining
from dask_k8s_jupyter.clusters.joining import JoiningWorkers
from dask_k8s_jupyter.clusters.signal import Signal, wait_any
from dask_k8s_jupyter.clusters.workers import (
    CRASH_PATIENCE_S,
    LONGEST_SETTLE_S,
    SETTLE_S,
    CrashPatience,
    SettlingPatience,
)
from dask_k8s_jupyter.errors import (
    InvalidSpecError,
    PodCrashedError,
    PodDoesNotFitError,
    StartTimeoutError,
)


class Told:
    """What distributed does with what the scheduler tells."""

    scheduler_info: dict[str, Any]

    def _update_worker_status(self, op: str, address: str) -> None:
        if op == "remove":
            del self.scheduler_info["workers"][address]


class Cluster(JoiningWorkers, Told):
    """A cluster manager, its scheduler, and how often that was asked."""

    def __init__(self) -> None:
        self.scheduler_comm = self
        self.scheduler_info = {"workers": {}}
        self.workers: dict[str, Any] = {}
        self.questions = 0
        self._workers_signal = Signal()

    async def identity(self) -> dict[str, Any]:
        self.questions += 1
        return {"workers": dict(self.workers)}

    def join(self, address: str, status: str = "running") -> None:
        self.workers[address] = {"status": status}
        self._update_worker_status("add", address)


class Pods:
    """The workers' Pods, of which one may have failed."""

    def __init__(self) -> None:
        self.changes = Signal()
        self.failure: Exception | None = None
        self.room_left_s: float | None = None
        self.wanted = 0

    async def find_failed(self, what: str, n_wanted: int) -> Exception | None:
        self.wanted = n_wanted
        return self.failure


async def start_waiting(cluster: Cluster, pods: Any, timeout: Any = None) -> asyncio.Task[None]:
    waiting = asyncio.ensure_future(cluster._wait_joined(pods, "Helm release a/b", 2, timeout))
    await settle()
    return waiting


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long each wait for a change may take at most; None: until there is one."""
    pauses: list[float | None] = []

    async def wait(*changes: asyncio.Event, timeout_s: float | None = None) -> None:
        pauses.append(timeout_s)
        await wait_any(*changes, timeout_s=timeout_s)

    monkeypatch.setattr(joining, "wait_any", wait)
    return pauses


async def test_the_scheduler_is_asked_when_it_told_of_a_change_and_not_otherwise(
    pauses: list[float | None],
) -> None:
    cluster, pods = Cluster(), Pods()
    waiting = await start_waiting(cluster, pods)
    cluster.join("one")
    await settle()
    # One that is paused may stay so for hours.
    cluster.join("paused", "paused")
    await settle()
    assert (cluster.questions, pauses) == (3, [None, None, None])
    cluster.join("two")
    await asyncio.wait_for(waiting, 60)
    assert set(cluster.scheduler_info["workers"]) == {"one", "paused", "two"}


async def test_a_worker_that_has_joined_and_is_about_to_run_is_waited_for(
    pauses: list[float | None],
) -> None:
    cluster, pods = Cluster(), Pods()
    waiting = await start_waiting(cluster, pods)
    cluster.join("one")
    cluster.join("two", "init")
    await settle()
    # That it runs now, the scheduler tells nobody.
    cluster.workers["two"] = {"status": "running"}
    await asyncio.wait_for(waiting, 60)
    assert pauses == [None, SETTLE_S]


def test_a_worker_that_takes_long_to_run_is_asked_for_ever_less_often() -> None:
    now_s, pauses = 100.0, []
    patience = SettlingPatience(lambda: now_s)
    for _ in range(7):
        pause_s = patience.pause_s({"one"}) or 0.0
        # A change elsewhere wakes the wait and makes no pause longer.
        assert patience.pause_s({"one"}) == pause_s
        pauses.append(pause_s)
        now_s += pause_s
    doubled = [SETTLE_S * 2**power for power in range(5)]
    assert pauses == pytest.approx([SETTLE_S, *doubled, LONGEST_SETTLE_S])
    assert patience.pause_s({"one", "two"}) == SETTLE_S
    assert patience.pause_s(set()) is None
    assert patience.pause_s({"one"}) == SETTLE_S


async def test_a_pod_that_cannot_start_ends_the_wait() -> None:
    cluster, pods = Cluster(), Pods()
    waiting = await start_waiting(cluster, pods)
    pods.failure = PodCrashedError("out of licences")
    pods.changes.tell()
    with pytest.raises(PodCrashedError, match="out of licences"):
        await asyncio.wait_for(waiting, 60)


async def test_a_pod_that_does_not_fit_is_looked_at_again_when_it_has_had_its_time(
    pauses: list[float | None],
) -> None:
    cluster, pods = Cluster(), Pods()
    pods.room_left_s = 0.001
    waiting = await start_waiting(cluster, pods)
    pods.failure = PodDoesNotFitError("Insufficient memory")
    with pytest.raises(PodDoesNotFitError, match="Insufficient memory"):
        await asyncio.wait_for(waiting, 60)
    # As often as that time was over before there was something to find.
    assert (set(pauses), pods.wanted) == ({0.001}, 2)


async def test_time_that_is_up_says_how_many_have_joined() -> None:
    cluster = Cluster()
    cluster.join("one")
    waiting = await start_waiting(cluster, Pods(), "1 ms")
    with pytest.raises(StartTimeoutError, match="a/b: 1 of 2 workers have joined within"):
        await asyncio.wait_for(waiting, 60)


async def test_bad_numbers_are_named() -> None:
    pods: Any = Pods()
    with pytest.raises(InvalidSpecError, match=r"^n_workers: "):
        await Cluster()._wait_joined(pods, "Helm release a/b", -1, None)


def test_one_that_left_unknown_is_nothing_to_forget() -> None:
    cluster = Cluster()
    change = cluster._workers_signal.next()
    cluster._update_worker_status("remove", "unheard-of")
    assert change.is_set()


def test_a_container_that_ended_may_be_started_again_before_that_is_believed():
    def degraded(reason: str | None) -> dict[str, Any]:
        status = "False" if reason is None else "True"
        found = {"type": "Degraded", "status": status, "reason": reason or "Working"}
        return {"status": {"conditions": [found]}}

    now_s = 100.0
    patience = CrashPatience(lambda: now_s)
    assert patience.left_s(degraded("CrashLoopBackOff")) == 0
    assert patience.left_s(degraded("ContainerError")) == CRASH_PATIENCE_S
    now_s += CRASH_PATIENCE_S - 1
    assert patience.left_s(degraded("ContainerError")) == 1
    now_s += 1
    assert patience.left_s(degraded("ContainerError")) == 0
    assert patience.left_s(degraded(None)) == 0
    assert patience.left_s(degraded("ContainerError")) == CRASH_PATIENCE_S
