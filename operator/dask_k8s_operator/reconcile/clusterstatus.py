"""The status of a cluster, in one place.

Guarantees that ``Running`` means a ready scheduler, and that whatever is not ready has a reason
that a person can act on. Refuses to look at worker Pods: their groups have, and say so in their
own status.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..resources.builders import replicas_of, worker_selector
from ..resources.kinds import DASK_CLUSTERS
from ..resources.names import (
    AUTHORITY_ANNOTATION,
    DASHBOARD_PORT,
    default_group_name,
    scheduler_address,
    scheduler_host,
    scheduler_name,
)
from ..resources.owners import is_of_namesake, is_owned_by
from ..resources.schemas import WORKER_COUNTS
from ..resources.times import format_time
from ..resources.tls import scheme_of
from .conditions import Condition, build_conditions, find_condition, is_condition_true
from .observedcluster import ObservedCluster
from .plan import Manifest
from .pods import Trouble, explain_pod, is_ready, standing


def build_cluster_status(observed: ObservedCluster, *, replaced: bool, now: float) -> Manifest:
    """Build the whole status of a cluster; ``replaced`` when its scheduler is made anew now."""
    cluster, groups, before = observed.cluster, observed.groups, observed.status
    name, namespace = cluster["metadata"]["name"], cluster["metadata"]["namespace"]
    generation = cluster["metadata"].get("generation", 0)
    workers = sum_workers(groups)
    statements = _describe(observed)
    status: Manifest = {
        "phase": _phase(observed),
        "observedGeneration": generation,
        "ready": f"{workers['ready']}/{workers['desired']}",
        "workers": workers,
        "replicas": _default_replicas(name, groups),
        "selector": worker_selector(name, default_group_name(name)),
        "schedulerAddress": scheduler_address(name, namespace, scheme_of(cluster)),
        "dashboardAddress": f"http://{scheduler_host(name, namespace)}:{DASHBOARD_PORT}/status",
        "conditions": build_conditions(before, statements, generation, now),
        **_certificates(observed),
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
        wanted = replicas_of(group)
        total["desired"] += wanted - counts.get("desired", 0)
    return total


def _phase(observed: ObservedCluster) -> str:
    if observed.is_suspended and not _has_pods(observed):
        return "Suspended"
    if observed.is_scheduler_ready:
        return "Running"
    if observed.refusals:
        return "Error"
    is_new = observed.scheduler_pod is None and not observed.status.get("phase")
    return "Created" if is_new else "Pending"


def _has_pods(observed: ObservedCluster) -> bool:
    return observed.has_own_scheduler or observed.has_workers


def _certificates(observed: ObservedCluster) -> Manifest:
    certificates, pod, before = observed.certificates, observed.scheduler_pod, observed.status
    until, scheduler_authority = before.get("certificatesUntil"), before.get("schedulerAuthority")
    if certificates is not None:
        until = format_time(certificates.until)
    if pod is not None and observed.has_own_scheduler:
        annotations = pod["metadata"].get("annotations") or {}
        scheduler_authority = annotations.get(AUTHORITY_ANNOTATION)
    fields = {
        "certificatesUntil": until,
        "certificatesAuthority": observed.authority,
        "schedulerAuthority": scheduler_authority,
    }
    return {field: value for field, value in fields.items() if value}


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


def _describe(observed: ObservedCluster) -> list[Condition]:
    groups = observed.groups
    if observed.is_suspended:
        return _describe_suspended(observed)
    scheduler = _describe_scheduler(observed.cluster, observed.scheduler_pod)
    workers = _describe_workers(groups)
    first = next((s for s in (scheduler, workers) if not s.holds), None)
    ready = (
        Condition("Ready", False, first.reason, first.message)
        if first
        else Condition("Ready", True, "Ready", workers.message)
    )
    return [
        scheduler,
        workers,
        ready,
        _describe_degraded(scheduler, observed),
        _describe_retiring(groups),
        _describe_update(observed),
        *_agent(observed),
        *_describe_resumed(observed),
    ]


def _describe_suspended(observed: ObservedCluster) -> list[Condition]:
    if _has_pods(observed):
        reason, message = "Suspending", "its Pods finish what they run and go"
    else:
        reason, message = "Suspended", "suspended: it has no Pods until spec.suspend is false"
    refused = observed.refusals[0] if observed.refusals else None
    degraded = Condition("Degraded", False, "Working")
    if refused:
        degraded = Condition("Degraded", True, "CreateRefused", str(refused))
    return [
        Condition("SchedulerReady", observed.is_scheduler_ready, reason, message),
        Condition("WorkersReady", False, reason, message),
        Condition("Ready", False, reason, message),
        degraded,
        _describe_retiring(observed.groups),
        Condition("Suspended", True, reason, message),
    ]


def _describe_resumed(observed: ObservedCluster) -> list[Condition]:
    if find_condition(observed.status, "Suspended") is None:
        return []
    return [Condition("Suspended", False, "Resumed")]


def _describe_update(observed: ObservedCluster) -> Condition:
    if observed.is_scheduler_outdated:
        problem = observed.idle.problem if observed.idle else None
        waits = "the changed scheduler spec waits until the scheduler has no work and no results"
        if observed.holds_old_certificates:
            waits = (
                "the scheduler holds certificates of before and is made anew when it has no work "
                "and no results; new workers cannot reach it until then"
            )
        name = scheduler_name(observed.cluster["metadata"]["name"])
        hint = f" ({problem}; delete Pod {name} to have it now)" if problem else ""
        return Condition("Updated", False, "SchedulerOutdated", waits + hint)
    for group in observed.groups:
        condition = find_condition(group.get("status"), "Updated")
        if condition and condition["status"] == "False":
            message = condition.get("message", "")
            return Condition("Updated", False, condition["reason"], message)
    return Condition("Updated", True, "UpToDate")


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


def _describe_degraded(scheduler: Condition, observed: ObservedCluster) -> Condition:
    pod, groups = observed.scheduler_pod, observed.groups
    if observed.refusals:
        return Condition("Degraded", True, "CreateRefused", str(observed.refusals[0]))
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


def _agent(observed: ObservedCluster) -> list[Condition]:
    groups, idle = observed.groups, observed.idle
    if idle is not None and idle.problem and observed.idle_timeout_s:
        message = f"idleTimeout cannot be kept: {idle.problem}"
        return [Condition("AgentReady", False, "SchedulerUnreachable", message)]
    known = [c for g in groups if (c := find_condition(g.get("status"), "AgentReady"))]
    if idle is not None and idle.problem is None and not known:
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
    if "Updated" in by_type and not by_type["Updated"].holds:
        return by_type["Updated"].message
    return by_type["Retiring"].message or None
