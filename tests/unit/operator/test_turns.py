"""When an operator's turn is over, controller and plugins end at once; what does not is raised."""

import asyncio
import threading

import pytest

from dask_k8s_operator import plugins as plugins_module
from dask_k8s_operator.plugins import Plugin, Plugins, PluginsStuckError
from dask_k8s_operator.running import LOST_GRACE_S, Operator
from dask_k8s_operator.settings import Settings


@pytest.fixture
def kopf(monkeypatch):
    """A kopf whose handlers end when they are told to, or only at the end of the test."""
    release = threading.Event()
    started = threading.Event()
    ends = {"when_told": True}

    def run_kopf(host):
        started.set()
        (host._stop if ends["when_told"] else release).wait(30)

    monkeypatch.setattr(plugins_module._Host, "_run_kopf", run_kopf)
    yield ends, started, release
    release.set()


async def run_plugins(started, grace_s):
    running = asyncio.ensure_future(Plugins([Plugin("x")]).run(lambda: grace_s))
    await asyncio.to_thread(started.wait, 10)
    running.cancel()
    await running


async def test_handlers_that_end_when_told_are_a_good_end(kopf):
    with pytest.raises(asyncio.CancelledError):
        await run_plugins(kopf[1], 10.0)


async def test_a_handler_that_does_not_end_is_an_error(kopf):
    kopf[0]["when_told"] = False
    with pytest.raises(PluginsStuckError, match=r"did not end within 0\.0 s"):
        await run_plugins(kopf[1], 0.01)
    kopf[2].set()
    for thread in threading.enumerate():
        if thread.name == "kopf":
            await asyncio.to_thread(thread.join, 10)


class FakeElection:
    """A lease that is lost, or given up, as soon as the work has begun."""

    identity = "me"
    holder = "me"

    def __init__(self, begun, is_lost):
        self.begun, self.is_leading, self.is_lost = begun, True, is_lost

    async def lead(self, work):
        working = asyncio.ensure_future(work())
        await self.begun.wait()
        self.is_leading = not self.is_lost
        working.cancel()
        await working


class Part:
    """A controller, or plugins: tells when it is told to end, and how long it may take."""

    informers = ()

    def __init__(self, others, failure=None):
        self.begun = asyncio.Event()
        self.told = asyncio.Event()
        self.others, self.failure, self.given_s = others, failure, None

    async def run(self, grace_s):
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.told.set()
            self.given_s = grace_s()
            # The other one is told before this one has ended.
            await asyncio.wait_for(self.others[0].told.wait(), 5)
            if self.failure:
                raise self.failure from None
            raise


def build_operator(monkeypatch, *, is_lost, failure=None):
    first, second = [], []
    controller, plugins = Part(second), Part(first, failure)
    first.append(controller)
    second.append(plugins)
    election = FakeElection(plugins.begun, is_lost)
    operator = Operator(Settings(), (), None, election, plugins)
    monkeypatch.setattr(operator, "build_controller", lambda: controller)
    return operator, controller, plugins


@pytest.mark.parametrize(
    ("is_lost", "given_s"), [(True, LOST_GRACE_S), (False, Settings.end_grace_s)]
)
async def test_both_are_told_at_once_and_have_little_time_when_the_lease_is_lost(
    monkeypatch, is_lost, given_s
):
    operator, controller, plugins = build_operator(monkeypatch, is_lost=is_lost)
    with pytest.raises(asyncio.CancelledError):
        await operator.run()
    assert (controller.given_s, plugins.given_s) == (given_s, given_s)
    assert operator.controller is None


async def test_plugins_that_are_stuck_end_the_operator(monkeypatch):
    failure = PluginsStuckError("a handler goes on")
    operator, _, _ = build_operator(monkeypatch, is_lost=True, failure=failure)
    with pytest.raises(PluginsStuckError, match="goes on"):
        await operator.run()
