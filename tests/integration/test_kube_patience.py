"""An API server that asks for patience gets it, and the operator counts how much."""

from __future__ import annotations

import time

import pytest
from aiohttp import web

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.auth import Credentials
from dask_k8s_operator.kube.errors import ApiError, TooManyRequestsError
from dask_k8s_operator.resources.kinds import PODS


class BusyServer:
    """Refuses so many requests before it answers."""

    def __init__(self, refusals: int, status: int = 429, retry_after: str | None = "1") -> None:
        self.refusals, self.status, self.retry_after = refusals, status, retry_after
        self.asked_s: list[float] = []

    async def answer(self, _: web.Request) -> web.Response:
        self.asked_s.append(time.monotonic())
        if len(self.asked_s) > self.refusals:
            return web.json_response({"metadata": {"name": "x", "resourceVersion": "1"}})
        headers = {"Retry-After": self.retry_after} if self.retry_after else {}
        return web.json_response({"message": "slow down"}, status=self.status, headers=headers)

    async def __aenter__(self) -> KubeClient:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self.answer)
        self.runner = web.AppRunner(application)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        port = self.runner.addresses[0][1]
        self.client = KubeClient(Credentials(f"http://127.0.0.1:{port}"))
        return self.client

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self.runner.cleanup()


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_api_is_asked_again_when_it_said_and_the_wait_is_counted(status):
    server = BusyServer(1, status)
    async with server as client:
        await client.create(PODS, {"metadata": {"name": "x"}}, "ns")
        assert server.asked_s[1] - server.asked_s[0] >= 1.0
        assert (client.usage.throttled, client.usage.throttled_s) == (1, 1.0)
        assert client.usage.answers["create", "pods", status] == 1
        assert client.usage.answers["create", "pods", 200] == 1


async def test_an_api_that_stays_busy_is_given_up_after_a_while():
    server = BusyServer(100, retry_after="0")
    async with server as client:
        with pytest.raises(TooManyRequestsError):
            await client.get(PODS, "x", "ns")
    assert 1 < len(server.asked_s) < 10


async def test_a_failure_that_asks_for_nothing_is_not_asked_twice():
    server = BusyServer(100, 503, retry_after=None)
    async with server as client:
        with pytest.raises(ApiError):
            await client.create(PODS, {"metadata": {"name": "x"}}, "ns")
    assert len(server.asked_s) == 1
