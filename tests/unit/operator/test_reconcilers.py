"""A few at a time; who waits for somebody leaves the turn to another; no failure is lost."""

import asyncio

import pytest

from dask_k8s_operator.controller.reconcilers import Reconcilers
from dask_k8s_operator.kube import WorkQueue


class Scene:
    """Reconcilers whose keys say what happens: "a…" waits aside, others only work."""

    def __init__(self, number):
        self.queue = WorkQueue()
        self.begun, self.ended = [], []
        self.answer = asyncio.Event()
        self.release = asyncio.Event()
        self.reconcilers = Reconcilers(self.queue, self.work, number)
        self.running = asyncio.ensure_future(self.reconcilers.run())

    async def work(self, key):
        self.begun.append(key)
        if key == "fail":
            raise RuntimeError("it broke")
        if key.startswith("aside"):
            async with self.reconcilers.aside():
                await self.answer.wait()
        else:
            await self.release.wait()
        self.ended.append(key)

    async def add(self, *keys):
        for key in keys:
            self.queue.add(key)
        for _ in range(200):
            await asyncio.sleep(0)


async def test_no_more_than_so_many_are_at_work():
    scene = Scene(2)
    await scene.add("x", "y", "z")
    assert scene.begun == ["x", "y"]
    scene.release.set()
    await scene.add()
    assert scene.begun == scene.ended == ["x", "y", "z"]
    scene.queue.close()
    await scene.running


async def test_however_many_wait_aside_others_get_their_turn():
    scene = Scene(1)
    waiting = [f"aside-{number}" for number in range(20)]
    await scene.add(*waiting, "x")
    assert scene.begun == [*waiting, "x"]
    await scene.add("aside-3")
    assert scene.begun.count("aside-3") == 1  # its key is its own meanwhile
    scene.answer.set()
    await scene.add()
    assert scene.ended == []  # x has the only turn
    scene.release.set()
    await scene.add()
    assert sorted(scene.ended) == sorted([*waiting, "aside-3", "x"])
    scene.queue.close()
    await scene.running


async def test_what_the_work_raises_ends_everything():
    scene = Scene(1)
    await scene.add("fail")
    with pytest.raises(RuntimeError, match="it broke"):
        await scene.running


async def test_at_the_end_the_late_are_cancelled():
    scene = Scene(2)
    await scene.add("aside", "x")
    scene.queue.close()
    await scene.reconcilers.finish(grace_s=0.0)
    assert scene.ended == []
    await scene.running


async def test_a_turn_that_came_at_the_end_is_given_back_to_those_that_stood_aside():
    scene = Scene(1)
    await scene.add("aside", "x", "never")
    finishing = asyncio.ensure_future(scene.reconcilers.finish(grace_s=10.0))
    await scene.add()
    scene.release.set()
    await scene.add()  # "never" is handed the turn of "x", and is not begun
    scene.answer.set()
    scene.queue.close()
    await scene.add()
    assert scene.begun == scene.ended[::-1] == ["aside", "x"]
    await asyncio.gather(finishing, scene.running)


async def test_those_that_take_too_long_are_cancelled_in_the_order_of_their_beginning():
    begun, ended, all_begun = [], [], asyncio.Event()
    queue = WorkQueue()

    async def work(key):
        begun.append(key)
        if len(begun) == 40:
            all_begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(key)

    reconcilers = Reconcilers(queue, work, 40)
    running = asyncio.ensure_future(reconcilers.run())
    for key in range(40):
        queue.add(key)
    await all_begun.wait()
    queue.close()
    await running
    await reconcilers.finish(grace_s=0.0)
    assert ended == list(range(40))
