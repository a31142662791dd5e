"""The rules that hold at every step, whatever goes wrong.

1. Never more workers than asked for: an operator makes a Pod only if, with it, a group has no more
   live Pods than it was asked to have at some moment within the operator's sight, once for each
   operator that was alive then.
2. Never a Pod without an owner.
3. Never a Pod touched that is not the operator's business: it writes only to Pods that a Dask
   resource owns, and marks or deletes a worker only if its group had too many, the Pod had ended,
   was marked, or was made from another spec than the group has.
4. No loss: a worker that the operator deletes neither runs nor alone holds anything that a healthy
   worker could have taken, unless the scheduler was silent for the time-out.
5. A cluster goes only when its scheduler was idle for as long as asked, or its job is over.

Guarantees to know the truth, which the operator does not: what it cannot have known yet is
excused by ``sight_s``. Refuses to change anything.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from itertools import pairwise
from typing import Any, TypeVar

from dask_k8s_operator.reconcile.workergroup import UNREACHABLE_TIMEOUT_S
from dask_k8s_operator.resources.builders import hash_worker_spec
from dask_k8s_operator.resources.kinds import (
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    PODS,
    Kind,
)
from dask_k8s_operator.resources.names import (
    COMPONENT_LABEL,
    RETIRING_ANNOTATION,
    SPEC_HASH_ANNOTATION,
    WORKER,
    WORKER_GROUP_LABEL,
)

from .api import ApiServer, Manifest
from .dask import Dask, Worker

OPERATOR = "operator"
T = TypeVar("T")


class RuleBroken(Exception):
    """One of the rules does not hold; the message says which, where and how."""


class Rules:
    """Looks at every change and raises ``RuleBroken`` at the first that breaks a rule.

    Parameters
    ----------
    api, dask
        The truth.
    sight_s
        How old what an operator knows may be, at a moment.
    haste_s
        How long it takes to ask a scheduler, decide and write.
    """

    def __init__(
        self, api: ApiServer, dask: Dask, sight_s: Callable[[float], float], haste_s: float
    ) -> None:
        self._sight_s = sight_s
        self._haste_s = haste_s
        self.broken: RuleBroken | None = None
        # When each number of operators began.
        self.operators: list[tuple[float, int]] = [(0.0, 1)]
        self._api = api
        self._dask = dask
        self._asked: dict[str, list[tuple[float, int]]] = {}
        self._live: dict[str, list[tuple[float, int]]] = {}
        self._specs: dict[str, list[tuple[float, str]]] = {}
        api.observers.append(self._see)

    def _see(
        self,
        kind: Kind,
        before: Manifest | None,
        after: Manifest | None,
        by: str,
        subresource: str | None,
    ) -> None:
        is_operator = by.startswith(OPERATOR)
        if kind == PODS:
            if is_operator:
                self._judge_pod(before, after, by)
            self._count(before, -1)
            self._count(after, 1)
        elif kind == DASK_WORKER_GROUPS and after is not None:
            self._note_asked(after)
        elif kind == DASK_CLUSTERS and after is None and is_operator and before is not None:
            self._judge_cluster_deletion(before)

    @property
    def sight_s(self) -> float:
        """How old what an operator knows may be now."""
        return self._sight_s(self._api.loop.time())

    def fell(self, error: BaseException | None) -> None:
        """Note that an operator ended by itself."""
        if self.broken is None:
            self.broken = RuleBroken(f"an operator fell: {error!r}")

    # ------------------------------------------------------------------ books

    def _count(self, pod: Manifest | None, step: int) -> None:
        group = _group_of(pod)
        if pod is None or group is None or not is_live(pod):
            return
        live = self._live.setdefault(group, [(0.0, 0)])
        live.append((self._api.loop.time(), live[-1][1] + step))

    def _note_asked(self, group: Manifest) -> None:
        uid, replicas = group["metadata"]["uid"], group["spec"]["worker"]["replicas"]
        asked = self._asked.setdefault(uid, [])
        if not asked or asked[-1][1] != replicas:
            asked.append((self._api.loop.time(), replicas))
        specs, spec = self._specs.setdefault(uid, []), hash_worker_spec(group)
        if not specs or specs[-1][1] != spec:
            specs.append((self._api.loop.time(), spec))

    def _within_sight(self, history: list[tuple[float, T]]) -> list[T]:
        begin = self._api.loop.time() - self.sight_s
        first = max(0, bisect_left(history, begin, key=lambda entry: entry[0]) - 1)
        return [value for _, value in history[first:]]

    def _most_asked(self, group: str) -> int:
        return max(self._within_sight(self._asked.get(group, [])), default=0)

    def _least_asked(self, group: str) -> int:
        return min(self._within_sight(self._asked.get(group, [])), default=0)

    # ------------------------------------------------------------------ rules

    def _judge_pod(self, before: Manifest | None, after: Manifest | None, by: str) -> None:
        if before is None and after is not None:
            self._judge_creation(after)
            return
        pod = before or after
        if pod is None:
            return
        name = _name(pod)
        if not pod["metadata"].get("ownerReferences"):
            self._break(3, f"{by} touched Pod {name}, which belongs to nobody of ours")
            return
        if pod["metadata"]["labels"].get(COMPONENT_LABEL) != WORKER:
            return
        is_going = after is None or after["metadata"].get("deletionTimestamp")
        if _is_marked(pod) or (after is not None and not is_going and not _is_marked(after)):
            reason = None
        else:
            reason = self._find_reason(pod)
        if reason:
            self._break(3, f"{by} took worker {name}: {reason}")
        if is_going and not pod["metadata"].get("deletionTimestamp"):
            self._judge_loss(pod, by)

    def _judge_creation(self, pod: Manifest) -> None:
        owners = pod["metadata"].get("ownerReferences") or []
        if not owners:
            self._break(2, f"Pod {_name(pod)} has no owner")
            return
        group = _group_of(pod)
        if group is None:
            return
        most = self._most_asked(group) * max(self._within_sight(self.operators))
        live = self._live.get(group, [(0.0, 0)])[-1][1] + 1
        if live > most:
            self._break(1, f"Pod {_name(pod)} is number {live} of at most {most}")

    def _find_reason(self, pod: Manifest) -> str | None:
        """Say why a worker ought not to be taken, None when it may be."""
        if not is_live(pod):
            return None
        group = _group_of(pod) or ""
        made_from = (pod["metadata"].get("annotations") or {}).get(SPEC_HASH_ANNOTATION)
        if any(spec != made_from for spec in self._within_sight(self._specs.get(group, []))):
            return None
        # The operator may still see Pods that went beside those that came since.
        seen = self._within_sight(self._live[group])
        came = sum(max(0, after - before) for before, after in pairwise(seen))
        most, least = seen[0] + came, self._least_asked(group)
        return None if most > least else f"its group had {most} and was asked for {least}"

    def _judge_loss(self, pod: Manifest, by: str) -> None:
        worker = self._dask.workers.get(pod["metadata"]["uid"])
        if worker is None or worker.scheduler is None or self._is_excused(pod, worker):
            return
        scheduler, now = worker.scheduler, self._api.loop.time()
        takers = [
            other
            for other in scheduler.accepting()
            if other is not worker and now - other.connected_s > self.sight_s
        ]
        lost = sum(now - task.alone_since_s > self.sight_s for task in worker.only_here)
        if takers and (lost or worker.processing):
            what = f"{lost} results and {len(worker.processing)} tasks; {len(takers)} could help"
            self._break(4, f"{by} deleted worker {_name(pod)} with {what}")

    def _is_excused(self, pod: Manifest, worker: Worker) -> bool:
        scheduler, now = worker.scheduler, self._api.loop.time()
        if scheduler is None or now - scheduler.started_s < self.sight_s:
            return True  # the operator could not know yet that there is a scheduler
        if _is_marked(pod) and now - worker.connected_s < self._haste_s:
            return True  # it came after the scheduler was asked for it
        silent_s = scheduler.silent_since_s
        if silent_s is not None and now - silent_s >= UNREACHABLE_TIMEOUT_S - 1.0:
            return True
        place = self._api.find_uid(scheduler.uid)
        return place is None or bool(place["metadata"].get("deletionTimestamp"))

    def _judge_cluster_deletion(self, cluster: Manifest) -> None:
        metadata = cluster["metadata"]
        if metadata.get("ownerReferences"):
            return  # its job's to delete
        idle_timeout_s = cluster["spec"].get("idleTimeout") or 0
        scheduler = self._dask.schedulers.get((metadata["namespace"], metadata["name"]))
        if not idle_timeout_s:
            self._break(5, f"DaskCluster {_name(cluster)} was deleted, which nobody asked for")
        elif scheduler is not None and scheduler.busy_for_s() > self.sight_s:
            self._break(5, f"DaskCluster {_name(cluster)} was deleted while it worked")

    def _break(self, rule: int, message: str) -> None:
        if self.broken is None:
            self.broken = RuleBroken(f"rule {rule}: {message}")


def is_live(pod: Manifest) -> bool:
    """Whether a Pod counts as one that is wanted: not ended, not marked, not on its way out."""
    is_ended = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
    return not (is_ended or _is_marked(pod) or pod["metadata"].get("deletionTimestamp"))


def _is_marked(pod: Manifest) -> bool:
    return RETIRING_ANNOTATION in (pod["metadata"].get("annotations") or {})


def _group_of(pod: Manifest | None) -> str | None:
    """Uid of the group that owns a worker Pod."""
    if pod is None or WORKER_GROUP_LABEL not in (pod["metadata"].get("labels") or {}):
        return None
    owners: list[dict[str, Any]] = pod["metadata"].get("ownerReferences") or []
    return owners[0]["uid"] if owners else None


def _name(item: Manifest) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"
