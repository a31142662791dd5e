"""A KubeCluster that has lost its scheduler knows no workers until it has subscribed anew."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dask_k8s_jupyter.clusters import following
from dask_k8s_jupyter.clusters.following import FollowedWorkers
from dask_k8s_jupyter.clusters.signal import Signal


class Lost:
    """What distributed does: it listens until the connection breaks."""

    async def _watch_worker_status(self, comm: asyncio.Event) -> None:
        await comm.wait()


class Cluster(FollowedWorkers, Lost):
    """A cluster manager that knows one worker."""

    def __init__(self) -> None:
        self.session: Any = None
        self.scheduler_comm = None
        self.scheduler_info = {"workers": {"tcp://before": {}}}
        self._workers_signal = Signal()
        self._version_check = None


async def test_workers_of_before_are_forgotten_and_the_wait_for_them_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_back, lost = asyncio.Event(), asyncio.Event()

    async def subscribe_again(session: Any, scheduler: Any) -> tuple[asyncio.Event, Any]:
        await is_back.wait()
        return asyncio.Event(), {"workers": {"tcp://after": {}}}

    monkeypatch.setattr(following, "subscribe_again", subscribe_again)
    cluster = Cluster()
    watching = asyncio.ensure_future(cluster._watch_worker_status(lost))
    told = cluster._workers_signal.next()
    lost.set()
    await asyncio.wait_for(told.wait(), 5)
    assert cluster.scheduler_info["workers"] == {}
    told = cluster._workers_signal.next()
    is_back.set()
    await asyncio.wait_for(told.wait(), 5)
    assert list(cluster.scheduler_info["workers"]) == ["tcp://after"]
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
