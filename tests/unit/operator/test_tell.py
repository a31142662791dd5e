"""Events are few, and what is said again is counted."""

from __future__ import annotations

import itertools
import weakref

import pytest

from dask_k8s_operator.controller.tell import BURST, Teller
from dask_k8s_operator.kube.errors import ForbiddenError, NotFoundError
from dask_k8s_operator.reconcile.plan import Delete, Notice
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, PODS


class FakeClient:
    def __init__(self):
        self.created, self.patched = [], []
        self.failure = None

    async def create(self, kind, body):
        if self.failure:
            raise self.failure
        self.created.append(body)

    async def patch(self, kind, name, body, namespace):
        if self.failure:
            failure, self.failure = self.failure, None
            raise failure
        self.patched.append((name, body["count"]))


class World:
    def __init__(self, make):
        self.now = 0.0
        self.client = FakeClient()
        numbers = itertools.count()
        self.teller = Teller(
            self.client, clock=lambda: self.now, random_hex=lambda _: f"{next(numbers)}"
        )
        self.cluster = make.cluster()

    async def tell(self, message, reason="ScaledUp"):
        await self.teller.tell(DASK_CLUSTERS, self.cluster, (Notice(reason, message),))


@pytest.fixture
def world(make):
    return World(make)


async def test_one_object_has_a_burst_of_events_and_then_one_a_minute(world, caplog):
    caplog.set_level("INFO")
    for number in range(BURST + 20):
        await world.tell(f"to {number}")
    assert len(world.client.created) == BURST
    assert f"to {BURST + 19}" in caplog.text
    world.now += 130.0
    for number in range(5):
        await world.tell(f"later {number}")
    assert len(world.client.created) == BURST + 2


async def test_another_object_is_not_held_back(world, make):
    for number in range(BURST + 1):
        await world.tell(f"to {number}")
    world.cluster = make.cluster("other")
    await world.tell("to 1")
    assert len(world.client.created) == BURST + 1


async def test_what_is_said_again_is_counted_in_the_event_that_is_there(world):
    for _ in range(3):
        await world.tell("2 Pods do not fit", "Unschedulable")
        world.now += 30.0
    assert len(world.client.created) == 1
    assert world.client.patched == [("demo.0", 2), ("demo.0", 3)]
    world.now += 601.0
    await world.tell("2 Pods do not fit", "Unschedulable")
    assert len(world.client.created) == 2


async def test_an_event_that_was_cleaned_up_is_written_anew(world):
    await world.tell("same")
    world.client.failure = NotFoundError(404, "NotFound", "gone")
    await world.tell("same")
    assert len(world.client.created) == 2


async def test_an_event_that_is_refused_stops_nothing(world, caplog):
    world.client.failure = ForbiddenError(403, "Forbidden", "no Events for you")
    await world.tell("hello")
    assert "cannot write an Event about DaskCluster team/demo" in caplog.text


async def test_what_was_said_is_remembered_without_the_writes_that_it_was_of(world):
    notice = Notice("Retired", "1 worker retired", of=(Delete(PODS, "a", "w", "u"),))
    deletion = weakref.ref(notice.of[0])
    await world.teller.tell(DASK_CLUSTERS, world.cluster, (notice,))
    del notice
    assert deletion() is None
