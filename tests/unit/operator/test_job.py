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


def test_the_end_of_a_job_is_told_when_all_is_done_or_with_what_could_not_be_done_then(make, parts):
    done = decide_job(parts("ready", "Succeeded"), make.now)
    (told,) = done.notices
    assert (told.reason, told.of) == ("Successful", ())
    # The cluster could not be deleted, and is now; and from then on nothing is told.
    later = decide_job(parts("ready", "Succeeded", done.status), make.now + 1)
    (told,) = later.notices
    assert (told.reason, told.of) == ("Successful", later.steps[0])
    assert decide_job(parts("absent", "Succeeded", done.status), make.now + 2).notices == ()


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


def with_spec(observed, **spec):
    observed.job["spec"].update(spec)
    return observed


def failed_runner(make, uid="first", ended_ago_s=5.0, restarts=0, phase="Failed"):
    ended = {"exitCode": 1, "finishedAt": format_time(make.now - ended_ago_s)}
    state = {"terminated": ended} if phase == "Failed" else {"running": {}}
    status = {
        "startTime": "2026-01-01T00:00:00Z",
        "containerStatuses": [{"state": state, "restartCount": restarts}],
    }
    return make.owned_by_job(make.pod("etl-runner", phase, uid=uid, status=status))


@pytest.mark.parametrize(
    ("known", "last", "limit", "ended_ago_s", "written", "failures", "state"),
    [
        # Counted first, then deleted: an operator that dies in between counts it once.
        (None, None, 2, 60, [], 1, "Running"),
        (1, "first", 2, 5, [], 1, "Running"),
        (1, "first", 2, 10, [("Delete", "Pod")], 1, "Running"),
        (1, "another", 2, 60, [], 2, "Running"),
        (2, "first", 2, 19, [], 2, "Running"),
        (2, "first", 2, 20, [("Delete", "Pod")], 2, "Running"),
        (2, "another", 2, 60, [("Delete", "DaskCluster")], 3, "Failed"),
        (None, None, None, 60, [("Delete", "DaskCluster")], 1, "Failed"),
        (None, None, 0, 60, [("Delete", "DaskCluster")], 1, "Failed"),
    ],
)
def test_a_failed_runner_is_tried_again_as_often_as_asked(
    make, parts, known, last, limit, ended_ago_s, written, failures, state
):
    before = {"jobStatus": "Running", "activeSince": format_time(make.now - 99)}
    if known:
        before |= {"failures": known, "lastFailedRunner": last}
    observed = parts("ready", "absent", before)
    runner = failed_runner(make, ended_ago_s=ended_ago_s)
    observed = ObservedJob(observed.job, observed.cluster, runner)
    if limit is not None:
        with_spec(observed, backoffLimit=limit)
    plan = decide_job(observed, make.now)
    assert writes(plan) == written
    assert (plan.status["failures"], plan.status["jobStatus"]) == (failures, state)


@pytest.mark.parametrize(("restarts", "ends"), [(0, False), (2, False), (3, True)])
def test_restarts_in_place_count_too_and_the_log_stays(make, parts, restarts, ends):
    observed = parts("ready", "absent", {"jobStatus": "Running"})
    runner = failed_runner(make, phase="running", restarts=restarts)
    observed = with_spec(ObservedJob(observed.job, observed.cluster, runner), backoffLimit=2)
    plan = decide_job(observed, make.now)
    stopped = [("Delete", "DaskCluster"), ("Patch", "Pod")]
    assert writes(plan) == (stopped if ends else [])
    if ends:
        # The kubelet ends it, and its log can be read as long as the Pod is there.
        assert plan.steps[0][1].body == {"spec": {"activeDeadlineSeconds": 1}}
        assert plan.status["jobStatus"] == "Failed"


@pytest.mark.parametrize(("active_s", "ends"), [(59, False), (60, True)])
@pytest.mark.parametrize("runner", ["absent", "running", "Succeeded"])
def test_a_job_has_so_long_and_no_longer(make, parts, active_s, ends, runner):
    since = format_time(make.now - active_s)
    observed = with_spec(
        parts("there", runner, {"jobStatus": "ClusterCreated", "activeSince": since}),
        activeDeadlineSeconds=60,
    )
    plan = decide_job(observed, make.now)
    if runner == "Succeeded":
        assert plan.status["jobStatus"] == "Successful"
    elif ends:
        assert plan.status["jobStatus"] == "Failed"
        assert "activeDeadlineSeconds of 60" in plan.status["message"]
        assert ("Delete", "DaskCluster") in writes(plan)
    else:
        assert plan.status["jobStatus"] != "Failed"
        assert plan.look_again_s == 1.0


@pytest.mark.parametrize(("age_s", "goes"), [(29, False), (30, True)])
def test_a_finished_job_lives_as_long_as_asked(make, parts, age_s, goes):
    done = {"jobStatus": "Successful", "endTime": format_time(make.now - age_s)}
    plan = decide_job(
        with_spec(parts("absent", "Succeeded", done), ttlSecondsAfterFinished=30), make.now
    )
    assert writes(plan) == ([("Delete", "DaskJob")] if goes else [])
    assert goes or plan.look_again_s == 1.0


def test_a_suspended_job_has_nothing_and_begins_anew_when_it_is_resumed(make, parts):
    running = {"jobStatus": "Running", "startTime": "2026-01-01T00:00:00Z"}
    observed = with_spec(parts("ready", "running", running), suspend=True)
    plan = decide_job(observed, make.now)
    assert writes(plan) == [("Delete", "DaskCluster"), ("Delete", "Pod")]
    assert plan.status["jobStatus"] == "JobCreated"
    assert not {"startTime", "activeSince"} & set(plan.status)
    resumed = decide_job(parts("absent", "absent", plan.status), make.now)
    assert writes(resumed) == [("Create", "DaskCluster")]
    held = {c["type"]: c["status"] for c in resumed.status["conditions"]}
    assert held["Suspended"] == "False"


def test_a_job_that_ended_cannot_be_suspended(make, parts):
    done = {"jobStatus": "Failed", "message": "so it was"}
    plan = decide_job(with_spec(parts("absent", "Failed", done), suspend=True), make.now)
    assert (plan.status["jobStatus"], plan.status["message"]) == ("Failed", "so it was")
    assert not plan.steps
