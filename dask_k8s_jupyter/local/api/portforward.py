"""Port-forward: the three ways in which clients carry connections, onto one way to the node.

``v4.channel.k8s.io`` is a websocket with a channel byte before each message. kubectl carries
SPDY/3.1 inside a websocket (``SPDY/3.1+portforward.k8s.io``), and before 1.31 plain SPDY after an
HTTP upgrade. To the node goes one websocket a connection.

Guarantees that a slow end slows the other, and that a connection that cannot be made is told on the
error channel. Refuses other subprotocols.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import aiohttp
from aiohttp import WSMsgType, web

from dask_k8s_operator.kube import spdy

from . import statuses

CHANNELS = "v4.channel.k8s.io"
TUNNEL = "SPDY/3.1+portforward.k8s.io"
_SPDY = "SPDY/3.1"
_STREAM_PROTOCOL = "portforward.k8s.io"
_CHUNK = 64 * 1024
# How long the other end of a websocket may take to say goodbye.
CLOSE_S = 0.5
# Blocks that wait for one connection of a SPDY client before all of them wait.
_QUEUED_BLOCKS = 64


class StreamRefused(Exception):
    """The node could not connect to the port."""


class NodeStream:
    """One connection into a Pod."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket = socket

    async def send(self, block: bytes) -> None:
        """Send bytes; an empty block says that no more will come."""
        await self._socket.send_bytes(block)

    async def blocks(self) -> AsyncIterator[bytes]:
        """Bytes from the Pod until it has no more."""
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY or not message.data:
                return
            yield message.data

    async def close(self) -> None:
        """End the connection."""
        await self._socket.close()


OpenStream = Callable[[int], Awaitable[NodeStream]]


async def forward(
    request: web.BaseRequest, open_stream: OpenStream, pod_name: str
) -> web.StreamResponse:
    """Answer a port-forward request in the way that its client speaks."""
    offered = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if request.headers.get("Upgrade", "").lower() == "websocket":
        if TUNNEL in offered:
            return await _forward_tunnel(request, open_stream)
        if CHANNELS in offered:
            return await _forward_channels(request, open_stream, _read_ports(request))
        raise statuses.bad_request(
            f"port-forward of {pod_name} wants the subprotocol {CHANNELS} or {TUNNEL}, "
            f"not {offered}"
        )
    if request.headers.get("Upgrade", "").lower() == _SPDY.lower():
        return await _forward_upgrade(request, open_stream)
    raise statuses.bad_request("Upgrade request required")


def _read_ports(request: web.BaseRequest) -> list[int]:
    texts = [text for part in request.query.getall("ports", []) for text in part.split(",")]
    if not texts or not all(text.isdigit() and 0 < int(text) < 65536 for text in texts):
        raise statuses.bad_request(f'query parameter "ports" is required and numeric: {texts}')
    return [int(text) for text in texts]


def _build_socket(protocol: str) -> web.WebSocketResponse:
    return web.WebSocketResponse(
        protocols=(protocol,), max_msg_size=0, compress=False, timeout=CLOSE_S
    )


# -- channels ------------------------------------------------------------------------------------


async def _forward_channels(
    request: web.BaseRequest, open_stream: OpenStream, ports: list[int]
) -> web.StreamResponse:
    socket = _build_socket(CHANNELS)
    await socket.prepare(request)
    streams: dict[int, NodeStream] = {}
    for index, port in enumerate(ports):
        for channel in (2 * index, 2 * index + 1):
            await socket.send_bytes(struct.pack("<BH", channel, port))
    try:
        for index, port in enumerate(ports):
            try:
                streams[2 * index] = await open_stream(port)
            except StreamRefused as error:
                await socket.send_bytes(bytes([2 * index + 1]) + str(error).encode())
        inbound = asyncio.ensure_future(_send_channels(socket, streams))
        outbound = asyncio.ensure_future(_receive_channels(socket, streams))
        await _finish_first(inbound, outbound)
    finally:
        for stream in streams.values():
            await stream.close()
        await socket.close()
    return socket


async def _finish_first(inbound: asyncio.Task[None], outbound: asyncio.Task[None]) -> None:
    """Wait until either direction is over, and end the other."""
    try:
        await asyncio.wait((inbound, outbound), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (inbound, outbound):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await task


async def _send_channels(socket: web.WebSocketResponse, streams: dict[int, NodeStream]) -> None:
    async def send(channel: int, stream: NodeStream) -> None:
        prefix = bytes([channel])
        async for block in stream.blocks():
            await socket.send_bytes(prefix + block)

    await asyncio.gather(*(send(channel, stream) for channel, stream in streams.items()))


async def _receive_channels(socket: web.WebSocketResponse, streams: dict[int, NodeStream]) -> None:
    async for message in socket:
        if message.type is WSMsgType.BINARY and len(message.data) > 1:
            stream = streams.get(message.data[0])
            if stream is not None:
                await stream.send(message.data[1:])


# -- SPDY ----------------------------------------------------------------------------------------


class ByteChannel(Protocol):
    """What SPDY frames travel on."""

    async def receive(self) -> bytes:
        """Some bytes; none at the end."""
        ...

    async def send(self, block: bytes) -> None:
        """Send bytes."""
        ...


class _WebSocketChannel:
    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def receive(self) -> bytes:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY and message.data:
                return bytes(message.data)
        return b""

    async def send(self, block: bytes) -> None:
        await self._socket.send_bytes(block)


class _PlainChannel:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bytes:
        return await self._reader.read(_CHUNK)

    async def send(self, block: bytes) -> None:
        self._writer.write(block)
        await self._writer.drain()


async def _forward_tunnel(request: web.BaseRequest, open_stream: OpenStream) -> web.StreamResponse:
    socket = _build_socket(TUNNEL)
    await socket.prepare(request)
    try:
        await SpdySession(_WebSocketChannel(socket), open_stream).run()
    finally:
        await socket.close()
    return socket


async def _forward_upgrade(request: web.BaseRequest, open_stream: OpenStream) -> web.StreamResponse:
    offered = request.headers.getall("X-Stream-Protocol-Version", [])
    if offered and _STREAM_PROTOCOL not in ",".join(offered):
        raise statuses.StatusError(403, "Forbidden", f"unable to upgrade: {offered} is not known")
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client went away")
    head = (
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        f"X-Stream-Protocol-Version: {_STREAM_PROTOCOL}\r\n\r\n"
    )
    # From here on the connection is no longer HTTP: the server's protocol is taken off it.
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    writer = asyncio.StreamWriter(transport, protocol, reader, loop)
    writer.write(head.encode())
    try:
        await SpdySession(_PlainChannel(reader, writer), open_stream).run()
    finally:
        writer.close()
    return web.Response()


class _Inbound:
    """Blocks on their way to one Pod; nobody waits for one that takes no more."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(_QUEUED_BLOCKS)
        self._is_closed = False

    async def put(self, block: bytes) -> None:
        """Wait for room and add a block; dropped when the Pod takes no more."""
        if not self._is_closed:
            await self._queue.put(block)

    async def pass_on(self, stream: NodeStream) -> None:
        """Send to the Pod until there is no more, or it takes no more."""
        block = b"?"
        try:
            while block:
                block = await self._queue.get()
                await stream.send(block)
        finally:
            self.close()

    def close(self) -> None:
        """Take no more; who waits for room waits no longer."""
        self._is_closed = True
        while not self._queue.empty():
            self._queue.get_nowait()


class SpdySession:
    """The streams of one kubectl port-forward: pairs of an error and a data stream."""

    def __init__(self, channel: ByteChannel, open_stream: OpenStream) -> None:
        self._channel = channel
        self._open_stream = open_stream
        self._reader = spdy.FrameReader()
        self._writer = spdy.FrameWriter()
        self._sending = asyncio.Lock()
        self._error_streams: dict[str, int] = {}
        self._inbound: dict[int, _Inbound] = {}
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until the client goes."""
        try:
            while block := await self._channel.receive():
                for frame in self._reader.feed(block):
                    await self._take(frame)
        except ConnectionError:
            pass
        finally:
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _take(self, frame: spdy.Frame) -> None:
        if frame.type == spdy.SYN_STREAM:
            await self._open(frame)
        elif frame.type == spdy.DATA:
            inbound = self._inbound.get(frame.stream_id)
            if inbound is not None:
                if frame.payload:
                    await inbound.put(bytes(frame.payload))
                if frame.is_final:
                    await inbound.put(b"")
        elif frame.type == spdy.RST_STREAM:
            inbound = self._inbound.pop(frame.stream_id, None)
            if inbound is not None:
                await inbound.put(b"")
        elif frame.type == spdy.PING:
            await self._channel.send(self._writer.ping(frame.payload))

    async def _open(self, frame: spdy.Frame) -> None:
        async with self._sending:
            await self._channel.send(self._writer.reply(frame.stream_id))
        request_id = frame.headers.get("requestid", frame.headers.get("port", ""))
        if frame.headers.get("streamtype") == "error":
            self._error_streams[request_id] = frame.stream_id
            return
        port = int(frame.headers.get("port", "0"))
        inbound = self._inbound[frame.stream_id] = _Inbound()
        error_id = self._error_streams.pop(request_id, 0)
        task = asyncio.ensure_future(self._serve(frame.stream_id, error_id, port, inbound))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, stream_id: int, error_id: int, port: int, inbound: _Inbound) -> None:
        problem = b""
        try:
            stream = await self._open_stream(port)
        except StreamRefused as error:
            problem = str(error).encode()
            inbound.close()
        else:
            passing = asyncio.ensure_future(inbound.pass_on(stream))
            try:
                async for block in stream.blocks():
                    await self._send(stream_id, block)
            finally:
                passing.cancel()
                await asyncio.gather(passing, return_exceptions=True)
                inbound.close()
                await stream.close()
        self._inbound.pop(stream_id, None)
        if error_id:
            await self._send(error_id, problem, is_final=True)
        await self._send(stream_id, b"", is_final=True)

    async def _send(self, stream_id: int, block: bytes, is_final: bool = False) -> None:
        # A block is one frame; a frame's length has 24 bits.
        async with self._sending:
            await self._channel.send(self._writer.data(stream_id, block, is_final))
