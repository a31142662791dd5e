"""What ought to happen to a DaskWorkerGroup: as many worker Pods as asked for, each one bare.

Guarantees: what is missing is made (in batches where the administrator wants that) and what ended
is replaced, with back-off; too many retire, a changed spec rolls, changed labels and annotations
reach the Pods that are there. Refuses to touch a Pod that the group does not own, and to delete a
working one silently.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from ..resources.builders import build_worker_metadata, build_worker_pods
from ..resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS
from ..resources.owners import adopting_references, is_owned_by
from ..resources.passing import find_metadata_changes
from .groupstatus import build_group_status
from .observedgroup import UNREACHABLE_TIMEOUT_S, Draft, ObservedGroup, count_of
from .plan import NOTHING, Create, Manifest, Patch, Plan
from .pods import created_s, ended_s, explain_pod, is_retiring, summarize_troubles
from .retiring import finish_retiring, shrink, workers_to_take_back
from .rolling import roll, workers_to_roll

REPLACE_BASE_S = 10.0
REPLACE_MAX_S = 300.0


@dataclass(frozen=True)
class Allocation:
    """How new worker Pods are made.

    Parameters
    ----------
    batch_size
        How many at once; None for all that are missing.
    delay_s
        Seconds between one batch and the next.
    """

    batch_size: int | None = None
    delay_s: float = 0.0


ALL_AT_ONCE = Allocation()


def wants_report(observed: ObservedGroup) -> bool:
    """Whether the scheduler has to be asked before a decision: workers are going or have to go."""
    if not observed.is_alive:
        return False
    pending = len(observed.standing_as("pending"))
    running_excess = len(observed.live) - observed.desired - pending
    return bool(observed.standing_as("retiring") or running_excess > 0 or workers_to_roll(observed))


def decide_group(
    observed: ObservedGroup,
    now: float,
    hex_digits: Iterator[str],
    allocation: Allocation = ALL_AT_ONCE,
) -> Plan:
    """Decide about one worker group.

    Parameters
    ----------
    observed
        What there is.
    now
        Seconds since the epoch.
    hex_digits
        Endless ten random hexadecimal digits, for the names of new Pods.
    allocation
        How new Pods are made.
    """
    if observed.group["metadata"].get("deletionTimestamp"):
        return NOTHING
    draft = Draft()
    if observed.is_alive:
        _adopt(observed, draft)
        _replace_ended(observed, draft, now)
        finish_retiring(observed, draft, now)
        shrink(observed, draft, now)
        roll(observed, draft, now)
        _grow(observed, draft, hex_digits, allocation, now)
        _pass_on(observed, draft)
    return Plan(
        steps=tuple(
            tuple(step) for step in (draft.first, draft.deletions, draft.creations) if step
        ),
        status=build_group_status(observed, replaced=draft.replaced, now=now),
        drain=tuple(draft.drain),
        undrain=tuple(draft.undrain),
        notices=tuple(draft.notices),
        look_again_s=draft.look_again_s,
    )


def _adopt(observed: ObservedGroup, draft: Draft) -> None:
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


def _replace_ended(observed: ObservedGroup, draft: Draft, now: float) -> None:
    draft.delete([pod for pod in observed.standing_as("ended") if is_retiring(pod)])
    failed = observed.failed
    spare = max(0, len(observed.live) + len(failed) - observed.desired)
    draft.delete(failed[:spare])
    if observed.awaits_scheduler:
        return  # nobody would take their places
    wait_s = replacement_delay_s((observed.group.get("status") or {}).get("replacements", 0))
    replaced = []
    for pod in failed[spare:]:
        remaining_s = (ended_s(pod) or created_s(pod)) + wait_s - now
        # A new spec is tried at once.
        if remaining_s > 0 and not observed.is_outdated(pod):
            draft.look_again(remaining_s)
            continue
        draft.delete([pod])
        replaced.append(pod)
    draft.replaced = len(replaced)
    if replaced:
        who = (
            "1 worker ended and is"
            if len(replaced) == 1
            else f"{len(replaced)} workers ended and are"
        )
        draft.tell("Replaced", f"{who} made anew{_say_why(replaced)}", gone=replaced)


def _say_why(pods: list[Manifest]) -> str:
    trouble = summarize_troubles(((p, t) for p in pods if (t := explain_pod(p))), "worker")
    return f" ({trouble.message})" if trouble else ""


def replacement_delay_s(replacements: int) -> float:
    """Return how long an ended Pod stays, for its logs, before the next one takes its place.

    Examples
    --------
    >>> [replacement_delay_s(n) for n in (0, 1, 2, 9)]
    [10.0, 20.0, 40.0, 300.0]
    """
    return float(min(REPLACE_MAX_S, REPLACE_BASE_S * 2 ** min(replacements, 16)))


def _grow(
    observed: ObservedGroup,
    draft: Draft,
    hex_digits: Iterator[str],
    allocation: Allocation,
    now: float,
) -> None:
    if observed.awaits_scheduler:
        return  # the cluster's status says when it is there, and brings us back
    kept = sum(1 for pod in observed.failed if not draft.deletes(pod))
    missing = observed.desired - len(observed.live) - kept - _places_kept(observed)
    wait_s = _batch_wait_s(observed, allocation, now)
    if missing > 0 and wait_s > 0:
        draft.look_again(wait_s)
        return
    if allocation.batch_size and missing > allocation.batch_size:
        missing = allocation.batch_size
        draft.look_again(allocation.delay_s)
    if missing <= 0:
        return
    pods = build_worker_pods(observed.group, islice(hex_digits, missing), observed.cluster)
    draft.creations += [Create(PODS, pod) for pod in pods]
    fresh = missing - draft.replaced
    if fresh > 0:
        draft.tell("ScaledUp", f"{count_of(fresh, 'worker')} added")


def _places_kept(observed: ObservedGroup) -> int:
    """Places of retiring Pods: those that stay after all, and those to be replaced only when they
    have gone."""
    updating = [pod for pod in observed.standing_as("retiring") if observed.is_outdated(pod)]
    return len(updating) + len(workers_to_take_back(observed))


def _batch_wait_s(observed: ObservedGroup, allocation: Allocation, now: float) -> float:
    """Seconds until the next batch; 0 when it may be made now."""
    if not allocation.batch_size or not observed.live:
        return 0.0
    youngest = max(created_s(pod) for pod in observed.live)
    return max(0.0, min(youngest + allocation.delay_s - now, allocation.delay_s))


def _pass_on(observed: ObservedGroup, draft: Draft) -> None:
    wanted = build_worker_metadata(observed.group)
    for pod in (*observed.live, *observed.standing_as("retiring")):
        changes = find_metadata_changes(pod, wanted)
        if changes and not draft.deletes(pod):
            metadata = pod["metadata"]
            body = {"metadata": changes}
            draft.first.append(Patch(PODS, metadata["namespace"], metadata["name"], body))


__all__ = [
    "ALL_AT_ONCE",
    "UNREACHABLE_TIMEOUT_S",
    "Allocation",
    "ObservedGroup",
    "decide_group",
    "wants_report",
]
