"""In which ways a tunnel asks for a connection, and whose refusal is the last word."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from dask_k8s_operator.kube import PortForward
from dask_k8s_operator.kube.errors import (
    ApiError,
    ApiUnreachableError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooManyRequestsError,
)
from dask_k8s_operator.kube.portforward import WAYS

PLAIN, WEBSOCKET = "SPDY/3.1", "websocket"


class Client:
    """An API that fails, in each way by itself."""

    def __init__(self, failures, *, upgrades_to_any=True):
        self.failures, self.upgrades_to_any = failures, upgrades_to_any
        self.asked = []

    @asynccontextmanager
    async def upgrade(self, path, target, handshake, read_s):
        way = handshake.request["Upgrade"]
        self.asked.append(way)
        raise self.failures[way]
        yield


async def fail_through(tunnel):
    """Let one connection fail."""
    async with tunnel as address:
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        writer.close()


BAD = InvalidError(400, "BadRequest", "Upgrade request required")
PAGE = ForbiddenError(403, "", "<html>")
CUT = ApiUnreachableError("host", "cut")
MISSING = NotFoundError(404, "NotFound", "no such Pod")


@pytest.mark.parametrize(
    ("plain", "websocket", "told", "asked"),
    [
        (MISSING, CUT, MISSING, [PLAIN]),
        (ForbiddenError(403, "Forbidden", "you may not"), CUT, None, [PLAIN]),
        (ApiError(500, "InternalError", "no kubelet"), CUT, None, [PLAIN]),
        (TooManyRequestsError(429, "", "too many requests"), CUT, None, [PLAIN]),
        (BAD, MISSING, MISSING, [PLAIN, WEBSOCKET]),
        (PAGE, MISSING, MISSING, [PLAIN, WEBSOCKET]),
        (CUT, MISSING, MISSING, [PLAIN, WEBSOCKET]),
        (PAGE, CUT, PAGE, [PLAIN, WEBSOCKET]),
    ],
)
async def test_only_what_the_api_itself_refuses_is_asked_once(plain, websocket, told, asked):
    client = Client({PLAIN: plain, WEBSOCKET: websocket})
    tunnel = PortForward(client, "team", port=8786, pod="demo-scheduler")
    await fail_through(tunnel)
    assert client.asked == asked
    assert tunnel.error is (told or plain)


async def test_without_the_parser_in_c_only_websockets_are_asked_for():
    client = Client({WEBSOCKET: CUT}, upgrades_to_any=False)
    await fail_through(PortForward(client, "team", port=8786, pod="demo-scheduler"))
    assert client.asked == [WEBSOCKET]


async def test_a_way_that_no_longer_leads_there_is_forgotten():
    client = Client({PLAIN: PAGE, WEBSOCKET: CUT})
    tunnel = PortForward(client, "team", port=8786, pod="demo-scheduler")
    tunnel._ways = WAYS[:1]
    await fail_through(tunnel)
    await fail_through(tunnel)
    assert client.asked == [PLAIN, PLAIN, WEBSOCKET]
