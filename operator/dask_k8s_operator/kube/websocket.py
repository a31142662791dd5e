"""Frames of a websocket as its client sees them (RFC 6455), for bytes in bulk. No I/O.

aiohttp's own client copies every byte four times on its way out and holds a message until it is
whole; at a gigabyte that is what a transfer costs. Its mask in C is used.

Guarantees that payload comes out in order however its bytes come in, without a copy. Refuses
extensions, and frames that only a client may send. Masks are drawn from the system.
"""

from __future__ import annotations

import logging
import secrets
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache

logger = logging.getLogger(__name__)

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10
_FINAL = 0x80
_EXTENDED = 0x70
_MASKED = 0x80
_LENGTH_BYTES = {126: 2, 127: 8}


class FrameError(ConnectionError):
    """The other end does not speak the protocol."""


class FrameWriter:
    """Turns payloads into frames of a client."""

    def __init__(self) -> None:
        self._mask = find_mask()

    def head(self, opcode: int, payload: bytearray) -> bytes:
        """Mask a payload in place, and give the bytes that go before it."""
        mask = secrets.token_bytes(4)
        self._mask(mask, payload)
        length = len(payload)
        if length < 126:
            return struct.pack(">BB", _FINAL | opcode, _MASKED | length) + mask
        if length < 1 << 16:
            return struct.pack(">BBH", _FINAL | opcode, _MASKED | 126, length) + mask
        return struct.pack(">BBQ", _FINAL | opcode, _MASKED | 127, length) + mask


class FrameReader:
    """Turns the bytes of a server into payload."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._control = bytearray()
        self._opcode = self._left = 0
        self._is_inside = False

    def feed(self, block: memoryview) -> Iterator[tuple[int, memoryview | bytes]]:
        """Take some bytes; yields opcodes with payload, of control frames once it is whole.

        Parts of one message all come as ``BINARY``, as views of the block.
        """
        at = 0
        while at < len(block):
            if not self._is_inside:
                self._head.append(block[at])
                at += 1
                if not self._begin_frame():
                    continue
            part = block[at : at + self._left]
            at += len(part)
            self._left -= len(part)
            self._is_inside = self._left > 0
            if self._opcode < CLOSE:
                if part:
                    yield BINARY, part
                continue
            self._control += part
            if not self._is_inside:
                yield self._opcode, bytes(self._control)
                self._control.clear()

    def _begin_frame(self) -> bool:
        """Whether the head is whole; then what it says holds."""
        head = self._head
        if len(head) < 2 or len(head) < 2 + _LENGTH_BYTES.get(head[1], 0):
            return False
        if head[0] & _EXTENDED:
            raise FrameError("the API uses an extension of websockets that nobody offered it")
        if head[1] & _MASKED:
            raise FrameError("the API sent a masked frame, which only clients may")
        self._opcode = head[0] & 0xF
        self._left = int.from_bytes(head[2:], "big") if len(head) > 2 else head[1]
        self._is_inside = True
        head.clear()
        return True


@lru_cache(maxsize=1)
def find_mask() -> Callable[[bytes, bytearray], None]:
    """Find the fastest function that masks in place: aiohttp's in C, which promises it to nobody.

    It looks once, and so says only once that there is none.
    """
    try:
        from aiohttp._websocket.helpers import websocket_mask
    except ImportError:
        logger.warning(
            "tunnels to Pods will be slow: this aiohttp has no _websocket.helpers.websocket_mask; "
            "install an aiohttp that this version was released with"
        )
        return mask_slowly
    return websocket_mask


def mask_slowly(mask: bytes, payload: bytearray) -> None:
    """Mask in place with what Python brings: 200 times as long as in C.

    Examples
    --------
    >>> payload = bytearray(b"dask!")
    >>> mask_slowly(bytes((0, 0, 0, 1)), payload)
    >>> payload
    bytearray(b'dasj!')
    """
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "little")
    payload[:] = (int.from_bytes(payload, "little") ^ key).to_bytes(size, "little")
