"""Workers that leave: taken back, cut short, suspended; and those that come, in batches."""

import itertools

import pytest

from dask_k8s_operator.reconcile.plan import Create, Delete, Patch
from dask_k8s_operator.reconcile.workergroup import Allocation, ObservedGroup, decide_group
from dask_k8s_operator.resources.agent_protocol import SchedulerReport, WorkerLoad
from dask_k8s_operator.resources.names import RETIRING_ANNOTATION
from dask_k8s_operator.resources.times import format_time


@pytest.fixture
def decide(make):
    def decide(pods, replicas=2, *, drains=(), allocation=None, group=None, **observed):
        loads = [
            WorkerLoad(f"tcp://10.0.0.{i}:1", drain=state) for i, state in enumerate(drains, 1)
        ]
        observed.setdefault("report", SchedulerReport(workers=tuple(loads)))
        observed.setdefault("cluster", make.served_cluster())
        seen = ObservedGroup(group or make.group(replicas=replicas), pods=tuple(pods), **observed)
        digits = (f"{i:010x}" for i in itertools.count())
        return decide_group(seen, make.now, digits, allocation or Allocation())

    return decide


@pytest.fixture
def retiring(make):
    def retiring(number, since_s=5):
        mark = {RETIRING_ANNOTATION: format_time(make.now - since_s)}
        return make.pod(f"w{number}", retiring=True, ip=f"10.0.0.{number}", annotations=mark)

    return retiring


def writes(plan, kind):
    return [write for step in plan.steps for write in step if isinstance(write, kind)]


def unmarked(plan):
    return [
        write.name
        for write in writes(plan, Patch)
        if write.body["metadata"]["annotations"] == {RETIRING_ANNOTATION: None}
    ]


@pytest.mark.parametrize(
    ("drain", "unmarks", "undrains"),
    [
        # The word to drain it, of an operator that has lost its lease, may be on its way.
        (None, ["w1"], ("tcp://10.0.0.1:1",)),
        ("draining", [], ("tcp://10.0.0.1:1",)),
        ("drained", [], ("tcp://10.0.0.1:1",)),
        ("moving", [], ("tcp://10.0.0.1:1",)),
    ],
)
def test_a_worker_wanted_again_works_before_its_mark_goes(
    make, decide, retiring, drain, unmarks, undrains
):
    plan = decide([retiring(1), make.pod("w2", ip="10.0.0.2")], 2, drains=(drain, None))
    assert unmarked(plan) == unmarks
    assert plan.undrain == undrains
    assert not writes(plan, Create)
    assert not writes(plan, Delete)
    assert not plan.drain


@pytest.mark.parametrize(("has_agent", "undrains"), [(True, ("tcp://10.0.0.2:1",)), (False, ())])
def test_who_stays_and_is_drained_all_the_same_works_again(
    make, decide, retiring, has_agent, undrains
):
    workers = (WorkerLoad("tcp://10.0.0.1:1"), WorkerLoad("tcp://10.0.0.2:1", drain="drained"))
    report = SchedulerReport(workers=workers, has_agent=has_agent)
    plan = decide([retiring(1), make.pod("w2", ip="10.0.0.2")], 1, report=report)
    assert plan.undrain == undrains
    assert plan.drain == ("tcp://10.0.0.1:1",)
    assert not unmarked(plan)


def test_one_too_many_that_was_not_seen_yet_is_waited_for(make, decide):
    unseen = make.pod("w3", state="pending")
    del unseen["metadata"]["uid"]
    plan = decide([make.pod("w1"), make.pod("w2"), unseen], 2)
    assert not writes(plan, Delete)
    assert not writes(plan, Patch)


def test_those_that_did_least_to_go_stay_and_the_rest_goes_on(decide, retiring):
    plan = decide([retiring(1), retiring(2), retiring(3)], 1, drains=("drained", "draining", None))
    assert unmarked(plan) == ["w3"]
    assert [write.name for write in writes(plan, Delete)] == ["w1"]
    assert plan.drain == ("tcp://10.0.0.2:1",)


def test_results_that_nobody_could_take_wait_for_one_that_is_taken_back(decide, retiring):
    stranded = [retiring(1), retiring(2)]
    alone = decide(stranded, 0, drains=("no-recipients", "no-recipients"))
    assert [write.name for write in writes(alone, Delete)] == ["w1", "w2"]
    plan = decide(stranded, 1, drains=("no-recipients", "no-recipients"))
    assert plan.undrain == ("tcp://10.0.0.1:1",)
    assert not writes(plan, Delete)
    assert plan.drain == ("tcp://10.0.0.2:1",)


def test_more_are_made_only_for_what_cannot_be_taken_back(decide, retiring):
    plan = decide([retiring(1)], 3, drains=("draining",))
    assert len(writes(plan, Create)) == 2


@pytest.mark.parametrize("options", [{"has_agent": False}, {"problem": "no answer"}])
def test_where_the_scheduler_cannot_give_back_new_ones_are_made(decide, retiring, options):
    report = SchedulerReport(workers=(WorkerLoad("tcp://10.0.0.1:1"),), **options)
    plan = decide([retiring(1)], 1, report=report)
    assert len(writes(plan, Create)) == 1
    assert not plan.undrain


@pytest.mark.parametrize(
    ("since_s", "limit_s", "goes"),
    [(59, 60, False), (60, 60, True), (86_399, None, False), (86_400, None, True), (0, 0, True)],
)
def test_a_drain_is_cut_short_at_its_limit_and_that_is_said(
    make, decide, retiring, since_s, limit_s, goes
):
    group = make.group(replicas=0)
    if limit_s is not None:
        group["spec"]["worker"]["retireTimeout"] = limit_s
    plan = decide([retiring(1, since_s)], group=group, drains=("draining",))
    assert [write.name for write in writes(plan, Delete)] == (["w1"] if goes else [])
    assert [(n.reason, n.kind) for n in plan.notices] == ([("WorkLost", "Warning")] if goes else [])
    if goes:
        assert "retireTimeout" in plan.notices[0].message


def test_a_long_drain_is_asked_after_less_often(make, decide, retiring):
    waits = [
        decide([retiring(1, since_s)], 0, drains=("draining",)).look_again_s
        for since_s in (1, 40, 4000)
    ]
    assert waits == [0.5, 2.0, 5.0]


def test_a_mark_that_nobody_can_read_is_no_reason_to_hurry(make, decide):
    pod = make.pod("w1", retiring=True, ip="10.0.0.1", annotations={RETIRING_ANNOTATION: "soon"})
    assert not writes(decide([pod], 0, drains=("draining",)), Delete)


def test_a_suspended_cluster_retires_all_its_workers_and_makes_none(make, decide):
    cluster = make.cluster()
    cluster["spec"]["suspend"] = True
    pods = [make.pod(f"w{i}", ip=f"10.0.0.{i}") for i in (1, 2)]
    plan = decide(pods, 2, cluster=cluster, drains=(None, None))
    assert {write.name for write in writes(plan, Patch)} == {"w1", "w2"}
    ready = next(c for c in plan.status["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Suspended")
    assert plan.status["workers"]["desired"] == 2
    assert not writes(decide([], 2, cluster=cluster), Create)


@pytest.mark.parametrize(
    ("youngest_s", "batch", "delay_s", "made", "look_again_s"),
    [
        (None, 3, 10, 3, 10),
        (100, 3, 10, 3, 10),
        (4, 3, 10, 0, 6),
        (4, 3, 0, 3, 0),
        (4, None, 10, 9, None),
        (100, 9, 10, 9, None),
    ],
)
def test_workers_come_in_batches_where_that_is_wanted(
    make, decide, youngest_s, batch, delay_s, made, look_again_s
):
    pods = [] if youngest_s is None else [make.pod("w0", age_s=youngest_s)]
    plan = decide(pods, 9 + len(pods), allocation=Allocation(batch, delay_s))
    assert len(writes(plan, Create)) == made
    assert plan.look_again_s == look_again_s


def test_changed_labels_reach_the_pods_that_are_there(make, decide):
    group = make.group(labels={"team": "a", "dask.org/cluster-name": "demo"})
    group["spec"]["worker"]["metadata"] = {"labels": {"team": "b"}}
    pods = [make.pod("w1"), make.pod("w2", "leaving"), make.pod("w3", "Failed")]
    plan = decide(pods, group=group)
    (patch,) = [w for w in writes(plan, Patch) if "labels" in w.body["metadata"]]
    assert (patch.name, patch.body["metadata"]["labels"]) == ("w1", {"team": "b"})


def test_of_two_on_one_node_only_the_drained_one_goes(make, decide, retiring):
    pods = [retiring(1), retiring(2)]
    for pod in pods:
        pod["status"]["podIP"] = "10.9.9.9"
    loads = (
        WorkerLoad("tcp://10.9.9.9:1", name="w1", drain="drained"),
        WorkerLoad("tcp://10.9.9.9:2", name="w2", drain="draining"),
    )
    plan = decide(pods, 0, report=SchedulerReport(loads), has_other_workers=True)
    assert [write.name for write in writes(plan, Delete)] == ["w1"]
    assert plan.drain == ("tcp://10.9.9.9:2",)


def test_of_two_without_a_name_on_one_node_none_is_drained_while_one_stays(make, decide, retiring):
    pods = [retiring(1), make.pod("w2")]
    for pod in pods:
        pod["status"]["podIP"] = "10.9.9.9"
    loads = (WorkerLoad("tcp://10.9.9.9:1"), WorkerLoad("tcp://10.9.9.9:2"))
    plan = decide(pods, 1, report=SchedulerReport(loads))
    assert not writes(plan, Delete)
    assert plan.drain == ()
    told = next(c for c in plan.status["conditions"] if c["type"] == "Retiring")
    assert "--name $(DASK_WORKER_NAME)" in told["message"]
    # When both go, they need not be told apart.
    both = decide(
        [pods[0], {**pods[0], "metadata": retiring(2)["metadata"]}],
        0,
        report=SchedulerReport(loads),
        has_other_workers=True,
    )
    assert set(both.drain) == {"tcp://10.9.9.9:1", "tcp://10.9.9.9:2"}


@pytest.mark.parametrize("prefix", ["", "gpu-"])
def test_a_pod_whose_worker_has_a_prefix_before_its_name_stays_until_drained(make, decide, prefix):
    name = "demo-default-worker-0000000001"
    pod = make.pod(name, retiring=True, ip="10.0.0.1")
    for drain, goes in (("draining", []), ("drained", [name])):
        load = WorkerLoad("tcp://10.0.0.1:1", name=prefix + name, processing=1, drain=drain)
        plan = decide([pod], 0, report=SchedulerReport((load,)), has_other_workers=True)
        assert [write.name for write in writes(plan, Delete)] == goes


def test_a_busy_worker_with_a_prefix_is_not_the_one_with_least_to_do(make, decide):
    names = [f"demo-default-worker-000000000{i}" for i in (1, 2)]
    pods = [make.pod(name, ip=f"10.0.0.{i}") for i, name in enumerate(names, 1)]
    loads = [
        WorkerLoad(f"tcp://10.0.0.{i}:1", name=f"gpu-{name}", processing=2 - i)
        for i, name in enumerate(names, 1)
    ]
    plan = decide(pods, 1, report=SchedulerReport(tuple(loads)))
    assert [write.name for write in writes(plan, Patch)] == names[1:]


@pytest.mark.parametrize(
    ("state", "is_retiring", "drained"),
    [
        ("ready", False, ()),
        ("ready", True, ("tcp://10.9.9.9:1",)),
        ("Failed", False, ("tcp://10.9.9.9:1",)),
    ],
)
def test_none_is_drained_that_may_be_one_of_another_group_which_stays(
    make, decide, retiring, state, is_retiring, drained
):
    pod = retiring(1)
    neighbour = make.pod("other", state, retiring=is_retiring, ip="10.9.9.9")
    pod["status"]["podIP"] = "10.9.9.9"
    plan = decide(
        [pod],
        0,
        report=SchedulerReport((WorkerLoad("tcp://10.9.9.9:1"),)),
        neighbours=(neighbour,),
        has_other_workers=True,
    )
    assert (plan.drain, writes(plan, Delete)) == (drained, [])
