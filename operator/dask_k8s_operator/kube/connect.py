"""How connections to an API are made: proxy, addresses, sockets.

Guarantees that a connection whose other end vanished is noticed within a minute, and that new ones
can be made while the interpreter ends, when clusters are deleted that nobody closed.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from aiohttp.abc import AbstractResolver, ResolveResult


def find_proxy(host: str) -> str | None:
    """Find the proxy that the environment names for a URL, as kubectl does; None for a direct way.

    aiohttp's own ``trust_env`` would also look for a netrc file at every request, in a thread.
    """
    parts = urlsplit(host)
    proxies = getproxies()
    if proxy_bypass(parts.netloc):
        return None
    return proxies.get(parts.scheme)


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


def build_socket(address: Any) -> socket.socket:
    """Build a socket that notices within a minute when its other end is gone without a word."""
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # macOS spells the first one differently
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
    return sock
