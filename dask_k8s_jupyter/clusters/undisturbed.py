"""Does something to its end, although whoever waits for it is told to stop meanwhile.

What creates or deletes an object has to learn how that ended: an answer that is lost leaves an
object that nobody knows of. Guarantees that the work ends by itself, however often its caller is
cancelled, and that the caller then hears of the cancellation. Refuses to set a limit: the work has
its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def finish(work: Awaitable[T]) -> T:
    """Wait for some work to its end; a cancellation of the caller takes effect after it.

    Parameters
    ----------
    work
        What has to be done whole; it keeps what the caller has to know in any case.

    Raises
    ------
    asyncio.CancelledError
        When the caller was cancelled meanwhile; where the work failed too, that is its cause.

    Examples
    --------
    >>> asyncio.run(finish(asyncio.sleep(0, "done")))
    'done'
    """
    task = asyncio.ensure_future(work)
    is_cancelled = False
    while not task.done():
        try:
            # Cancelling this leaves the task alone, unlike awaiting the task itself.
            await asyncio.wait({task})
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled and not task.cancelled():
        raise asyncio.CancelledError from task.exception()
    return task.result()
