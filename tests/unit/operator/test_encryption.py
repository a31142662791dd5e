"""Certificates of a cluster: looked up, renewed, made again; who holds old ones is replaced."""

import itertools

import pytest

from dask_k8s_operator.controller.cache import Cache
from dask_k8s_operator.controller.observe import observe_cluster
from dask_k8s_operator.reconcile.cluster import AgentParts, ObservedCluster, decide_cluster
from dask_k8s_operator.reconcile.encryption import CHECK_S, wants_certificates
from dask_k8s_operator.reconcile.plan import Create, Delete
from dask_k8s_operator.reconcile.workergroup import ObservedGroup, decide_group
from dask_k8s_operator.resources.agent_protocol import Answer, SchedulerReport
from dask_k8s_operator.resources.kinds import DASK_WORKER_GROUPS, PODS
from dask_k8s_operator.resources.names import AUTHORITY_ANNOTATION
from dask_k8s_operator.resources.times import format_time
from dask_k8s_operator.resources.tls import RENEW_BEFORE_S, Certificates

LONG_S = 2 * RENEW_BEFORE_S
OLD, NEW = {"ca.crt": "old"}, {"ca.crt": "new"}


def authority_of(texts):
    return Certificates(texts, 0.0).authority


def holding(pod, texts):
    pod["metadata"].setdefault("annotations", {})[AUTHORITY_ANNOTATION] = authority_of(texts)
    return pod


@pytest.fixture
def encrypted(make):
    def encrypted(lasts_s=LONG_S, **status):
        if lasts_s is not None:
            status["certificatesUntil"] = format_time(make.now + lasts_s)
        cluster = make.cluster(status=status)
        cluster["spec"]["tls"] = True
        return cluster

    return encrypted


@pytest.fixture
def decide(make, encrypted):
    def decide(cluster=None, **observed):
        seen = ObservedCluster(cluster or encrypted(), **observed)
        return decide_cluster(seen, make.now, AgentParts("source", "token"))

    return decide


def writes(plan, *kinds):
    return [w for step in plan.steps for w in step if isinstance(w, kinds or object)]


def test_an_encrypted_cluster_has_its_secret_before_its_scheduler(make, decide):
    made = Certificates({**NEW, "tls.crt": "B"}, make.now + LONG_S, is_new=True)
    plan = decide(certificates=made)
    secrets = [w.body["metadata"]["name"] for w in plan.steps[0] if w.kind.kind == "Secret"]
    assert secrets == ["demo-agent", "demo-tls"]
    assert plan.status["schedulerAddress"].startswith("tls://demo-scheduler.team.")
    assert plan.status["certificatesUntil"] == format_time(made.until)
    assert plan.status["certificatesAuthority"] == made.authority
    pod = next(w.body for w in plan.steps[1] if w.kind.kind == "Pod")
    assert pod["metadata"]["annotations"][AUTHORITY_ANNOTATION] == made.authority
    assert "'B'" not in repr(made)


def test_a_renewed_certificate_is_written_over_the_one_before(make, decide, settled):
    renewed = Certificates({"ca.crt": "A", "tls.crt": "B"}, make.now + LONG_S, is_renewed=True)
    plan = decide(**settled, certificates=renewed)
    patch = next(w for w in writes(plan) if w.kind.kind == "Secret")
    assert patch.body == {"data": {"ca.crt": "QQ==", "tls.crt": "Qg=="}}
    assert plan.proofs == ((patch, ("certificatesUntil", "certificatesAuthority")),)


WAITING = {"reason": "CreateContainerConfigError", "message": 'secret "demo-tls" not found'}
CRASHED = {"reason": "CrashLoopBackOff"}
WAITS = (CRASHED, CRASHED, WAITING)


def stuck(make, name, waiting):
    statuses = [{"name": "worker", "state": {"waiting": waiting}}]
    return make.pod(name, "pending", status={"containerStatuses": statuses})


@pytest.mark.parametrize(
    ("tls", "has_scheduler", "lasts_s", "workers", "wants"),
    [
        (False, False, None, (), False),
        (True, False, LONG_S, (), True),
        (True, True, None, (), True),
        (True, True, LONG_S, (), False),
        (True, True, RENEW_BEFORE_S - 1, (), True),
        (True, True, LONG_S, WAITS, True),
        (True, True, LONG_S, (CRASHED,), False),
        (False, True, None, WAITS, False),
    ],
)
def test_certificates_are_looked_up_when_they_matter(
    make, encrypted, tls, has_scheduler, lasts_s, workers, wants
):
    cluster = encrypted(lasts_s) if tls else make.cluster()
    pod = make.scheduler_pod() if has_scheduler else None
    pods = [stuck(make, f"w{number}", waiting) for number, waiting in enumerate(workers)]
    group, cache = make.group(), Cache()
    items = [(DASK_WORKER_GROUPS, group), *((PODS, worker) for worker in pods)]
    for kind, item in [*items, *([(PODS, pod)] if pod else [])]:
        cache.informed(kind, None, item)
    assert wants_certificates(observe_cluster(cache, cluster, ()), make.now) is wants


def test_a_scheduler_that_cannot_start_without_its_secret_has_them_looked_up(make, encrypted):
    status = {"containerStatuses": [{"name": "scheduler", "state": {"waiting": WAITING}}]}
    pod = make.scheduler_pod("pending", status=status)
    assert wants_certificates(ObservedCluster(encrypted(), pod), make.now)


@pytest.mark.parametrize(
    ("lasts_s", "again_s"),
    [(LONG_S, CHECK_S), (RENEW_BEFORE_S + 100.0, 100.0), (RENEW_BEFORE_S + CHECK_S + 1, CHECK_S)],
)
def test_their_end_is_looked_at_again_though_nothing_happens(
    decide, encrypted, settled, lasts_s, again_s
):
    assert decide(encrypted(lasts_s), **settled).look_again_s == again_s


def test_without_certificates_nothing_is_looked_at_again(make, decide, settled):
    assert decide(make.cluster(), **settled).look_again_s is None


@pytest.mark.parametrize(
    ("idle", "goes"),
    [
        (Answer(60.0), True),
        (Answer(60.0, tasks=3), False),
        (Answer(0.0), False),
        (Answer(problem="silent"), False),
    ],
)
def test_a_scheduler_with_certificates_of_before_goes_when_nobody_uses_it(
    encrypted, decide, settled, idle, goes
):
    holding(settled["scheduler_pod"], OLD)
    cluster = encrypted(certificatesAuthority=authority_of(NEW))
    plan = decide(cluster, **settled, idle=idle)
    assert bool(writes(plan, Delete)) is goes
    updated = next(c for c in plan.status["conditions"] if c["type"] == "Updated")
    assert updated["reason"] == "SchedulerOutdated"
    assert "new workers cannot reach it until then" in updated["message"]
    # Its workers hold what it holds: they stay while it does.
    assert plan.status["schedulerAuthority"] == authority_of(OLD)


def test_a_scheduler_of_an_unknown_authority_stays(encrypted, decide, settled):
    cluster = encrypted(certificatesAuthority=authority_of(NEW))
    plan = decide(cluster, **settled, idle=Answer(60.0))
    assert not writes(plan, Delete)


@pytest.mark.parametrize(
    ("held", "scheduler_holds", "goes"),
    [(OLD, NEW, True), (OLD, OLD, False), (NEW, NEW, False), (None, NEW, False)],
)
def test_workers_that_their_scheduler_refuses_are_rolled(
    make, encrypted, held, scheduler_holds, goes
):
    pod = make.pod("w1", ip="10.0.0.1")
    if held:
        holding(pod, held)
    cluster = encrypted(
        schedulerAuthority=authority_of(scheduler_holds),
        conditions=[{"type": "SchedulerReady", "status": "True", "reason": "SchedulerReady"}],
    )
    seen = ObservedGroup(make.group(replicas=1), cluster, (pod,), report=SchedulerReport())
    plan = decide_group(seen, make.now, (f"{n:010x}" for n in itertools.count()))
    assert ("Retiring" in {notice.reason for notice in plan.notices}) is goes


def test_a_new_worker_is_marked_with_what_its_scheduler_holds(make, encrypted):
    cluster = encrypted(
        schedulerAuthority=authority_of(OLD),
        certificatesAuthority=authority_of(NEW),
        conditions=[{"type": "SchedulerReady", "status": "True", "reason": "SchedulerReady"}],
    )
    seen = ObservedGroup(make.group(replicas=1), cluster)
    plan = decide_group(seen, make.now, (f"{n:010x}" for n in itertools.count()))
    made = writes(plan, Create)[0].body["metadata"]["annotations"]
    assert made[AUTHORITY_ANNOTATION] == authority_of(OLD)
