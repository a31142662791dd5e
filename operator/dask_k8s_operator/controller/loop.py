"""The loop: watches fill the cache, changes fill the queue, workers bring one object at a time in
order.

Guarantees that a key is worked on by one worker at a time, that a failure is tried again with
growing pauses and never stops the rest, that a scheduler which does not answer holds up nobody
but its own cluster, and that a deleted object ends its work. Refuses to decide: that is
``reconcile``'s; and to read a clock, wait or draw lots except through its arguments.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Literal

from ..certificates import issue_certificates
from ..kube import Informer, KubeClient, WorkQueue
from ..kube.errors import ConflictError, KubeError
from ..reconcile.autoscaler import decide_autoscaler, wants_target
from ..reconcile.cluster import AgentParts, decide_cluster, wants_certificates, wants_idleness
from ..reconcile.job import decide_job
from ..reconcile.plan import Manifest, Plan, Refusal
from ..reconcile.workergroup import ALL_AT_ONCE, Allocation, decide_group, wants_report
from ..resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_KINDS,
    DASK_WORKER_GROUPS,
    PODS,
    Kind,
)
from ..resources.names import CLUSTER_NAME_LABEL
from ..resources.tls import Certificates
from ..scheduler import SchedulerClient
from .apply import Applier
from .ask import Asker
from .cache import WATCHED_KINDS, Cache
from .doubts import Doubts
from .observe import (
    observe_autoscaler,
    observe_cluster,
    observe_group,
    observe_job,
    observe_neighbours,
)
from .reconcilers import Reconcilers
from .relations import Request, affected, is_status_only

logger = logging.getLogger("dask_k8s_operator")

HOUSEKEEPING_S = 5.0
# From here on a group's Pods change faster than anybody reads its status.
MANY_WORKERS = 100
# Group and cluster each write a status that often: while a thousand workers take 20 s to start,
# that makes 20 writes beside the thousand; benchmarks/operator.py promises no more than 50.
LONGEST_PATIENCE_S = 2.0
_WORKERS_A_SECOND = 500
# How long the status that somebody else has written about an object of ours stands.
OTHERS_STATUS_S = 1.0
# An operator that has lost its lease may work on until it would have expired.
WARY_S = 30.0
WARY_LOOK_S = 5.0
# How long writes that are under way may take to finish when the operator ends.
END_GRACE_S = 10.0

Outcome = Literal["done", "conflict", "refused", "failed"]


@dataclass(frozen=True)
class Surroundings:
    """Everything of the outside world that the controller uses: replace it, and time is yours.

    Parameters
    ----------
    clock
        Seconds since the epoch.
    monotonic
        Seconds that never go backwards.
    sleep
        Waits for so many seconds.
    random_hex
        So many random bytes as hexadecimal digits.
    random_fraction
        A number from 0 to 1.
    issue_certificates
        Makes keys and certificates, which takes randomness too.
    """

    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    random_hex: Callable[[int], str] = secrets.token_hex
    random_fraction: Callable[[], float] = random.random
    issue_certificates: Callable[[str, Mapping[str, str] | None, float], Certificates] = (
        issue_certificates
    )


class Controller:
    """Makes the Dask resources of some namespaces true.

    Parameters
    ----------
    client
        Connection to the API.
    schedulers
        Speaks with schedulers.
    namespaces
        Namespaces to serve; empty for all.
    surroundings
        Clock, sleep and randomness.
    on_reconciled
        Called after each look at an object with its kind, how it went and the seconds it took.
    allocation
        How new worker Pods are made: all at once, or in batches.

    Examples
    --------
    >>> async def operate(client):
    ...     async with SchedulerClient() as schedulers:
    ...         await Controller(client, schedulers).run()
    """

    def __init__(
        self,
        client: KubeClient,
        schedulers: SchedulerClient,
        namespaces: tuple[str, ...] = (),
        surroundings: Surroundings | None = None,
        on_reconciled: Callable[[Kind, Outcome, float], None] | None = None,
        allocation: Allocation = ALL_AT_ONCE,
    ) -> None:
        self._around = around = surroundings or Surroundings()
        self.queue: WorkQueue[Request] = WorkQueue(clock=around.monotonic, sleep=around.sleep)
        self.cache = Cache(
            self._enqueue_affected,
            progress_s=self._progress_s,
            clock=around.monotonic,
        )
        self.informers = [
            self._build_informer(client, kind, namespace)
            for namespace in (namespaces or (None,))
            for kind in WATCHED_KINDS
        ]
        self._doubts = Doubts(client, self.cache)
        self._applier = Applier(
            client, self.cache, self._doubts, clock=around.clock, random_hex=around.random_hex
        )
        self._reconcilers = Reconcilers(self.queue, self._work_on)
        self._asker = Asker(client, schedulers, self.cache, self._reconcilers.aside)
        self._allocation = allocation
        self._refusals: dict[Request, tuple[Refusal, ...]] = {}
        # Certificates that are not written yet, with those that were there when they were made.
        self._offered: dict[Request, tuple[Mapping[str, str] | None, Certificates]] = {}
        self._wary_until: dict[Request, float] = {}
        self._agent_source = read_agent_source()
        self._on_reconciled = on_reconciled

    async def run(self, grace_s: Callable[[], float] = lambda: END_GRACE_S) -> None:
        """Work until cancelled; what is in the middle of a write finishes it first.

        ``grace_s`` is asked then how long that may take: less when somebody else takes over.
        """
        tasks = [asyncio.ensure_future(informer.run()) for informer in self.informers]
        tasks.append(asyncio.ensure_future(self._keep_house()))
        try:
            for informer in self.informers:
                await informer.wait_synced()
            logger.info("everything is read; at work")
            tasks.append(asyncio.ensure_future(self._reconcilers.run()))
            tasks.append(asyncio.ensure_future(self._look_at_all_once_more()))
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in ended:
                task.result()
        finally:
            self.queue.close()
            await self._reconcilers.finish(grace_s())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def reconcile(self, request: Request) -> None:
        """Bring one object in order: observe, decide, apply."""
        await self._doubts.settle(request.place)
        item = self.cache.get(*request.place)
        if item is None:
            self._refusals.pop(request, None)
            self._offered.pop(request, None)
            self._wary_until.pop(request, None)
            self._doubts.forget(request.place)
            return
        plan = await self._decide(request, item)
        before = self._refusals.get(request, ())
        refusals = keep_words(before, await self._applier.apply(request.kind, item, plan))
        self._refusals[request] = refusals
        if refusals != before:
            # At once, so that the status says what was refused, or that it no longer is: its write
            # wakes nobody when it took effect and its answer was lost.
            self.queue.add(request)
            news = (refusal for refusal in refusals if refusal not in before)
            await self._applier.tell_refusals(request.kind, item, news)
        if refusals:
            self.queue.add_failed(request)
        else:
            self._offered.pop(request, None)
        self._stay_wary(request, plan)
        if plan.drain:
            await self._asker.drain(item, plan.drain)
        if plan.undrain:
            await self._asker.undrain(item, plan.undrain)
        if plan.look_again_s is not None:
            self.queue.add_after(request, plan.look_again_s)

    async def _decide(self, request: Request, item: Manifest) -> Plan:
        now, refusals = self._around.clock(), self._refusals.get(request, ())
        if request.kind == DASK_CLUSTERS:
            cluster = observe_cluster(self.cache, item, refusals)
            if wants_certificates(cluster, now):
                made = await self._look_up_certificates(request, item, now)
                cluster = replace(cluster, certificates=made)
            if wants_idleness(cluster):
                cluster = replace(cluster, idle=await self._asker.idle_s(item))
            agent = AgentParts(self._agent_source, self._around.random_hex(32))
            return decide_cluster(cluster, now, agent)
        if request.kind == DASK_WORKER_GROUPS:
            group = observe_group(self.cache, item, refusals)
            if wants_report(group) or (group.is_alive and request in self._wary_until):
                report = await self._asker.report(item)
                neighbours = observe_neighbours(self.cache, item)
                group = replace(group, report=report, neighbours=neighbours)
            return decide_group(group, now, self._draw_names(), self._allocation)
        if request.kind == DASK_AUTOSCALERS:
            autoscaler = observe_autoscaler(self.cache, item)
            if wants_target(autoscaler):
                target = await self._asker.adaptive_target(item)
                autoscaler = replace(autoscaler, target=target)
            return decide_autoscaler(autoscaler, now)
        return decide_job(observe_job(self.cache, item, refusals), now)

    def _stay_wary(self, request: Request, plan: Plan) -> None:
        """Look again for a while after a drain: an operator of before may see things differently.

        As well as this one can remember: who takes over knows nothing of it.
        """
        now = self._around.monotonic()
        if plan.drain or plan.undrain:
            self._wary_until[request] = now + WARY_S
        if now < self._wary_until.get(request, now):
            self.queue.add_after(request, WARY_LOOK_S)
        elif self._wary_until.pop(request, None) is not None:
            # The last word about the scheduler is not to stand where nobody asks it any more.
            self.queue.add(request)

    async def _look_up_certificates(
        self, request: Request, cluster: Manifest, now: float
    ) -> Certificates:
        """Read a cluster's certificates, renew or make them.

        What could not be written yet is offered again: other keys every time would change the
        status, and the cluster would wake itself by that without a pause.
        """
        present = await self._asker.tls_texts(cluster)
        before, offered = self._offered.get(request, (None, None))
        if offered is None or before != present:
            name = cluster["metadata"]["name"]
            offered = self._around.issue_certificates(name, present, now)
            self._offered[request] = present, offered
        return offered

    async def _work_on(self, request: Request) -> None:
        began = self._around.monotonic()
        outcome = await self._reconcile_safely(request)
        if self._on_reconciled is not None:
            self._on_reconciled(request.kind, outcome, self._around.monotonic() - began)

    async def _reconcile_safely(self, request: Request) -> Outcome:
        try:
            await self.reconcile(request)
        except ConflictError:
            # Somebody was faster; the watch brings what they wrote.
            self.queue.add_failed(request)
            return "conflict"
        except KubeError as error:
            delay_s = self.queue.add_failed(request)
            logger.warning("%s: %s; again in %.1f s", request, error, delay_s)
            return "failed"
        except Exception:
            delay_s = self.queue.add_failed(request)
            logger.exception("%s: failed; again in %.1f s", request, delay_s)
            return "failed"
        if self._refusals.get(request):
            return "refused"
        self._refusals.pop(request, None)
        self.queue.forget(request)
        return "done"

    def _enqueue_affected(
        self, kind: Kind, old: Manifest | None, new: Manifest | None, is_ours: bool
    ) -> None:
        is_status = kind in DASK_KINDS and is_status_only(old, new)
        for request in affected(self.cache, kind, old, new):
            is_own_status = is_status and request.kind == kind
            delay_s = self._patience_s(request) if kind == PODS or is_own_status else 0.0
            if is_own_status and not is_ours:
                # Two operators that see things differently would write in turn without a pause;
                # or it is ours, and the watch was faster than the answer.
                delay_s = max(delay_s, OTHERS_STATUS_S)
            self.queue.add_after(request, delay_s)

    def _patience_s(self, request: Request) -> float:
        """How long to wait for more of the same: a status for each of 1000 Pods helps nobody.

        For what Pods wake, and for what a group's own status does: looked at again at once, it
        would find that more Pods have changed, and write the next one.
        """
        if request.kind != DASK_WORKER_GROUPS:
            return 0.0
        workers = self.cache.count_children(PODS, request.namespace, request.name)
        if workers < MANY_WORKERS:
            return 0.0
        return min(LONGEST_PATIENCE_S, workers / _WORKERS_A_SECOND)

    def _build_informer(self, client: KubeClient, kind: Kind, namespace: str | None) -> Informer:
        # Everything we make carries the label: a busy cluster's other Pods do not concern us.
        selector = None if kind in DASK_KINDS else CLUSTER_NAME_LABEL

        def on_change(old: Manifest | None, new: Manifest | None) -> None:
            self.cache.informed(kind, old, new)

        return Informer(
            client,
            kind,
            namespace,
            label_selector=selector,
            on_change=on_change,
            clock=self._around.monotonic,
            sleep=self._around.sleep,
            random_fraction=self._around.random_fraction,
        )

    def _progress_s(self, kind: Kind) -> float:
        return min(i.last_news for i in self.informers if i.kind == kind)

    def _draw_names(self) -> Iterator[str]:
        while True:
            yield self._around.random_hex(5)

    async def _look_at_all_once_more(self) -> None:
        """Ask about each group's workers when an operator of before has ended for certain.

        It may have drained what it saw in another light, and nobody else knows of it.
        """
        await self._around.sleep(WARY_S)
        now = self._around.monotonic()
        for informer in self.informers:
            for place in informer.objects if informer.kind == DASK_WORKER_GROUPS else ():
                request = Request(DASK_WORKER_GROUPS, *place)
                self._wary_until.setdefault(request, now)
                self.queue.add(request)

    async def _keep_house(self) -> None:
        while True:
            await self._around.sleep(HOUSEKEEPING_S)
            await self._doubts.look_up(self.cache.overdue())


def read_agent_source() -> str:
    """Read the text of the agent, which is never imported."""
    return files("dask_k8s_operator").joinpath("agent").joinpath("preload.py").read_text("utf-8")


__all__ = ["Controller", "Outcome", "Surroundings"]


def keep_words(before: tuple[Refusal, ...], refusals: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
    """Say a refusal that lasts in the words of its first time.

    Some that refuse put a number of their own into every answer; a status that followed would
    change, wake its object by that, and be refused again without a pause.

    Examples
    --------
    >>> keep_words((Refusal("x", "no (1)"),), (Refusal("x", "no (2)"), Refusal("y", "no (3)")))
    (Refusal(what='x', message='no (1)'), Refusal(what='y', message='no (3)'))
    """
    known = {refusal.what: refusal for refusal in before}
    return tuple(known.get(refusal.what, refusal) for refusal in refusals)
