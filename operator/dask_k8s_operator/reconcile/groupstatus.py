"""The status of a worker group, in one place.

Guarantees that the status is a function of what is observed, so that nothing is written twice, and
that whenever workers are missing it says why. Refuses to count a Pod twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..resources.agent_protocol import SchedulerReport
from ..resources.builders import worker_selector
from ..resources.times import format_time, parse_time
from .conditions import Condition, build_conditions
from .plan import Manifest, Refusal
from .pods import Trouble, explain_pod, is_retiring, standing, summarize_troubles

# After so long without a replacement, workers count as well again.
REPLACEMENTS_FORGOTTEN_S = 600.0

LOST_WITHOUT_AGENT = (
    "the scheduler does not run the operator's agent, so workers are retired by Dask's own API: "
    "tasks that run on a retired worker run again elsewhere"
)


def build_group_status(
    group: Manifest,
    cluster: Manifest | None,
    pods: Sequence[Manifest],
    *,
    report: SchedulerReport | None,
    refusals: Sequence[Refusal],
    replaced: int,
    now: float,
) -> Manifest:
    """Build the whole status of a worker group."""
    metadata, before = group["metadata"], group.get("status") or {}
    desired = int(group["spec"]["worker"].get("replicas", 1))
    staying = [p for p in pods if standing(p) in ("pending", "running", "ready", "ended")]
    staying = [pod for pod in staying if not is_retiring(pod)]
    found = [(pod, trouble) for pod in staying if (trouble := explain_pod(pod))]
    counts = count_workers(pods, desired)
    trouble = _find_trouble(cluster, refusals, found, group)
    statements = _describe(counts, trouble, report, before)
    ready = next(s for s in statements if s.type == "Ready")
    retiring = next(s for s in statements if s.type == "Retiring")
    message = _first_message(trouble, ready, retiring)
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
    cluster: Manifest | None,
    refusals: Sequence[Refusal],
    found: Sequence[tuple[Manifest, Trouble]],
    group: Manifest,
) -> Trouble | None:
    if cluster is None:
        name = f"{group['metadata']['namespace']}/{group['spec']['cluster']}"
        return Trouble("ClusterMissing", f"waits for DaskCluster {name}, which is not there", False)
    if refusals:
        return Trouble("CreateRefused", str(refusals[0]), True)
    return summarize_troubles(found, "worker")


def _describe(
    counts: dict[str, int],
    trouble: Trouble | None,
    report: SchedulerReport | None,
    before: Manifest,
) -> list[Condition]:
    ready, desired, retiring = counts["ready"], counts["desired"], counts["retiring"]
    are_ready = ready >= desired and not (trouble and trouble.reason == "ClusterMissing")
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
        _describe_retiring(retiring),
        *describe_agent(report),
    ]


def _describe_retiring(retiring: int) -> Condition:
    if not retiring:
        return Condition("Retiring", False, "NotRetiring")
    who = "1 worker finishes what it runs" if retiring == 1 else f"{retiring} workers finish"
    rest = " and goes" if retiring == 1 else " what they run and go"
    return Condition("Retiring", True, "Draining", who + rest)


def describe_agent(report: SchedulerReport | None) -> list[Condition]:
    """Say what is known of the agent; nothing when the scheduler was not asked."""
    if report is None or report.is_absent:
        return []
    if report.problem and report.may_recover:
        return [Condition("AgentReady", False, "SchedulerUnreachable", report.problem)]
    if report.problem:
        return [Condition("AgentReady", False, "AgentMissing", report.problem)]
    if not report.has_agent:
        return [Condition("AgentReady", False, "AgentMissing", LOST_WITHOUT_AGENT)]
    return [Condition("AgentReady", True, "AgentAnswers")]


def _first_message(trouble: Trouble | None, ready: Condition, retiring: Condition) -> str | None:
    if trouble:
        return trouble.message
    if not ready.holds:
        return ready.message
    return retiring.message or None


def _silence(before: Manifest, report: SchedulerReport | None, now: float) -> Manifest:
    # Gone as soon as the scheduler answers or need not be asked: the next wait begins anew.
    if report is None or report.problem is None or report.is_absent:
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
