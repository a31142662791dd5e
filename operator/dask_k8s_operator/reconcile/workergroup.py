"""What ought to happen to a DaskWorkerGroup: as many worker Pods as asked for, each one bare.

Guarantees: what is missing is made and what ended is replaced, with back-off; of too many, those
that do not run yet go first, then those with least to do, marked before anything else is done to
them, and each is deleted only when its scheduler says that it is drained. Refuses to touch a Pod
that the group does not own, and to delete a working one silently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from ..resources.agent_protocol import DRAINED, NO_RECIPIENTS, SchedulerReport
from ..resources.builders import adopting_references, build_worker_pod, is_of_namesake, is_owned_by
from ..resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS
from ..resources.names import RETIRING_ANNOTATION
from ..resources.times import format_time, parse_time
from .groupstatus import build_group_status
from .plan import NOTHING, Create, Delete, Manifest, Notice, Patch, Plan, Refusal, Write, earliest
from .pods import created_s, ended_s, is_retiring, standing

# How long a scheduler may be silent before workers go without being asked for.
UNREACHABLE_TIMEOUT_S = 60.0
DRAIN_POLL_S = 0.5
UNREACHABLE_POLL_S = 5.0
REPLACE_BASE_S = 10.0
REPLACE_MAX_S = 300.0


@dataclass(frozen=True)
class ObservedGroup:
    """All that a decision about a worker group looks at.

    Parameters
    ----------
    group
        The DaskWorkerGroup.
    cluster
        Its DaskCluster, None when there is none.
    pods
        Worker Pods that the group owns.
    has_other_workers
        Whether the cluster has workers in other groups that stay.
    report
        What the scheduler says, None when it was not asked.
    refusals
        What Kubernetes refused the last time.
    """

    group: Manifest
    cluster: Manifest | None
    pods: tuple[Manifest, ...] = ()
    has_other_workers: bool = False
    report: SchedulerReport | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def desired(self) -> int:
        """How many workers are asked for."""
        return int(self.group["spec"]["worker"].get("replicas", 1))

    def standing_as(self, *standings: str) -> list[Manifest]:
        """Pods that count as one of these."""
        return [pod for pod in self.pods if standing(pod) in standings]


@dataclass
class _Draft:
    """A plan in the making."""

    first: list[Write]
    deletions: list[Write]
    creations: list[Write]
    notices: list[Notice]
    drain: list[str]
    look_again_s: float | None = None
    replaced: int = 0

    def delete(self, pods: list[Manifest]) -> None:
        self.deletions += [
            Delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], _uid(pod))
            for pod in pods
        ]

    def look_again(self, delay_s: float) -> None:
        self.look_again_s = earliest(self.look_again_s, delay_s)


def wants_report(observed: ObservedGroup) -> bool:
    """Whether the scheduler has to be asked before a decision: workers are going or have to go."""
    if not _is_alive(observed):
        return False
    return bool(observed.standing_as("retiring")) or _excess_running(observed) > 0


def decide_group(observed: ObservedGroup, now: float, hex_digits: Iterator[str]) -> Plan:
    """Decide about one worker group.

    Parameters
    ----------
    observed
        What there is.
    now
        Seconds since the epoch.
    hex_digits
        Endless ten random hexadecimal digits, for the names of new Pods.
    """
    if observed.group["metadata"].get("deletionTimestamp"):
        return NOTHING
    draft = _Draft([], [], [], [], [])
    if _is_alive(observed):
        _adopt(observed, draft)
        _replace_ended(observed, draft, now)
        _finish_retiring(observed, draft, now)
        _shrink(observed, draft, now)
        _grow(observed, draft, hex_digits)
    return Plan(
        steps=tuple(
            tuple(step) for step in (draft.first, draft.deletions, draft.creations) if step
        ),
        status=build_group_status(
            observed.group,
            observed.cluster,
            observed.pods,
            report=observed.report,
            refusals=observed.refusals,
            replaced=draft.replaced,
            now=now,
        ),
        drain=tuple(draft.drain),
        notices=tuple(draft.notices),
        look_again_s=draft.look_again_s,
    )


def _is_alive(observed: ObservedGroup) -> bool:
    group, cluster = observed.group, observed.cluster
    if cluster is None or cluster["metadata"].get("deletionTimestamp"):
        return False
    # A group of an earlier cluster of this name is about to go with that one.
    return not is_of_namesake(group, DASK_CLUSTERS, cluster)


def _adopt(observed: ObservedGroup, draft: _Draft) -> None:
    group, cluster = observed.group, observed.cluster
    if cluster is None or is_owned_by(group, cluster):
        return
    metadata = group["metadata"]
    draft.first.append(
        Patch(
            DASK_WORKER_GROUPS,
            metadata["namespace"],
            metadata["name"],
            {
                "metadata": {
                    "ownerReferences": adopting_references(group, DASK_CLUSTERS, cluster),
                    # Somebody else's owner may have come in between.
                    "resourceVersion": metadata.get("resourceVersion"),
                }
            },
        )
    )


def _replace_ended(observed: ObservedGroup, draft: _Draft, now: float) -> None:
    ended = observed.standing_as("ended")
    going = [pod for pod in ended if is_retiring(pod)]
    draft.delete(going)
    failed = [pod for pod in ended if not is_retiring(pod)]
    spare = max(0, _slots(observed) - observed.desired)
    draft.delete(failed[:spare])
    wait_s = replacement_delay_s((observed.group.get("status") or {}).get("replacements", 0))
    for pod in failed[spare:]:
        remaining_s = (ended_s(pod) or created_s(pod)) + wait_s - now
        if remaining_s > 0:
            draft.look_again(remaining_s)
            continue
        draft.delete([pod])
        draft.replaced += 1
    if draft.replaced:
        draft.notices.append(
            Notice("Replaced", f"{_count(draft.replaced, 'worker')} ended and are made anew")
        )


def replacement_delay_s(replacements: int) -> float:
    """Return how long an ended Pod stays, for its logs, before the next one takes its place.

    Examples
    --------
    >>> [replacement_delay_s(n) for n in (0, 1, 2, 9)]
    [10.0, 20.0, 40.0, 300.0]
    """
    return float(min(REPLACE_MAX_S, REPLACE_BASE_S * 2 ** min(replacements, 16)))


def _finish_retiring(observed: ObservedGroup, draft: _Draft, now: float) -> None:
    retiring, report = observed.standing_as("retiring"), observed.report
    if not retiring or report is None:
        return
    if report.problem:
        if _may_go_unasked(observed, now):
            _go_unasked(observed, retiring, draft)
        draft.look_again(UNREACHABLE_POLL_S)
        return
    gone: list[Manifest] = []
    stranded: list[Manifest] = []
    for pod in retiring:
        workers = report.workers_at((pod.get("status") or {}).get("podIP"))
        states = {worker.drain for worker in workers}
        if states <= {DRAINED}:
            gone.append(pod)
        elif states <= {DRAINED, NO_RECIPIENTS} and not _has_recipients(observed):
            stranded.append(pod)
        else:
            draft.drain += [worker.address for worker in workers if worker.drain != DRAINED]
            draft.look_again(DRAIN_POLL_S)
    draft.delete(gone + stranded)
    if gone:
        draft.notices.append(Notice("Retired", f"{_count(len(gone), 'worker')} retired"))
    if stranded:
        message = (
            f"{_count(len(stranded), 'worker')} went with results that only they held: "
            "no worker is left to take them"
        )
        draft.notices.append(Notice("WorkLost", message, "Warning"))


def _shrink(observed: ObservedGroup, draft: _Draft, now: float) -> None:
    excess = _live(observed) - observed.desired
    if excess <= 0:
        return
    idle_first = sorted(observed.standing_as("pending"), key=created_s, reverse=True)
    unstarted = idle_first[:excess]
    draft.delete(unstarted)
    if unstarted:
        message = f"{_count(len(unstarted), 'worker')} that did not run yet removed"
        draft.notices.append(Notice("ScaledDown", message))
    running_excess, report = excess - len(unstarted), observed.report
    if running_excess <= 0 or report is None:
        return
    running = observed.standing_as("running", "ready")
    if report.problem:
        if _may_go_unasked(observed, now):
            youngest = sorted(running, key=created_s, reverse=True)
            _go_unasked(observed, youngest[:running_excess], draft)
        draft.look_again(UNREACHABLE_POLL_S)
        return
    _retire(sorted(running, key=lambda pod: _load(pod, report))[:running_excess], draft, now)


def _load(pod: Manifest, report: SchedulerReport) -> tuple[bool, float, int, float]:
    workers = report.workers_at((pod.get("status") or {}).get("podIP"))
    return (
        any(worker.processing for worker in workers),
        sum(worker.occupancy_s for worker in workers),
        sum(worker.stored_bytes for worker in workers),
        -created_s(pod),
    )


def _retire(pods: list[Manifest], draft: _Draft, now: float) -> None:
    marks = {"metadata": {"annotations": {RETIRING_ANNOTATION: format_time(now)}}}
    draft.first += [
        Patch(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], marks) for pod in pods
    ]
    # The mark comes back by the watch and is acted upon then.
    draft.look_again(DRAIN_POLL_S)
    message = f"{_count(len(pods), 'worker')} to finish what is running, hand over and go"
    draft.notices.append(Notice("Retiring", message))


def _grow(observed: ObservedGroup, draft: _Draft, hex_digits: Iterator[str]) -> None:
    # An ended Pod keeps its place until it is replaced.
    kept = len(observed.standing_as("ended")) - sum(
        1 for pod in observed.standing_as("ended") if _is_deleted_by(draft, pod)
    )
    missing = observed.desired - _live(observed) - kept
    if missing <= 0:
        return
    draft.creations += [
        Create(PODS, build_worker_pod(observed.group, next(hex_digits))) for _ in range(missing)
    ]
    fresh = missing - draft.replaced
    if fresh > 0:
        draft.notices.append(Notice("ScaledUp", f"{_count(fresh, 'worker')} added"))


def _is_deleted_by(draft: _Draft, pod: Manifest) -> bool:
    return any(isinstance(d, Delete) and d.uid == _uid(pod) for d in draft.deletions)


def _may_go_unasked(observed: ObservedGroup, now: float) -> bool:
    report = observed.report
    if report is None or report.is_absent or not report.may_recover:
        return True
    since = parse_time((observed.group.get("status") or {}).get("unreachableSince"))
    return since is not None and now - since >= UNREACHABLE_TIMEOUT_S


def _go_unasked(observed: ObservedGroup, pods: list[Manifest], draft: _Draft) -> None:
    draft.delete(pods)
    report = observed.report
    if report is None or not pods:
        return
    if report.is_absent:
        message = f"{_count(len(pods), 'worker')} removed; there is no scheduler that used them"
        draft.notices.append(Notice("ScaledDown", message))
        return
    message = (
        f"{_count(len(pods), 'worker')} removed without asking the scheduler ({report.problem}): "
        "what they ran runs again, what only they held is computed again"
    )
    draft.notices.append(Notice("WorkLost", message, "Warning"))


def _has_recipients(observed: ObservedGroup) -> bool:
    return observed.has_other_workers or bool(observed.standing_as("running", "ready"))


def _live(observed: ObservedGroup) -> int:
    counts = Counter(standing(pod) for pod in observed.pods)
    return counts["pending"] + counts["running"] + counts["ready"]


def _slots(observed: ObservedGroup) -> int:
    failed = [pod for pod in observed.standing_as("ended") if not is_retiring(pod)]
    return _live(observed) + len(failed)


def _excess_running(observed: ObservedGroup) -> int:
    pending = len(observed.standing_as("pending"))
    return _live(observed) - observed.desired - pending


def _uid(pod: Manifest) -> str:
    return str(pod["metadata"].get("uid", ""))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
