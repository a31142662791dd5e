"""A tunnel from a local port to a port of a Pod, through the Kubernetes API.

Every TCP connection becomes one websocket (subprotocol ``v4.channel.k8s.io``), so connections
neither wait for each other nor fall together, and no kubectl is needed.

Guarantees: which Pod is meant is asked at every connection, so the tunnel outlives the Pod; a
slow reader on one end slows the writer on the other; bytes under way arrive before an end does.
Refuses to hide a dead end: a connection that cannot be made is closed at once, and ``error`` says
why.

The protocol has no half-close: when the local end stops writing, answers are delivered until the
Pod has been silent for ``LINGER_S``, then the connection ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType

import aiohttp

from dask_k8s_operator.resources.kinds import PODS

from .client import KubeClient
from .errors import ApiError, KubeError, Target

logger = logging.getLogger(__name__)

SUBPROTOCOL = "v4.channel.k8s.io"
DATA_CHANNEL = 0
ERROR_CHANNEL = 1
CHUNK_BYTES = 256 * 1024
LINGER_S = 1.0


class PortForward:
    """Listen on a local port and carry its connections to a Pod.

    Parameters
    ----------
    client
        Connection to the API.
    namespace
        Where the Pod is.
    port
        Port of the Pod.
    pod
        Name of the Pod, or a coroutine function that finds it at every connection.
    local_port
        Port to listen on; 0 for any free one.

    Examples
    --------
    >>> async def connect(client):
    ...     tunnel = PortForward(client, "default", port=8787, pod="demo-scheduler")
    ...     async with tunnel as (host, port):
    ...         return await asyncio.open_connection(host, port)
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        *,
        port: int,
        pod: str | Callable[[], Awaitable[str]],
        local_port: int = 0,
    ) -> None:
        self.error: KubeError | None = None
        self._client = client
        self._namespace = namespace
        self._port = port
        self._pod = pod
        self._local_port = local_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("the tunnel is not open: start() it first")
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def start(self) -> tuple[str, int]:
        """Listen; returns the local address."""
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self._local_port, limit=CHUNK_BYTES
        )
        return self.address

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._server = None

    async def __aenter__(self) -> tuple[str, int]:
        return await self.start()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._tunnel(reader, writer)
        except KubeError as error:
            self.error = error
            logger.info("tunnel to %s port %d: %s", self._namespace, self._port, error)
        except ConnectionError:
            pass  # the local end went away
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pod = self._pod if isinstance(self._pod, str) else await self._pod()
        path = f"{PODS.path(self._namespace, pod)}/portforward"
        target = Target("get", "pods/portforward", "", self._namespace, pod)
        opened = self._client.websocket(path, {"ports": self._port}, (SUBPROTOCOL,), target)
        async with opened as websocket:
            self.error = None
            tunnel = _Tunnel(websocket, target)
            outbound = asyncio.ensure_future(tunnel.send_all(reader))
            inbound = asyncio.ensure_future(tunnel.receive_all(writer))
            try:
                await asyncio.wait((outbound, inbound), return_when=asyncio.FIRST_COMPLETED)
                if not inbound.done():
                    await tunnel.wait_silent(inbound)
            finally:
                outbound.cancel()
                inbound.cancel()
                results = await asyncio.gather(outbound, inbound, return_exceptions=True)
        for result in results:
            if isinstance(result, (KubeError, ConnectionError)):
                raise result


class _Tunnel:
    """One connection: the channels of one websocket."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse[bool], target: Target) -> None:
        self._websocket = websocket
        self._target = target
        self._heard = asyncio.get_running_loop().time()

    async def send_all(self, reader: asyncio.StreamReader) -> None:
        """Carry the local end's bytes until it stops writing."""
        while chunk := await reader.read(CHUNK_BYTES):
            await self._websocket.send_bytes(bytes((DATA_CHANNEL,)) + chunk)

    async def receive_all(self, writer: asyncio.StreamWriter) -> None:
        """Carry the Pod's bytes until its end closes."""
        announced: set[int] = set()
        async for message in self._websocket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            self._heard = asyncio.get_running_loop().time()
            channel, payload = message.data[0], memoryview(message.data)[1:]
            if channel not in announced:
                # The first message of a channel only repeats the port, two bytes.
                announced.add(channel)
                struct.unpack_from("<H", payload)
            elif channel == DATA_CHANNEL:
                writer.write(payload)
                await writer.drain()
            elif channel == ERROR_CHANNEL:
                text = bytes(payload).decode(errors="replace")
                raise ApiError(502, "PortForwardFailed", text, None, self._target)

    async def wait_silent(self, inbound: asyncio.Future[None]) -> None:
        """Wait until the Pod's end closes or has nothing more to say."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not inbound.done():
            left_s = max(self._heard, began) + LINGER_S - loop.time()
            if left_s <= 0:
                return
            await asyncio.wait((inbound,), timeout=left_s)
