"""When an operator's turn is over, controller and plugins end at once; what does not is raised."""

import asyncio
import sys
import threading
from types import SimpleNamespace

import pytest

from dask_k8s_operator import plugins as plugins_module
from dask_k8s_operator.kube import LeaderElection
from dask_k8s_operator.kube.errors import ConflictError, NotFoundError
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


@pytest.mark.parametrize(("grace_s", "handlers_s"), [(LOST_GRACE_S, 0.5), (10.0, 9.5), (0.2, 0.0)])
async def test_handlers_have_nearly_all_the_time_that_there_is(monkeypatch, grace_s, handlers_s):
    started, given = threading.Event(), []

    def run(*, stop_flag, settings, **scope):
        started.set()
        stop_flag.wait(30)
        given.append(settings.queueing.exit_timeout)

    def build_settings():
        return SimpleNamespace(scanning=SimpleNamespace(), queueing=SimpleNamespace())

    fake = SimpleNamespace(run=run, OperatorSettings=build_settings)
    monkeypatch.setitem(sys.modules, "kopf", fake)
    with pytest.raises(asyncio.CancelledError):
        await run_plugins(started, grace_s)
    assert given == [handlers_s]


class Lease:
    """The one Lease of an API; somebody else takes it before it is renewed, if it is to be lost."""

    def __init__(self, is_lost):
        self.is_lost, self.holder = is_lost, None

    def _read(self):
        spec = {"holderIdentity": self.holder, "leaseDurationSeconds": 10}
        return {"metadata": {"resourceVersion": str(self.holder)}, "spec": spec}

    async def get(self, kind, name, namespace):
        if self.holder is None:
            raise NotFoundError(404, "NotFound", "no lease")
        return self._read()

    async def create(self, kind, body, namespace):
        self.holder = body["spec"]["holderIdentity"]
        return self._read()

    async def patch(self, kind, name, body, namespace):
        if self.is_lost:
            self.holder = "another"
            raise ConflictError(409, "Conflict", "changed")
        self.holder = body["spec"]["holderIdentity"]
        return self._read()


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
            await asyncio.wait_for(self.others[0].told.wait(), 60)
            if self.failure:
                raise self.failure from None
            raise


class Turn:
    """An operator with a lease that is lost, or given up, as soon as the work has begun."""

    def __init__(self, monkeypatch, *, is_lost, failures=(None, None)):
        first, second = [], []
        self.controller, self.plugins = Part(second, failures[0]), Part(first, failures[1])
        first.append(self.controller)
        second.append(self.plugins)
        self.lease, self.over = Lease(is_lost), asyncio.Event()
        self.sleeps = 0
        election = LeaderElection(self.lease, "ns", "op", "me", sleep=self.sleep)
        self.operator = Operator(Settings(), (), None, election, self.plugins)
        monkeypatch.setattr(self.operator, "build_controller", lambda: self.controller)

    async def sleep(self, seconds):
        self.sleeps += 1
        await self.plugins.begun.wait()
        if self.sleeps > 1 or not self.lease.is_lost:
            self.over.set()
            await asyncio.Event().wait()

    async def run(self):
        running = asyncio.ensure_future(self.operator.run())
        over = asyncio.ensure_future(self.over.wait())
        await asyncio.wait((running, over), timeout=60, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        running.cancel()
        await running


@pytest.mark.parametrize(
    ("is_lost", "given_s", "holder"),
    [(True, LOST_GRACE_S, "another"), (False, Settings.end_grace_s, "")],
)
async def test_both_are_told_at_once_and_have_little_time_when_the_lease_is_lost(
    monkeypatch, is_lost, given_s, holder
):
    turn = Turn(monkeypatch, is_lost=is_lost)
    with pytest.raises(asyncio.CancelledError):
        await turn.run()
    assert (turn.controller.given_s, turn.plugins.given_s) == (given_s, given_s)
    assert turn.operator.controller is None
    assert turn.lease.holder == holder


@pytest.mark.parametrize("broken", [None, RuntimeError("the controller fails too")])
@pytest.mark.parametrize(("is_lost", "holder"), [(True, "another"), (False, "me")])
async def test_plugins_that_are_stuck_end_the_operator_and_nobody_follows_at_once(
    monkeypatch, is_lost, holder, broken
):
    failures = (broken, PluginsStuckError("a handler goes on"))
    turn = Turn(monkeypatch, is_lost=is_lost, failures=failures)
    with pytest.raises(PluginsStuckError, match="goes on"):
        await turn.run()
    assert turn.lease.holder == holder


async def test_a_controller_that_fails_while_it_ends_is_an_error_and_lets_go(monkeypatch):
    turn = Turn(monkeypatch, is_lost=False, failures=(RuntimeError("it broke"), None))
    with pytest.raises(RuntimeError, match="it broke"):
        await turn.run()
    assert turn.lease.holder == ""
