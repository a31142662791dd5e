"""What ought to happen to a DaskJob: a cluster, a runner Pod in it, and at the end only the runner.

Guarantees: the runner begins when the scheduler is ready; one that fails is tried again as often as
``backoffLimit`` says; the cluster goes when the runner has ended or ``activeDeadlineSeconds`` are
over; and the runner Pod stays for its logs, until ``ttlSecondsAfterFinished``. Refuses to start a
finished job again.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..resources.builders import build_job_cluster, build_runner_pod
from ..resources.kinds import DASK_CLUSTERS, DASK_JOBS, PODS
from ..resources.names import runner_name
from ..resources.owners import is_owned_by
from ..resources.times import parse_time
from .conditions import is_condition_true
from .jobstatus import FINISHED, build_job_status
from .observedjob import ObservedJob
from .plan import NOTHING, Create, Delete, Manifest, Notice, Patch, Plan, Write
from .pods import created_s, ended_s, explain_pod, has_started

RETRY_BASE_S = 10.0
RETRY_MAX_S = 300.0


@dataclass(frozen=True)
class _Outcome:
    """How a job ended, and why where it failed."""

    state: str
    message: str | None = None


def decide_job(observed: ObservedJob, now: float) -> Plan:
    """Decide about one job at ``now``, seconds since the epoch."""
    if observed.job["metadata"].get("deletionTimestamp"):
        return NOTHING
    if observed.state in FINISHED:
        return _stay_finished(observed, now)
    if observed.is_suspended:
        return _suspend(observed, now)
    outcome = _find_outcome(observed, now)
    if outcome:
        return _finish(observed, outcome, now)
    if observed.has_failed_runner:
        return _try_again(observed, now)
    return _go_on(observed, now)


def _go_on(observed: ObservedJob, now: float) -> Plan:
    wait_s = _deadline_s(observed, now)
    namesake = _explain_namesake(observed)
    if namesake:
        status = build_job_status(observed, observed.state or "JobCreated", namesake, now)
        return Plan(status=status, look_again_s=wait_s)
    trouble = _explain_refusal(observed) or _explain_runner(observed)
    steps: tuple[tuple[Write, ...], ...] = ()
    if observed.cluster is None:
        state = "JobCreated"
        steps = ((Create(DASK_CLUSTERS, build_job_cluster(observed.job)),),)
    elif observed.runner is None:
        state = "ClusterCreated" if observed.state != "Running" else "Running"
        steps = _start(observed)
    else:
        has_begun = has_started(observed.runner) or observed.state == "Running"
        state = "Running" if has_begun else "ClusterCreated"
    status = build_job_status(observed, state, trouble, now)
    return Plan(steps=steps, status=status, look_again_s=wait_s)


def _start(observed: ObservedJob) -> tuple[tuple[Write, ...], ...]:
    cluster = observed.cluster or {}
    # Its Client would give up after half a minute, while the scheduler's image is still pulled.
    if not is_condition_true(cluster.get("status"), "SchedulerReady"):
        return ()
    return ((Create(PODS, build_runner_pod(observed.job)),),)


def _suspend(observed: ObservedJob, now: float) -> Plan:
    step = (*_delete_cluster(observed), *_delete_runner(observed))
    message = "suspended: it has no runner and no cluster until spec.suspend is false"
    status = build_job_status(observed, "JobCreated", message, now)
    notice = Notice("Suspended", "its runner and cluster are deleted", of=step)
    return Plan(steps=(step,) if step else (), status=status, notices=(notice,) if step else ())


def _find_outcome(observed: ObservedJob, now: float) -> _Outcome | None:
    if observed.runner_phase == "Succeeded":
        return _Outcome("Successful")
    if observed.has_failed_runner and observed.failures > (observed.backoff_limit or 0):
        return _Outcome("Failed", _explain_end(observed))
    limit = observed.backoff_limit
    if limit is not None and observed.failures + observed.restarts > limit:
        return _Outcome("Failed", f"{_explain_end(observed)}; its backoffLimit is {limit}")
    remaining_s = _deadline_s(observed, now)
    if remaining_s is not None and remaining_s <= 0:
        deadline_s = observed.job["spec"]["activeDeadlineSeconds"]
        message = f"not done within its activeDeadlineSeconds of {deadline_s}"
        return _Outcome("Failed", message)
    return None


def _deadline_s(observed: ObservedJob, now: float) -> float | None:
    """Seconds left to the job, None for no limit."""
    deadline_s = observed.job["spec"].get("activeDeadlineSeconds")
    if deadline_s is None:
        return None
    since = parse_time((observed.job.get("status") or {}).get("activeSince"))
    return (now if since is None else since) + float(deadline_s) - now


def _try_again(observed: ObservedJob, now: float) -> Plan:
    runner = observed.runner or {}
    message = f"{_explain_end(observed)}; it is tried again"
    # The failure is written down before its trace is deleted: it is counted once.
    status = build_job_status(observed, "Running", message, now)
    if not observed.is_failure_known:
        return Plan(status=status, look_again_s=0.0)
    delay_s = min(RETRY_MAX_S, RETRY_BASE_S * 2.0 ** min(observed.failures - 1, 16))
    remaining_s = (ended_s(runner) or created_s(runner)) + delay_s - now
    if remaining_s > 0:
        return Plan(status=status, look_again_s=min(remaining_s, delay_s))
    step = tuple(_delete_runner(observed))
    notice = Notice("Retried", message, "Warning", step)
    return Plan(steps=(step,), status=status, notices=(notice,))


def _finish(observed: ObservedJob, outcome: _Outcome, now: float) -> Plan:
    step = (*_delete_cluster(observed), *_stop_runner(observed))
    return Plan(
        steps=(step,) if step else (),
        status=build_job_status(observed, outcome.state, outcome.message, now),
        # If not all of the step can be done, it is told once the rest is.
        notices=(_tell_outcome(outcome, ()),),
        look_again_s=_time_to_live_s(observed, now),
    )


def _tell_outcome(outcome: _Outcome, step: tuple[Write, ...]) -> Notice:
    if outcome.state == "Failed":
        return Notice("Failed", outcome.message or "the runner failed", "Warning", step)
    return Notice("Successful", "the runner ended well, its cluster is deleted", of=step)


def _stay_finished(observed: ObservedJob, now: float) -> Plan:
    metadata = observed.job["metadata"]
    remaining_s = _time_to_live_s(observed, now)
    if remaining_s is not None and remaining_s <= 0:
        place = (metadata["namespace"], metadata["name"], metadata["uid"])
        return Plan(steps=((Delete(DASK_JOBS, *place),),))
    step = (*_delete_cluster(observed), *_stop_runner(observed))
    message = (observed.job.get("status") or {}).get("message")
    # What could not be done at the end is done now, and told.
    outcome = _Outcome(observed.state, message)
    return Plan(
        steps=(step,) if step else (),
        status=build_job_status(observed, observed.state, message, now),
        notices=(_tell_outcome(outcome, step),) if step else (),
        look_again_s=remaining_s,
    )


def _time_to_live_s(observed: ObservedJob, now: float) -> float | None:
    to_live_s = observed.job["spec"].get("ttlSecondsAfterFinished")
    if to_live_s is None:
        return None
    ended = parse_time((observed.job.get("status") or {}).get("endTime"))
    return (now if ended is None else ended) + float(to_live_s) - now


def _delete_cluster(observed: ObservedJob) -> list[Write]:
    cluster = observed.cluster
    return [_delete_own(observed, cluster)] if _is_ours_to_end(observed, cluster) else []


def _delete_runner(observed: ObservedJob) -> list[Write]:
    runner = observed.runner
    return [_delete_own(observed, runner)] if _is_ours_to_end(observed, runner) else []


def _delete_own(observed: ObservedJob, item: Manifest | None) -> Delete:
    metadata = (item or {})["metadata"]
    kind = PODS if item is observed.runner else DASK_CLUSTERS
    return Delete(kind, metadata["namespace"], metadata["name"], metadata["uid"])


def _is_ours_to_end(observed: ObservedJob, item: Manifest | None) -> bool:
    if item is None or not is_owned_by(item, observed.job):
        return False
    return not item["metadata"].get("deletionTimestamp")


def _stop_runner(observed: ObservedJob) -> list[Write]:
    """End a runner that still runs, and keep its log: the kubelet ends a Pod at its deadline."""
    runner = observed.runner
    if runner is None or not _is_ours_to_end(observed, runner):
        return []
    if observed.runner_phase in ("Succeeded", "Failed"):
        return []
    if not (runner.get("status") or {}).get("startTime"):
        return _delete_runner(observed)  # it has no log, and no kubelet to end it
    if runner["spec"].get("activeDeadlineSeconds") == 1:
        return []
    metadata = runner["metadata"]
    body = {"spec": {"activeDeadlineSeconds": 1}}
    return [Patch(PODS, metadata["namespace"], metadata["name"], body)]


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


__all__ = ["FINISHED", "ObservedJob", "decide_job"]
