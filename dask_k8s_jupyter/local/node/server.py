"""What the API server asks of a node: logs, connections into Pods, commands in containers.

Listens on the node's address with TLS and admits only clients with a certificate of the cluster's
authority, which is the API server alone.

    GET /containerLogs/NAMESPACE/POD/CONTAINER?follow=&previous=&tailLines=&limitBytes=
    GET /portForward/NAMESPACE/POD?port=N
        a websocket: binary messages are bytes of one connection, an empty one ends a direction
    GET /exec/NAMESPACE/POD/CONTAINER?command=&stdin=
        a websocket of v5.channel.k8s.io
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from .commands import run_command
from .logs import read_log

if TYPE_CHECKING:
    from .containers import Container
    from .pods import PodRunner

FindPod = Callable[[str, str], "PodRunner | None"]
_UNSUPPORTED = ("sinceSeconds", "sinceTime", "timestamps")
_CHUNK = 256 * 1024
_CLOSE_S = 0.5


class NodeServer:
    """Serves logs and connections of the Pods on this node."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext, find_pod: FindPod) -> None:
        self._listener = listener
        self._tls = tls
        self._find_pod = find_pod
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        """Listen."""
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None), shutdown_timeout=0.5
        )
        await self._runner.setup()
        site = web.SockSite(self._runner, self._listener, ssl_context=self._tls)
        await site.start()

    async def stop(self) -> None:
        """Stop listening and end what is under way."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        if parts[0] == "healthz":
            return web.Response(text="ok")
        pod = self._find_pod(parts[1], parts[2]) if len(parts) >= 3 else None
        if pod is None:
            return web.Response(status=404, text=f"pod {'/'.join(parts[1:3])} is not on this node")
        if parts[0] == "containerLogs" and len(parts) == 4:
            return await self._send_log(request, pod, parts[3])
        if parts[0] == "exec" and len(parts) == 4:
            container = pod.find_container(parts[3])
            if container is None or "running" not in container.status.state:
                return web.Response(status=404, text=f'container not found ("{parts[3]}")')
            return await run_command(request, container)
        if parts[0] == "portForward":
            return await self._forward(request, pod)
        return web.Response(status=404, text=f"no such path: {request.path}")

    async def _send_log(
        self, request: web.BaseRequest, pod: PodRunner, name: str
    ) -> web.StreamResponse:
        query = request.query
        unsupported = [key for key in _UNSUPPORTED if query.get(key) not in (None, "", "false")]
        if unsupported:
            text = f"the embedded node keeps no times with log lines: {', '.join(unsupported)}"
            return web.Response(status=400, text=text)
        container = pod.find_container(name)
        is_previous = query.get("previous") == "true"
        path = None
        if container is not None:
            path = container.previous_log_path if is_previous else container.log_path
        if container is None or path is None or not path.exists():
            return web.Response(
                status=400, text=_explain_missing(pod, name, container, is_previous)
            )
        left = int(query.get("limitBytes") or 1 << 62)
        tail = query.get("tailLines")
        run = container.status.restarts

        def is_over() -> bool:
            has_ended = "running" not in container.status.state or container.status.restarts != run
            # A client that left is not noticed by writing while there is nothing to write.
            return has_ended or request.transport is None or request.transport.is_closing()

        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        lines = read_log(
            path,
            tail_lines=None if tail is None else int(tail),
            follow=query.get("follow") == "true" and not is_previous,
            is_over=is_over,
        )
        with contextlib.suppress(ConnectionError):
            async for block in lines:
                await response.write(block[:left])
                left -= len(block)
                if left <= 0 or request.transport is None:
                    break
        return response

    async def _forward(self, request: web.BaseRequest, pod: PodRunner) -> web.StreamResponse:
        port = int(request.query.get("port") or 0)
        channel = web.WebSocketResponse(max_msg_size=0, compress=False, timeout=_CLOSE_S)
        try:
            reader, writer = await _connect(pod.ip, port)
        except OSError as error:
            why = f"failed to connect to {pod.ip}:{port} inside {pod.place}: {error.strerror}"
            return web.Response(status=502, text=why)
        try:
            await channel.prepare(request)
            await asyncio.gather(_send_bytes(reader, channel), _receive_bytes(channel, writer))
        except ConnectionError:
            pass
        finally:
            writer.close()
            await channel.close()
        return channel


async def _connect(ip: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    # Inside a real Pod a port-forward reaches what listens on loopback; here that is the Pod's own
    # address.
    return await asyncio.open_connection(ip, port, limit=_CHUNK)


async def _send_bytes(reader: asyncio.StreamReader, channel: web.WebSocketResponse) -> None:
    while block := await reader.read(_CHUNK):
        await channel.send_bytes(block)
    await channel.send_bytes(b"")


async def _receive_bytes(channel: web.WebSocketResponse, writer: asyncio.StreamWriter) -> None:
    async for message in channel:
        if message.type is not WSMsgType.BINARY:
            continue
        if not message.data:
            if writer.can_write_eof():
                writer.write_eof()
            continue
        writer.write(message.data)
        await writer.drain()
    writer.close()


def _explain_missing(
    pod: PodRunner, name: str, container: Container | None, is_previous: bool
) -> str:
    pod_name = pod.pod["metadata"]["name"]
    if container is not None and is_previous:
        return f'previous terminated container "{name}" in pod "{pod_name}" not found'
    waiting = (container.status.state.get("waiting") or {}) if container is not None else {}
    reason = waiting.get("reason", "ContainerCreating")
    if reason in ("ErrImagePull", "ImagePullBackOff"):
        why = f"trying and failing to pull image: {waiting.get('message', '')}"
    else:
        why = f"waiting to start: {reason}"
    return f'container "{name}" in pod "{pod_name}" is {why}'
