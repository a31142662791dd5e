"""Rules of the operator broken on purpose, one at a time, to see that the simulation notices.

Guarantees that each breaks the operator in one place, and is taken back afterwards. Refuses to
touch the simulated world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from dask_k8s_operator.controller import loop, observe
from dask_k8s_operator.controller.ask import Asker
from dask_k8s_operator.controller.cache import Cache
from dask_k8s_operator.kube.informer import Informer
from dask_k8s_operator.reconcile import observedgroup, retiring, workergroup
from dask_k8s_operator.reconcile.observedgroup import Draft, ObservedGroup
from dask_k8s_operator.reconcile.plan import Patch, Plan
from dask_k8s_operator.resources.agent_protocol import DRAINED, Answer, SchedulerReport
from dask_k8s_operator.resources.kinds import DASK_WORKER_GROUPS


@contextmanager
def impatient() -> Iterator[None]:
    """A marked worker goes at once, whatever it runs and holds."""
    honest = Asker.report

    async def report(self: Asker, group: Any) -> SchedulerReport:
        answer = await honest(self, group)
        workers = tuple(replace(worker, drain=DRAINED) for worker in answer.workers)
        return replace(answer, workers=workers)

    with mock.patch.object(Asker, "report", report):
        yield


@contextmanager
def nameless() -> Iterator[None]:
    """Workers are matched to their Pods by address alone."""
    honest = Asker.report

    async def report(self: Asker, group: Any) -> SchedulerReport:
        answer = await honest(self, group)
        return replace(answer, workers=tuple(replace(w, name="") for w in answer.workers))

    with mock.patch.object(Asker, "report", report):
        yield


@contextmanager
def hasty_return() -> Iterator[None]:
    """A worker wanted again loses its mark before it works again, and nobody looks after it."""

    def take_back(observed: ObservedGroup, pods: list[Any], draft: Draft) -> None:
        draft.first += [retiring._mark(pod, None) for pod in pods]
        draft.undrain += [worker.address for pod in pods for worker in observed.workers_of(pod)]

    with (
        mock.patch.object(retiring, "_take_back", take_back),
        mock.patch.object(retiring, "_free_unmarked", lambda *_: None),
    ):
        yield


@contextmanager
def forgetful() -> Iterator[None]:
    """What was written is not known until the watch has told of it."""
    with mock.patch.object(Cache, "remember", lambda *_: None):
        yield


@contextmanager
def trustful() -> Iterator[None]:
    """A creation whose answer was lost counts as not done."""
    with mock.patch.object(Cache, "remember_uncertain", lambda *_: None):
        yield


@contextmanager
def grasping() -> Iterator[None]:
    """Every Pod with a group's label counts as the group's."""
    with mock.patch.object(observe, "is_owned_by", lambda *_: True):
        yield


@contextmanager
def restless() -> Iterator[None]:
    """A group carries when it was last looked at."""
    honest = loop.decide_group

    def decide(observed: ObservedGroup, now: float, *arguments: Any) -> Plan:
        plan = honest(observed, now, *arguments)
        metadata = observed.group["metadata"]
        look = {"metadata": {"annotations": {"last-look": str(now)}}}
        write = Patch(DASK_WORKER_GROUPS, metadata["namespace"], metadata["name"], look)
        return replace(plan, steps=(*plan.steps, (write,)))

    with mock.patch.object(loop, "decide_group", decide):
        yield


@contextmanager
def deaf() -> Iterator[None]:
    """After a 410 the watch goes on from now, and what was missed is not read."""
    honest = Informer._list

    async def skip(self: Informer) -> None:
        if not self.is_synced:
            await honest(self)
            return
        listed = await self._client.list(self.kind, self.namespace)
        self._resource_version = listed.resource_version

    with mock.patch.object(Informer, "_list", skip):
        yield


@contextmanager
def presuming() -> Iterator[None]:
    """A scheduler that does not answer counts as idle."""
    honest = Asker.idle_s

    async def idle_s(self: Asker, cluster: Any) -> Answer:
        answer = await honest(self, cluster)
        return Answer(1e9) if answer.problem else answer

    with mock.patch.object(Asker, "idle_s", idle_s):
        yield


@contextmanager
def careless() -> Iterator[None]:
    """Worker Pods are made without an owner."""
    honest = workergroup.build_worker_pods

    def build(*arguments: Any) -> Any:
        for pod in honest(*arguments):
            yield {**pod, "metadata": {**pod["metadata"], "ownerReferences": []}}

    with mock.patch.object(workergroup, "build_worker_pods", build):
        yield


@contextmanager
def hasty() -> Iterator[None]:
    """A scheduler that once did not answer is given no time."""
    with mock.patch.object(observedgroup, "UNREACHABLE_TIMEOUT_S", 0.0):
        yield


MUTATIONS: tuple[Callable[[], AbstractContextManager[None]], ...] = (
    impatient,
    nameless,
    forgetful,
    trustful,
    grasping,
    restless,
    deaf,
    presuming,
    careless,
    hasty,
)
