"""Wakes whoever waits for something to change.

Guarantees that no change is missed between looking and waiting: take what ``next`` gives, look,
then wait for it.
"""

from __future__ import annotations

import asyncio


class Signal:
    """A change that comes again and again.

    Examples
    --------
    >>> async def wait_until_true(signal, look):
    ...     while True:
    ...         change = signal.next()
    ...         if look():
    ...             return
    ...         await wait_any(change)
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def next(self) -> asyncio.Event:
        """What will be set at the next change."""
        return self._event

    def tell(self) -> None:
        """Wake all that wait."""
        self._event.set()
        self._event = asyncio.Event()


async def wait_any(*changes: asyncio.Event, timeout_s: float | None = None) -> None:
    """Wait for the first of some changes, at most ``timeout_s`` seconds (None: any time)."""
    waits = [asyncio.ensure_future(change.wait()) for change in changes]
    try:
        await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
