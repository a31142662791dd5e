"""The verdict on a cluster that starts, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from dask_k8s_jupyter.clusters.startup import Ages, judge_start


def cluster(
    scheduler: str | None = None,
    *,
    degraded: str | None = None,
    message: str = "",
    running: int = 0,
    replicas: int = 2,
    seen: bool = True,
    deleted: bool = False,
    suspended: bool = False,
    workers: str = "WorkersStarting",
) -> dict[str, Any]:
    """A DaskCluster whose scheduler is ready (None) or not for a reason."""
    conditions = [
        {
            "type": "SchedulerReady",
            "status": "False" if scheduler else "True",
            "reason": scheduler or "SchedulerReady",
        },
        {
            "type": "Degraded",
            "status": "True" if degraded else "False",
            "reason": degraded or "Working",
        },
        {
            "type": "WorkersReady",
            "status": "False",
            "reason": workers,
            "message": "1 Pod does not fit" if workers == "Unschedulable" else "",
        },
        {"type": "Suspended", "status": str(suspended), "reason": "Suspended"},
    ]
    status = {
        "observedGeneration": 1,
        "conditions": conditions,
        "message": message,
        "workers": {"running": running},
    }
    metadata = {"name": "demo"} | ({"deletionTimestamp": "now"} if deleted else {})
    return {
        "metadata": metadata,
        "spec": {"worker": {"replicas": replicas}, "suspend": suspended},
        "status": status if seen else {},
    }


@pytest.mark.parametrize(
    ("observed", "ages", "outcome", "reason"),
    [
        (None, Ages(), "failed", "Deleted"),
        (cluster(deleted=True), Ages(), "failed", "Deleted"),
        (cluster(seen=False), Ages(start_s=1), "waiting", ""),
        (cluster(seen=False), Ages(start_s=11), "failed", "OperatorSilent"),
        (cluster("SchedulerStarting"), Ages(start_s=59), "waiting", "SchedulerStarting"),
        (cluster("SchedulerStarting"), Ages(start_s=61), "failed", "TimeOut"),
        (
            cluster("CrashLoopBackOff", degraded="CrashLoopBackOff"),
            Ages(start_s=2),
            "failed",
            "CrashLoopBackOff",
        ),
        (
            cluster("ErrImagePull", degraded="ErrImagePull"),
            Ages(start_s=2),
            "failed",
            "ErrImagePull",
        ),
        (cluster("Unschedulable"), Ages(2, 1), "waiting", "Unschedulable"),
        (cluster("Unschedulable"), Ages(23, 20), "failed", "Unschedulable"),
        (cluster("SchedulerMissing", suspended=True), Ages(1), "failed", "Suspended"),
        (cluster(running=1), Ages(3), "started", ""),
        (cluster(replicas=0), Ages(3), "started", ""),
        (cluster(), Ages(3, ready_s=1), "waiting", ""),
        (cluster(), Ages(9, ready_s=4), "started", ""),
        (
            cluster(degraded="CommandNotFound"),
            Ages(3, ready_s=1),
            "failed",
            "CommandNotFound",
        ),
        (cluster(degraded="CrashLoopBackOff", running=1), Ages(3), "started", ""),
        # A worker that does not fit has time until an autoscaler of nodes has had its look.
        (
            cluster(workers="Unschedulable"),
            Ages(20, ready_s=9, workers_unschedulable_s=8),
            "waiting",
            "",
        ),
        (
            cluster(workers="Unschedulable"),
            Ages(28, ready_s=21, workers_unschedulable_s=20),
            "failed",
            "Unschedulable",
        ),
        (
            cluster(workers="Unschedulable", running=1),
            Ages(28, ready_s=21, workers_unschedulable_s=20),
            "started",
            "",
        ),
        (
            cluster(workers="Unschedulable", replicas=0),
            Ages(28, ready_s=21, workers_unschedulable_s=20),
            "started",
            "",
        ),
    ],
)
def test_verdicts(observed: dict[str, Any] | None, ages: Ages, outcome: str, reason: str) -> None:
    verdict = judge_start(observed, ages, timeout_s=60)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_workers_of_a_cluster_that_we_only_connect_to_are_not_our_failure() -> None:
    observed = cluster(degraded="CommandNotFound")
    assert judge_start(observed, Ages(3), 60, workers_too=False).outcome == "started"
    observed = cluster(workers="Unschedulable")
    ages = Ages(28, ready_s=21, workers_unschedulable_s=20)
    assert judge_start(observed, ages, 60, workers_too=False).outcome == "started"


@pytest.mark.parametrize(
    ("observed", "ages", "again_in_s"),
    [
        (cluster(seen=False), Ages(start_s=4), 6),
        (cluster("SchedulerStarting"), Ages(start_s=50), 10),
        (cluster("Unschedulable"), Ages(2, 1), 19),
        (cluster("Unschedulable"), Ages(59, 1), 1),
        (cluster(), Ages(3, ready_s=1), 2),
        (cluster(workers="Unschedulable"), Ages(3, ready_s=1, workers_unschedulable_s=1), 19),
    ],
)
def test_a_wait_ends_when_its_time_is_up_though_nothing_happens(
    observed: dict[str, Any], ages: Ages, again_in_s: float
) -> None:
    assert judge_start(observed, ages, timeout_s=60).again_in_s == again_in_s


def test_the_words_are_the_operators() -> None:
    observed = cluster("SchedulerStarting", message="The scheduler is starting")
    assert judge_start(observed, Ages(), 60).message == "The scheduler is starting"
