"""Each rule of a worker group's decision is a row or a sentence here."""

import itertools

import pytest

from dask_k8s_operator.reconcile.plan import Create, Delete, Patch, Refusal
from dask_k8s_operator.reconcile.workergroup import ObservedGroup, decide_group, wants_report
from dask_k8s_operator.resources.agent_protocol import SchedulerReport, WorkerLoad
from dask_k8s_operator.resources.times import format_time


def digits():
    return (f"{i:010x}" for i in itertools.count())


@pytest.fixture
def decide(make):
    def decide(pods, replicas=2, *, report=None, now=make.now, status=None, **observed):
        group = observed.pop("group", None) or make.group(replicas=replicas, status=status)
        cluster = observed.pop("cluster", make.served_cluster())
        seen = ObservedGroup(group, cluster, tuple(pods), report=report, **observed)
        return decide_group(seen, now, digits())

    return decide


def written(plan):
    return [write for step in plan.steps for write in step]


def created(plan):
    return [w.body["metadata"]["name"] for w in written(plan) if isinstance(w, Create)]


def deleted(plan):
    return [w.name for w in written(plan) if isinstance(w, Delete)]


def marked(plan):
    return [w.name for w in written(plan) if isinstance(w, Patch)]


def reasons(plan):
    return [notice.reason for notice in plan.notices]


def condition(plan, type_):
    return next(c for c in plan.status["conditions"] if c["type"] == type_)


def report_of(*loads, **options):
    return SchedulerReport(workers=tuple(loads), **options)


def load(number, processing=0, stored=0, drain=None, port=1):
    return WorkerLoad(f"tcp://10.0.0.{number}:{port}", processing, float(processing), stored, drain)


@pytest.mark.parametrize(
    ("states", "replicas", "creations", "deletions"),
    [
        ([], 2, 2, 0),
        ([], 0, 0, 0),
        (["ready"], 2, 1, 0),
        (["ready", "ready"], 2, 0, 0),
        (["pending", "running"], 2, 0, 0),
        (["leaving", "ready"], 2, 1, 0),
        (["leaving", "leaving"], 0, 0, 0),
        (["pending", "pending", "pending"], 1, 0, 2),
        (["pending", "ready", "ready"], 2, 0, 1),
        (["pending", "pending"], 0, 0, 2),
    ],
)
def test_there_are_as_many_pods_as_asked_for(make, decide, states, replicas, creations, deletions):
    pods = [make.pod(f"w{i}", state) for i, state in enumerate(states)]
    plan = decide(pods, replicas)
    assert len(created(plan)) == creations
    assert len(deleted(plan)) == deletions


def test_new_pods_have_names_of_their_own_and_belong_to_the_group(make, decide):
    plan = decide([], 3)
    assert created(plan) == [f"demo-default-worker-{i:010x}" for i in range(3)]
    owner = written(plan)[0].body["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"]) == ("DaskWorkerGroup", "uid-of-demo-default")


def test_of_pods_that_do_not_run_yet_the_youngest_go_first(make, decide):
    pods = [make.pod(f"w{age}", "pending", age_s=age) for age in (30, 10, 20)]
    assert deleted(decide(pods, 1)) == ["w10", "w20"]


def test_a_pod_goes_for_not_running_only_while_that_is_so(make, decide):
    pod = make.pod("w1", "pending")
    pod["metadata"]["resourceVersion"] = "12"
    plan = decide([pod], 0)
    assert [write.resource_version for write in written(plan)] == ["12"]


def test_running_workers_are_marked_first_and_deleted_only_when_drained(make, decide):
    pods = [make.pod(f"w{i}", ip=f"10.0.0.{i}") for i in (1, 2, 3)]
    plan = decide(pods, 1, report=report_of(load(1, 5), load(2), load(3, 1)))
    assert marked(plan) == ["w2", "w3"]
    assert not deleted(plan)
    assert reasons(plan) == ["Retiring"]
    assert plan.look_again_s == 0.5


@pytest.mark.parametrize(
    ("loads", "goes"),
    [
        ([load(1, 3), load(2, 1), load(3, 2)], "w2"),
        ([load(1, 1), load(2, 0, 10**9), load(3, 2)], "w2"),
        ([load(1, 0, 300), load(2, 0, 200), load(3, 0, 100)], "w3"),
        ([load(1), load(3)], "w2"),
        # Two workers in one Pod count as one.
        ([load(1, 2), load(1, 2, port=2), load(2, 3), load(3, 5)], "w2"),
    ],
)
def test_idle_ones_go_first_then_those_with_least(make, decide, loads, goes):
    ages = {"1": 10, "2": 20, "3": 30}
    if len(loads) == 2:
        ages["2"] = 5
    pods = [make.pod(f"w{i}", ip=f"10.0.0.{i}", age_s=age) for i, age in ages.items()]
    assert marked(decide(pods, 2, report=report_of(*loads))) == [goes]


def test_only_running_workers_need_the_scheduler_asked(make):
    def observed(pods, replicas):
        return ObservedGroup(make.group(replicas=replicas), make.cluster(), tuple(pods))

    ready, pending = make.pod("a"), make.pod("b", "pending")
    assert not wants_report(observed([ready, pending], 2))
    assert not wants_report(observed([ready, pending], 1))
    assert wants_report(observed([ready, pending], 0))
    assert wants_report(observed([make.pod("c", retiring=True)], 1))
    assert not wants_report(ObservedGroup(make.group(replicas=0), None, (ready,)))


@pytest.mark.parametrize(
    ("states", "goes", "drains"),
    [
        (["draining"], [], ["tcp://10.0.0.1:1"]),
        ([None], [], ["tcp://10.0.0.1:1"]),
        (["drained"], ["w1"], []),
        ([], ["w1"], []),
        (["drained", "draining"], [], ["tcp://10.0.0.1:2"]),
        (["drained", "drained"], ["w1"], []),
        (["no-recipients"], [], ["tcp://10.0.0.1:1"]),
    ],
)
def test_a_marked_worker_goes_when_all_its_processes_are_drained(
    make, decide, states, goes, drains
):
    pods = [make.pod("w1", retiring=True, ip="10.0.0.1"), make.pod("w2", ip="10.0.0.2")]
    loads = [load(1, drain=state, port=port) for port, state in enumerate(states, 1)]
    plan = decide(pods, 1, report=report_of(*loads))
    assert deleted(plan) == goes
    assert list(plan.drain) == drains
    assert not created(plan)


def test_on_two_stacks_a_busy_worker_is_found_by_its_other_address(make, decide):
    marked_pod = make.pod("w1", retiring=True, ip="fd00::1")
    marked_pod["status"]["podIPs"] = [{"ip": "fd00::1"}, {"ip": "10.0.0.1"}]
    pods = [marked_pod, make.pod("w2", ip="10.0.0.2")]
    plan = decide(pods, 1, report=report_of(load(1, drain="draining")))
    assert not deleted(plan)
    assert list(plan.drain) == ["tcp://10.0.0.1:1"]


def test_results_go_with_the_last_worker_and_that_is_said(make, decide):
    pods = [make.pod("w1", retiring=True, ip="10.0.0.1")]
    plan = decide(pods, 0, report=report_of(load(1, drain="no-recipients")))
    assert deleted(plan) == ["w1"]
    assert [(n.reason, n.kind) for n in plan.notices] == [("WorkLost", "Warning")]


def test_results_wait_while_another_group_has_workers(make, decide):
    pods = [make.pod("w1", retiring=True, ip="10.0.0.1")]
    report = report_of(load(1, drain="no-recipients"))
    assert not deleted(decide(pods, 0, report=report, has_other_workers=True))


def test_a_marked_pod_that_ended_goes_and_is_not_replaced(make, decide):
    plan = decide([make.pod("w1", "Failed", retiring=True), make.pod("w2")], 1)
    assert deleted(plan) == ["w1"]
    assert not created(plan)


def unreachable_since(make, seconds):
    return {"unreachableSince": format_time(make.now - seconds)}


@pytest.mark.parametrize(
    ("silent_s", "report", "goes", "events"),
    [
        (5, SchedulerReport(problem="no answer"), [], []),
        (61, SchedulerReport(problem="no answer"), ["young"], ["WorkLost"]),
        (0, SchedulerReport(problem="no routes", may_recover=False), ["young"], ["WorkLost"]),
        (0, SchedulerReport(problem="none", is_absent=True), ["young"], ["ScaledDown"]),
    ],
)
def test_a_silent_scheduler_is_waited_for_then_the_youngest_go(
    make, decide, silent_s, report, goes, events
):
    pods = [make.pod("old", age_s=90), make.pod("young", age_s=10), make.pod("middle", age_s=50)]
    plan = decide(pods, 2, report=report, status=unreachable_since(make, silent_s))
    assert deleted(plan) == goes
    assert reasons(plan) == events
    assert not marked(plan)


def test_the_wait_for_a_silent_scheduler_begins_when_it_is_first_asked(make, decide):
    pods = [make.pod("a"), make.pod("b")]
    plan = decide(pods, 1, report=SchedulerReport(problem="no answer"))
    agent = condition(plan, "AgentReady")
    assert (agent["status"], agent["reason"]) == ("False", "SchedulerUnreachable")
    assert plan.status["unreachableSince"] == format_time(make.now)
    assert not deleted(plan)
    assert plan.look_again_s == 5.0


@pytest.mark.parametrize("report", [None, SchedulerReport()])
def test_the_next_wait_for_a_silent_scheduler_begins_anew(make, decide, report):
    before = unreachable_since(make, 3600)
    plan = decide([make.pod("a")], 1, report=report, status=before)
    assert "unreachableSince" not in plan.status


def test_without_the_agent_a_condition_says_what_is_lost(make, decide):
    pods = [make.pod("w1", retiring=True, ip="10.0.0.1"), make.pod("w2", ip="10.0.0.2")]
    plan = decide(pods, 1, report=report_of(load(1), load(2), has_agent=False))
    agent = condition(plan, "AgentReady")
    assert agent["reason"] == "AgentMissing"
    assert "run again" in agent["message"]
    assert plan.drain == ("tcp://10.0.0.1:1",)


def test_without_the_agent_the_last_worker_does_not_wait_for_somebody_to_take_its_results(
    make, decide
):
    pods = [make.pod("w1", retiring=True, ip="10.0.0.1")]
    plan = decide(pods, 0, report=report_of(load(1), has_agent=False))
    assert deleted(plan) == ["w1"]
    assert [(n.reason, n.kind) for n in plan.notices] == [("WorkLost", "Warning")]


@pytest.mark.parametrize(
    ("ended_ago_s", "replacements", "is_replaced"),
    [(5, 0, False), (10, 0, True), (15, 1, False), (20, 1, True), (299, 9, False), (300, 9, True)],
)
def test_a_failed_worker_is_replaced_after_a_growing_pause(
    make, decide, ended_ago_s, replacements, is_replaced
):
    state = {"terminated": {"exitCode": 1, "finishedAt": format_time(make.now - ended_ago_s)}}
    failed = make.pod("w1", "Failed", status={"containerStatuses": [{"state": state}]})
    status = {
        "replacements": replacements,
        "lastReplacementTime": format_time(make.now - ended_ago_s),
    }
    plan = decide([failed, make.pod("w2")], 2, status=status)
    assert deleted(plan) == (["w1"] if is_replaced else [])
    assert len(created(plan)) == int(is_replaced)
    assert reasons(plan) == (["Replaced"] if is_replaced else [])
    if is_replaced:
        assert plan.status["replacements"] == replacements + 1
    else:
        assert plan.look_again_s > 0


def test_of_too_many_the_failed_go_first(make, decide):
    plan = decide([make.pod("w1", "Failed"), make.pod("w2")], 1)
    assert deleted(plan) == ["w1"]
    assert not created(plan)


def test_replacements_long_ago_are_forgotten(make, decide):
    status = {"replacements": 4, "lastReplacementTime": format_time(make.now - 601)}
    assert "replacements" not in decide([make.pod("a"), make.pod("b")], status=status).status


def test_a_group_before_its_cluster_waits_and_says_so(make, decide):
    plan = decide([], cluster=None)
    assert not written(plan)
    assert condition(plan, "Ready")["reason"] == "ClusterMissing"
    assert plan.status["message"] == "waits for DaskCluster team/demo, which is not there"


def test_a_group_made_by_hand_is_adopted(make, decide):
    plan = decide([make.pod("a"), make.pod("b")], group=make.group(ownerReferences=[]))
    (patch,) = written(plan)
    (owner,) = patch.body["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == (
        "DaskCluster",
        "uid-of-demo",
        True,
    )
    assert patch.body["metadata"]["resourceVersion"] == "7"


def test_a_group_of_an_earlier_cluster_of_that_name_is_left_to_go_with_it(make, decide):
    assert not written(decide([], cluster=make.cluster(uid="another")))


@pytest.mark.parametrize("where", ["group", "cluster"])
def test_what_is_being_deleted_makes_nothing_new(make, decide, where):
    going = {"deletionTimestamp": format_time(make.now)}
    group = make.group(**(going if where == "group" else {}))
    cluster = make.cluster(**(going if where == "cluster" else {}))
    assert not written(decide([], group=group, cluster=cluster))


def test_the_status_counts_every_pod_once(make, decide):
    crash = {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}
    pods = [
        make.pod("a"),
        make.pod("b", "running"),
        make.pod("c", "pending"),
        make.pod("d", "running", status=crash),
        make.pod("e", retiring=True),
        make.pod("f", "leaving"),
        make.pod("g", "Failed"),
    ]
    status = decide(pods, 5).status
    assert status["workers"] == {
        "desired": 5,
        "pending": 1,
        "running": 2,
        "ready": 1,
        "failed": 2,
        "retiring": 1,
    }
    assert status["ready"] == "1/5"
    assert status["replicas"] == 5
    assert status["selector"] == (
        "dask.org/cluster-name=demo,dask.org/component=worker,"
        "dask.org/workergroup-name=demo-default"
    )


@pytest.mark.parametrize(
    ("states", "ready", "degraded", "message"),
    [
        (["ready", "ready"], "True", "False", None),
        (["ready", "running"], "False", "False", "1 of 2 workers ready, the rest start"),
    ],
)
def test_the_conditions_say_what_is_missing(make, decide, states, ready, degraded, message):
    plan = decide([make.pod(f"w{i}", state) for i, state in enumerate(states)])
    assert condition(plan, "Ready")["status"] == ready
    assert condition(plan, "WorkersReady")["status"] == ready
    assert condition(plan, "Degraded")["status"] == degraded
    assert plan.status.get("message") == message


def test_a_refusal_is_an_error_that_a_person_reads(make, decide):
    refusal = Refusal("creation of a worker Pod of team/demo-default", "exceeded quota")
    plan = decide([], refusals=(refusal,))
    assert condition(plan, "Degraded")["reason"] == "CreateRefused"
    assert plan.status["message"].endswith("was refused: exceeded quota")


def test_the_same_observation_gives_the_same_status_later(make, decide):
    pods = [make.pod("a"), make.pod("b", retiring=True, ip="10.0.0.2")]
    report = report_of(load(2, drain="draining"))
    first = decide(pods, 1, report=report).status
    later = decide(pods, 1, report=report, status=first, now=make.now + 100).status
    assert first == later
