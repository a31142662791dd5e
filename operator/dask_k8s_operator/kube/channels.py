"""Carries one connection to a Pod's port in the way of API servers before 1.31.

A websocket of the subprotocol ``v4.channel.k8s.io``: a byte before each message names a channel,
0 for data, 1 for errors; the first message of each only repeats the port, two bytes.

Guarantees that bytes under way arrive before an end does. Refuses to be fast: container runtimes
need twice the processor time for this as for SPDY.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import TYPE_CHECKING

from .errors import ApiError, KubeError, Target
from .silence import Silence

if TYPE_CHECKING:
    import aiohttp

logger = logging.getLogger(__name__)

CHANNELS = "v4.channel.k8s.io"
DATA_CHANNEL = 0
ERROR_CHANNEL = 1
CHUNK_BYTES = 256 * 1024


class ChannelTunnel:
    """One connection: the channels of one websocket.

    Parameters
    ----------
    websocket
        Open, with the subprotocol of channels.
    target
        What the connection is for, in failures.
    linger_s
        How long the Pod may be silent after the local end has stopped writing.
    """

    def __init__(
        self,
        websocket: aiohttp.ClientWebSocketResponse[bool],
        target: Target,
        *,
        linger_s: float,
    ) -> None:
        self._websocket = websocket
        self._target = target
        self._linger_s = linger_s
        self._silence = Silence()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry both directions until either end has come."""
        outbound = asyncio.ensure_future(self._send_all(reader))
        inbound = asyncio.ensure_future(self._receive_all(writer))
        try:
            await asyncio.wait((outbound, inbound), return_when=asyncio.FIRST_COMPLETED)
            if not inbound.done():
                await self._silence.wait((inbound,), self._linger_s)
        finally:
            outbound.cancel()
            inbound.cancel()
            results = await asyncio.gather(outbound, inbound, return_exceptions=True)
        for result in results:
            if isinstance(result, (KubeError, ConnectionError)):
                raise result
            if isinstance(result, Exception):
                logger.error("a tunnel broke (%s)", self._target, exc_info=result)

    async def _send_all(self, reader: asyncio.StreamReader) -> None:
        while chunk := await reader.read(CHUNK_BYTES):
            await self._websocket.send_bytes(bytes((DATA_CHANNEL,)) + chunk)

    async def _receive_all(self, writer: asyncio.StreamWriter) -> None:
        announced: set[int] = set()
        async for message in self._websocket:
            if not isinstance(message.data, bytes) or not message.data:
                continue
            self._silence.hear()
            channel, payload = message.data[0], memoryview(message.data)[1:]
            if channel not in announced:
                announced.add(channel)
                struct.unpack_from("<H", payload)
            elif channel == DATA_CHANNEL:
                writer.write(payload)
                self._silence.stop_hearing()
                await writer.drain()
                self._silence.hear()
            elif channel == ERROR_CHANNEL:
                text = bytes(payload).decode(errors="replace")
                raise ApiError(502, "PortForwardFailed", text, None, self._target)
