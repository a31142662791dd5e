"""Edits of a cluster that runs: Service, labels, scheduler spec, suspension."""

import pytest

from dask_k8s_operator.reconcile.cluster import (
    AgentParts,
    ObservedCluster,
    decide_cluster,
    wants_idleness,
)
from dask_k8s_operator.reconcile.plan import Patch
from dask_k8s_operator.resources.agent_protocol import Answer
from dask_k8s_operator.resources.builders import build_scheduler_service
from dask_k8s_operator.resources.names import AGREED_REPLICAS_ANNOTATION as AGREED
from dask_k8s_operator.resources.names import SPEC_HASH_ANNOTATION as SPEC_HASH
from dask_k8s_operator.resources.times import format_time

AGENT = AgentParts(source="print()", token="0123")


@pytest.fixture
def decide(make):
    def decide(cluster=None, *, now=make.now, **observed):
        return decide_cluster(ObservedCluster(cluster or make.cluster(), **observed), now, AGENT)

    return decide


def kinds(plan):
    return [[(type(w).__name__, w.kind.kind) for w in step] for step in plan.steps]


def condition(plan, type_):
    return next(c for c in plan.status["conditions"] if c["type"] == type_)


@pytest.fixture
def service_of():
    def service_of(cluster):
        built = build_scheduler_service(cluster)
        return {**built, "spec": {**built["spec"], "clusterIP": "10.96.0.7"}}

    return service_of


def patches(plan):
    return {w.kind.kind: w.body for step in plan.steps for w in step if isinstance(w, Patch)}


def test_edits_of_the_service_spec_are_applied_and_what_kubernetes_filled_in_stays(
    make, decide, settled, service_of
):
    cluster = make.cluster()
    cluster["spec"]["scheduler"]["service"] = {"type": "NodePort", "externalName": "x"}
    settled["service"] = service_of(cluster)
    assert not decide(cluster, **settled).steps
    cluster["spec"]["scheduler"]["service"] = {"type": "ClusterIP"}
    patch = patches(decide(cluster, **settled))["Service"]
    assert patch["spec"] == {"type": "ClusterIP", "externalName": None}
    settled["service"]["metadata"]["annotations"] |= patch["metadata"]["annotations"]
    assert not decide(cluster, **settled).steps


def test_labels_of_the_cluster_reach_all_its_children_later(make, decide, settled, service_of):
    settled["service"] = service_of(make.cluster())
    cluster = make.cluster(labels={"team": "a"}, annotations={"note": "b"})
    changed = patches(decide(cluster, **settled))
    assert set(changed) == {"Pod", "Service", "DaskWorkerGroup"}
    for body in changed.values():
        assert body["metadata"]["labels"] == {"team": "a"}
        assert body["metadata"]["annotations"]["note"] == "b"


def test_a_service_of_somebody_else_is_left_alone(make, decide, settled, service_of):
    settled["service"] = service_of(make.cluster(uid="another"))
    cluster = make.cluster(labels={"team": "a"})
    cluster["spec"]["scheduler"]["service"] = {"type": "NodePort"}
    assert "Service" not in patches(decide(cluster, **settled))


@pytest.mark.parametrize(
    ("state", "idle", "goes", "asks"),
    [
        ("ready", None, False, True),
        ("ready", Answer(3.0), False, True),
        ("ready", Answer(10.0), True, True),
        # Results that somebody may still want.
        ("ready", Answer(9000.0, tasks=1), False, True),
        ("ready", Answer(problem="no answer"), False, True),
        # Nothing is lost with one that does not run.
        ("pending", None, True, False),
        ("running", None, False, False),
        ("leaving", None, False, False),
    ],
)
def test_a_changed_scheduler_spec_waits_until_it_is_idle(
    make, decide, settled, state, idle, goes, asks
):
    settled["scheduler_pod"] = pod = make.scheduler_pod(state, annotations={SPEC_HASH: "old"})
    pod["metadata"]["resourceVersion"] = "7"
    assert wants_idleness(ObservedCluster(make.cluster(), **settled)) is asks
    plan = decide(**settled, idle=idle)
    assert kinds(plan) == ([[("Delete", "Pod")]] if goes else [])
    if goes:
        # One that has begun to work since then is another version of itself.
        assert plan.steps[0][0].resource_version == "7"
    if state != "leaving":
        assert condition(plan, "Updated")["reason"] == "SchedulerOutdated"
        assert goes or plan.look_again_s == 5.0


def test_a_cluster_tells_of_a_rolling_update(make, decide, settled):
    told = {"Updated": (False, "RollingUpdate", "1 of 2 workers have the new spec")}
    group = make.group(annotations={AGREED: "2"}, status=make.group_status(2, 2, **told))
    plan = decide(**{**settled, "groups": (group,)})
    assert condition(plan, "Updated")["reason"] == "RollingUpdate"
    assert plan.status["message"] == "1 of 2 workers have the new spec"


def suspended(make, **changes):
    cluster = make.cluster(**changes)
    cluster["spec"]["suspend"] = True
    return cluster


@pytest.mark.parametrize(
    ("pod", "workers", "goes", "phase", "reason"),
    [
        # The workers need the scheduler to finish.
        ("ready", 1, False, "Running", "Suspending"),
        ("ready", 0, True, "Running", "Suspending"),
        ("leaving", 0, False, "Pending", "Suspending"),
        (None, 0, False, "Suspended", "Suspended"),
    ],
)
def test_a_suspended_cluster_loses_its_workers_then_its_scheduler(
    make, decide, settled, pod, workers, goes, phase, reason
):
    settled["scheduler_pod"] = pod and make.scheduler_pod(pod)
    status = make.group_status(2, 0)
    status["workers"] = {"desired": 2, "retiring": workers}
    settled["groups"] = (make.group(annotations={AGREED: "2"}, status=status),)
    plan = decide(suspended(make, idle_timeout=1), **settled)
    assert kinds(plan) == ([[("Delete", "Pod")]] if goes else [])
    assert plan.status["phase"] == phase
    assert condition(plan, "Suspended")["reason"] == reason
    assert condition(plan, "Ready")["status"] == "False"
    assert condition(plan, "Degraded")["status"] == "False"


def test_a_resumed_cluster_says_so_and_gets_its_scheduler_back(make, decide, settled):
    before = decide(suspended(make), **{**settled, "scheduler_pod": None}).status
    settled["scheduler_pod"] = None
    plan = decide(make.cluster(status=before), **settled)
    assert ("Create", "Pod") in [write for step in kinds(plan) for write in step]
    assert condition(plan, "Suspended")["status"] == "False"
    assert plan.status["phase"] == "Pending"


@pytest.mark.parametrize(("overdue_s", "goes"), [(0, False), (59, False), (60, True)])
def test_a_scheduler_on_a_lost_node_does_not_keep_its_name_for_ever(
    make, decide, settled, overdue_s, goes
):
    gone = format_time(make.now - overdue_s)
    settled["scheduler_pod"] = make.scheduler_pod("ready", deletionTimestamp=gone)
    plan = decide(**settled)
    assert [w.is_forced for step in plan.steps for w in step] == ([True] if goes else [])
    assert [notice.reason for notice in plan.notices] == (["NodeLost"] if goes else [])
    assert plan.look_again_s == 60 - (0 if goes else overdue_s)
