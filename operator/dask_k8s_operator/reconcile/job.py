"""What ought to happen to a DaskJob: a cluster, a runner Pod in it, and at the end only the runner.

Guarantees: the runner begins when the scheduler is ready, the cluster goes when the runner has
ended, and the runner Pod stays for its logs. Refuses to start a finished job again.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..resources.builders import build_job_cluster, build_runner_pod, is_owned_by
from ..resources.kinds import DASK_CLUSTERS, PODS
from ..resources.names import runner_name
from ..resources.times import format_time
from .conditions import Condition, build_conditions, is_condition_true
from .plan import NOTHING, Create, Delete, Manifest, Notice, Plan, Refusal, Write
from .pods import ended_s, explain_pod, has_started

FINISHED = ("Successful", "Failed")


@dataclass(frozen=True)
class ObservedJob:
    """All that a decision about a job looks at.

    Parameters
    ----------
    job
        The DaskJob.
    cluster, runner
        Whatever has their names, None when nothing has.
    refusals
        What Kubernetes refused the last time.
    """

    job: Manifest
    cluster: Manifest | None = None
    runner: Manifest | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def state(self) -> str:
        """``status.jobStatus`` so far, "" at the very beginning."""
        return str((self.job.get("status") or {}).get("jobStatus", ""))


def decide_job(observed: ObservedJob, now: float) -> Plan:
    """Decide about one job at ``now``, seconds since the epoch."""
    if observed.job["metadata"].get("deletionTimestamp"):
        return NOTHING
    outcome = _outcome(observed)
    if outcome:
        return _finish(observed, outcome, now)
    namesake = _explain_namesake(observed)
    if namesake:
        return Plan(status=_status(observed, observed.state or "JobCreated", namesake, now))
    trouble = _explain_refusal(observed) or _explain_runner(observed)
    if observed.cluster is None:
        create = Create(DASK_CLUSTERS, build_job_cluster(observed.job))
        status = _status(observed, "JobCreated", trouble, now)
        return Plan(steps=((create,),), status=status)
    if observed.runner is None:
        state = "ClusterCreated" if observed.state != "Running" else "Running"
        status = _status(observed, state, trouble, now)
        return Plan(steps=_start(observed), status=status)
    has_begun = has_started(observed.runner) or observed.state == "Running"
    state = "Running" if has_begun else "ClusterCreated"
    return Plan(status=_status(observed, state, trouble, now))


def _start(observed: ObservedJob) -> tuple[tuple[Write, ...], ...]:
    cluster = observed.cluster or {}
    # Its Client would give up after half a minute, while the scheduler's image is still pulled.
    if not is_condition_true(cluster.get("status"), "SchedulerReady"):
        return ()
    return ((Create(PODS, build_runner_pod(observed.job)),),)


def _outcome(observed: ObservedJob) -> str | None:
    if observed.state in FINISHED:
        return observed.state
    runner = observed.runner
    if runner is None or not is_owned_by(runner, observed.job):
        return None
    phase = (runner.get("status") or {}).get("phase")
    if runner["metadata"].get("deletionTimestamp"):
        return None
    return {"Succeeded": "Successful", "Failed": "Failed"}.get(str(phase))


def _finish(observed: ObservedJob, outcome: str, now: float) -> Plan:
    cluster, steps = observed.cluster, []
    is_ours = cluster is not None and is_owned_by(cluster, observed.job)
    if cluster is not None and is_ours and not cluster["metadata"].get("deletionTimestamp"):
        metadata = cluster["metadata"]
        steps.append(
            (Delete(DASK_CLUSTERS, metadata["namespace"], metadata["name"], metadata["uid"]),)
        )
    is_news = observed.state not in FINISHED
    message = _explain_end(observed) if outcome == "Failed" and is_news else None
    kept = (observed.job.get("status") or {}).get("message") if not is_news else None
    status = _status(observed, outcome, message or kept, now)
    return Plan(
        steps=tuple(steps), status=status, notices=_finish_notice(outcome, message, is_news)
    )


def _finish_notice(outcome: str, message: str | None, is_news: bool) -> tuple[Notice, ...]:
    if not is_news:
        return ()
    if outcome == "Failed":
        return (Notice("Failed", message or "the runner failed", "Warning"),)
    return (Notice("Successful", "the runner ended well, its cluster is deleted"),)


def _explain_end(observed: ObservedJob) -> str:
    runner = observed.runner or {}
    trouble = explain_pod(runner) if runner else None
    name = runner_name(observed.job["metadata"]["name"])
    why = f"{trouble.reason}: {trouble.message}" if trouble else "it ended badly"
    return f"runner {name}: {why}; its log says more: kubectl logs {name}"


def _explain_namesake(observed: ObservedJob) -> str | None:
    metadata = observed.job["metadata"]
    for child, what in ((observed.cluster, "DaskCluster"), (observed.runner, "Pod")):
        if child is not None and not is_owned_by(child, observed.job):
            name = f"{metadata['namespace']}/{child['metadata']['name']}"
            return f"{what} {name} is there already and belongs to something else; delete it"
    return None


def _explain_refusal(observed: ObservedJob) -> str | None:
    return str(observed.refusals[0]) if observed.refusals else None


def _explain_runner(observed: ObservedJob) -> str | None:
    runner, cluster = observed.runner, observed.cluster or {}
    if runner is None:
        return (cluster.get("status") or {}).get("message")
    trouble = explain_pod(runner)
    return f"runner: {trouble.reason}: {trouble.message}" if trouble else None


def _status(observed: ObservedJob, state: str, message: str | None, now: float) -> Manifest:
    job = observed.job
    metadata, before = job["metadata"], job.get("status") or {}
    generation = metadata.get("generation", 0)
    statements = [
        Condition("Complete", state == "Successful", state),
        Condition("Failed", state == "Failed", state, (message or "") if state == "Failed" else ""),
    ]
    status: Manifest = {
        "jobStatus": state,
        "clusterName": metadata["name"],
        "jobRunnerPodName": runner_name(metadata["name"]),
        "observedGeneration": generation,
        "conditions": build_conditions(before, statements, generation, now),
    }
    has_begun = state == "Running" or state in FINISHED
    start = before.get("startTime") or (_started(observed, now) if has_begun else None)
    if start:
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
