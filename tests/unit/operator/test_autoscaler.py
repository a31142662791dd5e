"""Each rule of an autoscaler's decision is a row or a sentence here."""

import pytest

from dask_k8s_operator.reconcile.autoscaler import (
    ObservedAutoscaler,
    decide_autoscaler,
    wants_target,
)
from dask_k8s_operator.resources.agent_protocol import Answer
from dask_k8s_operator.resources.times import format_time


@pytest.fixture
def decide(make):
    def decide(target=None, current=2, **changes):
        observed = ObservedAutoscaler(
            autoscaler=changes.pop("autoscaler", None) or make.autoscaler(**changes),
            cluster=make.cluster(),
            group=make.group(replicas=current),
            target=target if isinstance(target, Answer) else Answer(target),
        )
        return decide_autoscaler(observed, make.now)

    return decide


def replicas_of(plan):
    for step in plan.steps:
        for write in step:
            if write.kind.kind == "DaskWorkerGroup":
                return write.body["spec"]["worker"]["replicas"]
    return None


@pytest.mark.parametrize(
    ("current", "target", "last_scale_ago_s", "replicas", "reason"),
    [
        (2, 2, None, None, "WithinLimits"),
        (2, 5, None, 5, "Scaling"),
        # More workers come at once, also within the cool-down.
        (2, 5, 1, 5, "Scaling"),
        (2, 50, None, 10, "Scaling"),
        (0, 0, None, 1, "Scaling"),
        # At most a quarter goes at once, at least one.
        (10, 1, None, 8, "Scaling"),
        (3, 1, None, 2, "Scaling"),
        (2, 0, None, 1, "Scaling"),
        (8, 7, None, 7, "Scaling"),
        (1, 0, None, None, "WithinLimits"),
        # Nothing goes within 15 s of the last change.
        (10, 1, 14, None, "CoolingDown"),
        (10, 1, 15, 8, "Scaling"),
        # A count beyond the limits comes back into them.
        (20, 20, None, 15, "Scaling"),
    ],
)
def test_the_group_follows_the_scheduler_within_limits(
    make, decide, current, target, last_scale_ago_s, replicas, reason
):
    status = None
    if last_scale_ago_s is not None:
        status = {"lastScaleTime": format_time(make.now - last_scale_ago_s)}
    plan = decide(target, current, status=status)
    assert replicas_of(plan) == replicas
    assert plan.status["conditions"][0]["reason"] == reason
    assert plan.status["desiredReplicas"] == (current if replicas is None else replicas)
    assert plan.look_again_s == 2.0
    if replicas is not None:
        assert plan.status["lastScaleTime"] == format_time(make.now)


def test_a_silent_scheduler_changes_nothing(decide):
    plan = decide(Answer(problem="http://10.0.0.5:8787 does not answer"))
    assert replicas_of(plan) is None
    condition = plan.status["conditions"][0]
    assert (condition["status"], condition["reason"]) == ("False", "SchedulerUnreachable")
    assert plan.status["message"] == "http://10.0.0.5:8787 does not answer"


@pytest.mark.parametrize(
    ("has_cluster", "has_group", "reason"),
    [
        (False, False, "ClusterMissing"),
        (False, True, "ClusterMissing"),
        (True, False, "GroupMissing"),
    ],
)
def test_an_autoscaler_before_its_cluster_waits_and_says_so(make, has_cluster, has_group, reason):
    observed = ObservedAutoscaler(
        make.autoscaler(),
        make.cluster() if has_cluster else None,
        make.group() if has_group else None,
    )
    assert not wants_target(observed)
    plan = decide_autoscaler(observed, make.now)
    assert not plan.steps
    assert plan.status["conditions"][0]["reason"] == reason
    assert "waits for" in plan.status["message"]


def test_an_autoscaler_made_by_hand_is_adopted(make, decide):
    plan = decide(2, autoscaler=make.autoscaler(ownerReferences=[]))
    (owner,) = plan.steps[0][0].body["metadata"]["ownerReferences"]
    assert owner["uid"] == "uid-of-demo"


def test_one_of_an_earlier_cluster_is_left_to_go(make):
    observed = ObservedAutoscaler(
        make.autoscaler(), make.cluster(uid="another"), make.group(), Answer(5)
    )
    assert not decide_autoscaler(observed, make.now).steps


@pytest.mark.parametrize(
    ("rival", "is_taken"),
    [
        ({"creationTimestamp": "2026-01-01T00:00:00Z"}, True),
        ({"creationTimestamp": "2026-01-03T00:00:00Z"}, False),
        # Of the same second, the name decides: both must come to the same end.
        ({"creationTimestamp": "2026-01-02T00:00:00Z", "name": "a"}, True),
        ({"creationTimestamp": "2026-01-02T00:00:00Z", "name": "z"}, False),
        ({"creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "x"}, False),
        ({"creationTimestamp": "2026-01-01T00:00:00Z", "spec": {"workerGroup": "demo-big"}}, False),
        (
            {"creationTimestamp": "2026-01-01T00:00:00Z", "spec": {"workerGroup": "demo-default"}},
            True,
        ),
    ],
)
def test_of_two_autoscalers_of_a_group_the_younger_stands_back_and_says_so(make, rival, is_taken):
    other = make.autoscaler(spec=rival.get("spec", {}))
    other["metadata"].update({"name": "elder", **{k: v for k, v in rival.items() if k != "spec"}})
    mine = make.autoscaler(creationTimestamp="2026-01-02T00:00:00Z")
    observed = ObservedAutoscaler(
        mine, make.cluster(), make.group(replicas=2), rivals=(other,), target=Answer(5)
    )
    assert wants_target(observed) is not is_taken
    plan = decide_autoscaler(observed, make.now)
    assert replicas_of(plan) == (None if is_taken else 5)
    (active,) = plan.status["conditions"]
    assert (active["status"] == "False") is is_taken
    if is_taken:
        assert active["reason"] == "GroupTaken"
        assert "team/" in plan.status["message"]


def test_a_suspended_clusters_group_is_not_scaled(make):
    cluster = make.cluster()
    cluster["spec"]["suspend"] = True
    observed = ObservedAutoscaler(make.autoscaler(), cluster, make.group(), target=Answer(9))
    assert not wants_target(observed)
    plan = decide_autoscaler(observed, make.now)
    assert replicas_of(plan) is None
    assert plan.status["conditions"][0]["reason"] == "Suspended"
