"""How workers leave: marked first, then drained by their scheduler, then deleted; or taken back.

Guarantees: a worker that runs is never deleted before its scheduler says that it is drained, but
for the three cases that an Event tells of: the scheduler is silent for too long, nobody is left to
take the results, or the time to finish is over. A worker that is wanted again while it drains comes
back where the scheduler allows it. Refuses to judge by anything but the mark on the Pod, so that an
operator which dies in between goes on where it was.
"""

from __future__ import annotations

from ..resources.agent_protocol import DRAINED, DRAINING, NO_RECIPIENTS
from ..resources.kinds import PODS
from ..resources.names import RETIRING_ANNOTATION
from ..resources.times import format_time, parse_time
from .observedgroup import UNREACHABLE_POLL_S, Draft, ObservedGroup, count_of, uid_of
from .plan import Manifest, Patch
from .pods import created_s

DRAIN_POLL_S = 0.5
FREE_POLL_S = 2.0
# A drain that takes hours need not be asked after twice a second.
DRAIN_POLL_MAX_S = 5.0


def finish_retiring(observed: ObservedGroup, draft: Draft, now: float) -> None:
    """Drain the workers that are marked; delete those that are drained."""
    report = observed.report
    wanted_again = workers_to_take_back(observed)
    retiring = [pod for pod in observed.standing_as("retiring") if pod not in wanted_again]
    _take_back(observed, wanted_again, draft)
    _free_unmarked(observed, draft)
    if not retiring or report is None:
        return
    if report.problem:
        if observed.may_go_unasked(now):
            go_unasked(observed, retiring, draft)
        draft.look_again(UNREACHABLE_POLL_S)
        return
    # Who is taken back can take results, as soon as its mark is gone.
    has_recipients = bool(wanted_again) or observed.has_recipients
    gone: list[Manifest] = []
    stranded: list[Manifest] = []
    late: list[Manifest] = []
    for pod in retiring:
        workers = observed.workers_of(pod)
        states = {worker.drain for worker in workers}
        if states <= {DRAINED}:
            gone.append(pod)
        elif not has_recipients and _has_done_what_it_can(observed, states):
            stranded.append(pod)
        elif _retiring_for_s(pod, now) >= observed.retire_timeout_s:
            late.append(pod)
        else:
            draft.drain += [w.address for w in observed.drainable(pod) if w.drain != DRAINED]
            draft.look_again(_poll_s(_retiring_for_s(pod, now)))
    # Another operator, around a lost lease, may have taken one back meanwhile, and it works again.
    draft.delete(gone + stranded + late, as_seen=True)
    _tell_the_end(observed, gone, stranded, late, draft)


def _has_done_what_it_can(observed: ObservedGroup, states: set[str | None]) -> bool:
    # Without the agent nobody says so: Dask's own API keeps a worker whose results nobody can take.
    has_agent = observed.report is None or observed.report.has_agent
    return not has_agent or states <= {DRAINED, NO_RECIPIENTS}


def _tell_the_end(
    observed: ObservedGroup,
    gone: list[Manifest],
    stranded: list[Manifest],
    late: list[Manifest],
    draft: Draft,
) -> None:
    if gone:
        draft.tell("Retired", f"{count_of(len(gone), 'worker')} retired", gone=gone)
    if stranded:
        message = (
            f"{count_of(len(stranded), 'worker')} went with results that only they held: "
            "no worker is left to take them"
        )
        draft.tell("WorkLost", message, is_warning=True, gone=stranded)
    if late:
        message = (
            f"{count_of(len(late), 'worker')} cut short, not done within the retireTimeout of "
            f"{observed.retire_timeout_s:.0f} s: what they ran runs again, what only they held is "
            "computed again"
        )
        draft.tell("WorkLost", message, is_warning=True, gone=late)


def workers_to_take_back(observed: ObservedGroup) -> list[Manifest]:
    """Find the retiring Pods that are wanted again, those that have done least to go first."""
    report = observed.report
    missing = observed.desired - len(observed.live) - len(observed.failed)
    if missing <= 0 or report is None or report.problem or not report.has_agent:
        return []

    def progress(pod: Manifest) -> tuple[int, str]:
        states = {worker.drain for worker in observed.workers_of(pod)}
        rank = 0 if states <= {None} else 1 if states <= {None, DRAINING} else 2
        return rank, pod["metadata"]["name"]

    current = [pod for pod in observed.standing_as("retiring") if not observed.is_outdated(pod)]
    return sorted(current, key=progress)[:missing]


def _take_back(observed: ObservedGroup, pods: list[Manifest], draft: Draft) -> None:
    back = 0
    for pod in pods:
        workers = observed.workers_of(pod)
        # Also those that are not drained by now: the word of another operator may be on its way.
        draft.undrain += [worker.address for worker in workers]
        draft.look_again(DRAIN_POLL_S)
        if any(worker.drain is not None for worker in workers):
            continue
        # Only now that it takes work again: a worker without the mark is never drained, so one
        # that still refused work would do so for ever.
        draft.first.append(_mark(pod, None))
        back += 1
    if back:
        draft.tell("TakenBack", f"{count_of(back, 'worker')} meant to go, wanted again: staying")


def _free_unmarked(observed: ObservedGroup, draft: Draft) -> None:
    """Let those work again that are drained without a mark.

    An operator that has lost its lease may ask for a drain once more, just after its follower has
    taken the worker back.
    """
    report = observed.report
    if report is None or report.problem or not report.has_agent:
        return
    workers = (worker for pod in observed.live for worker in observed.workers_of(pod))
    refusing = [worker.address for worker in workers if worker.drain is not None]
    if refusing:
        draft.undrain += refusing
        draft.look_again(FREE_POLL_S)


def shrink(observed: ObservedGroup, draft: Draft, now: float) -> None:
    """Choose who goes of too many: who does not run yet, then who has least to do."""
    excess = len(observed.live) - observed.desired
    if excess <= 0:
        return
    youngest = sorted(observed.standing_as("pending"), key=created_s, reverse=True)
    unstarted = youngest[:excess]
    # One that began to run meanwhile may have work by now; one that was not seen yet is waited for.
    seen = list(filter(uid_of, unstarted))
    draft.delete(seen, as_seen=True)
    if seen:
        message = f"{count_of(len(seen), 'worker')} that did not run yet removed"
        draft.tell("ScaledDown", message, gone=seen)
    running_excess = excess - len(unstarted)
    if running_excess > 0:
        retire(observed, observed.standing_as("running", "ready"), running_excess, draft, now)


def retire(
    observed: ObservedGroup, pods: list[Manifest], number: int, draft: Draft, now: float
) -> None:
    """Mark so many of the running Pods, those with least to do."""
    report = observed.report
    if report is None:
        return
    if report.problem:
        if observed.may_go_unasked(now):
            youngest = sorted(pods, key=created_s, reverse=True)
            go_unasked(observed, youngest[:number], draft)
        draft.look_again(UNREACHABLE_POLL_S)
        return
    chosen = sorted(pods, key=lambda pod: _load(observed, pod))[:number]
    draft.first += [_mark(pod, now) for pod in chosen]
    # The mark comes back by the watch and is acted upon then.
    draft.look_again(DRAIN_POLL_S)
    message = f"{count_of(len(chosen), 'worker')} to finish what is running, hand over and go"
    draft.tell("Retiring", message)


def go_unasked(observed: ObservedGroup, pods: list[Manifest], draft: Draft) -> None:
    """Delete running workers without their scheduler's word, and say so."""
    draft.delete(pods, as_seen=True)
    report = observed.report
    if report is None or not pods:
        return
    if report.is_absent:
        message = f"{count_of(len(pods), 'worker')} removed; there is no scheduler that used them"
        draft.tell("ScaledDown", message, gone=pods)
        return
    message = (
        f"{count_of(len(pods), 'worker')} removed without asking the scheduler ({report.problem}): "
        "what they ran runs again, what only they held is computed again"
    )
    draft.tell("WorkLost", message, is_warning=True, gone=pods)


def _load(observed: ObservedGroup, pod: Manifest) -> tuple[bool, bool, float, int, float]:
    workers = observed.workers_of(pod)
    return (
        any(worker.processing for worker in workers),
        not observed.is_outdated(pod),
        sum(worker.occupancy_s for worker in workers),
        sum(worker.stored_bytes for worker in workers),
        -created_s(pod),
    )


def _mark(pod: Manifest, since: float | None) -> Patch:
    mark = None if since is None else format_time(since)
    body = {"metadata": {"annotations": {RETIRING_ANNOTATION: mark}}}
    return Patch(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"], body)


def _retiring_for_s(pod: Manifest, now: float) -> float:
    since = parse_time((pod["metadata"].get("annotations") or {}).get(RETIRING_ANNOTATION))
    return 0.0 if since is None else max(0.0, now - since)


def _poll_s(retiring_for_s: float) -> float:
    return max(DRAIN_POLL_S, min(retiring_for_s / 20, DRAIN_POLL_MAX_S))
