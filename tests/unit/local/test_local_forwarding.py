"""kubectl's port-forward when the Pod is no longer there to listen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dask_k8s_jupyter.local.api.portforward import SpdySession, StreamRefused
from dask_k8s_operator.kube import spdy

# More than any buffer on the way holds.
BLOCKS = 500


class Client:
    """A client that opens a connection, sends a lot, pings, and leaves when that is answered."""

    def __init__(self) -> None:
        writer = spdy.FrameWriter()
        headers = {"port": "80", "requestid": "0"}
        self._blocks = [
            writer.stream(1, {**headers, "streamtype": "error"}),
            writer.stream(3, {**headers, "streamtype": "data"}),
            *(writer.data(3, b"x" * 100) for _ in range(BLOCKS)),
            writer.ping(b"\0\0\0\1"),
        ]
        self._reader = spdy.FrameReader()
        self._answered = asyncio.Event()

    async def receive(self) -> bytes:
        # As a socket does, it lets others do their work.
        await asyncio.sleep(0)
        if self._blocks:
            return self._blocks.pop(0)
        await self._answered.wait()
        return b""

    async def send(self, block: bytes) -> None:
        if any(frame.type == spdy.PING for frame in self._reader.feed(block)):
            self._answered.set()


class Stream:
    """A connection into a Pod; what it does with what is sent is told."""

    def __init__(self, send: Callable[[], Any], is_over: bool) -> None:
        self._send = send
        self._is_over = is_over

    async def send(self, block: bytes) -> None:
        await self._send()

    async def blocks(self) -> AsyncIterator[bytes]:
        if not self._is_over:
            await asyncio.Event().wait()
        # Long enough for whatever waits to be full.
        for _ in range(300):
            await asyncio.sleep(0)
        yield b"goodbye"

    async def close(self) -> None:
        pass


async def _wait() -> None:
    await asyncio.Event().wait()


async def _break() -> None:
    raise ConnectionResetError


async def _take() -> None:
    pass


@pytest.mark.parametrize(
    ("send", "is_over"), [(_wait, True), (_break, False), (_break, True), (_take, False)]
)
async def test_a_pod_that_reads_no_more_keeps_no_other_connection_waiting(send, is_over):
    async def open_stream(port):
        return Stream(send, is_over)

    await asyncio.wait_for(SpdySession(Client(), open_stream).run(), 60)


async def test_a_port_where_nobody_listens_keeps_no_other_connection_waiting():
    async def open_stream(port):
        raise StreamRefused("connection refused")

    await asyncio.wait_for(SpdySession(Client(), open_stream).run(), 60)
