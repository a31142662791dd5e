"""A queue of keys whose work has to be done.

Guarantees
----------
- A key is in the queue at most once, however often it is added.
- A key is held by at most one worker: added while it is worked on, it is handed out again once
  that worker is done.
- Nothing is lost: after the last ``add`` of a key, a worker gets it at least once.
- ``add_after`` twice keeps the earlier time; an ``add`` in between does not cancel it.
- ``add_failed`` waits twice as long with every failure in a row, up to ``backoff_max_s``;
  ``forget`` begins anew.
- Keys come out in the order in which they became due.

Refuses to carry anything but keys: what to do is looked up when the worker begins.

``clock`` and ``sleep`` are arguments, so that a simulation can run years in seconds.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class WorkQueueClosed(Exception):
    """The queue was closed: there will be no more work."""


class WorkQueue(Generic[Key]):
    """Hand out keys to workers, one worker a key.

    Parameters
    ----------
    backoff_base_s, backoff_max_s
        Wait after the first failure of a key, and the longest one.
    clock
        Seconds that never go backwards.
    sleep
        Waits for so many of them.

    Examples
    --------
    >>> async def worker(queue, work):
    ...     while True:
    ...         key = await queue.get()
    ...         try:
    ...             await work(key)
    ...             queue.forget(key)
    ...         finally:
    ...             queue.done(key)
    """

    def __init__(
        self,
        *,
        backoff_base_s: float = 0.1,
        backoff_max_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._backoff_base_s = backoff_base_s
        self._backoff_max_s = backoff_max_s
        self._clock = clock
        self._sleep = sleep
        self._ready: deque[Key] = deque()
        self._queued: set[Key] = set()
        self._held: set[Key] = set()
        self._again: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._due: dict[Key, float] = {}
        self._timers: list[tuple[float, int, Key]] = []
        self._serial = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.Task[None] | None = None
        self._timer_due = float("inf")
        self._closed = False

    def __len__(self) -> int:
        """How many keys a worker could get right now."""
        return len(self._ready)

    @property
    def held(self) -> frozenset[Key]:
        """Keys that a worker holds."""
        return frozenset(self._held)

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._due)

    def failures(self, key: Key) -> int:
        """How often in a row the work on a key failed."""
        return self._failures.get(key, 0)

    def add(self, key: Key) -> None:
        """Ask for work on a key now."""
        if self._closed or key in self._queued:
            return
        if key in self._held:
            self._again.add(key)
            return
        self._queued.add(key)
        self._ready.append(key)
        self._wake_one()

    def add_after(self, key: Key, delay_s: float) -> None:
        """Ask for work on a key in ``delay_s`` seconds, or earlier if that was asked before."""
        if delay_s <= 0:
            self.add(key)
            return
        due = self._clock() + delay_s
        if self._closed or due >= self._due.get(key, float("inf")):
            return
        self._due[key] = due
        self._serial += 1
        heapq.heappush(self._timers, (due, self._serial, key))
        self._set_timer()

    def add_failed(self, key: Key) -> float:
        """Ask for another try after a failure; returns the seconds until then."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        # 2**64 is far beyond any sensible limit, and floats end at 2**1024.
        delay_s = min(self._backoff_max_s, self._backoff_base_s * 2.0 ** min(failures, 64))
        self.add_after(key, delay_s)
        return delay_s

    def forget(self, key: Key) -> None:
        """Forget the failures of a key, after a success or when its object is gone."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """Wait for a key and hold it until ``done``.

        Raises
        ------
        WorkQueueClosed
            When the queue was closed.
        """
        while not self._ready:
            if self._closed:
                raise WorkQueueClosed
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake_one()  # we were chosen, but leave: the next one shall go
                raise
            finally:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
        if self._closed:
            raise WorkQueueClosed
        key = self._ready.popleft()
        self._queued.discard(key)
        self._held.add(key)
        return key

    def done(self, key: Key) -> None:
        """Let go of a key; if it was added meanwhile, it is due again."""
        self._held.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        """End the queue: every ``get`` raises from now on."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        while self._waiting:
            self._wake_one()

    def _wake_one(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _set_timer(self) -> None:
        due = self._timers[0][0]
        if self._timer and not self._timer.done():
            if self._timer_due <= due:
                return
            self._timer.cancel()
        self._timer_due = due
        self._timer = asyncio.get_running_loop().create_task(self._release_when_due())

    async def _release_when_due(self) -> None:
        while self._timers:
            self._timer_due = self._timers[0][0]
            wait_s = self._timer_due - self._clock()
            if wait_s > 0:
                await self._sleep(wait_s)
                continue
            due, _, key = heapq.heappop(self._timers)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
