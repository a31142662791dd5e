"""The two ends of a tunnel's connection, each over a pair of sockets."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dask_k8s_operator.kube import spdy, streams, websocket
from dask_k8s_operator.kube.errors import ApiError, Target
from dask_k8s_operator.kube.streams import LocalEnd, StreamTunnel, WebsocketTunnel

Unwrap = Callable[[bytearray], bytearray]

TARGET = Target("get", "pods/portforward", "", "default", "server")


async def _connect(protocol: asyncio.BaseProtocol) -> socket.socket:
    """Give a protocol one end of a pair of sockets, and the test the other."""
    ours, theirs = socket.socketpair()
    await asyncio.get_running_loop().create_connection(lambda: protocol, sock=ours)
    theirs.setblocking(False)
    return theirs


class Tunnel:
    """A tunnel between two sockets that a test holds the other ends of."""

    def __init__(self) -> None:
        self.local = LocalEnd(lambda local: None)
        self.handler = _Handler()

    async def open(
        self, kind: type[StreamTunnel], linger_s: float, early: tuple[bytes, ...]
    ) -> None:
        self.caller = await _connect(self.local)
        _read_early(self.local, *early)
        self.api = await _connect(self.handler)
        self.end = kind(self.local, self.handler.transport, 8786, TARGET)
        self.carrying = asyncio.ensure_future(self.end.carry(linger_s))

    async def close(self) -> None:
        self.carrying.cancel()
        await asyncio.gather(self.carrying, return_exceptions=True)
        self.local.transport.abort()
        self.handler.transport.abort()
        await self.local.closed
        self.caller.close()
        self.api.close()


class _Handler(asyncio.Protocol):
    """Whose connection it was before the tunnel took it."""

    transport: Any

    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport


@asynccontextmanager
async def _tunnel(
    linger_s: float = 30.0,
    early: tuple[bytes, ...] = (),
    kind: type[StreamTunnel] = StreamTunnel,
) -> AsyncIterator[Tunnel]:
    tunnel = Tunnel()
    await tunnel.open(kind, linger_s, early)
    try:
        yield tunnel
    finally:
        await tunnel.close()


async def _read_data(api: socket.socket, length: int, unwrap: Unwrap) -> bytes:
    """What the tunnel has sent to the Pod, once it is so long."""
    sent, data, reader = bytearray(), b"", spdy.FrameReader()
    while len(data) < length:
        sent += await asyncio.get_running_loop().sock_recv(api, 1 << 16)
        while message := unwrap(sent):
            data += b"".join(
                bytes(frame.payload) for frame in reader.feed(message) if frame.type == spdy.DATA
            )
    return data


def _take(sent: bytearray) -> bytearray:
    """Take all of it."""
    message = sent[:]
    sent.clear()
    return message


def _unmask(sent: bytearray) -> bytearray:
    """Take the first short message, if it is whole."""
    if len(sent) < 6 or len(sent) < 6 + (sent[1] & 0x7F):
        return bytearray()
    end = 6 + (sent[1] & 0x7F)
    message = sent[6:end]
    websocket.mask_slowly(bytes(sent[2:6]), message)
    del sent[:end]
    return message


def _read_early(local: LocalEnd, *blocks: bytes) -> None:
    """Read as Python 3.10 does after connection_made(), whatever was paused there."""
    for block in blocks:
        local.get_buffer(-1)[: len(block)] = block
        local.buffer_updated(len(block))


@pytest.mark.parametrize(("kind", "unwrap"), [(StreamTunnel, _take), (WebsocketTunnel, _unmask)])
async def test_what_comes_before_there_is_a_tunnel_arrives_first(
    kind: type[StreamTunnel], unwrap: Unwrap
) -> None:
    async with _tunnel(early=(b"first ", b"second "), kind=kind) as tunnel:
        tunnel.caller.send(b"third")
        assert await _read_data(tunnel.api, 18, unwrap) == b"first second third"


async def test_a_caller_that_nobody_serves_yet_waits_with_what_is_not_first() -> None:
    local = LocalEnd(lambda local: None)
    caller = await _connect(local)
    _read_early(local, b"first")
    assert not local.transport.is_reading()
    local.transport.abort()
    await local.closed
    caller.close()


async def test_a_caller_that_reads_slowly_after_its_last_word_gets_the_whole_answer() -> None:
    async with _tunnel(linger_s=0.05) as tunnel:
        # Once the tunnel has spoken, it has taken the connection.
        await asyncio.get_running_loop().sock_recv(tunnel.api, 1)
        tunnel.local.pause_writing()
        tunnel.caller.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(asyncio.shield(tunnel.local.has_stopped), 60)
        done, _ = await asyncio.wait((tunnel.carrying,), timeout=0.2)
        assert not done
        tunnel.local.resume_writing()
        await asyncio.wait_for(tunnel.carrying, 60)


async def test_a_pod_that_never_stops_talking_holds_no_connection_of_a_caller_that_left() -> None:
    async with _tunnel() as tunnel:
        tunnel.local.transport.abort()
        await asyncio.wait_for(tunnel.carrying, 60)


async def test_whoever_made_the_connection_to_the_api_is_told_of_its_end() -> None:
    async with _tunnel() as tunnel:
        # Once the tunnel has spoken, it has taken the connection.
        await asyncio.get_running_loop().sock_recv(tunnel.api, 1)
        tunnel.handler.transport.close()
        with pytest.raises(ApiError, match="cut before"):
            await asyncio.wait_for(tunnel.carrying, 60)
        assert await asyncio.wait_for(tunnel.handler.lost, 10) is None


@pytest.mark.parametrize("is_error_first", [True, False])
async def test_what_went_wrong_at_the_pod_is_told_before_the_end_of_its_data_or_after_it(
    is_error_first: bool,
) -> None:
    writer = spdy.FrameWriter()
    error = writer.data(1, b"connection refused") + writer.data(1, b"", is_final=True)
    ends = [error, writer.data(3, b"", is_final=True)]
    async with _tunnel() as tunnel:
        # Once the tunnel has spoken, it has taken the connection.
        await asyncio.get_running_loop().sock_recv(tunnel.api, 1)
        for end in ends if is_error_first else reversed(ends):
            tunnel.api.send(end)
            await asyncio.sleep(0.01)
        with pytest.raises(ApiError, match="connection refused"):
            await asyncio.wait_for(tunnel.carrying, 60)


async def test_an_end_of_data_is_one_though_nothing_more_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "LAST_WORD_S", 0.01)
    async with _tunnel() as tunnel:
        await asyncio.get_running_loop().sock_recv(tunnel.api, 1)
        tunnel.api.send(spdy.FrameWriter().data(3, b"all", is_final=True))
        await asyncio.wait_for(tunnel.carrying, 60)
        assert await asyncio.get_running_loop().sock_recv(tunnel.caller, 3) == b"all"


async def test_an_api_that_takes_no_more_makes_the_caller_wait() -> None:
    async with _tunnel() as tunnel:
        await asyncio.get_running_loop().sock_recv(tunnel.api, 1)
        # Like that of Python 3.12.1 and 3.13.0 it never asks for a pause.
        tunnel.handler.transport.writelines = lambda blocks: None
        block = memoryview(bytearray(1 << 20))
        for _ in range(8):
            tunnel.end.send(block)
        assert not tunnel.local.transport.is_reading()


def _read_from_pod(tunnel: Tunnel, *sizes: int) -> None:
    """Read so many bytes at a time, of which the caller gets none."""
    for size in sizes:
        head = struct.pack(">II", 5, size - 8)
        tunnel.end.get_buffer(-1)[:8] = head
        tunnel.end.buffer_updated(size)


KB = 1024


@pytest.mark.parametrize(
    ("sizes", "gathers"),
    [
        ([100], False),
        ([200 * KB], False),
        ([100 * KB, 100 * KB], False),
        ([100 * KB, 100 * KB, 100 * KB], True),
        ([100 * KB, 100 * KB, 100, 100 * KB], False),
        ([1024 * KB], False),
        ([1024 * KB, 100 * KB], True),
    ],
)
async def test_only_a_large_transfer_is_made_to_gather(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], gathers: bool
) -> None:
    monkeypatch.setattr(streams, "GATHER_S", 60.0)
    async with _tunnel() as tunnel:
        await asyncio.get_running_loop().sock_recv(tunnel.api, 1)
        _read_from_pod(tunnel, *sizes)
        assert tunnel.handler.transport.is_reading() is not gathers


async def test_answers_to_questions_do_not_add_up_to_a_large_transfer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "GATHER_S", 60.0)
    async with _tunnel() as tunnel:
        await asyncio.get_running_loop().sock_recv(tunnel.api, 1)
        for _ in range(10):
            tunnel.end.send(memoryview(b"and now?"))
            _read_from_pod(tunnel, 200 * KB)
        assert tunnel.handler.transport.is_reading()


async def test_a_connection_that_is_let_go_is_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "GATHER_S", 60.0)
    async with _tunnel() as tunnel:
        await asyncio.get_running_loop().sock_recv(tunnel.api, 1)
        _read_from_pod(tunnel, 200 * KB, 200 * KB)
        tunnel.local.pause_writing()
        tunnel.local.transport.abort()
        await asyncio.wait_for(tunnel.carrying, 60)
        assert tunnel.handler.transport.is_reading()


@pytest.mark.parametrize("ends_first", ["gathering", "waiting"])
async def test_reading_goes_on_when_neither_gathering_nor_the_caller_holds_it(
    monkeypatch: pytest.MonkeyPatch, ends_first: str
) -> None:
    monkeypatch.setattr(streams, "GATHER_S", 0.02 if ends_first == "gathering" else 0.2)
    async with _tunnel() as tunnel:
        await asyncio.get_running_loop().sock_recv(tunnel.api, 1)
        _read_from_pod(tunnel, 200 * KB, 200 * KB)
        tunnel.local.pause_writing()
        if ends_first == "gathering":
            await asyncio.sleep(0.1)
        else:
            tunnel.local.resume_writing()
        assert not tunnel.handler.transport.is_reading()
        tunnel.local.resume_writing()
        for _ in range(1000):
            if tunnel.handler.transport.is_reading():
                return
            await asyncio.sleep(0.01)
        pytest.fail("it never reads again")
