"""How a request becomes a bare connection for SPDY streams: what asks for it, what grants it.

Guarantees that a connection counts as granted only with everything that grants it. Refuses to
choose between the ways: that is the tunnel's.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from typing import NamedTuple

_STREAMS = "portforward.k8s.io"
_ACCEPT_SUFFIX = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SWITCHING = 101


class Handshake(NamedTuple):
    """One request for a connection.

    Parameters
    ----------
    request
        Headers to ask with.
    answer
        Headers that grant it, as they have to read, whatever else the answer has.
    """

    request: Mapping[str, str]
    answer: Mapping[str, str]

    def is_granted(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether an answer makes the connection ours."""
        return status == _SWITCHING and all(
            headers.get(name) == value for name, value in self.answer.items()
        )


def build_spdy_handshake() -> Handshake:
    """Ask for SPDY on the connection itself, as kubectl did for years.

    Examples
    --------
    >>> build_spdy_handshake().request["Upgrade"]
    'SPDY/3.1'
    """
    wanted = {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": _STREAMS}
    return Handshake({"Connection": "Upgrade", **wanted}, wanted)


def build_websocket_handshake() -> Handshake:
    """Ask for SPDY in the messages of a websocket (RFC 6455), which the API knows from 1.31.

    Examples
    --------
    >>> build_websocket_handshake().answer["Sec-WebSocket-Protocol"]
    'SPDY/3.1+portforward.k8s.io'
    """
    key = base64.b64encode(os.urandom(16))
    digest = hashlib.sha1(key + _ACCEPT_SUFFIX, usedforsecurity=False).digest()
    protocol = {"Sec-WebSocket-Protocol": f"SPDY/3.1+{_STREAMS}"}
    request = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key.decode(),
        **protocol,
    }
    accept = base64.b64encode(digest).decode()
    return Handshake(request, {"Sec-WebSocket-Accept": accept, **protocol})
