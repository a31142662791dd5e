"""Frames of SPDY/3.1, as far as port-forward speaks it: kubectl's, ours, and API servers. Pure.

https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/

Guarantees that frames come out right however their bytes come in. Windows are not counted: the
library of Kubernetes does not count them either.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = (
    1,
    2,
    3,
    4,
    6,
    7,
    8,
    9,
)
FLAG_FIN = 1
DATA = 0
_VERSION = 3
_HEAD_BYTES = 8

_BEFORE_OK = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language "
    "accept-ranges age allow authorization cache-control connection content-base content-encoding "
    "content-language content-length content-location content-md5 content-range content-type date "
    "etag expect expires from host if-match if-modified-since if-none-match if-range "
    "if-unmodified-since last-modified location max-forwards pragma proxy-authenticate "
    "proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_AFTER_OK = "version HTTP/1.1 url public set-cookie keep-alive origin"
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 "
    "Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service "
    "UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, "
    "Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/"
    "xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8"
    "charset=iso-8859-1,utf-,*,enq=0."
)


def _build_dictionary() -> bytes:
    """The dictionary that the specification gives to the compression of headers."""
    words = (*_BEFORE_OK.split(), "200 OK", *_AFTER_OK.split())
    listed = b"".join(struct.pack(">I", len(word)) + word.encode() for word in words)
    return listed + _TEXT.encode()


DICTIONARY = _build_dictionary()


class Frame(NamedTuple):
    """One frame of control, or what has come of one of data (``type=DATA``)."""

    type: int
    stream_id: int = 0
    flags: int = 0
    payload: bytes | memoryview = b""
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def is_final(self) -> bool:
        """Whether its sender sends no more on the stream."""
        return bool(self.flags & FLAG_FIN)


class FrameReader:
    """Turns the bytes of one direction into frames.

    Frames of control come out whole. Data come out as they come in, without a copy: a part is a
    view of the block that it came in, and only the last part of a frame has the frame's flags.
    """

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._gathered = bytearray()
        self._wanted = _HEAD_BYTES
        self._stream_id = self._flags = self._data_left = 0

    def feed(self, block: bytes | bytearray | memoryview) -> Iterator[Frame]:
        """Take some bytes; yields the frames, or parts of frames, that they complete."""
        view = memoryview(block)
        at = 0
        while at < len(view):
            if self._data_left:
                part = view[at : at + self._data_left]
                at += len(part)
                self._data_left -= len(part)
                yield Frame(DATA, self._stream_id, 0 if self._data_left else self._flags, part)
                continue
            part = view[at : at + self._wanted - len(self._gathered)]
            at += len(part)
            self._gathered += part
            if len(self._gathered) == self._wanted and (frame := self._complete()):
                yield frame

    def _complete(self) -> Frame | None:
        """Take what has been gathered: a head, or a head and the payload of a control frame."""
        head, tail = struct.unpack_from(">II", self._gathered)
        flags, length = tail >> 24, tail & 0xFFFFFF
        if head >> 31:
            if len(self._gathered) < _HEAD_BYTES + length:
                self._wanted = _HEAD_BYTES + length
                return None
            frame: Frame | None = self._read_control(
                head & 0xFFFF, flags, bytes(self._gathered[_HEAD_BYTES:])
            )
        else:
            self._stream_id, self._flags, self._data_left = head, flags, length
            frame = None if length else Frame(DATA, head, flags)
        self._gathered.clear()
        self._wanted = _HEAD_BYTES
        return frame

    def _read_control(self, type_: int, flags: int, payload: bytes) -> Frame:
        stream_id = struct.unpack_from(">I", payload)[0] & 0x7FFFFFFF if len(payload) >= 4 else 0
        offset = {SYN_STREAM: 10, SYN_REPLY: 4, HEADERS: 4}.get(type_)
        headers = {} if offset is None else self._read_headers(payload[offset:])
        return Frame(type_, stream_id, flags, payload, headers)

    def _read_headers(self, block: bytes) -> dict[str, str]:
        raw = self._inflate.decompress(block)
        at = 4
        texts = []
        for _ in range(2 * struct.unpack_from(">I", raw)[0]):
            length = struct.unpack_from(">I", raw, at)[0]
            texts.append(raw[at + 4 : at + 4 + length].decode())
            at += 4 + length
        return dict(zip((name.lower() for name in texts[::2]), texts[1::2], strict=True))


class FrameWriter:
    """Turns frames into the bytes of one direction; the order of calls is that of sending."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def data(self, stream_id: int, payload: bytes, is_final: bool = False) -> bytes:
        """Bytes of a frame of data."""
        flags = FLAG_FIN if is_final else 0
        return struct.pack(">II", stream_id, flags << 24 | len(payload)) + payload

    def data_head(self, stream_id: int, length: int) -> bytes:
        """Bytes that go before so many bytes of data."""
        return struct.pack(">II", stream_id, length)

    def stream(self, stream_id: int, headers: dict[str, str]) -> bytes:
        """Bytes of a frame that opens a stream."""
        payload = struct.pack(">IIH", stream_id, 0, 0) + self._headers(headers)
        return _control(SYN_STREAM, 0, payload)

    def reply(self, stream_id: int) -> bytes:
        """Bytes of a frame that accepts a stream."""
        return _control(SYN_REPLY, 0, struct.pack(">I", stream_id) + self._headers({}))

    def ping(self, payload: bytes | memoryview) -> bytes:
        """Bytes of the answer to a ping."""
        return _control(PING, 0, bytes(payload))

    def _headers(self, headers: dict[str, str]) -> bytes:
        raw = struct.pack(">I", len(headers))
        for pair in headers.items():
            for text in pair:
                raw += struct.pack(">I", len(text)) + text.encode()
        return self._deflate.compress(raw) + self._deflate.flush(zlib.Z_SYNC_FLUSH)


def _control(type_: int, flags: int, payload: bytes) -> bytes:
    head = 1 << 31 | _VERSION << 16 | type_
    return struct.pack(">II", head, flags << 24 | len(payload)) + payload
