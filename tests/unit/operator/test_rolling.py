"""A changed worker spec rolls: a quarter at once, retired first; edited back, it stops."""

import itertools

import pytest

from dask_k8s_operator.reconcile.plan import Create, Delete, Patch
from dask_k8s_operator.reconcile.workergroup import ObservedGroup, decide_group, wants_report
from dask_k8s_operator.resources.agent_protocol import SchedulerReport, WorkerLoad
from dask_k8s_operator.resources.builders import hash_worker_spec
from dask_k8s_operator.resources.names import RETIRING_ANNOTATION, SPEC_HASH_ANNOTATION

OLD, NEW = "old", "new"


@pytest.fixture
def pod_of(make):
    current = hash_worker_spec(make.group())

    def pod_of(number, age=OLD, state="ready", retiring=False, **more):
        annotations = {SPEC_HASH_ANNOTATION: current if age == NEW else "0000"}
        ip = f"10.0.0.{number}"
        return make.pod(
            f"w{number}", state, ip=ip, retiring=retiring, annotations=annotations, **more
        )

    return pod_of


@pytest.fixture
def decide(make):
    def decide(pods, replicas, report=None, status=None):
        workers = tuple(
            WorkerLoad(f"tcp://{pod['status']['podIP']}:1", drain=_drain_of(pod)) for pod in pods
        )
        report = report or SchedulerReport(workers=workers)
        group = make.group(replicas=replicas, status=status)
        seen = ObservedGroup(group, make.served_cluster(), tuple(pods), report=report)
        assert wants_report(seen) or not _marked(decide_group(seen, make.now, _digits()))
        return decide_group(seen, make.now, _digits())

    return decide


def _drain_of(pod):
    return "draining" if RETIRING_ANNOTATION in pod["metadata"]["annotations"] else None


def _digits():
    return (f"{i:010x}" for i in itertools.count())


def _writes(plan, kind):
    return [write for step in plan.steps for write in step if isinstance(write, kind)]


def _marked(plan):
    return [w.name for w in _writes(plan, Patch) if RETIRING_ANNOTATION in str(w.body)]


def _updated(plan):
    return next(c for c in plan.status["conditions"] if c["type"] == "Updated")


@pytest.mark.parametrize(("workers", "marked"), [(1, 1), (3, 1), (4, 1), (7, 1), (8, 2), (40, 10)])
def test_at_most_a_quarter_begins_to_go(decide, pod_of, workers, marked):
    plan = decide([pod_of(i) for i in range(workers)], workers)
    assert len(_marked(plan)) == marked
    assert not _writes(plan, Delete)
    assert not _writes(plan, Create)


@pytest.mark.parametrize(
    ("others", "marked", "created"),
    [
        # On the way out: nothing new takes the place before it has gone.
        ([("old", "ready", True), ("old", "ready", True)], 0, 0),
        ([("old", "ready", True)], 0, 1),
        ([("old", "leaving", True)], 0, 2),
        # On the way in.
        ([("new", "pending", False), ("new", "running", False)], 0, 0),
        ([("new", "ready", False), ("new", "running", False)], 1, 0),
        ([("new", "ready", False), ("new", "ready", False)], 2, 0),
    ],
)
def test_the_quarter_counts_who_is_out_already(decide, pod_of, others, marked, created):
    pods = [pod_of(i) for i in range(6)]
    pods += [
        pod_of(6 + i, age, state, is_retiring) for i, (age, state, is_retiring) in enumerate(others)
    ]
    plan = decide(pods, 8)
    assert len(_marked(plan)) == marked
    assert len(_writes(plan, Create)) == created


def test_a_spec_that_does_not_start_goes_at_once_when_it_is_mended(decide, pod_of):
    crash = {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}
    pods = [
        pod_of(1, NEW),
        pod_of(2, OLD, "pending"),
        pod_of(3, OLD, "running", status=crash),
        pod_of(4, OLD, "Failed"),
    ]
    plan = decide(pods, 4)
    assert {write.name for write in _writes(plan, Delete)} == {"w2", "w3", "w4"}
    assert not _marked(plan)


def test_a_worker_that_runs_but_is_not_ready_is_out_already_and_retires(decide, pod_of):
    pods = [pod_of(i) for i in range(3)] + [pod_of(3, OLD, "running")]
    assert _marked(decide(pods, 4)) == ["w3"]


def test_edited_back_the_rest_stays_and_who_was_to_go_stays_too(make, decide, pod_of):
    pods = [pod_of(i, NEW) for i in range(7)] + [pod_of(7, NEW, retiring=True)]
    plan = decide(pods, 8)
    assert not _marked(plan)
    assert plan.undrain == ("tcp://10.0.0.7:1",)
    assert _updated(plan)["status"] == "True"


def test_too_many_go_first_and_among_equals_those_of_the_older_spec(decide, pod_of):
    pods = [pod_of(0, NEW), pod_of(1), pod_of(2, NEW), pod_of(3)]
    plan = decide(pods, 2)
    assert _marked(plan) == ["w1", "w3"]


def test_the_progress_is_a_condition(decide, pod_of):
    plan = decide([pod_of(0, NEW), pod_of(1, NEW), pod_of(2), pod_of(3)], 4)
    condition = _updated(plan)
    assert (condition["status"], condition["reason"]) == ("False", "RollingUpdate")
    assert condition["message"] == "2 of 4 workers have the new spec"
    assert plan.status["message"] == condition["message"]


def test_a_silent_scheduler_is_waited_for(decide, pod_of):
    plan = decide([pod_of(i) for i in range(4)], 4, SchedulerReport(problem="no answer"))
    assert not _marked(plan)
    assert not _writes(plan, Delete)
    assert plan.look_again_s == 5.0


def test_while_nothing_may_go_the_scheduler_is_not_asked(make, pod_of):
    pods = [*(pod_of(i) for i in range(3)), pod_of(3, NEW, "pending")]
    assert not wants_report(ObservedGroup(make.group(replicas=4), make.cluster(), tuple(pods)))
