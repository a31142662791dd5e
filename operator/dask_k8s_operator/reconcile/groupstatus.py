"""The status of a worker group, in one place.

Guarantees that the status is a function of what is observed, so that nothing is written twice, and
that whenever workers are missing it says why. Refuses to count a Pod twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..resources.agent_protocol import SchedulerReport
from ..resources.builders import replicas_of, worker_selector
from ..resources.times import format_time, parse_time
from .conditions import Condition, build_conditions
from .observedgroup import ObservedGroup
from .plan import Manifest
from .pods import Trouble, explain_pod, is_retiring, standing, summarize_troubles

# After so long without a replacement, workers count as well again.
REPLACEMENTS_FORGOTTEN_S = 600.0

LOST_WITHOUT_AGENT = (
    "the scheduler does not run the operator's agent, so workers are retired by Dask's own API: "
    "tasks that run on a retired worker run again elsewhere"
)
_MIXED_UP = (
    "; some share an address with workers that stay, and cannot be told from them: start workers "
    "with --name $(DASK_WORKER_NAME)"
)


def build_group_status(observed: ObservedGroup, *, replaced: int, now: float) -> Manifest:
    """Build the whole status of a worker group; ``replaced`` workers are made anew right now."""
    group, report = observed.group, observed.report
    metadata, before = group["metadata"], group.get("status") or {}
    desired = replicas_of(group)
    staying = [*observed.live, *observed.failed]
    found = [(pod, trouble) for pod in staying if (trouble := explain_pod(pod))]
    counts = count_workers(observed.pods, desired)
    trouble = _find_trouble(observed, found)
    statements = [*_describe(counts, trouble, observed), _describe_update(observed)]
    message = _first_message(trouble, statements)
    status: Manifest = {
        "observedGeneration": metadata.get("generation", 0),
        "ready": f"{counts['ready']}/{desired}",
        "replicas": len(staying),
        "selector": worker_selector(group["spec"]["cluster"], metadata["name"]),
        "workers": counts,
        "conditions": build_conditions(before, statements, metadata.get("generation", 0), now),
        **_replacements(before, replaced, now),
        **_silence(before, report, now),
    }
    return {**status, "message": message} if message else status


def count_workers(pods: Sequence[Manifest], desired: int) -> dict[str, int]:
    """Count Pods by what they are to a person; a failing Pod does not count as pending or running.

    Examples
    --------
    >>> count_workers([], 2)["desired"]
    2
    """
    counts = Counter(_counted_as(pod) for pod in pods)
    return {
        "desired": desired,
        "pending": counts["pending"],
        "running": counts["running"] + counts["ready"],
        "ready": counts["ready"],
        "failed": counts["failed"],
        "retiring": counts["retiring"],
    }


def _counted_as(pod: Manifest) -> str:
    if is_retiring(pod):
        return "retiring"
    kind = standing(pod)
    if kind == "ended":
        return "failed"
    trouble = explain_pod(pod) if kind in ("pending", "running") else None
    # An image may still arrive: the Pod waits for it. A crash is a crash.
    has_failed = trouble is not None and trouble.is_lasting and not trouble.is_image
    return "failed" if has_failed else kind


def _find_trouble(
    observed: ObservedGroup, found: Sequence[tuple[Manifest, Trouble]]
) -> Trouble | None:
    group, cluster = observed.group, observed.cluster
    if cluster is None:
        name = f"{group['metadata']['namespace']}/{group['spec']['cluster']}"
        return Trouble("ClusterMissing", f"waits for DaskCluster {name}, which is not there", False)
    if observed.is_suspended:
        return Trouble("Suspended", "its cluster is suspended", False)
    if observed.refusals:
        return Trouble("CreateRefused", str(observed.refusals[0]), True)
    if observed.awaits_scheduler and len(observed.live) < observed.desired:
        name = f"{group['metadata']['namespace']}/{group['spec']['cluster']}"
        message = f"waits for the scheduler Pod of DaskCluster {name}"
        return Trouble("SchedulerMissing", message, False)
    return summarize_troubles(found, "worker")


def _describe(
    counts: dict[str, int], trouble: Trouble | None, observed: ObservedGroup
) -> list[Condition]:
    ready, desired, retiring = counts["ready"], counts["desired"], counts["retiring"]
    is_stopped = trouble is not None and trouble.reason in ("ClusterMissing", "Suspended")
    are_ready = ready >= desired and not is_stopped
    if are_ready:
        reason, message = "WorkersReady", f"{ready} of {desired} workers ready"
    elif trouble:
        reason, message = trouble.reason, trouble.message
    else:
        reason, message = "WorkersStarting", f"{ready} of {desired} workers ready, the rest start"
    is_degraded = trouble is not None and trouble.is_lasting
    return [
        Condition("WorkersReady", are_ready, reason, message),
        Condition("Ready", are_ready, reason, message),
        Condition(
            "Degraded",
            is_degraded,
            trouble.reason if trouble and is_degraded else "Working",
            trouble.message if trouble and is_degraded else "",
        ),
        _describe_retiring(retiring, are_mixed_up=observed.are_mixed_up),
        *describe_agent(observed.report),
    ]


def _describe_retiring(retiring: int, *, are_mixed_up: bool) -> Condition:
    if not retiring:
        return Condition("Retiring", False, "NotRetiring")
    who = "1 worker finishes what it runs" if retiring == 1 else f"{retiring} workers finish"
    rest = " and goes" if retiring == 1 else " what they run and go"
    return Condition("Retiring", True, "Draining", who + rest + (_MIXED_UP if are_mixed_up else ""))


def describe_agent(report: SchedulerReport | None) -> list[Condition]:
    """Say what is known of the agent; nothing when the scheduler was not asked."""
    if report is None or report.is_absent:
        return []
    if not report.knows_token:
        return [Condition("AgentReady", False, "TokenUnknown", report.problem or "")]
    if report.problem and report.may_recover:
        return [Condition("AgentReady", False, "SchedulerUnreachable", report.problem)]
    if report.problem:
        return [Condition("AgentReady", False, "AgentMissing", report.problem)]
    if not report.has_agent:
        return [Condition("AgentReady", False, "AgentMissing", LOST_WITHOUT_AGENT)]
    return [Condition("AgentReady", True, "AgentAnswers")]


def _describe_update(observed: ObservedGroup) -> Condition:
    pods = [*observed.live, *observed.standing_as("retiring")]
    outdated = sum(1 for pod in pods if observed.is_outdated(pod))
    if not outdated:
        return Condition("Updated", True, "UpToDate")
    message = f"{len(pods) - outdated} of {len(pods)} workers have the new spec"
    return Condition("Updated", False, "RollingUpdate", message)


def _first_message(trouble: Trouble | None, statements: Sequence[Condition]) -> str | None:
    if trouble:
        return trouble.message
    by_type = {statement.type: statement for statement in statements}
    for type_ in ("Ready", "Updated"):
        if not by_type[type_].holds:
            return by_type[type_].message
    return by_type["Retiring"].message or None


def _silence(before: Manifest, report: SchedulerReport | None, now: float) -> Manifest:
    # Gone as soon as the scheduler answers (be it that it does not know us) or need not be asked:
    # the next wait begins anew.
    if report is None or report.problem is None or report.is_absent or not report.knows_token:
        return {}
    return {"unreachableSince": before.get("unreachableSince") or format_time(now)}


def _replacements(before: Manifest, replaced: int, now: float) -> Manifest:
    count = before.get("replacements", 0)
    last = parse_time(before.get("lastReplacementTime"))
    if replaced:
        return {"replacements": count + 1, "lastReplacementTime": format_time(now)}
    if count and last is not None and now - last < REPLACEMENTS_FORGOTTEN_S:
        return {"replacements": count, "lastReplacementTime": before["lastReplacementTime"]}
    return {}
