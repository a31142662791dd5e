"""The guarantees of the work-queue, in virtual time."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_k8s_operator.kube import WorkQueue, WorkQueueClosed


class VirtualTime:
    """A clock that moves only when told to, and the sleep that goes with it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._serial = 0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self._serial += 1
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, self._serial, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        end = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heapq.heappop(self._sleepers)
            self.now = max(self.now, due)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self.now = end


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def virtual() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def queue(virtual: VirtualTime) -> WorkQueue[str]:
    return WorkQueue(
        backoff_base_s=1.0, backoff_max_s=10.0, clock=virtual.clock, sleep=virtual.sleep
    )


async def test_a_key_that_is_added_often_comes_out_once(queue: WorkQueue[str]) -> None:
    for _ in range(5):
        queue.add("a")
    assert await queue.get() == "a"
    assert len(queue) == 0


async def test_keys_come_out_in_the_order_in_which_they_went_in(queue: WorkQueue[str]) -> None:
    for key in "cab":
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == ["c", "a", "b"]


async def test_a_held_key_goes_to_nobody_else(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.get()
    queue.add("a")
    second = asyncio.ensure_future(queue.get())
    await settle()
    assert not second.done()
    queue.done("a")
    assert await second == "a"


async def test_a_key_that_was_not_added_again_does_not_come_again(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.done(await queue.get())
    assert len(queue) == 0
    assert queue.held == frozenset()


async def test_a_delayed_key_comes_when_it_is_due(
    queue: WorkQueue[str], virtual: VirtualTime
) -> None:
    queue.add_after("a", 5)
    await virtual.advance(4.9)
    assert len(queue) == 0
    await virtual.advance(0.2)
    assert len(queue) == 1


@pytest.mark.parametrize(("first_s", "second_s"), [(5, 2), (2, 5)])
async def test_the_earlier_of_two_delays_counts_and_only_once(
    queue: WorkQueue[str], virtual: VirtualTime, first_s: float, second_s: float
) -> None:
    queue.add_after("a", first_s)
    queue.add_after("a", second_s)
    await virtual.advance(2.1)
    assert await queue.get() == "a"
    queue.done("a")
    await virtual.advance(10)
    assert len(queue) == 0


async def test_an_add_now_leaves_the_later_one_standing(
    queue: WorkQueue[str], virtual: VirtualTime
) -> None:
    queue.add_after("a", 5)
    queue.add("a")
    queue.done(await queue.get())
    await virtual.advance(5)
    assert await queue.get() == "a"


async def test_failures_wait_twice_as_long_each_up_to_a_limit(
    queue: WorkQueue[str], virtual: VirtualTime
) -> None:
    delays = []
    for _ in range(6):
        delays.append(queue.add_failed("a"))
        await virtual.advance(delays[-1])
        queue.done(await queue.get())
    assert delays == [1, 2, 4, 8, 10, 10]
    queue.forget("a")
    assert queue.add_failed("a") == 1


async def test_a_thousand_failures_do_not_overflow(queue: WorkQueue[str]) -> None:
    for _ in range(2000):
        assert queue.add_failed("a") <= 10


async def test_a_cancelled_worker_takes_no_key_with_it(queue: WorkQueue[str]) -> None:
    first = asyncio.ensure_future(queue.get())
    second = asyncio.ensure_future(queue.get())
    await settle()
    queue.add("a")
    first.cancel()
    assert await second == "a"


async def test_a_closed_queue_ends_its_workers(queue: WorkQueue[str]) -> None:
    waiting = asyncio.ensure_future(queue.get())
    await settle()
    queue.close()
    with pytest.raises(WorkQueueClosed):
        await waiting
    queue.add("a")
    with pytest.raises(WorkQueueClosed):
        await queue.get()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "add_after", "add_failed", "get", "done", "advance"]),
            st.sampled_from("abc"),
            st.floats(0, 20),
        ),
        max_size=60,
    )
)
def test_no_history_loses_a_key_or_gives_it_to_two(
    history: list[tuple[str, str, float]],
) -> None:
    async def play() -> None:
        virtual = VirtualTime()
        queue: WorkQueue[str] = WorkQueue(clock=virtual.clock, sleep=virtual.sleep)
        owed: set[str] = set()
        for action, key, seconds in history:
            if action == "get" and len(queue):
                got = await queue.get()
                owed.discard(got)
            elif action == "done" and key in queue.held:
                queue.done(key)
            elif action == "advance":
                await virtual.advance(seconds)
            elif action.startswith("add"):
                adders: dict[str, Callable[[], object]] = {
                    "add": lambda key=key: queue.add(key),
                    "add_after": lambda key=key, s=seconds: queue.add_after(key, s),
                    "add_failed": lambda key=key: queue.add_failed(key),
                }
                adders[action]()
                owed.add(key)
        await virtual.advance(100)
        for key in queue.held:
            queue.done(key)
        remaining = {await queue.get() for _ in range(len(queue))}
        assert owed <= remaining
        queue.close()
        await settle()

    asyncio.run(play())
