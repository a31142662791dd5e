"""Pod logs and port-forwards, fetched from the node that runs the Pod.

The node is found as the real API server finds it: through the Node's ``status.addresses`` and
``status.daemonEndpoints``. Refuses Pods that are on no node yet.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import WSMsgType, web

from . import portforward, statuses
from .requests import TRUE, Target

if TYPE_CHECKING:
    from .backend import Backend

# How often a silent log is looked at for whether its client is still there.
_LOOK_S = 2.0
_LOG_PARAMETERS = (
    "follow",
    "previous",
    "tailLines",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "limitBytes",
)


class PodStreams:
    """Talks to nodes on behalf of clients."""

    def __init__(self, backend: Backend, node_tls: ssl.SSLContext) -> None:
        self._backend = backend
        self._tls = node_tls
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections to nodes."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A followed log is silent for as long as the Pod is: no time-out, and no limit of
            # connections, which every stream takes one of.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=5),
            )
        return self._session

    async def answer(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        """Answer a request for ``log`` or ``portforward``."""
        pod = self._backend.get(target.resource, target.namespace, target.name).object
        if target.subresource == "log":
            return await self._answer_log(request, pod)
        if target.subresource == "exec":
            return await self._answer_exec(request, pod)
        return await self._answer_forward(request, pod)

    async def _answer_exec(
        self, request: web.BaseRequest, pod: dict[str, Any]
    ) -> web.StreamResponse:
        """Pass the messages of a command on between client and node, as they are."""
        container = _find_container(pod, request.query.get("container"))
        metadata = pod["metadata"]
        url = f"{self._find_node(pod)}/exec/{metadata['namespace']}/{metadata['name']}/{container}"
        if request.query.get("tty") in TRUE:
            raise statuses.bad_request("the embedded node has no terminals: exec without --tty")
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise statuses.bad_request("Upgrade request required")
        pairs = [(k, v) for k, v in request.query.items() if k in ("command", "stdin")]
        asked = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        try:
            node = await self._open_session().ws_connect(
                url, params=pairs, protocols=asked, ssl=self._tls, max_msg_size=0, compress=0
            )
        except aiohttp.WSServerHandshakeError as error:
            where = f"{metadata['namespace']}/{metadata['name']}"
            raise statuses.bad_request(f"container {container} of {where} does not run") from error
        client = web.WebSocketResponse(
            protocols=asked, max_msg_size=0, compress=False, timeout=portforward.CLOSE_S
        )
        await client.prepare(request)
        try:
            await _relay(client, node)
        finally:
            await node.close()
            await client.close()
        return client

    def _find_node(self, pod: dict[str, Any]) -> str:
        node_name = pod["spec"].get("nodeName", "")
        record = self._backend.store.get(("", "nodes"), "", node_name) if node_name else None
        if record is None:
            metadata = pod["metadata"]
            raise statuses.bad_request(
                f"pod {metadata['namespace']}/{metadata['name']} does not have a host assigned"
            )
        status = record.object.get("status") or {}
        addresses = {a["type"]: a["address"] for a in status.get("addresses") or ()}
        port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
        return f"https://{addresses['InternalIP']}:{port}"

    async def _answer_forward(
        self, request: web.BaseRequest, pod: dict[str, Any]
    ) -> web.StreamResponse:
        metadata = pod["metadata"]
        place = f"{metadata['namespace']}/{metadata['name']}"
        phase = (pod.get("status") or {}).get("phase")
        url = f"{self._find_node(pod)}/portForward/{place}"
        if phase in ("Succeeded", "Failed"):
            raise statuses.bad_request(f"cannot forward ports of pod {place}: it is {phase}")

        async def open_stream(port: int) -> portforward.NodeStream:
            session = self._open_session()
            try:
                socket = await session.ws_connect(
                    f"{url}?port={port}",
                    ssl=self._tls,
                    max_msg_size=0,
                    compress=0,
                    timeout=aiohttp.ClientWSTimeout(ws_close=portforward.CLOSE_S),
                )
            except aiohttp.WSServerHandshakeError as error:
                why = f"error forwarding port {port} to pod {place}: connection refused"
                raise portforward.StreamRefused(why) from error
            except aiohttp.ClientError as error:
                raise portforward.StreamRefused(f"the node of {place} is away: {error}") from error
            return portforward.NodeStream(socket)

        return await portforward.forward(request, open_stream, place)

    async def _answer_log(
        self, request: web.BaseRequest, pod: dict[str, Any]
    ) -> web.StreamResponse:
        container = _find_container(pod, request.query.get("container"))
        if not pod["spec"].get("nodeName"):
            return web.Response(status=204)
        metadata = pod["metadata"]
        parameters = {k: request.query[k] for k in _LOG_PARAMETERS if k in request.query}
        place = f"{metadata['namespace']}/{metadata['name']}/{container}"
        url = f"{self._find_node(pod)}/containerLogs/{place}"
        async with self._open_session().get(url, params=parameters, ssl=self._tls) as answer:
            if answer.status != 200:
                raise statuses.bad_request((await answer.text()).strip())
            response = web.StreamResponse(headers={"Content-Type": "text/plain"})
            await response.prepare(request)
            await _copy(answer.content, request, response)
            return response


async def _copy(
    content: aiohttp.StreamReader, request: web.BaseRequest, response: web.StreamResponse
) -> None:
    """Pass a log on until it ends or the client has left, which may be long before a next line."""
    while not content.at_eof():
        try:
            chunk = await asyncio.wait_for(content.readany(), _LOOK_S)
        except asyncio.TimeoutError:
            if request.transport is None or request.transport.is_closing():
                return
            continue
        await response.write(chunk)


async def _relay(client: web.WebSocketResponse, node: Any) -> None:
    """Pass messages on in both directions until either side ends."""

    async def up() -> None:
        async for message in client:
            if message.type is WSMsgType.BINARY:
                await node.send_bytes(message.data)

    async def down() -> None:
        async for message in node:
            if message.type is WSMsgType.BINARY:
                await client.send_bytes(message.data)

    tasks = [asyncio.ensure_future(way()) for way in (up, down)]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _find_container(pod: dict[str, Any], wanted: str | None) -> str:
    metadata = pod["metadata"]
    names = [c["name"] for f in ("containers", "initContainers") for c in pod["spec"].get(f) or ()]
    if wanted:
        if wanted not in names:
            raise statuses.bad_request(
                f"container {wanted} is not valid for pod {metadata['name']}"
            )
        return wanted
    if len(names) > 1:
        raise statuses.bad_request(
            f"a container name must be specified for pod {metadata['name']}, "
            f"choose one of: [{' '.join(names)}]"
        )
    return str(names[0])
