"""What ought to happen to a DaskAutoscaler: its group follows what the scheduler could use.

Guarantees: never fewer than ``minimum`` nor more than ``maximum``, at most a quarter of the
workers taken away at once, and none within 15 s of the last change; more workers come at once.
Refuses to change anything when the scheduler does not answer, or when another one scales the group
already: the older of two works, the younger says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..resources.agent_protocol import Answer
from ..resources.builders import replicas_of
from ..resources.kinds import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS
from ..resources.names import default_group_name
from ..resources.owners import adopting_references, is_of_namesake, is_owned_by
from ..resources.times import format_time, parse_time
from .conditions import Condition, build_conditions
from .plan import NOTHING, Manifest, Notice, Patch, Plan, Write

COOL_DOWN_S = 15.0
POLL_S = 2.0


@dataclass(frozen=True)
class ObservedAutoscaler:
    """All that a decision about an autoscaler looks at.

    Parameters
    ----------
    autoscaler
        The DaskAutoscaler.
    cluster, group
        What it names, None when it is not there.
    rivals
        Other autoscalers of the same cluster, whichever group they scale.
    target
        Workers that the scheduler could use, None when it was not asked.
    """

    autoscaler: Manifest
    cluster: Manifest | None = None
    group: Manifest | None = None
    rivals: tuple[Manifest, ...] = ()
    target: Answer | None = None


def group_of(autoscaler: Manifest) -> str:
    """Name of the worker group that an autoscaler scales."""
    spec = autoscaler["spec"]
    return str(spec.get("workerGroup") or default_group_name(spec["cluster"]))


def wants_target(observed: ObservedAutoscaler) -> bool:
    """Whether the scheduler has to be asked how many workers it could use."""
    parts = (observed.autoscaler, observed.cluster, observed.group)
    if _is_suspended(observed) or _elder_rival(observed):
        return False
    return all(part is not None and not part["metadata"].get("deletionTimestamp") for part in parts)


def decide_autoscaler(observed: ObservedAutoscaler, now: float) -> Plan:
    """Decide about one autoscaler at ``now``, seconds since the epoch."""
    autoscaler, group = observed.autoscaler, observed.group
    if autoscaler["metadata"].get("deletionTimestamp"):
        return NOTHING
    missing = _explain_missing(observed) or _explain_standstill(observed)
    if missing or group is None:
        return Plan(status=_status(observed, missing or _INACTIVE, None, now))
    adoption = _adopt(observed)
    steps: tuple[tuple[Write, ...], ...] = (tuple(adoption),) if adoption else ()
    target = observed.target.value if observed.target else None
    if target is None:
        problem = observed.target.problem if observed.target else None
        condition = Condition(
            "Active", False, "SchedulerUnreachable", problem or "the scheduler was not asked yet"
        )
        status = _status(observed, condition, None, now)
        return Plan(steps=steps, status=status, look_again_s=POLL_S)
    return _scale(observed, group, int(target), steps, now)


_INACTIVE = Condition("Active", False, "GroupMissing")


def _scale(
    observed: ObservedAutoscaler,
    group: Manifest,
    target: int,
    steps: tuple[tuple[Write, ...], ...],
    now: float,
) -> Plan:
    spec, current = observed.autoscaler["spec"], replicas_of(group)
    wanted = max(spec["minimum"], min(spec["maximum"], target))
    replicas, condition = next_replicas(current, wanted, _since_last_scale(observed, now))
    status = _status(observed, condition, replicas, now, has_scaled=replicas != current)
    if replicas == current:
        return Plan(steps=steps, status=status, look_again_s=POLL_S)
    metadata = group["metadata"]
    patch = Patch(
        DASK_WORKER_GROUPS,
        metadata["namespace"],
        metadata["name"],
        {
            "metadata": {"resourceVersion": metadata.get("resourceVersion")},
            "spec": {"worker": {"replicas": replicas}},
        },
    )
    reason = "ScaledUp" if replicas > current else "ScaledDown"
    message = f"{metadata['name']} from {current} to {replicas} workers; it could use {target}"
    return Plan(
        steps=(*steps, (patch,)),
        status=status,
        notices=(Notice(reason, message),),
        look_again_s=POLL_S,
    )


def next_replicas(current: int, wanted: int, since_last_s: float | None) -> tuple[int, Condition]:
    """Return how many workers come next on the way to ``wanted``, and why.

    Examples
    --------
    >>> next_replicas(2, 10, None)[0], next_replicas(10, 2, None)[0], next_replicas(10, 2, 3.0)[0]
    (10, 8, 10)
    """
    if wanted == current:
        return current, Condition("Active", True, "WithinLimits")
    if wanted > current:
        return wanted, Condition("Active", True, "Scaling")
    if since_last_s is not None and since_last_s < COOL_DOWN_S:
        return current, Condition("Active", True, "CoolingDown")
    return max(wanted, current - max(1, current // 4)), Condition("Active", True, "Scaling")


def _since_last_scale(observed: ObservedAutoscaler, now: float) -> float | None:
    last = parse_time((observed.autoscaler.get("status") or {}).get("lastScaleTime"))
    return None if last is None else now - last


def _explain_missing(observed: ObservedAutoscaler) -> Condition | None:
    namespace, cluster = observed.autoscaler["metadata"]["namespace"], observed.cluster
    # One of an earlier cluster of this name is about to go with that one.
    if cluster is None or is_of_namesake(observed.autoscaler, DASK_CLUSTERS, cluster):
        name = observed.autoscaler["spec"]["cluster"]
        message = f"waits for DaskCluster {namespace}/{name}, which is not there"
        return Condition("Active", False, "ClusterMissing", message)
    if observed.group is None:
        name = group_of(observed.autoscaler)
        message = f"waits for DaskWorkerGroup {namespace}/{name}, which is not there"
        return Condition("Active", False, "GroupMissing", message)
    return None


def _explain_standstill(observed: ObservedAutoscaler) -> Condition | None:
    elder = _elder_rival(observed)
    if elder is not None:
        name = f"{elder['metadata']['namespace']}/{elder['metadata']['name']}"
        message = (
            f"DaskAutoscaler {name} is older and scales DaskWorkerGroup "
            f"{group_of(observed.autoscaler)} already; delete one of the two"
        )
        return Condition("Active", False, "GroupTaken", message)
    if _is_suspended(observed):
        return Condition("Active", False, "Suspended", "its cluster is suspended")
    return None


def _is_suspended(observed: ObservedAutoscaler) -> bool:
    return observed.cluster is not None and bool(observed.cluster["spec"].get("suspend"))


def _elder_rival(observed: ObservedAutoscaler) -> Manifest | None:
    """The one that scales the group: of two that want to, the older."""

    def age(autoscaler: Manifest) -> tuple[str, str]:
        metadata = autoscaler["metadata"]
        return metadata.get("creationTimestamp") or "", metadata["name"]

    mine = observed.autoscaler
    elders = [
        rival
        for rival in observed.rivals
        if not rival["metadata"].get("deletionTimestamp")
        and group_of(rival) == group_of(mine)
        and age(rival) < age(mine)
    ]
    return min(elders, key=age, default=None)


def _adopt(observed: ObservedAutoscaler) -> list[Write]:
    autoscaler, cluster = observed.autoscaler, observed.cluster
    if cluster is None or is_owned_by(autoscaler, cluster):
        return []
    metadata = autoscaler["metadata"]
    references = adopting_references(autoscaler, DASK_CLUSTERS, cluster)
    body = {
        "metadata": {
            "ownerReferences": references,
            "resourceVersion": metadata.get("resourceVersion"),
        }
    }
    return [Patch(DASK_AUTOSCALERS, metadata["namespace"], metadata["name"], body)]


def _status(
    observed: ObservedAutoscaler,
    condition: Condition,
    desired: int | None,
    now: float,
    *,
    has_scaled: bool = False,
) -> Manifest:
    before = observed.autoscaler.get("status") or {}
    generation = observed.autoscaler["metadata"].get("generation", 0)
    status: Manifest = {
        "observedGeneration": generation,
        "conditions": build_conditions(before, [condition], generation, now),
    }
    if desired is None:
        desired = before.get("desiredReplicas")
    if desired is not None:
        status["desiredReplicas"] = desired
    last = format_time(now) if has_scaled else before.get("lastScaleTime")
    if last:
        status["lastScaleTime"] = last
    if condition.message:
        status["message"] = condition.message
    return status
