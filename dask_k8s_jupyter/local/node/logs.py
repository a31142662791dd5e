"""Log files of containers: reading the end of one, and following it.

Lines carry no times of their own, so what asks for times is refused by the caller.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

_BLOCK = 64 * 1024
# A process writes into its log file by itself; a follower looks this often for more.
_POLL_S = 0.1


def find_tail_offset(path: Path, lines: int) -> int:
    """Where the last ``lines`` lines of a file begin."""
    size = path.stat().st_size
    if lines <= 0:
        return size
    with path.open("rb") as file:
        at, found = size, 0
        while at > 0:
            length = min(_BLOCK, at)
            at -= length
            file.seek(at)
            block = file.read(length)
            # The newline that ends the file ends its last line; it does not begin another.
            end = length - 1 if at + length == size and block.endswith(b"\n") else length
            while (position := block.rfind(b"\n", 0, end)) != -1:
                found += 1
                if found == lines:
                    return at + position + 1
                end = position
    return 0


def read_termination_message(path: Path, max_lines: int = 80, max_bytes: int = 2048) -> str:
    """The end of a log, as the kubelet puts it into the status of a container that failed."""
    try:
        offset = find_tail_offset(path, max_lines)
        with path.open("rb") as file:
            file.seek(max(offset, path.stat().st_size - max_bytes))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


async def read_log(
    path: Path, *, tail_lines: int | None, follow: bool, is_over: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """Read a log file; with ``follow`` go on until ``is_over`` says that nobody writes any more."""
    with path.open("rb") as file:
        if tail_lines is not None:
            file.seek(find_tail_offset(path, tail_lines))
        while True:
            was_over = is_over()
            while block := file.read(_BLOCK):
                yield block
            if not follow or was_over:
                return
            await asyncio.sleep(_POLL_S)
