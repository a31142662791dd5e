"""Cluster addresses and node ports of Services: listened on here, carried to ready Pods.

Service names lead straight to Pods; this is for who connects to a Service's address. Guarantees
that a new connection goes to a Pod that is ready now, one after the other; that nobody listens
while there is none, so that a client is refused as elsewhere; that connections that are made
outlive a change. Carries TCP only, and refuses to listen where other machines could connect: only
loopback addresses are. A port below 1024 may be one that this user must not listen on: that is
logged, and the name goes on working. A port that somebody else has is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from ..backends import Object, find_target_port

_LOG = logging.getLogger(__name__)
_CHUNK = 256 * 1024
Address = tuple[str, int]
Carrier = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Routes = dict[Address, list[Address]]


def build_routes(behind: Iterable[tuple[Object, Sequence[Object]]], node_address: str) -> Routes:
    """Where to listen, and to which addresses of Pods connections go.

    Parameters
    ----------
    behind
        Services, each with the Pods behind it.
    node_address
        Where node ports are.
    """
    routes: Routes = {}
    for service, pods in behind:
        spec = service["spec"]
        for port in spec.get("ports") or ():
            targets = _find_targets(port, pods)
            if port.get("protocol", "TCP") != "TCP" or not targets:
                continue
            if spec.get("clusterIP") not in (None, "", "None"):
                routes[(spec["clusterIP"], port["port"])] = targets
            if port.get("nodePort"):
                routes[(node_address, port["nodePort"])] = targets
    return routes


def _find_targets(port: Mapping[str, Any], pods: Sequence[Object]) -> list[Address]:
    found = [(pod["status"]["podIP"], find_target_port(port, pod)) for pod in pods]
    return sorted((ip, number) for ip, number in found if number is not None)


class ServiceProxy:
    """Carries connections to Services."""

    def __init__(self) -> None:
        self._routes: Routes = {}
        self._turns: dict[Address, int] = {}
        # None where nobody may listen.
        self._servers: dict[Address, asyncio.Server | None] = {}
        self._taken: set[Address] = set()
        self._carrying: set[asyncio.Task[Any]] = set()

    @property
    def is_lacking(self) -> bool:
        """Whether a port could not be had that may be free later."""
        return bool(self._taken)

    async def set_routes(self, routes: Routes) -> None:
        """Listen where routes begin, and nowhere else; ports that were taken are tried again."""
        self._routes = routes
        self._taken &= routes.keys()
        for address in self._servers.keys() - routes.keys():
            server = self._servers.pop(address)
            self._turns.pop(address, None)
            if server is not None:
                server.close()
        for address in routes.keys() - self._servers.keys():
            if _is_loopback(address[0]):
                await self._listen(address)
            else:
                self._servers[address] = None
                why = "it is no loopback address"
                _LOG.warning("not listening on %s:%d for a Service: %s", *address, why)

    async def _listen(self, address: Address) -> None:
        server = None
        try:
            # Kept before it serves: a cancellation while it begins to must not lose it.
            carry = self._build_carrier(address)
            server = await asyncio.start_server(carry, *address, limit=_CHUNK, start_serving=False)
            self._servers[address] = server
            await server.start_serving()
            self._taken.discard(address)
        except OSError as error:
            if server is not None:
                server.close()
                del self._servers[address]
            if isinstance(error, PermissionError):
                self._servers[address] = None
            elif address in self._taken:
                return
            else:
                self._taken.add(address)
            _LOG.warning("cannot listen on %s:%d for a Service: %s", *address, error.strerror)

    def _build_carrier(self, address: Address) -> Carrier:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task is not None:
                self._carrying.add(task)
                task.add_done_callback(self._carrying.discard)
            await self._carry(address, reader, writer)

        return carry

    async def _carry(
        self, address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            backend = await self._connect(address)
            if backend is not None:
                ways = ((reader, backend[1]), (backend[0], writer))
                try:
                    await asyncio.gather(*(_pass_on(*way) for way in ways))
                finally:
                    backend[1].close()
        except OSError:
            pass
        finally:
            writer.close()

    async def _connect(
        self, address: Address
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect to the Pod whose turn it is, or to the next one that can be reached."""
        targets = self._routes.get(address) or []
        turn = self._turns[address] = self._turns.get(address, -1) + 1
        for offset in range(len(targets)):
            try:
                return await asyncio.open_connection(
                    *targets[(turn + offset) % len(targets)], limit=_CHUNK
                )
            except OSError:
                continue
        return None

    async def close(self) -> None:
        """Listen no more, and end what is being carried."""
        await self.set_routes({})
        for task in self._carrying:
            task.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        # A name could lead anywhere.
        return False


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on in one direction, and its end."""
    while block := await reader.read(_CHUNK):
        writer.write(block)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
