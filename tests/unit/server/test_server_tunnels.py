"""Ways to dashboards are shared, and end with their users or their cluster."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from dask_k8s_jupyter.errors import ClusterNotFoundError, DashboardUnavailableError
from dask_k8s_jupyter.server import tunnels as tunnels_module
from dask_k8s_jupyter.server.tunnels import Tunnels
from dask_k8s_jupyter.state import ClusterRemoved, Problem
from dask_k8s_operator.kube.errors import ApiUnreachableError

KEY = ("team-a", "demo")


class FakeHub:
    """Knows one cluster; is its own store."""

    def __init__(self):
        self.views = {KEY: object()}
        self.problem = None
        self.answered = asyncio.Event()
        self.answered.set()
        self.lent = 0
        self.callbacks = []

    def borrow(self, namespace):
        self.lent += 1
        return self

    def give_back(self, store):
        self.lent -= 1

    def subscribe(self, callback):
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)

    async def client(self):
        return "client"


@pytest.fixture
def ways(monkeypatch):
    opened = []

    @asynccontextmanager
    async def reach(client, namespace, name, port):
        opened.append("open")
        if len(opened) > 100:
            raise AssertionError("it opens again and again")
        try:
            yield "127.0.0.1", 40000 + len(opened)
        finally:
            opened.append("closed")

    monkeypatch.setattr(tunnels_module, "reach", reach)
    return opened


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_all_pages_of_a_dashboard_share_one_way(ways):
    tunnels = Tunnels(FakeHub())
    async with tunnels.use(*KEY) as first, tunnels.use(*KEY) as second:
        assert first == second
    assert ways == ["open"]
    await tunnels.close()
    assert ways == ["open", "closed"]


async def test_a_way_that_nobody_uses_closes_and_lets_go_of_the_store(ways):
    hub = FakeHub()
    tunnels = Tunnels(hub, idle_s=0)
    async with tunnels.use(*KEY):
        assert hub.lent == 1
    await settle()
    assert ways == ["open", "closed"]
    assert hub.lent == 0
    assert hub.callbacks == []
    async with tunnels.use(*KEY):
        assert ways[-1] == "open"
    await tunnels.close()


async def test_a_way_closes_with_its_cluster_and_not_with_another(ways):
    hub = FakeHub()
    tunnels = Tunnels(hub)
    async with tunnels.use(*KEY):
        hub.callbacks[0](ClusterRemoved("team-a", "other", "u2"))
        await settle()
        assert ways == ["open"]
        hub.callbacks[0](ClusterRemoved(*KEY, "u1"))
        await settle()
        assert ways == ["open", "closed"]


async def test_a_cluster_that_nobody_knows_is_not_reached_for(ways):
    hub = FakeHub()
    tunnels = Tunnels(hub)
    with pytest.raises(ClusterNotFoundError, match="team-a/gone"):
        async with tunnels.use("team-a", "gone"):
            pass
    hub.problem = Problem("forbidden", "A permission is missing", "You may not list")
    with pytest.raises(DashboardUnavailableError, match="You may not list"):
        async with tunnels.use("team-a", "gone"):
            pass
    await settle()
    assert ways == []
    assert hub.lent == 0


async def test_a_failure_is_told_to_who_waits_and_the_next_one_tries_again(ways, monkeypatch):
    attempts = []

    @asynccontextmanager
    async def reach(client, namespace, name, port):
        attempts.append(name)
        raise ApiUnreachableError("https://10.0.0.1", "timed out")
        yield

    monkeypatch.setattr(tunnels_module, "reach", reach)
    tunnels = Tunnels(FakeHub())
    for _ in range(2):
        with pytest.raises(ApiUnreachableError):
            async with tunnels.use(*KEY):
                pass
        await settle()
    assert len(attempts) == 2


async def test_a_page_that_goes_away_while_it_waits_takes_no_other_with_it(ways):
    hub = FakeHub()
    hub.answered.clear()
    tunnels = Tunnels(hub)

    async def look():
        async with tunnels.use(*KEY) as address:
            return address

    impatient, patient = asyncio.ensure_future(look()), asyncio.ensure_future(look())
    await settle()
    impatient.cancel()
    await settle()
    hub.answered.set()
    assert (await patient)[0] == "127.0.0.1"
    await tunnels.close()


async def test_a_fault_of_ours_leaves_nobody_waiting(ways, monkeypatch, caplog):
    @asynccontextmanager
    async def reach(client, namespace, name, port):
        raise TypeError("a fault")
        yield

    monkeypatch.setattr(tunnels_module, "reach", reach)
    tunnels = Tunnels(FakeHub())
    with pytest.raises(TypeError, match="a fault"):
        async with tunnels.use(*KEY):
            pass
    assert "team-a/demo failed" in caplog.text


async def test_a_way_that_waits_ends_with_the_server(ways):
    hub = FakeHub()
    hub.answered.clear()
    tunnels = Tunnels(hub)

    async def look():
        async with tunnels.use(*KEY):
            pass

    looking = asyncio.ensure_future(look())
    await settle()
    await tunnels.close()
    with pytest.raises(DashboardUnavailableError, match="server stops"):
        await looking
    assert hub.lent == 0
