"""A tunnel from a local port to a port of a Pod, through the Kubernetes API.

Every TCP connection becomes one websocket, so connections neither wait for each other nor fall
together, and no kubectl is needed. Inside it is SPDY, or channels where the API is older than 1.31:
it chooses from what it is offered.

Guarantees: which Pod is meant is asked at every connection, so the tunnel outlives the Pod; a
slow reader on one end slows the writer on the other; bytes under way arrive before an end does.
Refuses to hide a dead end: a connection that cannot be made is closed at once, and ``error`` says
why.

A half-close does not reach the Pod: when the local end stops writing, answers are delivered until
the Pod has been silent for ``LINGER_S``, then the connection ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType

from dask_k8s_operator.resources.kinds import PODS

from .channels import CHANNELS, ChannelTunnel
from .client import KubeClient
from .errors import KubeError, Target
from .streams import STREAMS, LocalEnd, StreamTunnel

logger = logging.getLogger(__name__)

OFFERED = (STREAMS, CHANNELS)
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
        self._protocol = ""
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
        self._server = await asyncio.get_running_loop().create_server(
            lambda: LocalEnd(self._accept), "127.0.0.1", self._local_port
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

    def _accept(self, local: LocalEnd) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(local))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, local: LocalEnd) -> None:
        try:
            await self._carry(local)
        except KubeError as error:
            self.error = error
            logger.info("tunnel to %s port %d: %s", self._namespace, self._port, error)
        except ConnectionError:
            pass  # the local end went away
        finally:
            local.transport.close()
        await local.closed

    async def _carry(self, local: LocalEnd) -> None:
        pod = self._pod if isinstance(self._pod, str) else await self._pod()
        path = f"{PODS.path(self._namespace, pod)}/portforward"
        target = Target("get", "pods/portforward", "", self._namespace, pod)
        params = {"ports": self._port}
        if self._protocol != CHANNELS:
            upgraded = self._client.upgrade(path, params, OFFERED, target)
            async with upgraded as (protocol, transport):
                self._protocol = protocol
                if protocol == STREAMS:
                    self.error = None
                    await StreamTunnel(local, transport, self._port, target).carry(LINGER_S)
                    return
        async with self._client.websocket(path, params, (CHANNELS,), target) as websocket:
            self.error = None
            await ChannelTunnel(websocket, target, linger_s=LINGER_S).carry(*local.take())
