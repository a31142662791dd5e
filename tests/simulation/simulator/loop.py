"""An asyncio event loop whose time is a number.

Guarantees that callbacks run in the order in which they became due, those of the same moment in
the order in which they were asked for, and that time jumps to the next timer as soon as nothing is
left to do: a day takes as long as its work. Refuses everything of the outside world: sockets,
processes, signals, threads.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any


class Stuck(Exception):
    """Nothing is due any more, and the awaited thing has not happened."""


class VirtualLoop(asyncio.AbstractEventLoop):
    """Run coroutines in virtual time, from second 0 on.

    Parameters
    ----------
    on_failure
        Told of exceptions that no code awaits.

    Examples
    --------
    >>> loop = VirtualLoop()
    >>> loop.run_until_complete(asyncio.sleep(86400.0))
    >>> loop.time()
    86400.0
    """

    def __init__(self, on_failure: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._serial = 0
        self._on_failure = on_failure
        self.steps = 0

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._serial += 1
        heapq.heappush(self._timers, (when, self._serial, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Asked for by TimerHandle; a cancelled one is skipped when its time has come."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, **options)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return events._get_running_loop() is self

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._on_failure is not None:
            self._on_failure(context)

    def run_until_complete(self, future: Any) -> Any:
        """Run until ``future`` is done; ``Stuck`` when it can no longer be."""
        before = events._get_running_loop()
        events._set_running_loop(None)
        events._set_running_loop(self)
        try:
            main = asyncio.ensure_future(future, loop=self)
            while not main.done():
                self._run_once()
            return main.result()
        finally:
            events._set_running_loop(before)

    def _run_once(self) -> None:
        ready, timers = self._ready, self._timers
        if not ready:
            if not timers:
                raise Stuck("nothing is due any more")
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            handle = heapq.heappop(timers)[2]
            if not handle._cancelled:
                ready.append(handle)
        # What these callbacks add runs in the next round, as in asyncio itself.
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                self.steps += 1
                handle._run()
