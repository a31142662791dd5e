"""Stores are shared, end some time after their last user, and survive the lack of a connection."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import ClassVar

import pytest

from dask_k8s_jupyter.server import hub as hub_module
from dask_k8s_jupyter.server.hub import StoreHub
from dask_k8s_jupyter.state import ClusterRemoved, ProblemChanged
from dask_k8s_operator.kube.errors import NoKubeconfigError


class FakeStore:
    """A ClusterStore that is synced at once and sees nothing."""

    made: ClassVar[list[FakeStore]] = []

    def __init__(self, client, namespace):
        self.views, self.problem, self.is_closed = {}, None, False
        self.failed = asyncio.Event()
        FakeStore.made.append(self)

    def subscribe(self, callback):
        return lambda: None

    async def start(self):
        """Begin with nothing."""

    async def wait_synced(self):
        """Wait for nothing."""

    async def wait_failed(self):
        await self.failed.wait()
        raise RuntimeError("a watch broke")

    async def close(self):
        self.is_closed = True


class FakeClient:
    """A connection to nowhere."""

    source = "a test"

    def __init__(self, host="https://10.0.0.1"):
        self.host, self.is_closed = host, False

    async def close(self):
        self.is_closed = True


@pytest.fixture
def made(monkeypatch):
    FakeStore.made = []
    monkeypatch.setattr(hub_module, "ClusterStore", FakeStore)
    monkeypatch.setattr(hub_module, "RETRY_BASE_S", 0.0)
    return FakeStore.made


async def connect():
    return FakeClient()


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_users_of_a_namespace_share_its_store(made):
    hub = StoreHub(connect)
    first, second, other = hub.borrow("a"), hub.borrow("a"), hub.borrow("b")
    await first.answered.wait()
    await other.answered.wait()
    assert first is second
    assert len(made) == 2
    await hub.close()
    assert all(store.is_closed for store in made)


async def test_a_store_closes_after_its_last_user_and_starts_again_with_the_next(made):
    hub = StoreHub(connect, linger_s=0)
    first = hub.borrow("a")
    second = hub.borrow("a")
    await first.answered.wait()
    hub.give_back(first)
    await settle()
    assert not made[0].is_closed
    hub.give_back(second)
    await settle()
    assert made[0].is_closed
    again = hub.borrow("a")
    await again.answered.wait()
    assert len(made) == 2
    await hub.close()


async def test_who_comes_back_in_time_finds_the_store_open(made):
    hub = StoreHub(connect, linger_s=0)
    store = hub.borrow("a")
    await store.answered.wait()
    hub.give_back(store)
    hub.borrow("a")
    await settle()
    assert not made[0].is_closed
    await hub.close()


async def test_the_lack_of_a_connection_is_told_and_outlived(made):
    failures = 2

    async def connect_late():
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise NoKubeconfigError("no kubeconfig: /none does not exist")
        return FakeClient()

    hub = StoreHub(connect_late)
    told = []
    store = hub.borrow("a")
    store.subscribe(told.append)
    await store.answered.wait()
    snapshot = store.build_snapshot()
    assert snapshot["problem"]["code"] == "no-kubeconfig"
    assert snapshot["clusters"] == []
    await settle()
    assert told[-1] == ProblemChanged(None)
    assert store.build_snapshot()["problem"] is None
    assert len(made) == 1
    await hub.close()


async def test_one_connection_serves_all(made):
    connections = []

    async def connect_counted():
        connections.append(FakeClient())
        return connections[-1]

    hub = StoreHub(connect_counted)
    stores = [hub.borrow(namespace) for namespace in "abc"]
    for store in stores:
        await store.answered.wait()
    assert await hub.client() is connections[0]
    assert len(connections) == 1
    await hub.close()


async def test_a_store_that_fails_says_so_and_begins_again(made, caplog):
    hub = StoreHub(connect)
    told = []
    store = hub.borrow("a")
    store.subscribe(told.append)
    await store.answered.wait()
    made[0].views = {("a", "gone"): SimpleNamespace(uid="u1")}
    made[0].failed.set()
    await settle()
    assert "cannot be followed" in caplog.text
    assert made[0].is_closed
    assert [change.problem and change.problem.message for change in told[:2]] == [
        "a watch broke",
        None,
    ]
    assert told[2:] == [ClusterRemoved("a", "gone", "u1")]
    assert len(made) == 2
    await hub.close()


async def test_a_fault_of_ours_leaves_nobody_waiting(monkeypatch, caplog):
    async def connect_wrongly():
        raise TypeError("a fault")

    hub = StoreHub(connect_wrongly)
    store = hub.borrow("a")
    await asyncio.wait_for(store.answered.wait(), 60)
    assert store.problem.message == "a fault"
    await hub.close()


async def test_another_kubernetes_is_noticed_when_somebody_asks(made):
    hosts = iter(["https://10.0.0.1", "https://10.0.0.1", "https://10.0.0.2"])
    clients = []

    async def connect_next():
        clients.append(FakeClient(next(hosts)))
        return clients[-1]

    hub = StoreHub(connect_next)
    store = hub.borrow("a")
    await store.answered.wait()
    await hub.check_again()
    assert await hub.client() is clients[0]
    assert clients[1].is_closed
    await hub.check_again()
    await settle()
    assert await hub.client() is clients[2]
    assert [one.is_closed for one in made] == [True, False]
    await hub.close()
    assert all(client.is_closed for client in clients)


async def test_the_end_of_a_use_is_forgotten_with_the_next(made):
    hub = StoreHub(connect)
    store = hub.borrow("a")
    hub.give_back(store)
    timer = store.linger
    hub.borrow("a")
    assert timer.cancelled()
    await hub.close()
