"""The status of a cluster, in one place.

Guarantees that ``Running`` means a ready scheduler, and that whatever is not ready has a reason
that a person can act on. Refuses to look at worker Pods: their groups have, and say so in their
own status.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..resources.agent_protocol import Answer
from ..resources.builders import is_of_namesake, is_owned_by, worker_selector
from ..resources.crds import WORKER_COUNTS
from ..resources.kinds import DASK_CLUSTERS
from ..resources.names import (
    DASHBOARD_PORT,
    default_group_name,
    scheduler_address,
    scheduler_host,
    scheduler_name,
)
from .conditions import Condition, build_conditions, find_condition, is_condition_true
from .plan import Manifest, Refusal
from .pods import Trouble, explain_pod, is_ready, standing


def is_scheduler_ready(pod: Manifest | None) -> bool:
    """Whether the scheduler Pod is there, ready and not on its way out."""
    return pod is not None and standing(pod) == "ready"


def build_cluster_status(
    cluster: Manifest,
    scheduler_pod: Manifest | None,
    groups: Sequence[Manifest],
    *,
    refusals: Sequence[Refusal],
    idle: Answer | None,
    replaced: bool,
    now: float,
) -> Manifest:
    """Build the whole status of a cluster."""
    metadata, before = cluster["metadata"], cluster.get("status") or {}
    name, namespace = metadata["name"], metadata["namespace"]
    generation = metadata.get("generation", 0)
    workers = sum_workers(groups)
    scheduler = _describe_scheduler(cluster, scheduler_pod)
    statements = _describe(scheduler, scheduler_pod, groups, refusals, idle)
    status: Manifest = {
        "phase": _phase(scheduler.holds, scheduler_pod, before, refusals),
        "observedGeneration": generation,
        "ready": f"{workers['ready']}/{workers['desired']}",
        "workers": workers,
        "replicas": _default_replicas(name, groups),
        "selector": worker_selector(name, default_group_name(name)),
        "schedulerAddress": scheduler_address(name, namespace),
        "dashboardAddress": f"http://{scheduler_host(name, namespace)}:{DASHBOARD_PORT}/status",
        "conditions": build_conditions(before, statements, generation, now),
    }
    replacements = before.get("schedulerReplacements", 0) + int(replaced)
    if replacements:
        status["schedulerReplacements"] = replacements
    message = _message(statements)
    return {**status, "message": message} if message else status


def sum_workers(groups: Sequence[Manifest]) -> dict[str, int]:
    """Add up the workers of groups; one that has no status yet counts as asked for."""
    total = dict.fromkeys(WORKER_COUNTS, 0)
    for group in groups:
        counts = (group.get("status") or {}).get("workers") or {}
        for count in WORKER_COUNTS:
            total[count] += counts.get(count, 0)
        wanted = int(group["spec"]["worker"].get("replicas", 1))
        total["desired"] += wanted - counts.get("desired", 0)
    return total


def _phase(
    is_ready_: bool,
    scheduler_pod: Manifest | None,
    before: Manifest,
    refusals: Sequence[Refusal],
) -> str:
    if is_ready_:
        return "Running"
    if refusals:
        return "Error"
    return "Created" if scheduler_pod is None and not before.get("phase") else "Pending"


def _default_replicas(cluster: str, groups: Sequence[Manifest]) -> int:
    name = default_group_name(cluster)
    group = next((g for g in groups if g["metadata"]["name"] == name), None)
    return int(((group or {}).get("status") or {}).get("replicas", 0))


def _describe_scheduler(cluster: Manifest, pod: Manifest | None) -> Condition:
    name = f"{cluster['metadata']['namespace']}/{scheduler_name(cluster['metadata']['name'])}"
    if pod is None:
        return _scheduler_waits("SchedulerMissing", f"scheduler Pod {name} is being made")
    if not is_owned_by(pod, cluster):
        if standing(pod) == "leaving" or is_of_namesake(pod, DASK_CLUSTERS, cluster):
            message = f"scheduler Pod {name} of an earlier cluster of this name has yet to end"
            return _scheduler_waits("SchedulerMissing", message)
        message = f"a Pod {name} of something else is in the way; it has to go first"
        return _scheduler_waits("NameTaken", message)
    if standing(pod) == "leaving":
        return _scheduler_waits("SchedulerMissing", f"scheduler Pod {name} is being replaced")
    if is_ready(pod):
        return Condition("SchedulerReady", True, "SchedulerReady", "the scheduler is ready")
    trouble = explain_pod(pod)
    if trouble:
        return _scheduler_waits(trouble.reason, _about_scheduler(trouble))
    if standing(pod) == "pending":
        return _scheduler_waits("SchedulerPending", "the scheduler Pod waits to be started")
    return _scheduler_waits("SchedulerStarting", "the scheduler runs but is not ready yet")


def _about_scheduler(trouble: Trouble) -> str:
    if trouble.reason == "Unschedulable":
        return f"the scheduler Pod does not fit: {trouble.message}"
    return f"scheduler: {trouble.reason}: {trouble.message}"


def _scheduler_waits(reason: str, message: str) -> Condition:
    return Condition("SchedulerReady", False, reason, message)


def _describe(
    scheduler: Condition,
    scheduler_pod: Manifest | None,
    groups: Sequence[Manifest],
    refusals: Sequence[Refusal],
    idle: Answer | None,
) -> list[Condition]:
    workers = _describe_workers(groups)
    first = next((s for s in (scheduler, workers) if not s.holds), None)
    ready = (
        Condition("Ready", False, first.reason, first.message)
        if first
        else Condition("Ready", True, "Ready", workers.message)
    )
    degraded = _describe_degraded(scheduler, scheduler_pod, groups, refusals)
    return [scheduler, workers, ready, degraded, _describe_retiring(groups), *_agent(groups, idle)]


def _describe_workers(groups: Sequence[Manifest]) -> Condition:
    if not groups:
        return Condition("WorkersReady", False, "WorkersStarting", "the worker group is being made")
    counts = sum_workers(groups)
    for group in groups:
        condition = find_condition(group.get("status"), "WorkersReady")
        if not condition or condition["status"] != "True":
            reason = (condition or {}).get("reason", "WorkersStarting")
            message = (condition or {}).get("message", "the workers are being made")
            return Condition("WorkersReady", False, reason, message)
    message = f"{counts['ready']} of {counts['desired']} workers ready"
    is_current = counts["ready"] >= counts["desired"]
    reason = "WorkersReady" if is_current else "WorkersStarting"
    return Condition("WorkersReady", is_current, reason, message)


def _describe_degraded(
    scheduler: Condition,
    pod: Manifest | None,
    groups: Sequence[Manifest],
    refusals: Sequence[Refusal],
) -> Condition:
    if refusals:
        return Condition("Degraded", True, "CreateRefused", str(refusals[0]))
    # A Pod on its way out may look broken; what matters is the one that comes.
    is_here = pod is not None and not scheduler.holds and scheduler.reason != "SchedulerMissing"
    trouble = explain_pod(pod) if pod is not None and is_here else None
    if (trouble and trouble.is_lasting) or scheduler.reason == "NameTaken":
        return Condition("Degraded", True, scheduler.reason, scheduler.message)
    for group in groups:
        if is_condition_true(group.get("status"), "Degraded"):
            condition = find_condition(group.get("status"), "Degraded") or {}
            return Condition("Degraded", True, condition["reason"], condition.get("message", ""))
    return Condition("Degraded", False, "Working")


def _describe_retiring(groups: Sequence[Manifest]) -> Condition:
    for group in groups:
        if is_condition_true(group.get("status"), "Retiring"):
            condition = find_condition(group.get("status"), "Retiring") or {}
            return Condition("Retiring", True, "Draining", condition.get("message", ""))
    return Condition("Retiring", False, "NotRetiring")


def _agent(groups: Sequence[Manifest], idle: Answer | None) -> list[Condition]:
    if idle is not None and idle.problem:
        message = f"idleTimeout cannot be kept: {idle.problem}"
        return [Condition("AgentReady", False, "SchedulerUnreachable", message)]
    known = [c for g in groups if (c := find_condition(g.get("status"), "AgentReady"))]
    if idle is not None and not known:
        return [Condition("AgentReady", True, "AgentAnswers")]
    if not known:
        return []
    worst = min(known, key=lambda condition: condition["status"] == "True")
    message = worst.get("message", "")
    return [Condition("AgentReady", worst["status"] == "True", worst["reason"], message)]


def _message(statements: Sequence[Condition]) -> str | None:
    by_type = {statement.type: statement for statement in statements}
    if by_type["Degraded"].holds:
        return by_type["Degraded"].message or None
    if not by_type["Ready"].holds:
        return by_type["Ready"].message
    return by_type["Retiring"].message or None
