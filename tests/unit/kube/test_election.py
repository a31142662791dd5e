"""Leader election against a Lease in memory, on a clock that the tests turn."""

from __future__ import annotations

import asyncio
import copy
import itertools
from types import SimpleNamespace

import pytest

from dask_k8s_operator.kube.election import LeaderElection
from dask_k8s_operator.kube.errors import (
    AlreadyExistsError,
    ApiUnreachableError,
    ConflictError,
    NotFoundError,
)


class Clock:
    """Time that passes only when everybody sleeps."""

    def __init__(self):
        self.now = 0.0
        self.sleepers = []
        self.serial = itertools.count()

    async def sleep(self, seconds):
        woken = asyncio.get_running_loop().create_future()
        self.sleepers.append((self.now + seconds, next(self.serial), woken))
        await woken

    async def turn(self, until_s):
        while True:
            for _ in range(20):
                await asyncio.sleep(0)
            self.sleepers = sorted(s for s in self.sleepers if not s[2].done())
            if not self.sleepers or self.sleepers[0][0] > until_s:
                self.now = until_s
                return
            self.now, _, woken = self.sleepers.pop(0)
            woken.set_result(None)


class Api:
    """One Lease, with conflicts as a real API has them."""

    def __init__(self):
        self.lease = None
        self.version = 0
        self.requests = []

    def client(self):
        return Connection(self)

    def store(self, spec):
        self.version += 1
        metadata = {"name": "op", "uid": "u", "resourceVersion": str(self.version)}
        self.lease = {"metadata": metadata, "spec": spec}
        return copy.deepcopy(self.lease)


class Connection:
    def __init__(self, api):
        self.api = api
        self.is_down = False

    def _ask(self, verb):
        if self.is_down:
            raise ApiUnreachableError("https://api", "gone")
        self.api.requests.append(verb)

    async def get(self, kind, name, namespace):
        self._ask("get")
        if self.api.lease is None:
            raise NotFoundError(404, "NotFound", "no lease")
        return copy.deepcopy(self.api.lease)

    async def create(self, kind, body, namespace):
        self._ask("create")
        if self.api.lease is not None:
            raise AlreadyExistsError(409, "AlreadyExists", "there is one")
        return self.api.store(body["spec"])

    async def patch(self, kind, name, body, namespace):
        self._ask("patch")
        if body["metadata"]["resourceVersion"] != self.api.lease["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "changed")
        return self.api.store({**self.api.lease["spec"], **body["spec"]})


class Candidate:
    def __init__(self, api, clock, name):
        self.connection = api.client()
        self.election = LeaderElection(
            self.connection,
            "ns",
            "op",
            name,
            clock=lambda: clock.now,
            wall_clock=lambda: 0.0,
            sleep=clock.sleep,
        )
        self.clock = clock
        self.worked = []
        self.task = asyncio.ensure_future(self.election.lead(self.work))

    async def work(self):
        began = self.clock.now
        try:
            await asyncio.Event().wait()
        finally:
            self.worked.append((began, self.clock.now))

    async def kill(self):
        """As SIGKILL does: nothing is written any more."""
        self.connection.is_down = True
        self.task.cancel()
        await asyncio.wait((self.task,))

    async def stop(self):
        self.task.cancel()
        await asyncio.wait((self.task,))


@pytest.fixture
def world():
    clock, api = Clock(), Api()
    return SimpleNamespace(clock=clock, api=api, candidate=lambda n: Candidate(api, clock, n))


def leaders(*candidates):
    return [c.election.identity for c in candidates if c.election.is_leading]


async def test_one_leads_and_renews_with_one_request_a_time(world):
    first, second = world.candidate("a"), world.candidate("b")
    await world.clock.turn(100.0)
    assert leaders(first, second) == ["a"]
    assert second.election.holder == "a"
    world.api.requests.clear()
    await world.clock.turn(110.0)
    assert world.api.requests.count("patch") == 5
    assert world.api.lease["spec"]["holderIdentity"] == "a"
    await first.stop()
    await second.stop()


async def test_a_killed_leader_is_followed_within_thirteen_seconds(world):
    first, second = world.candidate("a"), world.candidate("b")
    await world.clock.turn(51.0)
    await first.kill()
    await world.clock.turn(59.0)
    assert leaders(first, second) == []
    await world.clock.turn(64.0)
    assert leaders(first, second) == ["b"]
    assert world.api.lease["spec"]["leaseTransitions"] == 1
    await second.stop()


async def test_a_leader_that_ends_is_followed_at_once(world):
    first, second = world.candidate("a"), world.candidate("b")
    await world.clock.turn(50.0)
    await first.stop()
    assert not world.api.lease["spec"]["holderIdentity"]
    await world.clock.turn(52.0)
    assert leaders(first, second) == ["b"]
    await second.stop()


async def test_a_leader_that_cannot_renew_stops_before_anybody_may_follow(world):
    first, second = world.candidate("a"), world.candidate("b")
    await world.clock.turn(50.0)
    first.connection.is_down = True
    await world.clock.turn(70.0)
    assert first.task.done() and first.task.exception() is None
    assert leaders(first, second) == ["b"]
    ((_, ended),) = first.worked
    assert 56.0 <= ended <= 57.0
    await second.stop()


async def test_a_short_outage_is_outlived(world):
    only = world.candidate("a")
    await world.clock.turn(50.0)
    only.connection.is_down = True
    await world.clock.turn(55.0)
    only.connection.is_down = False
    await world.clock.turn(90.0)
    assert leaders(only) == ["a"] and not only.worked
    await only.stop()


async def test_a_lease_taken_by_force_ends_the_work(world):
    only = world.candidate("a")
    await world.clock.turn(50.0)
    world.api.store({**world.api.lease["spec"], "holderIdentity": "intruder"})
    await world.clock.turn(53.0)
    assert only.task.done() and only.worked
    assert world.api.lease["spec"]["holderIdentity"] == "intruder"


async def test_a_renewal_whose_answer_was_lost_is_renewed_again(world):
    only = world.candidate("a")
    await world.clock.turn(50.0)
    world.api.store(world.api.lease["spec"])
    await world.clock.turn(90.0)
    assert leaders(only) == ["a"]
    await only.stop()


async def test_a_failure_of_the_work_is_raised_and_the_lease_let_go(world):
    async def fail():
        raise OSError("broken")

    election = world.candidate("a").election
    await world.clock.turn(1.0)
    other = LeaderElection(Connection(Api()), "ns", "op", "b")
    with pytest.raises(OSError, match="broken"):
        await other.lead(fail)
    assert not other.is_leading and election.is_leading
