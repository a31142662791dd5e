"""What a Job needs to become true. Pure.

Guarantees the conditions, reasons and counts of Kubernetes: ``Complete`` and ``Failed`` only when
no Pod is left, failures counted against ``backoffLimit`` (restarts too, where containers restart
in place), no Pod while the Job is suspended. Refuses nothing; success and failure policies of
single indexes or exit codes are not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .decide import build_controller_reference, is_ready

Object = dict[str, Any]

INDEX = "batch.kubernetes.io/job-completion-index"
_LONGEST_BACKOFF_S = 600.0


@dataclass(frozen=True)
class Ended:
    """Pods of a Job that have ended, by uid; of the good ones, the index."""

    succeeded: dict[str, int] = field(default_factory=dict)
    failed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class JobPlan:
    """What to do for a Job.

    Parameters
    ----------
    missing
        Indexes of the Pods to make; -1 for Pods without.
    surplus
        Pods to delete.
    status
        Fields of the status; None takes one away.
    look_again_s
        When time alone changes something; None when it does not.
    is_outlived
        Whether the Job is to be deleted, since its time to live is over.
    """

    missing: Sequence[int] = ()
    surplus: Sequence[Object] = ()
    status: Object = field(default_factory=dict)
    look_again_s: float | None = None
    is_outlived: bool = False


@dataclass(frozen=True)
class _Verdict:
    """How a Job ends: the condition that says so at once, the one at its end, and why."""

    early: str
    final: str
    reason: str
    message: str


_DONE = _Verdict(
    "SuccessCriteriaMet",
    "Complete",
    "CompletionsReached",
    "Reached expected number of succeeded pods",
)
_TOO_OFTEN = _Verdict(
    "FailureTarget",
    "Failed",
    "BackoffLimitExceeded",
    "Job has reached the specified backoff limit",
)
_TOO_LONG = _Verdict(
    "FailureTarget",
    "Failed",
    "DeadlineExceeded",
    "Job was active longer than specified deadline",
)


def count_ends(job: Object, pods: Sequence[Object], known: Ended) -> Ended:
    """Add the Pods that have ended meanwhile to those that are known."""
    replaces_failed_only = job["spec"].get("podReplacementPolicy") == "Failed"
    succeeded, failed = dict(known.succeeded), set(known.failed)
    for pod in pods:
        uid, phase = pod["metadata"]["uid"], _phase(pod)
        is_ending = "deletionTimestamp" in pod["metadata"]
        if phase == "Succeeded":
            succeeded[uid] = _index(pod)
        elif phase == "Failed" or (is_ending and not replaces_failed_only):
            failed.add(uid)
    return Ended(succeeded, frozenset(failed))


def decide_job(
    job: Object, pods: Sequence[Object], ended: Ended, now: datetime, backoff_s: float
) -> JobPlan:
    """Decide what a Job needs.

    Parameters
    ----------
    pods
        Its Pods that are there, those included that are ending.
    ended
        All its Pods that have ended, ever.
    backoff_s
        Pause after the first failure, in seconds.
    """
    if finished_at := _find_end(job):
        return _decide_finished(job, finished_at, now)
    spec = job["spec"]
    is_suspended = bool(spec.get("suspend"))
    started_at = (job.get("status") or {}).get("startTime")
    started_at = None if is_suspended else started_at or _show(now)
    alive = [pod for pod in pods if _phase(pod) not in ("Succeeded", "Failed")]
    active = [pod for pod in alive if "deletionTimestamp" not in pod["metadata"]]
    conditions = _note_suspension(job, is_suspended, now)
    verdict = _find_verdict(job, active, ended, started_at, now)
    status = _build_status(job, alive, active, ended, started_at)
    if verdict is not None:
        return _decide_end(verdict, alive, active, conditions, status, now)
    status["conditions"] = conditions or None
    if is_suspended:
        return JobPlan(surplus=active, status={**status, **_NONE_ACTIVE})
    return _decide_pods(job, active, ended, (pods, now, backoff_s), status, started_at)


def _find_end(job: Object) -> datetime | None:
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return _read(condition["lastTransitionTime"])
    return None


def _decide_finished(job: Object, finished_at: datetime, now: datetime) -> JobPlan:
    ttl_s = job["spec"].get("ttlSecondsAfterFinished")
    if ttl_s is None:
        return JobPlan()
    left_s = float(ttl_s) - (now - finished_at).total_seconds()
    return JobPlan(is_outlived=True) if left_s <= 0 else JobPlan(look_again_s=left_s)


def _note_suspension(job: Object, is_suspended: bool, now: datetime) -> list[Object]:
    conditions: list[Object] = list((job.get("status") or {}).get("conditions") or ())
    known = next((c for c in conditions if c["type"] == "Suspended"), None)
    word = "True" if is_suspended else "False"
    if (known is None and not is_suspended) or (known is not None and known["status"] == word):
        return conditions
    verb = "Suspended" if is_suspended else "Resumed"
    changed = _build_condition("Suspended", word, f"Job{verb}", f"Job {verb.lower()}", now)
    return [*(c for c in conditions if c is not known), changed]


def _find_verdict(
    job: Object, active: Sequence[Object], ended: Ended, started_at: str | None, now: datetime
) -> _Verdict | None:
    spec = job["spec"]
    early = {c["type"]: c for c in (job.get("status") or {}).get("conditions") or ()}
    if "SuccessCriteriaMet" in early:
        return _DONE
    if "FailureTarget" in early:
        is_late = early["FailureTarget"]["reason"] == "DeadlineExceeded"
        return _TOO_LONG if is_late else _TOO_OFTEN
    limit = spec.get("backoffLimit", 6)
    in_place = spec["template"]["spec"].get("restartPolicy") == "OnFailure"
    restarts = sum(_count_restarts(pod) for pod in active) if in_place else 0
    if len(ended.failed) > limit or (restarts and restarts >= max(limit, 1)):
        return _TOO_OFTEN
    deadline_s = spec.get("activeDeadlineSeconds")
    if (
        deadline_s is not None
        and started_at
        and (now - _read(started_at)).total_seconds() >= deadline_s
    ):
        return _TOO_LONG
    completions = spec.get("completions")
    if completions is None:
        return _DONE if ended.succeeded and not active else None
    return _DONE if _count_succeeded(job, ended) >= completions else None


def _decide_end(
    verdict: _Verdict,
    alive: Sequence[Object],
    active: Sequence[Object],
    conditions: list[Object],
    status: Object,
    now: datetime,
) -> JobPlan:
    types = [verdict.early] if alive else [verdict.early, verdict.final]
    known = {c["type"] for c in conditions}
    fresh = [
        _build_condition(type_, "True", verdict.reason, verdict.message, now)
        for type_ in types
        if type_ not in known
    ]
    status["conditions"] = [*conditions, *fresh]
    if not alive and verdict.final == "Complete":
        status["completionTime"] = _show(now)
    return JobPlan(surplus=active, status={**status, **_NONE_ACTIVE} if active else status)


def _decide_pods(
    job: Object,
    active: Sequence[Object],
    ended: Ended,
    moment: tuple[Sequence[Object], datetime, float],
    status: Object,
    started_at: str | None,
) -> JobPlan:
    pods, now, backoff_s = moment
    spec = job["spec"]
    wanted, completions = spec.get("parallelism", 1), spec.get("completions")
    if completions is not None:
        wanted = min(wanted, completions - _count_succeeded(job, ended))
    elif ended.succeeded:
        wanted = min(wanted, len(active))
    # Those go first that have come least far.
    surplus = sorted(active, key=is_ready)[: max(0, len(active) - wanted)]
    missing = _find_indexes(job, active, ended, max(0, wanted - len(active)))
    pause_s = _find_pause_s(pods, ended, now, backoff_s) if missing else 0.0
    look_again_s = pause_s or None
    deadline_s = spec.get("activeDeadlineSeconds")
    if deadline_s is not None and started_at:
        left_s = deadline_s - (now - _read(started_at)).total_seconds()
        look_again_s = min(left_s, look_again_s or left_s)
    return JobPlan([] if pause_s else missing, surplus, status, look_again_s)


def _find_indexes(job: Object, active: Sequence[Object], ended: Ended, count: int) -> list[int]:
    if job["spec"].get("completionMode") != "Indexed":
        return [-1] * count
    taken = {_index(pod) for pod in active} | set(ended.succeeded.values())
    free = [each for each in range(job["spec"].get("completions") or 0) if each not in taken]
    return free[:count]


def _find_pause_s(pods: Sequence[Object], ended: Ended, now: datetime, backoff_s: float) -> float:
    """How long to wait before the next Pod, since the last one that failed."""
    ends = [end for pod in pods if _phase(pod) == "Failed" and (end := _find_pod_end(pod))]
    if not ends or not ended.failed:
        return 0.0
    pause_s = min(_LONGEST_BACKOFF_S, backoff_s * 2.0 ** min(len(ended.failed) - 1, 16))
    return max(0.0, pause_s - (now - max(ends)).total_seconds())


def _find_pod_end(pod: Object) -> datetime | None:
    ends = [
        ended["finishedAt"]
        for container in pod["status"].get("containerStatuses") or ()
        if (ended := (container.get("state") or {}).get("terminated")) and ended.get("finishedAt")
    ]
    return _read(max(ends)) if ends else None


# -- status --------------------------------------------------------------------------------------

_NONE_ACTIVE: Object = {"active": None, "ready": 0}


def _build_status(
    job: Object,
    alive: Sequence[Object],
    active: Sequence[Object],
    ended: Ended,
    started_at: str | None,
) -> Object:
    status: Object = {
        "startTime": started_at,
        "active": len(active) or None,
        "ready": sum(is_ready(pod) for pod in active),
        "terminating": len(alive) - len(active),
        "succeeded": _count_succeeded(job, ended) or None,
        "failed": len(ended.failed) or None,
        "uncountedTerminatedPods": {},
    }
    if job["spec"].get("completionMode") == "Indexed":
        status["completedIndexes"] = _show_indexes(sorted(set(ended.succeeded.values()))) or None
    return status


def _count_succeeded(job: Object, ended: Ended) -> int:
    is_indexed = job["spec"].get("completionMode") == "Indexed"
    return len(set(ended.succeeded.values())) if is_indexed else len(ended.succeeded)


def _show_indexes(indexes: Sequence[int]) -> str:
    """Show indexes as ranges: ``0-2,4``; two that follow one another are no range."""
    ranges: list[list[int]] = []
    for index in indexes:
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    return ",".join(str(a) if a == b else f"{a}{',' if b == a + 1 else '-'}{b}" for a, b in ranges)


def _build_condition(type_: str, status: str, reason: str, message: str, now: datetime) -> Object:
    return {
        "type": type_,
        "status": status,
        "lastProbeTime": _show(now),
        "lastTransitionTime": _show(now),
        "reason": reason,
        "message": message,
    }


def _count_restarts(pod: Object) -> int:
    status = pod.get("status") or {}
    fields = ("initContainerStatuses", "containerStatuses")
    return sum(c.get("restartCount", 0) for f in fields for c in status.get(f) or ())


def _index(pod: Object) -> int:
    return int((pod["metadata"].get("annotations") or {}).get(INDEX, -1))


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def _show(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


# -- Pods ----------------------------------------------------------------------------------------


def build_job_pod(job: Object, index: int, suffix: str) -> Object:
    """Build one Pod of a Job; an index of -1 is none."""
    template = json.loads(json.dumps(job["spec"]["template"]))
    given, spec, owner = template.get("metadata") or {}, template["spec"], job["metadata"]
    metadata = {
        **given,
        "name": f"{owner['name']}-{suffix}" if index < 0 else f"{owner['name']}-{index}-{suffix}",
        "namespace": owner["namespace"],
        "ownerReferences": [build_controller_reference(job, "Job", "batch/v1")],
    }
    if index >= 0:
        metadata["labels"] = {**(given.get("labels") or {}), INDEX: str(index)}
        metadata["annotations"] = {**(given.get("annotations") or {}), INDEX: str(index)}
        spec.setdefault("hostname", f"{owner['name']}-{index}"[:63])
        variable = {"name": "JOB_COMPLETION_INDEX", "value": str(index)}
        for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
            container.setdefault("env", []).append(variable)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
