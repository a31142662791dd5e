"""The frames inside a tunnel, in pieces of any size: SPDY, and websockets around it."""

from __future__ import annotations

import struct
import sys
import zlib

import pytest

from dask_k8s_operator.kube import handshake, spdy, websocket


def _cut(sent: bytes, size: int) -> list[bytes]:
    return [sent[at : at + size] for at in range(0, len(sent), size)]


def _noise(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


def _answer(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """A frame as a server sends it."""
    first, length = opcode | (0x80 if final else 0), len(payload)
    if length < 126:
        return struct.pack(">BB", first, length) + payload
    if length < 1 << 16:
        return struct.pack(">BBH", first, 126, length) + payload
    return struct.pack(">BBQ", first, 127, length) + payload


@pytest.mark.parametrize("size", [1, 7, 777, 1 << 20])
def test_spdy_frames_come_out_right_however_their_bytes_come_in(size):
    writer, reader = spdy.FrameWriter(), spdy.FrameReader()
    sent = (
        writer.stream(1, {"streamtype": "error", "port": "8786"})
        + writer.reply(1)
        + writer.stream(3, {"streamtype": "data", "port": "8786"})
        + writer.data(3, b"x" * 10_000)
        + writer.data(3, b"end", is_final=True)
        + writer.data(1, b"", is_final=True)
        + writer.ping(b"\x00\x00\x00\x07")
    )
    frames = [frame for block in _cut(sent, size) for frame in reader.feed(block)]
    control = [frame.type for frame in frames if frame.type != spdy.DATA]
    assert control == [spdy.SYN_STREAM, spdy.SYN_REPLY, spdy.SYN_STREAM, spdy.PING]
    assert frames[2].headers == {"streamtype": "data", "port": "8786"}
    data = [frame for frame in frames if frame.type == spdy.DATA]
    assert b"".join(f.payload for f in data if f.stream_id == 3) == b"x" * 10_000 + b"end"
    assert [frame.stream_id for frame in data if frame.is_final] == [3, 1]
    assert frames[-1].payload == b"\x00\x00\x00\x07"


def test_the_dictionary_of_spdy_is_the_specifications():
    # zlib's checksum of the dictionary, as it stands in every compressed block of headers.
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)


@pytest.mark.parametrize("size", [1, 7, 777, 1 << 20])
def test_payload_of_a_websocket_comes_out_right_however_its_bytes_come_in(size):
    sent = (
        _answer(websocket.BINARY, b"a" * 70_000, final=False)
        + _answer(websocket.PING, b"there?")
        + _answer(0, b"b" * 300, final=False)
        + _answer(0, b"")
        + _answer(websocket.BINARY, b"c")
        + _answer(websocket.PING, b"")
        + _answer(websocket.CLOSE, b"\x03\xe8")
    )
    reader = websocket.FrameReader()
    pieces = [piece for block in _cut(sent, size) for piece in reader.feed(memoryview(block))]
    told = [(opcode, bytes(payload)) for opcode, payload in pieces if opcode != websocket.BINARY]
    expected = [(websocket.PING, b"there?"), (websocket.PING, b""), (websocket.CLOSE, b"\x03\xe8")]
    assert told == expected
    payload = b"".join(piece for opcode, piece in pieces if opcode == websocket.BINARY)
    assert payload == b"a" * 70_000 + b"b" * 300 + b"c"


def test_a_masked_frame_from_a_server_is_refused():
    with pytest.raises(websocket.FrameError, match="masked"):
        list(websocket.FrameReader().feed(memoryview(b"\x82\x81maskx")))


@pytest.mark.parametrize("bit", [0x40, 0x20, 0x10])
def test_a_frame_of_an_extension_is_refused(bit):
    with pytest.raises(websocket.FrameError, match="extension"):
        list(websocket.FrameReader().feed(memoryview(bytes((0x82 | bit, 1)) + b"x")))


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536])
def test_what_a_client_sends_is_masked_and_says_its_length(length):
    payload = _noise(length)
    masked = bytearray(payload)
    head = websocket.FrameWriter().head(websocket.BINARY, masked)
    assert head[0] == 0x80 | websocket.BINARY
    assert head[1] & 0x80
    sizes = {126: ">H", 127: ">Q"}
    short = head[1] & 0x7F
    assert (struct.unpack_from(sizes[short], head, 2)[0] if short in sizes else short) == length
    websocket.mask_slowly(head[-4:], masked)
    assert masked == payload


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 8, 1000, 70_001])
def test_both_masks_say_the_same(length):
    payload = _noise(length)
    fast, slow = bytearray(payload), bytearray(payload)
    websocket.find_mask()(b"\x01\x80\xff\x00", fast)
    websocket.mask_slowly(b"\x01\x80\xff\x00", slow)
    assert fast == slow
    assert websocket.find_mask() is not websocket.mask_slowly


def test_a_slow_mask_is_told_of_once(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "aiohttp._websocket.helpers", None)
    websocket.find_mask.cache_clear()
    try:
        assert {websocket.find_mask() for _ in range(3)} == {websocket.mask_slowly}
    finally:
        websocket.find_mask.cache_clear()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "tunnels to Pods will be slow" in caplog.text


def test_a_handshake_is_granted_by_the_digest_of_its_key(monkeypatch):
    # The example of RFC 6455, section 1.3.
    monkeypatch.setattr(handshake.os, "urandom", lambda _: b"the sample nonce")
    asked = handshake.build_websocket_handshake()
    assert asked.request["Sec-WebSocket-Key"] == "dGhlIHNhbXBsZSBub25jZQ=="
    assert asked.answer["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    "build", [handshake.build_spdy_handshake, handshake.build_websocket_handshake]
)
def test_a_connection_is_ours_only_when_all_of_it_is_granted(build):
    asked = build()
    assert asked.is_granted(101, {**asked.answer, "Date": "now"})
    assert not asked.is_granted(200, asked.answer)
    for name in asked.answer:
        rest = {other: value for other, value in asked.answer.items() if other != name}
        assert not asked.is_granted(101, rest)
        assert not asked.is_granted(101, {**rest, name: "something else"})
