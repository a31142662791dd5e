"""Lets a test that stops what all share run alone, on whichever of xdist's workers it is.

Guarantees that it waits for no more than the tests that run, however many are still to come.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def in_company(folder: Path, *, alone: bool) -> Iterator[None]:
    """Run beside others, or ``alone``; ``folder`` is one that all workers have in common."""
    with (folder / "door").open("w") as door, (folder / "room").open("w") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        # Whoever wants to be alone waits in the door, so that nobody comes in meanwhile.
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
