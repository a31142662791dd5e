"""The status of a job, in one place.

Guarantees the states and the times that clients read. Refuses to forget when a job began.
"""

from __future__ import annotations

from ..resources.names import runner_name
from ..resources.times import format_time
from .conditions import Condition, build_conditions, find_condition
from .observedjob import ObservedJob
from .plan import Manifest
from .pods import ended_s

FINISHED = ("Successful", "Failed")


def build_job_status(
    observed: ObservedJob, state: str, message: str | None, now: float
) -> Manifest:
    """Build the whole status of a job."""
    job = observed.job
    metadata, before = job["metadata"], job.get("status") or {}
    generation = metadata.get("generation", 0)
    statements = [
        Condition("Complete", state == "Successful", state),
        Condition("Failed", state == "Failed", state, (message or "") if state == "Failed" else ""),
        *_suspended(observed, before, state),
    ]
    status: Manifest = {
        "jobStatus": state,
        "clusterName": metadata["name"],
        "jobRunnerPodName": runner_name(metadata["name"]),
        "observedGeneration": generation,
        "conditions": build_conditions(before, statements, generation, now),
        **_failures(observed),
    }
    if not observed.is_suspended:
        status["activeSince"] = before.get("activeSince") or format_time(now)
    has_begun = state == "Running" or state in FINISHED
    start = before.get("startTime") or (_started(observed, now) if has_begun else None)
    if start and not observed.is_suspended:  # a job that is resumed starts anew
        status["startTime"] = start
    if state in FINISHED:
        status["endTime"] = before.get("endTime") or _ended(observed, now)
    return {**status, "message": message} if message else status


def _started(observed: ObservedJob, now: float) -> str:
    runner_status = (observed.runner or {}).get("status") or {}
    return str(runner_status.get("startTime") or format_time(now))


def _ended(observed: ObservedJob, now: float) -> str:
    end = ended_s(observed.runner) if observed.runner else None
    return format_time(now if end is None else end)


def _suspended(observed: ObservedJob, before: Manifest, state: str) -> list[Condition]:
    is_suspended = observed.is_suspended and state not in FINISHED
    if not is_suspended and find_condition(before, "Suspended") is None:
        return []
    return [Condition("Suspended", is_suspended, "Suspended" if is_suspended else "Resumed")]


def _failures(observed: ObservedJob) -> Manifest:
    if not observed.failures:
        return {}
    return {"failures": observed.failures, "lastFailedRunner": observed.failed_uid}
