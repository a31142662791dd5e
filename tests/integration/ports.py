"""Ports for programs that have to be told theirs before they start."""

from __future__ import annotations

import socket


def hold_port() -> int:
    """A port of 127.0.0.1 that nobody else is given, until this process ends.

    It is bound and never listened on: whoever is told of it and sets ``SO_REUSEADDR``, as every
    server does, may listen there, again and again, while the system picks it for nobody.
    """
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    # Only now: two that look for a port may not be given the same one.
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port = int(holder.getsockname()[1])
    holder.detach()
    return port
