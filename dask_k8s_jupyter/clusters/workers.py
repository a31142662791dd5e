"""Follows the workers of a scheduler: waits until enough have joined, says why when they will not.

Guarantees that workers that cannot start end the wait with the reason, not with a time-out. It asks
whether a worker that has joined runs yet: the scheduler tells that to Dask clients alone, of each
worker under a topic of its own, and a client of ours would keep clusters alive that nobody uses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from distributed.objects import SchedulerInfo

from dask_k8s_jupyter.errors import StartTimeoutError

from .fitting import RoomPatience
from .session import Session
from .signal import Signal, wait_any
from .startup import (
    build_start_error,
    condition,
    find_worker_misfit,
    is_true,
    raise_if_misfit,
    said,
)
from .watched import WatchedCluster

# A worker joins first and says that it runs a moment later, or when its plugins have installed what
# they install: asked for soon, and then ever less often.
SETTLE_S = 0.05
LONGEST_SETTLE_S = 1.0
_SETTLING = ("undefined", "created", "init", "starting")
# A container that ended is started again at once: one that met a scheduler which was just being
# replaced works then, and one that cannot work ends again.
CRASH_PATIENCE_S = 5.0


async def wait_for_workers(
    session: Session,
    scheduler: Any,
    joined: Signal,
    n_workers: int,
    timeout_s: float | None,
    say: Callable[[str], None] = lambda said: None,
) -> SchedulerInfo:
    """Wait until the scheduler has ``n_workers`` running workers; returns what it says of itself.

    Parameters
    ----------
    session
        The cluster.
    scheduler
        ``distributed.core.rpc`` of its scheduler.
    joined
        Told when workers come or go.
    n_workers
        How many.
    timeout_s
        How long; None for as long as it takes.
    say
        Told which workers do not fit, while there may yet be room for them.

    Raises
    ------
    ClusterStartError
        When workers cannot start.
    StartTimeoutError
        When time is up.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    patience, room, settling = CrashPatience(), RoomPatience(say), SettlingPatience()
    while True:
        changes = (joined.next(), session.watched.changes.next())
        info = SchedulerInfo(await scheduler.identity())
        running, about_to_run = count_running(info)
        if running >= n_workers:
            return info
        patience_s = patience.left_s(session.watched.resource)
        if patience_s == 0:
            await _raise_if_degraded(session)
        room_s = room.left_s(find_worker_misfit(session.watched.resource))
        if room_s == 0:
            await raise_if_misfit(session.client, session.watched, n_workers)
        left_s = None if deadline is None else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise _build_timeout(session, running, n_workers, timeout_s)
        waits = (left_s, patience_s or None, room_s, settling.pause_s(about_to_run))
        await wait_any(*changes, timeout_s=min((w for w in waits if w is not None), default=None))


class CrashPatience:
    """How long a cluster may yet recover from a container that ended.

    Parameters
    ----------
    monotonic
        The clock, in seconds.

    Examples
    --------
    >>> CrashPatience().left_s({"status": {"conditions": []}})
    0.0
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since_s: float | None = None

    def left_s(self, cluster: Mapping[str, Any] | None) -> float:
        """Seconds to wait before its trouble is believed; 0 when there is none of this kind."""
        degraded = condition(cluster or {}, "Degraded")
        if degraded.get("status") != "True" or degraded.get("reason") != "ContainerError":
            self._since_s = None
            return 0.0
        now_s = self._monotonic()
        if self._since_s is None:
            self._since_s = now_s
        return max(0.0, self._since_s + CRASH_PATIENCE_S - now_s)


class SettlingPatience:
    """How soon to ask again whether workers that have joined run.

    Examples
    --------
    >>> SettlingPatience().pause_s({"tcp://127.0.0.1:8788"})
    0.05
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._settling: Collection[str] = ()
        self._since_s = 0.0

    def pause_s(self, settling: Collection[str]) -> float | None:
        """Seconds until it is time to ask again; None when nobody is about to run.

        Parameters
        ----------
        settling
            Who is about to run: the longer it is the same workers, the longer the pause.
        """
        now_s = self._monotonic()
        if settling != self._settling:
            self._settling, self._since_s = settling, now_s
        pause_s = min(LONGEST_SETTLE_S, max(SETTLE_S, now_s - self._since_s))
        return pause_s if settling else None


def count_running(info: Mapping[str, Any]) -> tuple[int, set[str]]:
    """Count the workers that run, and name those that have joined and are about to.

    Examples
    --------
    >>> count_running({"workers": {"a": {"status": "running"}, "b": {"status": "init"}}})
    (1, {'b'})
    """
    states = {address: worker["status"] for address, worker in info["workers"].items()}
    about_to_run = {address for address, state in states.items() if state in _SETTLING}
    return list(states.values()).count("running"), about_to_run


def _build_timeout(
    session: Session, running: int, n_workers: int, timeout_s: float | None
) -> StartTimeoutError:
    cluster = session.watched.resource
    reason = said(cluster) if cluster else ""
    where = f"DaskCluster {session.namespace}/{session.name}"
    message = f"{where}: {running} of {n_workers} workers have joined within {timeout_s:g} s"
    fix = "Wait longer with `timeout=`, or ask for fewer workers"
    return StartTimeoutError(f"{message}; {reason}" if reason else message, fix=fix)


async def _raise_if_degraded(session: Session) -> None:
    watched = session.watched
    cluster = watched.resource
    if cluster is None:
        raise await build_start_error(session.client, watched, "Deleted", "it was deleted")
    degraded = condition(cluster, "Degraded")
    if degraded.get("status") == "True":
        reason = degraded.get("reason", "")
        raise await build_start_error(session.client, watched, reason, said(cluster))


async def subscribe_again(session: Session, scheduler: Any) -> tuple[Any, SchedulerInfo]:
    """Subscribe to the scheduler's workers once it is ready; returns connection and first state.

    Parameters
    ----------
    session
        The cluster.
    scheduler
        ``distributed.core.rpc`` of its scheduler.
    """

    async def wait_ready() -> None:
        await _wait_scheduler_ready(session.watched)

    return await subscribe_once_there(scheduler, wait_ready)


async def subscribe_once_there(
    scheduler: Any, wait_ready: Callable[[], Awaitable[None]] | None = None
) -> tuple[Any, SchedulerInfo]:
    """Subscribe to a scheduler's workers as soon as it answers, with longer and longer pauses.

    Parameters
    ----------
    scheduler
        ``distributed.core.rpc`` of the scheduler.
    wait_ready
        Waits until it is worth a try.
    """
    pause_s = 0.1
    while True:
        if wait_ready is not None:
            await wait_ready()
        try:
            comm = await scheduler.live_comm()
            comm.name = "Cluster worker status"
            await comm.write({"op": "subscribe_worker_status"})
            return comm, SchedulerInfo(await comm.read())
        except OSError:
            await asyncio.sleep(pause_s)
            pause_s = min(10.0, pause_s * 2)


async def _wait_scheduler_ready(watched: WatchedCluster) -> None:
    while True:
        change = watched.changes.next()
        if watched.resource is not None and is_true(watched.resource, "SchedulerReady"):
            return
        await wait_any(change)
