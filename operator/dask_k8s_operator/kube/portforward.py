"""A tunnel from a local port to a port of a Pod, through the Kubernetes API.

Every TCP connection becomes one to the API, so connections neither wait for each other nor fall
together, and no kubectl is needed. It asks for SPDY; where something between us and the API does
not let that pass, for SPDY in a websocket, and remembers what was granted.

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
from contextlib import AsyncExitStack
from types import TracebackType
from typing import NamedTuple

from dask_k8s_operator.resources.kinds import PODS

from .client import KubeClient
from .errors import ApiError, KubeError, Target, TooManyRequestsError
from .handshake import Handshake, build_spdy_handshake, build_websocket_handshake
from .streams import LocalEnd, StreamTunnel, WebsocketTunnel

logger = logging.getLogger(__name__)

LINGER_S = 1.0
FIRST_WAY_S = 10.0


class Way(NamedTuple):
    """One way to have SPDY streams of the API.

    Parameters
    ----------
    build_handshake
        Builds what to ask with, anew for each connection.
    tunnel
        What carries a connection that was granted.
    """

    build_handshake: Callable[[], Handshake]
    tunnel: type[StreamTunnel]


WAYS = (
    Way(build_spdy_handshake, StreamTunnel),
    Way(build_websocket_handshake, WebsocketTunnel),
)


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
        self._ways: tuple[Way, ...] = WAYS
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
        async with AsyncExitStack() as stack:
            way, transport = await self._connect(stack, path, target)
            self._ways, self.error = (way,), None
            await way.tunnel(local, transport, self._port, target).carry(LINGER_S)

    async def _connect(
        self, stack: AsyncExitStack, path: str, target: Target
    ) -> tuple[Way, asyncio.Transport]:
        ways = self._ways if self._client.upgrades_to_any else WAYS[1:]
        failures: list[KubeError] = []
        for way in ways:
            # Some swallow what they do not know; the last way may take as long as the API likes.
            read_s = None if way is ways[-1] else FIRST_WAY_S
            asked = self._client.upgrade(path, target, way.build_handshake(), read_s)
            try:
                return way, await stack.enter_async_context(asked)
            except KubeError as error:
                if is_of_the_api(error):
                    raise
                failures.append(error)
        # What stands between us and the API may be another one by now.
        self._ways = WAYS
        raise failures[0]


def is_of_the_api(error: KubeError) -> bool:
    """Whether the API itself refuses, for a reason that another way would not change.

    A request whose upgrade was lost between us is a bad one to the API; what is no Kubernetes
    gives no reason.

    Examples
    --------
    >>> is_of_the_api(ApiError(403, "Forbidden", "you may not"))
    True
    >>> is_of_the_api(ApiError(403, "", "<html>"))
    False
    """
    if isinstance(error, TooManyRequestsError):
        return True
    return isinstance(error, ApiError) and bool(error.reason) and error.status != 400
