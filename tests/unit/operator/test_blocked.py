"""A cluster whose scheduler Kubernetes refuses, or whose agent knows us no more."""

import itertools

import pytest

from dask_k8s_operator.controller.apply import Applier
from dask_k8s_operator.controller.ask import Asker
from dask_k8s_operator.controller.cache import Cache
from dask_k8s_operator.controller.doubts import Doubts
from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.reconcile.plan import Create, Refusal
from dask_k8s_operator.reconcile.workergroup import ObservedGroup, decide_group
from dask_k8s_operator.resources.agent_protocol import SchedulerReport
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, EVENTS, PODS
from dask_k8s_operator.resources.names import AGENT_TOKEN_KEY
from dask_k8s_operator.resources.times import format_time

UNKNOWN = SchedulerReport(problem="it does not know our token", knows_token=False)


@pytest.fixture
def decide(make):
    def decide(cluster, pods=(), replicas=2, report=None, status=None):
        group = make.group(replicas=replicas, status=status)
        digits = (f"{i:010x}" for i in itertools.count())
        return decide_group(ObservedGroup(group, cluster, pods, report=report), make.now, digits)

    return decide


def scheduler_is(reason):
    return {"conditions": [{"type": "SchedulerReady", "status": "False", "reason": reason}]}


def created(plan):
    return [write for step in plan.steps for write in step if isinstance(write, Create)]


@pytest.mark.parametrize(
    ("reason", "number"),
    [
        (None, 0),
        ("SchedulerMissing", 0),
        ("NameTaken", 0),
        ("SchedulerPending", 2),
        ("Unschedulable", 2),
        ("SchedulerReady", 2),
    ],
)
def test_no_worker_is_made_before_there_is_a_scheduler_pod(make, decide, reason, number):
    cluster = make.cluster(status=scheduler_is(reason) if reason else None)
    plan = decide(cluster)
    assert len(created(plan)) == number
    waits = plan.status.get("message") == "waits for the scheduler Pod of DaskCluster team/demo"
    assert waits is (number == 0)


def test_those_that_work_are_not_called_waiting_while_their_scheduler_is_replaced(make, decide):
    pods = (make.pod("w1"), make.pod("w2"))
    plan = decide(make.cluster(status=scheduler_is("SchedulerMissing")), pods)
    assert "message" not in plan.status


@pytest.mark.parametrize(("is_suspended", "goes"), [(False, False), (True, True)])
def test_no_worker_goes_because_a_scheduler_that_is_well_does_not_know_us(
    make, decide, is_suspended, goes
):
    cluster = make.served_cluster()
    cluster["spec"]["suspend"] = is_suspended
    status = {"unreachableSince": format_time(make.now - 3600)}
    plan = decide(cluster, (make.pod("w1"), make.pod("w2")), 1, UNKNOWN, status)
    assert bool(sum(plan.steps, ())) is goes
    agent = next(c for c in plan.status["conditions"] if c["type"] == "AgentReady")
    assert (agent["reason"], agent["message"]) == ("TokenUnknown", UNKNOWN.problem)
    # Should it be silent next, its minute begins then.
    assert "unreachableSince" not in plan.status


def test_workers_that_ended_keep_their_logs_while_nobody_would_take_their_places(make, decide):
    ended = {"exitCode": 1, "finishedAt": format_time(make.now - 3600)}
    pod = make.pod("w1", "Failed", status={"containerStatuses": [{"state": {"terminated": ended}}]})
    assert sum(decide(make.served_cluster(), (pod,), 1).steps, ())
    plan = decide(make.cluster(status=scheduler_is("SchedulerMissing")), (pod,), 1)
    assert not sum(plan.steps, ())
    assert not plan.notices


def test_it_is_said_why_a_worker_is_replaced(make, decide):
    ended = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": format_time(make.now - 60)}
    pod = make.pod("w1", "Failed", status={"containerStatuses": [{"state": {"terminated": ended}}]})
    plan = decide(make.served_cluster(), (pod, make.pod("w2")))
    (notice,) = plan.notices
    assert notice.reason == "Replaced"
    assert "OOMKilled" in notice.message


class Api:
    """Has a Secret until that is deleted, and keeps the Events."""

    def __init__(self, token):
        self.token, self.events = token, []

    async def get(self, kind, name, namespace):
        if self.token is None:
            raise NotFoundError(404, "NotFound", "no such Secret")
        return {"data": {AGENT_TOKEN_KEY: self.token}}

    async def create(self, kind, body):
        assert kind == EVENTS
        self.events.append(body)
        return body


class Schedulers:
    """Answers no question, and keeps the tokens that came with it."""

    def __init__(self):
        self.tokens = []

    async def report(self, place):
        self.tokens.append(place.token)
        return SchedulerReport(problem="not now")


async def test_a_token_outlives_the_secret_that_it_was_read_from(make):
    cache, api, schedulers = Cache(), Api("Zmlyc3Q="), Schedulers()
    cache.informed(DASK_CLUSTERS, None, make.cluster())
    cache.informed(PODS, None, make.scheduler_pod(ip="10.0.0.1"))
    asker = Asker(api, schedulers, cache)
    for token in ("Zmlyc3Q=", None, "c2Vjb25k"):
        api.token = token
        await asker.report(make.group())
    assert schedulers.tokens == ["first", "first", "second"]


async def test_what_is_refused_is_an_event(make):
    api, cache = Api(None), Cache()
    applier = Applier(
        api, cache, Doubts(api, cache), clock=lambda: 0.0, random_hex=lambda count: "0" * count
    )
    refusal = Refusal("creation of Pod team/demo-scheduler", "exceeded quota")
    await applier.tell_refusals(DASK_CLUSTERS, make.cluster(), [refusal])
    (event,) = api.events
    assert (event["type"], event["reason"]) == ("Warning", "Blocked")
    assert event["message"] == str(refusal)
