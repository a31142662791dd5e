"""Hands the keys of a queue to reconcilers, a few at work at once.

Guarantees that no more than ``number`` are at work, that one which waits for somebody outside the
Kubernetes API (a user's scheduler, which may be silent for long) leaves its turn to another
meanwhile, however many wait like that, and that its key stays its own all the while. Refuses to
know what the work is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from ..kube import WorkQueue, WorkQueueClosed

RECONCILERS = 8

Key = TypeVar("Key", bound=Hashable)


class Reconcilers(Generic[Key]):
    """Work on the keys of a queue.

    Parameters
    ----------
    queue
        Where the keys come from.
    work
        What is done with one; what it raises ends everything.
    number
        How many are at work at once.

    Examples
    --------
    >>> async def work_until_closed(queue, reconcile):
    ...     reconcilers = Reconcilers(queue, reconcile)
    ...     await reconcilers.run()
    ...     await reconcilers.finish(grace_s=10.0)
    """

    def __init__(
        self,
        queue: WorkQueue[Key],
        work: Callable[[Key], Awaitable[None]],
        number: int = RECONCILERS,
    ) -> None:
        self._queue = queue
        self._work = work
        self._turns = asyncio.Semaphore(number)
        # In the order of their beginning, which is that of their end when they are cancelled.
        self._at_work: dict[asyncio.Future[None], None] = {}
        self._failure: BaseException | None = None
        self._is_ending = False

    async def run(self) -> None:
        """Hand out keys until the queue is closed; raises what the work raised."""
        while (key := await self._take()) is not None:
            working = asyncio.ensure_future(self._work_on(key))
            self._at_work[working] = None
            working.add_done_callback(self._see_end)

    async def _take(self) -> Key | None:
        """Take the next key and a turn for it; None when there are no more."""
        try:
            # First the key: a turn that waited for one would be nobody's.
            key = await self._queue.get()
        except WorkQueueClosed:
            self._raise_failure()
            return None
        await self._turns.acquire()
        if self._is_ending:
            self._turns.release()  # those that stood aside want one to end
            self._queue.done(key)
            self._raise_failure()
            return None
        return key

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    @asynccontextmanager
    async def aside(self) -> AsyncIterator[None]:
        """Leave the turn to another while the block waits for somebody."""
        self._turns.release()
        try:
            yield
        finally:
            await self._turns.acquire()

    async def finish(self, grace_s: float) -> None:
        """Let those at work end what they do; cancel what takes longer than ``grace_s``."""
        self._is_ending = True
        if self._at_work:
            working = list(self._at_work)
            await asyncio.wait(working, timeout=grace_s)
            for task in working:
                task.cancel()  # what has ended does not mind
            await asyncio.gather(*working, return_exceptions=True)

    async def _work_on(self, key: Key) -> None:
        try:
            await self._work(key)
        finally:
            self._queue.done(key)
            self._turns.release()

    def _see_end(self, working: asyncio.Future[None]) -> None:
        self._at_work.pop(working, None)
        failure = None if working.cancelled() else working.exception()
        if failure is not None:
            self._failure, self._is_ending = failure, True
            self._queue.close()
