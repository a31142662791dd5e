"""How connections to an API are made: proxy, addresses, sockets.

Guarantees that a connection whose other end vanished is noticed within a minute, and that new ones
can be made while the interpreter ends, when clusters are deleted that nobody closed.
"""

from __future__ import annotations

import asyncio
import socket
import weakref
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from aiohttp.abc import AbstractResolver, ResolveResult

GOODBYE_S = 1.0
GOODBYE_STEP_S = 0.005


def find_proxy(host: str) -> str | None:
    """Find the proxy that the environment names for a URL, as kubectl does; None for a direct way.

    Never one for this machine itself: a proxy would reach a loopback of its own.
    aiohttp's own ``trust_env`` would also look for a netrc file at every request, in a thread.
    """
    parts = urlsplit(host)
    proxies = getproxies()
    if is_loopback(parts.hostname or ""):
        return None
    if proxy_bypass(parts.netloc):
        return None
    return proxies.get(parts.scheme)


def is_loopback(host: str) -> bool:
    """Whether a host of a URL means this machine.

    Examples
    --------
    >>> is_loopback("127.64.0.1"), is_loopback("::1"), is_loopback("10.0.0.1")
    (True, True, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Resolver(AbstractResolver):
    """Looks names up in a thread, and without one when the interpreter no longer starts any."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look a name up."""
        options = {"family": family, "type": socket.SOCK_STREAM}
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, **options)
        except RuntimeError:
            found = socket.getaddrinfo(host, port, **options)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for family, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing to close."""


class Sockets:
    """Builds the sockets of one session, and waits for their end.

    A session that is closed has only begun to say goodbye to TLS peers: an event loop that ends at
    once would leave sockets open.
    """

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def build(self, address: Any) -> socket.socket:
        """Build a socket that notices within a minute when its other end is gone without a word."""
        family, kind, protocol, _, _ = address
        sock = socket.socket(family, kind, protocol)
        self._sockets.add(sock)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):  # macOS spells the first one differently
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
        return sock

    async def wait_closed(self) -> None:
        """Wait until all are closed, at most ``GOODBYE_S``."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + GOODBYE_S
        # A socket tells nobody that it is closed.
        while self._has_open() and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(GOODBYE_STEP_S)

    def _has_open(self) -> bool:
        return any(sock.fileno() != -1 for sock in self._sockets)
