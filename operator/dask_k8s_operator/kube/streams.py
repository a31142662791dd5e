"""Carries one connection to a Pod's port as kubectl does: SPDY streams, bare or in a websocket.

Bare costs the API and us a sixth less; a websocket passes proxies that know nothing else.

Both ends are asyncio protocols that read into buffers of their own and hand on what came at once:
against streams of asyncio and messages of aiohttp that halves the processor time of a gigabyte.

In the middle of a large transfer the Pod's bytes gather for a moment between two reads: that costs
all who take part a tenth less processor time, and a message that comes alone nothing.

Guarantees that a slow reader on one end slows the writer on the other, that bytes under way arrive
before an end does, and that no call takes longer than a buffer. Refuses to tell the Pod that the
local end has stopped writing: container runtimes cut the answer off half a second later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress

from . import spdy, websocket
from .errors import ApiError, Target
from .silence import Silence

Bytes = bytes | bytearray | memoryview

BUFFER_BYTES = 256 * 1024
# A transfer is large when reads of so many bytes have followed each other, and no word to the Pod
# in between, for a whole buffer. From then on more is read at once.
_LARGE_READ_BYTES = 16 * 1024
_LARGE_BUFFER_BYTES = 1024 * 1024
GATHER_S = 0.001
# How long the Pod's end may take from the end of its data to the word of what went wrong, or back.
LAST_WORD_S = 1.0
# asyncio takes a TLS transport apart before it tells of the loss.
_UNLESS_LOST = suppress(AttributeError)
_ERROR_STREAM = 1
_DATA_STREAM = 3


class LocalEnd(asyncio.BufferedProtocol):
    """A connection that came in; before a tunnel takes it, at most a buffer of it is read.

    Parameters
    ----------
    on_connection
        Called with it once it is there.
    """

    def __init__(self, on_connection: Callable[[LocalEnd], None]) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.has_stopped: asyncio.Future[None] = loop.create_future()
        self._on_connection = on_connection
        self._tunnel: StreamTunnel | None = None
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._early = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a tunnel."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"a stream of bytes is needed, not {type(transport).__name__}")
        self.transport = transport
        # Nothing can be paused yet: Python 3.10 begins to read after this whatever is said here.
        self._on_connection(self)

    def attach(self, tunnel: StreamTunnel) -> None:
        """Begin to read, for a tunnel."""
        self._tunnel = tunnel
        # Before bytes go to the tunnel: it may ask for a pause at once.
        self.transport.resume_reading()
        if self._early:
            tunnel.send(memoryview(self._early))
            self._early = bytearray()

    def detach(self) -> None:
        """Speak with the tunnel no more: it is over."""
        self._tunnel = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what was read, or keep it for the tunnel and read no more until it is there."""
        if self._tunnel is not None:
            self._tunnel.send(self._buffer[:nbytes])
        else:
            self._early += self._buffer[:nbytes]
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """Go on writing what still comes from the Pod."""
        self._stop()
        return True

    def pause_writing(self) -> None:
        """Let the Pod wait."""
        if self._tunnel is not None:
            self._tunnel.pause_reading()

    def resume_writing(self) -> None:
        """Let the Pod go on."""
        if self._tunnel is not None:
            self._tunnel.resume_reading()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Tell those who wait for it."""
        self._tunnel = None
        self._stop()
        if not self.closed.done():
            self.closed.set_result(None)

    def _stop(self) -> None:
        if not self.has_stopped.done():
            self.has_stopped.set_result(None)


class StreamTunnel(asyncio.BufferedProtocol):
    """The end of one connection that leads to the API.

    Parameters
    ----------
    local
        The other end.
    transport
        A connection to the API after the handshake.
    port
        Port of the Pod.
    target
        What the connection is for, in failures.
    """

    def __init__(
        self, local: LocalEnd, transport: asyncio.Transport, port: int, target: Target
    ) -> None:
        self._loop = asyncio.get_running_loop()
        # None once it is lost: Python 3.10 cannot be asked anything about a TLS connection then.
        self._transport: asyncio.Transport | None = transport
        # Whoever made the connection waits for its end when it is closed.
        self._maker = transport.get_protocol()
        self._local = local
        self._port = port
        self._target = target
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._silence = Silence()
        self._problem = b""
        self._is_answered = False
        self._is_held = False
        self._gathering: asyncio.TimerHandle | None = None
        self._bytes_in_a_row = 0
        self._open_streams = {_ERROR_STREAM, _DATA_STREAM}
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._streams_in, self._streams_out = spdy.FrameReader(), spdy.FrameWriter()

    async def carry(self, linger_s: float) -> None:
        """Carry both directions until either end has come.

        Parameters
        ----------
        linger_s
            How long the Pod may be silent after the local end has stopped writing.

        Raises
        ------
        ApiError
            When the API says what went wrong at the Pod.
        """
        self._take_over()
        try:
            await self._carry(linger_s)
        finally:
            self._let_go()
        if self._problem:
            text = self._problem.decode(errors="replace")
            raise ApiError(502, "PortForwardFailed", text, None, self._target)

    def _take_over(self) -> None:
        if self._transport is not None:
            self._transport.set_protocol(self)
            # A pause of a TLS connection otherwise begins after another quarter of a megabyte.
            self._limit_unread(high=1, low=0)

    def _let_go(self) -> None:
        """Leave the connection as it was found: its end, too, has to be read."""
        self._local.detach()
        self._is_held = False
        self._stop_gathering()
        self._settle_reading()
        self._limit_unread()

    def _limit_unread(self, **limits: int) -> None:
        """Say how much of a TLS connection may be there unread; only one in a newer Python asks."""
        set_limits = getattr(self._transport, "set_read_buffer_limits", None)
        if set_limits is not None:
            with _UNLESS_LOST:
                set_limits(**limits)

    async def _carry(self, linger_s: float) -> None:
        for stream_id, role in ((_ERROR_STREAM, "error"), (_DATA_STREAM, "data")):
            headers = {"streamtype": role, "port": str(self._port), "requestid": "0"}
            self._write(self._streams_out.stream(stream_id, headers))
        self._local.attach(self)
        ends: set[asyncio.Future[None]] = {self._ended, self._local.has_stopped}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not self._local.has_stopped.done() and not self._is_answered:
            self._problem = self._problem or b"the connection was cut before the Pod's end answered"
        if not self._ended.done():
            await self._silence.wait((self._ended, self._local.closed), linger_s)
        self._say_goodbye()

    def send(self, block: memoryview) -> None:
        """Send the local end's bytes to the Pod."""
        self._bytes_in_a_row = 0
        self._write(self._streams_out.data_head(_DATA_STREAM, len(block)), block)

    def pause_reading(self) -> None:
        """Read nothing more from the Pod for now."""
        self._silence.stop_hearing()
        self._is_held = True
        self._settle_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._silence.hear()
        self._is_held = False
        self._settle_reading()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Hand on what the Pod sent."""
        self._silence.hear()
        self._is_answered = True
        data: list[Bytes] = []
        for block in self._unwrap(self._buffer[:nbytes]):
            for frame in self._streams_in.feed(block):
                self._take_frame(frame, data)
        if data and not self._local.transport.is_closing():
            self._local.transport.write(b"".join(data))
        self._gather_if_large(nbytes)

    def connection_lost(self, exc: Exception | None) -> None:
        """The API went away, or all is done."""
        self._transport = None
        self._stop_gathering()
        self._end()
        self._maker.connection_lost(exc)

    def pause_writing(self) -> None:
        """Let the local end wait."""
        self._local.transport.pause_reading()

    def resume_writing(self) -> None:
        """Let the local end go on."""
        self._local.transport.resume_reading()

    def _gather_if_large(self, nbytes: int) -> None:
        self._bytes_in_a_row += nbytes
        if nbytes < _LARGE_READ_BYTES:
            self._bytes_in_a_row = 0
        elif self._bytes_in_a_row >= BUFFER_BYTES > nbytes and self._gathering is None:
            if len(self._buffer) < _LARGE_BUFFER_BYTES:
                self._buffer = memoryview(bytearray(_LARGE_BUFFER_BYTES))
            self._gathering = self._loop.call_later(GATHER_S, self._stop_gathering)
            self._settle_reading()

    def _stop_gathering(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
            self._settle_reading()

    def _settle_reading(self) -> None:
        if self._transport is None:
            return
        with _UNLESS_LOST:
            if self._is_held or self._gathering is not None:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _take_frame(self, frame: spdy.Frame, data: list[Bytes]) -> None:
        if frame.type == spdy.PING:
            self._write(self._streams_out.ping(frame.payload))
        elif frame.stream_id in self._open_streams and frame.type in (spdy.DATA, spdy.RST_STREAM):
            if frame.type == spdy.DATA and frame.stream_id == _DATA_STREAM:
                data.append(frame.payload)
            elif frame.type == spdy.DATA:
                self._problem += frame.payload
            if frame.is_final or frame.type == spdy.RST_STREAM:
                self._end_stream(frame.stream_id)

    def _end_stream(self, stream_id: int) -> None:
        """Note that one ended: what went wrong is said on the other, before it or after it."""
        self._open_streams.discard(stream_id)
        are_data_over = _DATA_STREAM not in self._open_streams
        if not self._open_streams or (are_data_over and self._problem):
            self._end()
        elif are_data_over or self._problem:
            self._loop.call_later(LAST_WORD_S, self._end)

    def _unwrap(self, block: memoryview) -> Iterator[Bytes]:
        """Give what of these bytes belongs to streams."""
        yield block

    def _write(self, *parts: Bytes) -> None:
        """Send parts of streams."""
        if self._transport is not None and not self._transport.is_closing():
            # Not writelines(): that of Python 3.12.1 and 3.13.0 never asks for a pause.
            self._transport.write(b"".join(parts))

    def _say_goodbye(self) -> None:
        """Tell the API that the connection is over, where more than its end is needed."""

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


class WebsocketTunnel(StreamTunnel):
    """The same in the messages of a websocket; parameters are those of ``StreamTunnel``."""

    def __init__(
        self, local: LocalEnd, transport: asyncio.Transport, port: int, target: Target
    ) -> None:
        super().__init__(local, transport, port, target)
        self._frames_in, self._frames_out = websocket.FrameReader(), websocket.FrameWriter()

    def _unwrap(self, block: memoryview) -> Iterator[Bytes]:
        try:
            for opcode, payload in self._frames_in.feed(block):
                if opcode == websocket.BINARY:
                    yield payload
                elif opcode == websocket.PING:
                    self._write_frame(websocket.PONG, payload)
                elif opcode == websocket.CLOSE:
                    self._end()
        except websocket.FrameError as error:
            self._problem = str(error).encode()
            self._end()

    def _write(self, *parts: Bytes) -> None:
        self._write_frame(websocket.BINARY, *parts)

    def _say_goodbye(self) -> None:
        self._write_frame(websocket.CLOSE)

    def _write_frame(self, opcode: int, *parts: Bytes) -> None:
        payload = bytearray().join(parts)
        super()._write(self._frames_out.head(opcode, payload), payload)
