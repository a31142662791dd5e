"""Each rule of a cluster's decision is a row or a sentence here."""

import pytest

from dask_k8s_operator.reconcile.cluster import (
    AgentParts,
    ObservedCluster,
    decide_cluster,
    wants_idleness,
)
from dask_k8s_operator.reconcile.plan import Create, Delete, Patch, Refusal
from dask_k8s_operator.resources.agent_protocol import Answer
from dask_k8s_operator.resources.kinds import DASK_WORKER_GROUPS
from dask_k8s_operator.resources.names import AGREED_REPLICAS_ANNOTATION as AGREED
from dask_k8s_operator.resources.names import AS_OF_ANNOTATION as AS_OF
from dask_k8s_operator.resources.times import format_time
from dask_k8s_operator.resources.versions import format_as_of, version_of

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


def test_a_new_cluster_gets_all_its_parts_and_its_scheduler_after_the_agent(decide):
    plan = decide()
    assert kinds(plan) == [
        [
            ("Create", "ConfigMap"),
            ("Create", "Secret"),
            ("Create", "Service"),
            ("Create", "DaskWorkerGroup"),
        ],
        [("Create", "Pod")],
    ]
    assert plan.status["phase"] == "Created"


def test_a_settled_cluster_is_left_alone(decide, settled):
    plan = decide(**settled)
    assert not plan.steps
    assert plan.look_again_s is None
    assert plan.status["phase"] == "Running"
    assert condition(plan, "Ready")["status"] == "True"
    assert "message" not in plan.status
    assert plan.status["ready"] == "2/2"
    assert plan.status["schedulerAddress"] == "tcp://demo-scheduler.team.svc.cluster.local:8786"


@pytest.mark.parametrize(
    ("missing", "made"),
    [("scheduler_pod", "Pod"), ("service", "Service"), ("groups", "DaskWorkerGroup")],
)
def test_whatever_is_missing_is_made_again(decide, settled, missing, made):
    settled[missing] = () if missing == "groups" else None
    created = [w.kind.kind for step in decide(**settled).steps for w in step]
    assert made in created
    assert set(created) <= {made, "ConfigMap", "Secret"}


@pytest.mark.parametrize(
    ("pod", "before", "phase"),
    [
        (None, None, "Created"),
        (None, {"phase": "Running"}, "Pending"),
        ("pending", None, "Pending"),
        ("running", None, "Pending"),
        ("ready", None, "Running"),
        ("leaving", {"phase": "Running"}, "Pending"),
    ],
)
def test_running_means_a_ready_scheduler(make, decide, settled, pod, before, phase):
    settled["scheduler_pod"] = pod and make.scheduler_pod(pod)
    assert decide(make.cluster(status=before), **settled).status["phase"] == phase


@pytest.mark.parametrize(
    ("pod", "status", "reason", "message", "degraded"),
    [
        ("pending", {}, "SchedulerPending", "the scheduler Pod waits to be started", "False"),
        (
            "running",
            {},
            "SchedulerStarting",
            "the scheduler runs but is not ready yet",
            "False",
        ),
        (
            "pending",
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "no room"}]},
            "Unschedulable",
            "the scheduler Pod does not fit: no room",
            "False",
        ),
        (
            "pending",
            {
                "containerStatuses": [
                    {"image": "x", "state": {"waiting": {"reason": "ErrImagePull"}}}
                ]
            },
            "ErrImagePull",
            "scheduler: ErrImagePull: image 'x': the registry gives no reason",
            "True",
        ),
    ],
)
def test_what_keeps_the_scheduler_is_said(
    make, decide, settled, pod, status, reason, message, degraded
):
    settled["scheduler_pod"] = make.scheduler_pod(pod, status=status)
    plan = decide(**settled)
    assert condition(plan, "SchedulerReady")["reason"] == reason
    assert plan.status["message"] == message
    assert condition(plan, "Degraded")["status"] == degraded


@pytest.mark.parametrize(("ended_ago_s", "goes"), [(1, False), (5, True)])
def test_a_scheduler_that_ended_is_replaced_after_a_pause(make, decide, settled, ended_ago_s, goes):
    state = {"terminated": {"exitCode": 1, "finishedAt": format_time(make.now - ended_ago_s)}}
    status = {"containerStatuses": [{"state": state}]}
    settled["scheduler_pod"] = make.scheduler_pod("Failed", status=status)
    plan = decide(**settled)
    assert kinds(plan) == ([[("Delete", "Pod")]] if goes else [])
    assert plan.status.get("schedulerReplacements", 0) == int(goes)


def test_a_namesakes_scheduler_is_waited_for(make, decide, settled):
    settled["scheduler_pod"] = make.scheduler_pod(ownerReferences=[])
    plan = decide(**settled)
    assert not plan.steps
    assert condition(plan, "SchedulerReady")["reason"] == "NameTaken"


def test_a_scheduler_of_an_earlier_cluster_is_no_failure(make, decide, settled):
    earlier = {"apiVersion": "kubernetes.dask.org/v1", "kind": "DaskCluster", "uid": "earlier"}
    broken = {"waiting": {"reason": "CrashLoopBackOff"}}
    status = {"containerStatuses": [{"state": broken}]}
    settled["scheduler_pod"] = make.scheduler_pod(ownerReferences=[earlier], status=status)
    plan = decide(**settled)
    assert not plan.steps
    assert "has yet to end" in plan.status["message"]
    assert condition(plan, "Degraded")["status"] == "False"


def test_an_earlier_clusters_group_is_waited_for(make, decide, settled):
    assert not decide(
        make.cluster(uid="another", replicas=9),
        groups=settled["groups"],
        service={"metadata": {}},
        scheduler_pod=make.scheduler_pod(ownerReferences=[]),
    ).steps


@pytest.mark.parametrize(
    ("of_cluster", "of_group", "agreed", "is_autoscaled", "cluster_gets", "group_gets"),
    [
        (2, 2, "2", False, None, None),
        # The group was scaled: the cluster follows.
        (2, 5, "2", False, 5, None),
        # The cluster was scaled: the group follows.
        (5, 2, "2", False, None, 5),
        # Both: the cluster wins, it is what manifests declare.
        (5, 3, "2", False, None, 5),
        # Both to the same: that is agreed now.
        (5, 5, "2", False, None, 5),
        # A group that nobody agreed upon keeps its count, and the cluster follows the next time.
        (2, 5, None, False, None, None),
        # An autoscaler's count is not written into the cluster, an edit of the cluster counts.
        (2, 5, "2", True, None, None),
        (3, 5, "2", True, None, 3),
    ],
)
def test_the_last_edit_of_the_count_wins(
    make, decide, settled, of_cluster, of_group, agreed, is_autoscaled, cluster_gets, group_gets
):
    annotations = {AGREED: agreed} if agreed else {}
    settled["groups"] = (make.group(replicas=of_group, annotations=annotations),)
    autoscalers = (make.autoscaler(),) if is_autoscaled else ()
    plan = decide(make.cluster(replicas=of_cluster), **settled, autoscalers=autoscalers)
    patches = {w.kind.kind: w.body for step in plan.steps for w in step if isinstance(w, Patch)}
    for kind, replicas in (("DaskCluster", cluster_gets), ("DaskWorkerGroup", group_gets)):
        spec = patches.get(kind, {}).get("spec")
        assert spec == (None if replicas is None else {"worker": {"replicas": replicas}})
    for patch in patches.values():
        assert patch["metadata"]["resourceVersion"] == "7"


def test_two_edits_of_the_count_settle_without_a_fight(make, decide, settled):
    """Apply the patches until nothing is left to do; the group was scaled to 5."""
    cluster = make.cluster(replicas=2)
    group = make.group(replicas=5, annotations={AGREED: "2"})
    for _ in range(4):
        plan = carry_out(decide, cluster, group, settled)
    assert not plan.steps
    assert cluster["spec"]["worker"]["replicas"] == group["spec"]["worker"]["replicas"] == 5


def carry_out(decide, cluster, group, settled):
    plan = decide(cluster, **{**settled, "groups": (group,)})
    for write in [write for step in plan.steps for write in step]:
        target = cluster if write.kind.kind == "DaskCluster" else group
        target["spec"]["worker"].update(write.body.get("spec", {}).get("worker", {}))
        annotations = target["metadata"].setdefault("annotations", {})
        annotations.update(write.body["metadata"].get("annotations", {}))
        for key in [key for key, value in annotations.items() if value is None]:
            del annotations[key]
    return plan


@pytest.mark.parametrize("edited_after", range(4))
@pytest.mark.parametrize("edited", ["cluster", "group"])
def test_an_edit_while_the_one_before_is_being_agreed_upon_is_not_lost(
    make, decide, settled, edited_after, edited
):
    cluster = make.cluster(replicas=2)
    group = make.group(replicas=5, annotations={AGREED: "2"})
    for number in range(8):
        if number == edited_after:
            target = cluster if edited == "cluster" else group
            target["spec"]["worker"]["replicas"] = 0
        plan = carry_out(decide, cluster, group, settled)
    assert not plan.steps
    assert cluster["spec"]["worker"]["replicas"] == group["spec"]["worker"]["replicas"] == 0
    # Nothing is left that would take a later edit for a copy.
    assert AGREED not in cluster["metadata"].get("annotations", {})


def later(item):
    """The mark of somebody who has seen the next state of an object."""
    metadata = item["metadata"]
    return format_as_of({"metadata": {**metadata, "resourceVersion": str(1 + version_of(item))}})


@pytest.mark.parametrize("edit", ["replicas", "image", "label"])
def test_a_group_written_from_a_later_cluster_is_left_to_whoever_has_seen_that(
    make, decide, settled, edit
):
    cluster = make.cluster(replicas=2, labels={"team": "a"} if edit == "label" else {})
    if edit == "replicas":
        cluster["spec"]["worker"]["replicas"] = 7
    elif edit == "image":
        cluster["spec"]["worker"]["spec"]["containers"][0]["image"] = "dask:2"
    group = settled["groups"][0]
    assert any(w.kind == DASK_WORKER_GROUPS for w in sum(decide(cluster, **settled).steps, ()))
    group["metadata"]["annotations"][AS_OF] = later(cluster)
    assert not any(w.kind == DASK_WORKER_GROUPS for w in sum(decide(cluster, **settled).steps, ()))
    cluster["metadata"]["resourceVersion"] = str(1 + version_of(cluster))
    assert any(w.kind == DASK_WORKER_GROUPS for w in sum(decide(cluster, **settled).steps, ()))


def test_a_count_copied_from_a_later_group_is_not_taken_back(make, decide, settled):
    # The group was scaled to 3 and the cluster followed; of the group we still see the 2.
    group = settled["groups"][0]
    cluster = make.cluster(replicas=3, annotations={AGREED: "3", AS_OF: later(group)})
    assert not decide(cluster, **settled).steps
    group["metadata"]["resourceVersion"] = str(1 + version_of(group))
    group["spec"]["worker"]["replicas"] = 3
    ((agreement,),) = decide(cluster, **settled).steps
    assert agreement.kind == DASK_WORKER_GROUPS
    assert agreement.body["metadata"]["annotations"][AGREED] == "3"


def test_an_edited_worker_spec_reaches_the_default_group(make, decide, settled):
    cluster = make.cluster()
    cluster["spec"]["worker"]["spec"]["containers"][0]["image"] = "dask:2"
    ((patch,),) = decide(cluster, **settled).steps
    assert patch.body == [
        {"op": "add", "path": "/spec/worker/spec", "value": cluster["spec"]["worker"]["spec"]},
        {
            "op": "add",
            "path": "/metadata/annotations/dask.org~1as-of",
            "value": format_as_of(cluster),
        },
        {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"},
    ]


def test_workers_of_all_groups_are_added_up(make, decide, settled):
    other = make.group("demo-big", 4, status=make.group_status(4, 1))
    plan = decide(**{**settled, "groups": (*settled["groups"], other)})
    assert plan.status["ready"] == "3/6"
    assert plan.status["replicas"] == 2
    assert condition(plan, "WorkersReady")["status"] == "False"


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"Degraded": (True, "CrashLoopBackOff", "2 workers: crash")}, "2 workers: crash"),
        ({"WorkersReady": (False, "Unschedulable", "1 Pod does not fit")}, "1 Pod does not fit"),
        ({"Retiring": (True, "Draining", "1 worker goes")}, "1 worker goes"),
    ],
)
def test_what_a_group_says_the_cluster_says(make, decide, settled, conditions, message):
    group = make.group(annotations={AGREED: "2"}, status=make.group_status(2, 2, **conditions))
    assert decide(**{**settled, "groups": (group,)}).status["message"] == message


def test_a_refusal_is_an_error(decide):
    plan = decide(refusals=(Refusal("creation of Pod team/demo-scheduler", "no such quantity"),))
    assert plan.status["phase"] == "Error"
    assert condition(plan, "Degraded")["reason"] == "CreateRefused"
    assert "was refused: no such quantity" in plan.status["message"]


@pytest.mark.parametrize(
    ("idle", "timeout", "goes", "look_again_s"),
    [
        (None, 0, False, None),
        (Answer(400.0), 300, True, None),
        (Answer(300.0), 300, True, None),
        (Answer(299.0), 300, False, 1.0),
        (Answer(0.0), 300, False, 60.0),
        (Answer(0.0), 20, False, 5.0),
        (Answer(problem="no answer"), 300, False, 60.0),
    ],
)
def test_an_idle_cluster_goes_on_the_word_of_its_scheduler_only(
    make, decide, settled, idle, timeout, goes, look_again_s
):
    plan = decide(make.cluster(idle_timeout=timeout), **settled, idle=idle)
    assert kinds(plan) == ([[("Delete", "DaskCluster")]] if goes else [])
    assert plan.look_again_s == look_again_s
    if goes:
        assert [n.reason for n in plan.notices] == ["IdleTimeout"]
        # As it was seen: an edit that has yet to be seen may have lifted the time-out.
        assert plan.steps[0][0] == Delete(
            plan.steps[0][0].kind, "team", "demo", "uid-of-demo", resource_version="7"
        )


def test_only_a_ready_scheduler_is_asked_whether_it_is_idle(make):
    cluster = make.cluster(idle_timeout=10)
    assert wants_idleness(ObservedCluster(cluster, make.scheduler_pod()))
    assert not wants_idleness(ObservedCluster(cluster, make.scheduler_pod("running")))
    assert not wants_idleness(ObservedCluster(make.cluster(), make.scheduler_pod()))


def test_an_idle_time_out_that_cannot_be_kept_is_said(make, decide, settled):
    plan = decide(make.cluster(idle_timeout=9), **settled, idle=Answer(problem="404"))
    assert condition(plan, "AgentReady")["message"] == "idleTimeout cannot be kept: 404"


def test_a_deleted_cluster_is_left_to_kubernetes(make, decide):
    plan = decide(make.cluster(deletionTimestamp="2026-01-01T00:00:00Z"))
    assert not plan.steps
    assert plan.status is None


def test_agents_objects_are_made_again_for_a_scheduler_that_waits_for_them(make, decide, settled):
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "demo-agent" not found'}
    status = {"containerStatuses": [{"state": {"waiting": waiting}}]}
    settled["scheduler_pod"] = make.scheduler_pod("pending", status=status)
    assert kinds(decide(**settled)) == [[("Create", "ConfigMap"), ("Create", "Secret")]]


def test_the_token_is_never_shown(decide):
    assert "0123" not in repr(AGENT)
    assert any(isinstance(w, Create) and w.kind.kind == "Secret" for w in decide().steps[0])


def test_the_same_observation_gives_the_same_status_later(make, decide, settled):
    first = decide(**settled).status
    later = decide(make.cluster(status=first), **settled, now=make.now + 100).status
    assert first == later
