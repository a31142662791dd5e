"""A job's life, one step after the other."""

import pytest

from dask_k8s_operator.reconcile.job import ObservedJob, decide_job
from dask_k8s_operator.resources.times import format_time

READY = {"conditions": [{"type": "SchedulerReady", "status": "True"}]}


@pytest.fixture
def parts(make):
    def parts(cluster="absent", runner="absent", status=None):
        found = {"job": make.job(status=status)}
        if cluster != "absent":
            ready = READY if cluster == "ready" else {"message": "the scheduler starts"}
            found["cluster"] = make.owned_by_job(make.cluster("etl", status=ready))
        if runner != "absent":
            found["runner"] = make.owned_by_job(make.pod("etl-runner", runner))
        return ObservedJob(**found)

    return parts


def writes(plan):
    return [(type(w).__name__, w.kind.kind) for step in plan.steps for w in step]


@pytest.mark.parametrize(
    ("cluster", "runner", "before", "written", "state"),
    [
        ("absent", "absent", "", [("Create", "DaskCluster")], "JobCreated"),
        ("there", "absent", "JobCreated", [], "ClusterCreated"),
        ("ready", "absent", "ClusterCreated", [("Create", "Pod")], "ClusterCreated"),
        ("ready", "pending", "ClusterCreated", [], "ClusterCreated"),
        ("ready", "running", "ClusterCreated", [], "Running"),
        ("ready", "ready", "Running", [], "Running"),
        ("ready", "Succeeded", "Running", [("Delete", "DaskCluster")], "Successful"),
        ("ready", "Failed", "Running", [("Delete", "DaskCluster")], "Failed"),
        # Ended before it was seen to run.
        ("ready", "Succeeded", "ClusterCreated", [("Delete", "DaskCluster")], "Successful"),
        # A finished job stays finished, whatever happens to its parts.
        ("absent", "Succeeded", "Successful", [], "Successful"),
        ("absent", "absent", "Successful", [], "Successful"),
        ("absent", "absent", "Failed", [], "Failed"),
        ("there", "Failed", "Failed", [("Delete", "DaskCluster")], "Failed"),
        # What is lost on the way is made again.
        ("absent", "running", "Running", [("Create", "DaskCluster")], "JobCreated"),
        ("ready", "absent", "Running", [("Create", "Pod")], "Running"),
    ],
)
def test_each_step_of_a_job(make, parts, cluster, runner, before, written, state):
    status = {"jobStatus": before} if before else None
    plan = decide_job(parts(cluster, runner, status), make.now)
    assert writes(plan) == written
    assert plan.status["jobStatus"] == state
    assert plan.status["clusterName"] == "etl"
    assert plan.status["jobRunnerPodName"] == "etl-runner"


def test_times_are_those_of_the_runner_and_stay(make, parts):
    running = decide_job(parts("ready", "running"), make.now).status
    assert running["startTime"] == format_time(make.now)
    assert "endTime" not in running
    done = decide_job(parts("ready", "Succeeded", running), make.now + 60).status
    assert (done["startTime"], done["endTime"]) == (
        format_time(make.now),
        format_time(make.now + 60),
    )
    assert decide_job(parts("absent", "Succeeded", done), make.now + 900).status == done


def test_a_failed_job_says_why_and_where_to_read_on(make):
    state = {"terminated": {"exitCode": 3, "message": "no such bucket"}}
    runner = make.pod("etl-runner", "Failed", status={"containerStatuses": [{"state": state}]})
    plan = decide_job(ObservedJob(make.job(), None, make.owned_by_job(runner)), make.now)
    assert plan.status["message"] == (
        "runner etl-runner: ContainerError: exit code 3: no such bucket; "
        "its log says more: kubectl logs etl-runner"
    )
    failed = next(c for c in plan.status["conditions"] if c["type"] == "Failed")
    assert failed["status"] == "True"
    later = decide_job(ObservedJob(make.job(status=plan.status)), make.now + 9)
    assert later.status == plan.status
    assert not later.notices


def test_a_job_waits_for_its_scheduler_with_the_clusters_own_reason(make, parts):
    plan = decide_job(parts("there"), make.now)
    assert plan.status["message"] == "the scheduler starts"


def test_a_cluster_of_somebody_else_is_not_used(make):
    observed = ObservedJob(make.job(), make.cluster("etl"))
    plan = decide_job(observed, make.now)
    assert not plan.steps
    assert "belongs to something else" in plan.status["message"]


def test_a_deleted_job_is_left_to_kubernetes(make):
    job = make.job(deletionTimestamp="2026-01-01T00:00:00Z")
    assert decide_job(ObservedJob(job), make.now).status is None
