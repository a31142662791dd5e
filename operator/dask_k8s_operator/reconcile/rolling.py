"""How a changed worker spec reaches the workers: a few at a time, retired before replaced.

Guarantees that at most a quarter of the workers (at least one) is out at once, on the way out or on
the way in; that a spec which cannot start stops there; and that editing the spec back stops it too,
since only the spec of now counts. Refuses to hurry: a scheduler that does not answer is waited for.
"""

from __future__ import annotations

from .observedgroup import Draft, ObservedGroup, count_of, uid_of
from .plan import Manifest
from .pods import has_started, standing
from .retiring import retire

# The part of the workers that may be out at once.
OUT_AT_ONCE = 4


def roll(observed: ObservedGroup, draft: Draft, now: float) -> None:
    """Begin to replace workers of an older spec, as many as may be out."""
    if len(observed.live) > observed.desired:
        return  # first there are as many as asked for
    unstarted = [pod for pod in _outdated(observed) if uid_of(pod) and not _has_begun(pod)]
    # One that began to run meanwhile may have work by now.
    draft.delete(unstarted, as_seen=True)
    if unstarted:
        message = f"{count_of(len(unstarted), 'worker')} of an older spec that did not run removed"
        draft.tell("Updating", message, gone=unstarted)
    candidates = workers_to_roll(observed)
    if candidates:
        pods, number = candidates
        retire(observed, pods, number, draft, now)


def workers_to_roll(observed: ObservedGroup) -> tuple[list[Manifest], int] | None:
    """Find running workers of an older spec, and how many may go now; None when none may."""
    if len(observed.live) > observed.desired:
        return None
    begun = [pod for pod in _outdated(observed) if _has_begun(pod)]
    unready = [pod for pod in begun if standing(pod) != "ready"]
    if unready:
        return unready, len(unready)  # they are out already
    out = observed.desired - len(observed.standing_as("ready"))
    room = max(1, observed.desired // OUT_AT_ONCE) - out
    number = min(room, len(begun))
    return (begun, number) if number > 0 else None


def _outdated(observed: ObservedGroup) -> list[Manifest]:
    return [pod for pod in observed.live if observed.is_outdated(pod)]


def _has_begun(pod: Manifest) -> bool:
    return standing(pod) == "ready" or has_started(pod)
