"""The tunnel to a Pod: many connections, large transfers, ends in either direction."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dask_k8s_operator.kube import KubeClient, PortForward, portforward
from dask_k8s_operator.kube.auth import Credentials, load_credentials
from dask_k8s_operator.kube.errors import ApiError, NotFoundError
from dask_k8s_operator.resources.kinds import PODS

WaitUntil = Callable[..., Awaitable[Any]]
PORT = 8786
MEGABYTE = 1 << 20
# The first byte of a connection says what to do with it.
SERVER = """
import hashlib, socket, threading
def serve(connection):
    wish = connection.recv(1)
    if wish == b"E":  # echo
        while received := connection.recv(65536):
            connection.sendall(received)
    elif wish == b"S":  # send 64 MB and end
        for _ in range(64):
            connection.sendall(b"x" * (1 << 20))
    elif wish == b"D":  # digest 64 MB
        digest, left = hashlib.sha256(), 64 << 20
        while left:
            received = connection.recv(min(left, 1 << 20))
            digest.update(received)
            left -= len(received)
        connection.sendall(digest.hexdigest().encode())
    connection.close()
listener = socket.create_server(("0.0.0.0", 8786), backlog=200)
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=(connection,), daemon=True).start()
"""


def _pod(image: str) -> dict[str, Any]:
    container = {
        "name": "server",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", SERVER],
    }
    return {
        "metadata": {"name": "server"},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }


@pytest.fixture
async def start_server(
    kube_client: KubeClient, namespace: str, dask_image: str, wait_until: WaitUntil
) -> Callable[[], Awaitable[None]]:
    """Start the Pod that the tunnel leads to, and wait until it listens."""

    async def start() -> None:
        await kube_client.create(PODS, _pod(dask_image), namespace)

        async def listens() -> bool:
            try:
                return "listening" in await kube_client.logs("server", namespace)
            except ApiError:
                return False

        await wait_until(listens, 90, "the server Pod listens")

    return start


@pytest.fixture
async def tunnel(
    kube_client: KubeClient, namespace: str, start_server: Callable[[], Awaitable[None]]
) -> AsyncIterator[PortForward]:
    """An open tunnel to a running server."""
    await start_server()
    forward = PortForward(kube_client, namespace, port=PORT, pod="server")
    async with forward:
        yield forward


async def _echo(address: tuple[str, int], message: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(b"E" + message)
        return await reader.readexactly(len(message))
    finally:
        writer.close()


async def test_many_connections_at_once(tunnel: PortForward) -> None:
    messages = [f"message {i}".encode() for i in range(30)]
    assert (
        await asyncio.gather(*(_echo(tunnel.address, message) for message in messages)) == messages
    )


async def test_large_transfers_arrive_whole_both_ways(tunnel: PortForward) -> None:
    reader, writer = await asyncio.open_connection(*tunnel.address, limit=MEGABYTE)
    writer.write(b"S")
    received = 0
    while chunk := await reader.read(MEGABYTE):
        received += len(chunk)
    writer.close()
    assert received == 64 * MEGABYTE
    reader, writer = await asyncio.open_connection(*tunnel.address)
    writer.write(b"D")
    digest = hashlib.sha256()
    for i in range(64):
        chunk = bytes([i]) * MEGABYTE
        digest.update(chunk)
        writer.write(chunk)
        await writer.drain()
    assert (await reader.read()).decode() == digest.hexdigest()
    writer.close()


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Pod on a busy machine may be silent for longer than the tunnel usually lingers."""
    monkeypatch.setattr(portforward, "LINGER_S", 60.0)


async def test_an_answer_arrives_after_the_asker_stopped_writing(
    tunnel: PortForward, patience: None
) -> None:
    reader, writer = await asyncio.open_connection(*tunnel.address)
    writer.write(b"Ehello")
    writer.write_eof()
    assert await asyncio.wait_for(reader.readexactly(5), 60) == b"hello"
    writer.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(MEGABYTE):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass  # one end went, so the other goes
    finally:
        writer.close()


class Proxy:
    """A proxy before the API that knows websockets and no other upgrade.

    Parameters
    ----------
    api
        How to reach the API.
    manner
        What becomes of another upgrade: "drop" its headers, "refuse" it with a page, "cut" the
        connection, or "hang".
    """

    def __init__(self, api: Credentials, manner: str) -> None:
        self.upgrades: list[str] = []
        self._api = api
        self._manner = manner
        self._relays: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        upgrade = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"upgrade:"))
        self.upgrades.append(upgrade.partition(b":")[2].strip().decode().lower())
        if self.upgrades[-1] != "websocket":
            if self._manner == "hang":
                await reader.read()
            if self._manner != "drop":
                page = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno\n"
                writer.write(page if self._manner == "refuse" else b"")
                writer.close()
                return
            head = head.replace(upgrade + b"\r\n", b"").replace(b": Upgrade\r\n", b": close\r\n")
        await self._pass_on(head, reader, writer)

    async def _pass_on(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        parts = urlsplit(self._api.host)
        api_reader, api_writer = await asyncio.open_connection(
            parts.hostname, parts.port, ssl=self._api.tls
        )
        api_writer.write(head)
        for ends in ((reader, api_writer), (api_reader, writer)):
            task = asyncio.ensure_future(_relay(*ends))
            self._relays.add(task)
            task.add_done_callback(self._relays.discard)

    async def close(self) -> None:
        """End what it carries."""
        for task in list(self._relays):
            task.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)


@pytest.mark.parametrize("manner", ["drop", "refuse", "cut", "hang"])
async def test_a_proxy_that_knows_only_websockets_is_passed_in_one(
    tunnel: PortForward,
    kubeconfig: Path,
    namespace: str,
    manner: str,
    patience: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if manner == "hang":
        monkeypatch.setattr(portforward, "FIRST_WAY_S", 0.2)
    api = await load_credentials(str(kubeconfig))
    proxy = Proxy(api, manner)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    behind = Credentials(f"http://{host}:{port}", read_authorization=api.authorization)
    async with (
        KubeClient(behind) as client,
        PortForward(client, namespace, port=PORT, pod="server") as address,
    ):
        assert await _echo(address, b"first") == b"first"
        assert {"spdy/3.1", "websocket"} == set(proxy.upgrades)
        proxy.upgrades.clear()
        assert await _echo(address, b"x" * MEGABYTE) == b"x" * MEGABYTE
        assert proxy.upgrades == ["websocket"]
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"Ehello")
        writer.write_eof()
        assert await asyncio.wait_for(reader.readexactly(5), 60) == b"hello"
        writer.close()
    server.close()
    await proxy.close()


async def test_a_slow_reader_slows_the_sender(tunnel: PortForward) -> None:
    reader, writer = await asyncio.open_connection(*tunnel.address, limit=65536)
    writer.write(b"S")
    await reader.readexactly(1)
    await asyncio.sleep(0.5)
    received = 1
    while chunk := await reader.read(MEGABYTE):
        received += len(chunk)
    writer.close()
    assert received == 64 * MEGABYTE


async def test_a_port_where_nobody_listens_ends_the_connection(
    kube_client: KubeClient, namespace: str, tunnel: PortForward, wait_until: WaitUntil
) -> None:
    dead = PortForward(kube_client, namespace, port=9, pod="server")
    async with dead as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()
        await wait_until(lambda: dead.error is not None)


async def test_it_outlives_the_pod(
    kube_client: KubeClient,
    namespace: str,
    tunnel: PortForward,
    start_server: Callable[[], Awaitable[None]],
    wait_until: WaitUntil,
) -> None:
    assert await _echo(tunnel.address, b"first") == b"first"
    await kube_client.delete(PODS, "server", namespace, grace_period_s=0)

    async def is_gone() -> bool:
        try:
            await kube_client.get(PODS, "server", namespace)
        except NotFoundError:
            return True
        return False

    await wait_until(is_gone)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await _echo(tunnel.address, b"nobody")
    assert isinstance(tunnel.error, NotFoundError)
    await start_server()
    assert await _echo(tunnel.address, b"second") == b"second"
    assert tunnel.error is None
