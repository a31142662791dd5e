"""Many Pods that change one by one are looked at together; few are looked at at once."""

import asyncio

import pytest

from dask_k8s_operator.controller.loop import MANY_WORKERS, Controller, Surroundings
from dask_k8s_operator.controller.relations import Request
from dask_k8s_operator.resources import builders
from dask_k8s_operator.resources.kinds import DASK_WORKER_GROUPS, PODS


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
        assert slept == [MANY_WORKERS / 1000]
    controller.queue.close()
