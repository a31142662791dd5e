"""What is looked at, and when: many Pods that change one by one are looked at together."""

import asyncio

import pytest

from dask_k8s_operator.controller.loop import (
    LONGEST_PATIENCE_S,
    MANY_WORKERS,
    Controller,
    Surroundings,
)
from dask_k8s_operator.controller.relations import Request
from dask_k8s_operator.resources import builders
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS


@pytest.mark.parametrize(
    ("workers", "is_at_once"), [(1, True), (MANY_WORKERS - 1, True), (MANY_WORKERS, False)]
)
async def test_a_group_is_looked_at_at_once_unless_it_has_many_workers(make, workers, is_at_once):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        await asyncio.Event().wait()

    around = Surroundings(monotonic=lambda: 0.0, sleep=sleep)
    controller = Controller(None, None, surroundings=around)
    group = make.group()
    digits = (f"{index:010x}" for index in range(workers))
    pods = builders.build_worker_pods(group, digits)
    for pod in pods[1:]:
        controller.cache.informed(PODS, None, pod)
    while len(controller.queue):
        controller.queue.done(await controller.queue.get())
    controller.cache.informed(PODS, None, pods[0])
    if is_at_once:
        metadata = group["metadata"]
        wanted = Request(DASK_WORKER_GROUPS, metadata["namespace"], metadata["name"])
        assert await controller.queue.get() == wanted
    else:
        assert (len(controller.queue), controller.queue.delayed) == (0, 1)
        await asyncio.sleep(0)
        assert slept == [MANY_WORKERS / 500]
    controller.queue.close()


class Clock:
    """A time that a test moves on."""

    def __init__(self):
        self.now, self.sleepers = 0.0, []

    async def sleep(self, seconds):
        awake = asyncio.Event()
        self.sleepers.append((self.now + seconds, awake))
        await awake.wait()

    async def pass_time(self, seconds):
        await asyncio.sleep(0)  # who is about to sleep
        self.now += seconds
        for due, awake in self.sleepers:
            if due <= self.now:
                awake.set()
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def controller(clock):
    around = Surroundings(monotonic=lambda: clock.now, sleep=clock.sleep)
    controller = Controller(None, None, surroundings=around)
    yield controller
    controller.queue.close()


async def _take_all(queue):
    taken = []
    while len(queue):
        request = await queue.get()
        queue.done(request)
        taken.append(request.kind)
    return taken


def _changed(group, version, **more):
    metadata = {**group["metadata"], "resourceVersion": version}
    return {**group, "metadata": metadata, **more}


async def test_a_write_of_ours_is_looked_at_once(make, controller):
    group = _changed(make.group(), "1")
    controller.cache.informed(DASK_WORKER_GROUPS, None, group)
    assert set(await _take_all(controller.queue)) == {DASK_WORKER_GROUPS, DASK_CLUSTERS}
    written = _changed(group, "2", status={"ready": "1/2"})
    controller.cache.remember(DASK_WORKER_GROUPS, written)
    assert set(await _take_all(controller.queue)) == {DASK_WORKER_GROUPS, DASK_CLUSTERS}
    controller.cache.informed(DASK_WORKER_GROUPS, group, written)
    assert (len(controller.queue), controller.queue.delayed) == (0, 0)


@pytest.mark.parametrize("is_watch_faster", [False, True])
async def test_the_status_of_a_group_with_many_workers_does_not_hurry_its_own_next_one(
    make, controller, clock, is_watch_faster
):
    group = _changed(make.group(), "1")
    controller.cache.informed(DASK_WORKER_GROUPS, None, group)
    digits = (f"{index:010x}" for index in range(1000))
    for pod in builders.build_worker_pods(group, digits):
        controller.cache.informed(PODS, None, pod)
    await clock.pass_time(LONGEST_PATIENCE_S)
    await _take_all(controller.queue)
    assert controller.queue.delayed == 0
    written = _changed(group, "2", status={"ready": "1/1000"})
    if is_watch_faster:
        controller.cache.informed(DASK_WORKER_GROUPS, group, written)
    controller.cache.remember(DASK_WORKER_GROUPS, written)
    assert await _take_all(controller.queue) == [DASK_CLUSTERS]
    await clock.pass_time(LONGEST_PATIENCE_S - 0.1)
    assert await _take_all(controller.queue) == []
    await clock.pass_time(0.2)
    assert await _take_all(controller.queue) == [DASK_WORKER_GROUPS]


async def test_a_status_of_somebody_else_is_put_right_after_a_while(make, controller):
    group = _changed(make.group(), "1")
    controller.cache.informed(DASK_WORKER_GROUPS, None, group)
    await _take_all(controller.queue)
    foreign = _changed(group, "2", status={"ready": "7/7"})
    controller.cache.informed(DASK_WORKER_GROUPS, group, foreign)
    assert await _take_all(controller.queue) == [DASK_CLUSTERS]
    assert controller.queue.delayed == 1


async def test_a_wish_is_looked_at_at_once(make, controller):
    group = _changed(make.group(), "1")
    controller.cache.informed(DASK_WORKER_GROUPS, None, group)
    await _take_all(controller.queue)
    wished = _changed(make.group(replicas=9), "2")
    controller.cache.informed(DASK_WORKER_GROUPS, group, wished)
    assert set(await _take_all(controller.queue)) == {DASK_WORKER_GROUPS, DASK_CLUSTERS}
