"""The rules that hold at every step, whatever goes wrong.

1. Never more workers than asked for: an operator makes a Pod (or takes one back) only if, with it,
   a group has no more live Pods than it was asked to have at some moment within the operator's
   sight, once for each operator that was alive then.
2. Never a Pod without an owner.
3. Never a Pod touched that is not the operator's business: it writes only to Pods that a Dask
   resource owns, and marks or deletes a worker only if its group had too many, the Pod had ended,
   was marked, or was made from another spec than the group has or for another scheduler's
   certificates.
4. No loss: a worker that the operator deletes neither runs nor alone holds anything that a healthy
   worker could have taken, unless the scheduler was silent for the time-out or runs no agent, the
   worker took longer than its retireTimeout, or the whole cluster is suspended.
5. A cluster goes only when its scheduler was idle for as long as asked, or its job is over; a
   scheduler only when it has ended, is suspended, or has neither work nor results.
6. Writes are bounded by what happened (see ``history``).
7. A changed spec rolls: no more than a quarter of a group's workers, and at least one, are on their
   way out for it at once with nobody at work in their place, once for each operator that was alive.

Guarantees to know the truth, which the operator does not: what it cannot have known yet is
excused by ``sight_s``. Refuses to change anything.
"""

from __future__ import annotations

from collections.abc import Callable

from dask_k8s_operator.reconcile.pods import standing
from dask_k8s_operator.reconcile.workergroup import UNREACHABLE_TIMEOUT_S
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, PODS, Kind
from dask_k8s_operator.resources.names import (
    AUTHORITY_ANNOTATION,
    CLUSTER_NAME_LABEL,
    COMPONENT_LABEL,
    RETIRING_ANNOTATION,
    SCHEDULER,
    SPEC_HASH_ANNOTATION,
    WORKER,
    scheduler_name,
)
from dask_k8s_operator.resources.schemas import DEFAULT_RETIRE_TIMEOUT_S
from dask_k8s_operator.resources.times import parse_time

from .api import EPOCH, ApiServer, Manifest
from .books import Books, group_of, is_live, is_marked
from .dask import Dask, Scheduler, Worker

OPERATOR = "operator"


class RuleBroken(Exception):
    """One of the rules does not hold; the message says which, where and how."""


class Rules:
    """Looks at every change and keeps the first that breaks a rule, in ``broken``.

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
        self._books = Books(api)
        api.observers.append(self._see)

    def fell(self, error: BaseException | None) -> None:
        """Note that an operator ended by itself."""
        if self.broken is None:
            self.broken = RuleBroken(f"an operator fell: {error!r}")

    def _see(
        self,
        kind: Kind,
        before: Manifest | None,
        after: Manifest | None,
        by: str,
        subresource: str | None,
    ) -> None:
        if by.startswith(OPERATOR):
            if kind == PODS:
                self._judge_pod(before, after, by)
            elif kind == DASK_CLUSTERS and after is None and before is not None:
                self._judge_cluster_deletion(before)
        self._books.note(kind, before, after)

    @property
    def _now(self) -> float:
        return self._api.loop.time()

    @property
    def _seen_s(self) -> float:
        """What an operator acts upon is no older than this."""
        return self._now - self._sight_s(self._now)

    def _judge_pod(self, before: Manifest | None, after: Manifest | None, by: str) -> None:
        pod = before or after
        if pod is None:
            return
        if not pod["metadata"].get("ownerReferences"):
            rule = 2 if before is None else 3
            self._break(rule, f"{by} touched Pod {_name(pod)}, which nobody owns")
        elif pod["metadata"]["labels"].get(COMPONENT_LABEL) == WORKER:
            self._judge_worker(before, after, by)
        elif pod["metadata"]["labels"].get(COMPONENT_LABEL) == SCHEDULER and before is not None:
            is_new = not before["metadata"].get("deletionTimestamp")
            if _is_going(after) and is_new:
                self._judge_scheduler_deletion(before)

    def _judge_worker(self, before: Manifest | None, after: Manifest | None, by: str) -> None:
        if after is not None and is_live(after) and not (before and is_live(before)):
            self._judge_one_more(after)
        if before is None or not is_live(before):
            was_wanted = False
        else:
            was_wanted = after is None or not is_live(after)
        if before is not None and was_wanted:
            reason = self._find_reason(before)
            if reason:
                self._break(3, f"{by} took worker {_name(before)}: {reason}")
            if after is not None and is_marked(after):
                self._judge_rolling(before)
        if before is not None and _is_going(after) and not _is_going(before):
            self._judge_loss(before, by)

    def _judge_one_more(self, pod: Manifest) -> None:
        group = group_of(pod)
        if group is None:
            return
        most = max(self._books.asked(group, self._seen_s), default=0) * self._operators_in_sight
        live = self._books.live(group) + 1
        if live > most:
            self._break(1, f"Pod {_name(pod)} is number {live} of at most {most}")

    @property
    def _operators_in_sight(self) -> int:
        """How many were alive at once, at any time that an operator acts upon."""
        numbers = [n for time, n in self.operators if time >= self._seen_s]
        numbers += [n for time, n in self.operators if time < self._seen_s][-1:]
        return max(numbers)

    def _find_reason(self, pod: Manifest) -> str | None:
        """Say why a worker ought not to be taken, None when it may be."""
        group = group_of(pod) or ""
        made_from = (pod["metadata"].get("annotations") or {}).get(SPEC_HASH_ANNOTATION)
        if any(spec != made_from for spec in self._books.specs(group, self._seen_s)):
            return None
        if self._is_refused(pod):
            return None
        most = self._books.seen(group, self._seen_s)
        least = min(self._books.asked(group, self._seen_s), default=0)
        return None if most > least else f"its group had {most} and was asked for {least}"

    def _is_refused(self, pod: Manifest) -> bool:
        """Whether a worker was made for the certificates of an earlier scheduler."""
        metadata = pod["metadata"]
        name = scheduler_name(metadata["labels"][CLUSTER_NAME_LABEL])
        scheduler = self._api.find(PODS, metadata["namespace"], name)
        if scheduler is None:
            return False
        held = [
            (m.get("annotations") or {}).get(AUTHORITY_ANNOTATION)
            for m in (metadata, scheduler["metadata"])
        ]
        return None not in held and held[0] != held[1]

    def _judge_rolling(self, pod: Manifest) -> None:
        group = group_of(pod) or ""
        asked = self._books.asked(group, self._seen_s)
        changed_s = self._books.changed_s(group)
        is_plain = len(asked) == 1 and self._books.seen(group, self._seen_s) <= asked[0]
        if not is_plain or (len(self.operators) > 1 and self.operators[-1][0] > self._seen_s):
            return  # it may be one too many
        marked = 1 + sum(marked_s > changed_s for marked_s in self._books.marked(group))
        # One that takes its time to end is out no more once another works in its place.
        out = min(marked, asked[0] - self._count_ready(group, without=pod))
        if out > max(1, asked[0] // 4) * self._operators_in_sight:
            self._break(7, f"{out} of {asked[0]} workers are out with {_name(pod)}")

    def _count_ready(self, group: str, without: Manifest) -> int:
        uid = without["metadata"]["uid"]
        pods = (pod for pod in self._api.all(PODS) if group_of(pod) == group)
        return sum(standing(pod) == "ready" and pod["metadata"]["uid"] != uid for pod in pods)

    def _judge_loss(self, pod: Manifest, by: str) -> None:
        worker = self._dask.workers.get(pod["metadata"]["uid"])
        if worker is None or worker.scheduler is None:
            return
        if self._is_given_up(worker.scheduler, pod) or self._was_late(pod, worker):
            return
        takers = [
            other
            for other in worker.scheduler.accepting()
            if other is not worker and other.connected_s < self._seen_s and self._stays(other)
        ]
        lost = sum(task.alone_since_s < self._seen_s for task in worker.only_here)
        if takers and (lost or worker.processing):
            what = f"{lost} results and {len(worker.processing)} tasks; {len(takers)} could help"
            self._break(4, f"{by} deleted worker {_name(pod)} with {what}")

    def _stays(self, worker: Worker) -> bool:
        """Whether nobody has marked a worker to go: it is about to be drained itself."""
        pod = self._api.find_uid(worker.uid)
        return pod is not None and is_live(pod)

    def _is_given_up(self, scheduler: Scheduler, pod: Manifest) -> bool:
        """Whether what a scheduler knows counts no more, or cannot be known."""
        if scheduler.started_s > self._seen_s or not scheduler.has_agent:
            return True
        silences = (
            [scheduler.silence_s] if self._now - scheduler.silence_s[1] < self._haste_s else []
        )
        if scheduler.silent_since_s is not None:
            silences.append((scheduler.silent_since_s, self._now))
        if any(end - begin >= UNREACHABLE_TIMEOUT_S - 1.0 for begin, end in silences):
            return True
        cluster = pod["metadata"]["labels"][CLUSTER_NAME_LABEL]
        if self._books.was_suspended(pod["metadata"]["namespace"], cluster, self._seen_s):
            return True
        place = self._api.find_uid(scheduler.uid)
        return place is None or bool(place["metadata"].get("deletionTimestamp"))

    def _was_late(self, pod: Manifest, worker: Worker) -> bool:
        """Whether a worker had its time to go, or came when it was given up already."""
        mark = (pod["metadata"].get("annotations") or {}).get(RETIRING_ANNOTATION)
        marked_s = parse_time(mark)
        if marked_s is None:
            return False
        group = self._api.find_uid(group_of(pod) or "")
        given_s = DEFAULT_RETIRE_TIMEOUT_S
        if group is not None:
            given_s = group["spec"]["worker"].get("retireTimeout", given_s)
        is_over = EPOCH + self._now - marked_s >= given_s
        return is_over or self._now - worker.connected_s < self._haste_s

    def _judge_scheduler_deletion(self, pod: Manifest) -> None:
        metadata = pod["metadata"]
        place = (metadata["namespace"], metadata["labels"][CLUSTER_NAME_LABEL])
        scheduler = self._dask.schedulers.get(place)
        if scheduler is None or scheduler.uid != metadata["uid"]:
            return
        if self._books.was_suspended(*place, self._seen_s):
            return
        is_used = scheduler.unfinished or scheduler.held
        if is_used and scheduler.submitted_s < self._seen_s:
            self._break(5, f"scheduler Pod {_name(pod)} was deleted with work in it")

    def _judge_cluster_deletion(self, cluster: Manifest) -> None:
        metadata = cluster["metadata"]
        if metadata.get("ownerReferences"):
            return  # its job's to delete
        idle_timeout_s = cluster["spec"].get("idleTimeout") or 0
        scheduler = self._dask.schedulers.get((metadata["namespace"], metadata["name"]))
        if not idle_timeout_s:
            self._break(5, f"DaskCluster {_name(cluster)} was deleted, which nobody asked for")
        elif scheduler is not None and scheduler.busy_for_s() > self._sight_s(self._now):
            self._break(5, f"DaskCluster {_name(cluster)} was deleted while it worked")

    def _break(self, rule: int, message: str) -> None:
        if self.broken is None:
            self.broken = RuleBroken(f"rule {rule}: {message}")


def _is_going(pod: Manifest | None) -> bool:
    return pod is None or bool(pod["metadata"].get("deletionTimestamp"))


def _name(item: Manifest) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"
