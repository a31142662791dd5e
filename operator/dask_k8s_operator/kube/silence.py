"""Tells how long a Pod has been silent, to end a connection whose caller has stopped writing.

Guarantees that time in which nobody listens is not counted: a slow reader loses nothing. Refuses to
say why the Pod is silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


class Silence:
    """The silence of one Pod; it begins when it is made.

    Examples
    --------
    >>> async def end(reading):
    ...     silence = Silence()
    ...     await silence.wait((reading,), 1.0)
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._is_hearing = True

    def hear(self) -> None:
        """The Pod has said something, or is listened to again."""
        self._heard = self._loop.time()
        self._is_hearing = True

    def stop_hearing(self) -> None:
        """Nobody listens until ``hear`` is called."""
        self._is_hearing = False

    async def wait(self, ends: Iterable[asyncio.Future[Any]], linger_s: float) -> None:
        """Wait until the Pod has been silent for ``linger_s`` from now on, or an end has come."""
        began = self._loop.time()
        waited_for = tuple(ends)
        while not any(end.done() for end in waited_for):
            since = max(self._heard, began) if self._is_hearing else self._loop.time()
            left_s = since + linger_s - self._loop.time()
            if left_s <= 0:
                return
            await asyncio.wait(waited_for, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
