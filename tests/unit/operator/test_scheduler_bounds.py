"""What all schedulers together may cost, in connections and memory; the silent delay few others."""

import asyncio
from types import SimpleNamespace

import pytest

from dask_k8s_operator import scheduler as scheduler_module
from dask_k8s_operator.scheduler import (
    ASKED_AT_ONCE,
    BIG_ANSWERS_AT_ONCE,
    CHUNK_BYTES,
    MAX_ANSWER_BYTES,
    SMALL_ANSWER_BYTES,
    SchedulerClient,
    SchedulerPlace,
)

IDLE = b'{"idle_s": 7}'


class Exchange:
    """One question to a scheduler of which the URL says what it does."""

    def __init__(self, world, url):
        self.world, self.url, self.status = world, url, 200
        self.content = SimpleNamespace(iter_chunked=self.chunks)

    async def __aenter__(self):
        self.world.asked += 1
        if "silent" in self.url:
            await self.world.given_up.wait()
            raise asyncio.TimeoutError
        return self

    async def __aexit__(self, *exception):
        pass

    async def chunks(self, size):
        if "big" not in self.url:
            yield IDLE
            return
        while not self.world.ended.is_set():
            self.world.sent_bytes[self.url] = self.world.sent_bytes.get(self.url, 0) + size
            yield b" " * size
            if self.world.sent_bytes[self.url] + size > MAX_ANSWER_BYTES:
                await self.world.ended.wait()
        yield b" " * MAX_ANSWER_BYTES


@pytest.fixture
def world(monkeypatch):
    made = SimpleNamespace(asked=0, sent_bytes={}, given_up=asyncio.Event(), ended=asyncio.Event())
    session = SimpleNamespace(request=lambda method, url, **options: Exchange(made, url))
    monkeypatch.setattr(SchedulerClient, "_open_session", lambda client: session)
    return made


def ask(client, *names):
    places = [SchedulerPlace(f"http://{name}") for name in names]
    return [asyncio.ensure_future(client.idle_s(place)) for place in places]


async def settle():
    for _ in range(400):
        await asyncio.sleep(0)


async def test_so_many_are_asked_at_once_and_the_silent_hold_up_others_only_once(world):
    client = SchedulerClient()
    silent = [f"silent-{number}" for number in range(3 * ASKED_AT_ONCE)]
    first = ask(client, *silent)
    await settle()
    assert world.asked == ASKED_AT_ONCE
    world.given_up.set()
    answers = await asyncio.gather(*first)
    assert all("does not answer" in answer.problem for answer in answers)
    world.given_up.clear()
    again = ask(client, *silent)
    (other,) = ask(client, "good")
    assert (await other).value == 7
    world.given_up.set()
    await asyncio.gather(*again)


async def test_a_scheduler_that_answers_again_is_silent_no_more(world):
    client = SchedulerClient()
    world.given_up.set()
    await ask(client, "silent")[0]
    assert client._silent == {"http://silent"}
    client._silent.add("http://good")
    await ask(client, "good")[0]
    assert client._silent == {"http://silent"}


async def test_big_answers_hold_no_more_memory_than_they_may_together(world):
    client = SchedulerClient()
    asked = ask(client, *(f"big-{number}" for number in range(ASKED_AT_ONCE - 1)))
    await settle()
    small = (ASKED_AT_ONCE - BIG_ANSWERS_AT_ONCE) * (SMALL_ANSWER_BYTES + CHUNK_BYTES)
    assert sum(world.sent_bytes.values()) <= BIG_ANSWERS_AT_ONCE * MAX_ANSWER_BYTES + small
    assert sum(world.sent_bytes.values()) > BIG_ANSWERS_AT_ONCE * SMALL_ANSWER_BYTES
    (other,) = ask(client, "good")
    assert (await other).value == 7
    world.ended.set()
    answers = await asyncio.gather(*asked)
    limit = f"more than {scheduler_module.MAX_ANSWER_BYTES >> 20} MiB"
    assert all(limit in answer.problem for answer in answers)
