"""The store tells what changes, soon, in bundles, and says when the operator is silent."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone

import orjson
import pytest

from dask_k8s_jupyter.state import store as store_module
from dask_k8s_jupyter.state.store import (
    ClusterChanged,
    ClusterRemoved,
    ClusterStore,
    ProblemChanged,
)
from dask_k8s_operator.kube.errors import ApiUnreachableError
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
)

START = datetime(2026, 11, 20, 10, 0, tzinfo=timezone.utc)
ANSWERED = {"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}


class FakeInformer:
    """An informer whose API is the test."""

    def __init__(self, client, kind, namespace=None, *, on_change, on_error):
        self.objects = {}
        self.on_change, self.on_error = on_change, on_error
        self._synced = asyncio.Event()
        client[kind] = self

    async def run(self):
        self._synced.set()
        await asyncio.Event().wait()

    async def wait_synced(self):
        await self._synced.wait()

    def put(self, resource):
        key = (resource["metadata"]["namespace"], resource["metadata"]["name"])
        old, self.objects[key] = self.objects.get(key), resource
        self.on_change(old, resource)

    def remove(self, name):
        self.on_change(self.objects.pop(("team-a", name)), None)


class Scene:
    """A store, the API it sees, its clock and what it told."""

    def __init__(self):
        self.api = {}
        self.time = START
        self.told = []
        self.store = ClusterStore(self.api, "team-a", now=lambda: self.time)
        self.store.subscribe(self.told.append)
        self.clusters = self.api[DASK_CLUSTERS]
        self.groups = self.api[DASK_WORKER_GROUPS]
        self.autoscalers = self.api[DASK_AUTOSCALERS]

    def take(self):
        told, self.told[:] = list(self.told), []
        return told


@pytest.fixture
async def scene(monkeypatch):
    monkeypatch.setattr(store_module, "Informer", FakeInformer)
    scene = Scene()
    await scene.store.start()
    await scene.store.wait_synced()
    yield scene
    await scene.store.close()


def make_cluster(name="demo", *, uid="u1", generation=1, status=ANSWERED, created=START):
    return {
        "metadata": {
            "name": name,
            "namespace": "team-a",
            "uid": uid,
            "generation": generation,
            "creationTimestamp": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "spec": {"worker": {"replicas": 2, "spec": {"containers": [{"name": "worker"}]}}},
        "status": status,
    }


def make_part(name, **spec):
    return {"metadata": {"name": name, "namespace": "team-a"}, "spec": {"cluster": "demo", **spec}}


async def test_a_burst_is_told_once_and_with_its_end(scene):
    scene.clusters.put(make_cluster())
    for replicas in range(50):
        worker = {"replicas": replicas, "spec": {"containers": []}}
        scene.groups.put(make_part("demo-default", worker=worker))
    scene.store.flush()
    (change,) = scene.take()
    assert isinstance(change, ClusterChanged)
    assert change.view.workers.desired == 49
    assert scene.store.views["team-a", "demo"] is change.view


async def test_a_change_after_a_quiet_moment_is_told_without_a_call(scene):
    told = asyncio.Event()
    scene.store.subscribe(lambda change: told.set())
    scene.clusters.put(make_cluster())
    await asyncio.wait_for(told.wait(), 60)


async def test_what_looks_the_same_is_not_told_again(scene):
    scene.clusters.put(make_cluster())
    scene.store.flush()
    scene.take()
    scene.clusters.put(make_cluster())
    scene.store.flush()
    assert scene.take() == []


async def test_an_autoscaler_makes_its_cluster_adaptive_and_its_end_fixed(scene):
    scene.clusters.put(make_cluster())
    scene.autoscalers.put(make_part("demo", minimum=1, maximum=4))
    scene.store.flush()
    assert scene.take()[0].view.adaptive.maximum == 4
    scene.autoscalers.remove("demo")
    scene.store.flush()
    assert scene.take()[0].view.adaptive is None


async def test_a_cluster_that_goes_is_told_with_its_uid(scene):
    scene.clusters.put(make_cluster())
    scene.store.flush()
    scene.take()
    scene.clusters.remove("demo")
    scene.store.flush()
    assert scene.take() == [ClusterRemoved("team-a", "demo", "u1")]
    assert scene.store.views == {}


async def test_a_name_used_again_is_another_cluster(scene):
    scene.clusters.put(make_cluster())
    scene.store.flush()
    scene.take()
    scene.clusters.put(make_cluster(uid="u2"))
    scene.store.flush()
    removed, changed = scene.take()
    assert removed == ClusterRemoved("team-a", "demo", "u1")
    assert changed.view.uid == "u2"


async def test_a_lost_connection_is_a_problem_until_it_is_found_again(scene):
    scene.clusters.on_error(ApiUnreachableError("https://10.0.0.1", "timed out"))
    scene.groups.on_error(ApiUnreachableError("https://10.0.0.1", "timed out"))
    scene.store.flush()
    (change,) = scene.take()
    assert isinstance(change, ProblemChanged)
    assert change.problem.code == "api-unreachable"
    scene.clusters.on_error(None)
    scene.store.flush()
    assert scene.take() == []
    scene.groups.on_error(None)
    scene.store.flush()
    assert scene.take() == [ProblemChanged(None)]


async def test_a_subscriber_that_fails_takes_no_other_with_it(scene, caplog):
    def fail(change):
        raise RuntimeError("of the subscriber")

    heard = []
    scene.store.subscribe(fail)
    unsubscribe = scene.store.subscribe(heard.append)
    scene.clusters.put(make_cluster())
    scene.store.flush()
    assert len(heard) == 1
    assert "of the subscriber" in caplog.text
    unsubscribe()
    unsubscribe()
    scene.clusters.remove("demo")
    scene.store.flush()
    assert len(heard) == 1


class TestSilence:
    async def test_is_told_when_its_time_has_come_and_ends_with_the_answer(self, scene):
        scene.clusters.put(make_cluster(status={}))
        scene.store.flush()
        assert not scene.take()[0].view.operator_silent
        scene.time += timedelta(seconds=11)
        scene.store._look_again({("team-a", "demo")})
        changed, problem = scene.take()
        assert changed.view.operator_silent
        assert problem.problem.code == "operator-silent"
        scene.clusters.put(make_cluster())
        scene.store.flush()
        changed, problem = scene.take()
        assert changed.view.state == "running"
        assert problem == ProblemChanged(None)

    async def test_has_one_timer_while_somebody_waits_and_none_otherwise(self, scene):
        scene.clusters.put(make_cluster())
        scene.store.flush()
        assert scene.store._silence_at is None
        loop = asyncio.get_running_loop()
        began = loop.time()
        for name in ("a", "b"):
            scene.clusters.put(make_cluster(name, uid=name, status={}))
        scene.store.flush()
        due_s = scene.store._silence_at.when() - began
        # However long that took.
        assert 9 < due_s < 11 + loop.time() - began

    async def test_counts_from_the_edit_and_not_from_the_creation(self, scene):
        scene.clusters.put(make_cluster(created=START - timedelta(days=1)))
        scene.store.flush()
        scene.clusters.put(make_cluster(created=START - timedelta(days=1), generation=2))
        scene.time += timedelta(seconds=5)
        scene.store.flush()
        assert not scene.store.views["team-a", "demo"].operator_silent

    async def test_does_not_believe_the_clock_of_the_api_about_what_it_saw(self, scene):
        scene.clusters.put(make_cluster(status={}, created=START - timedelta(minutes=5)))
        scene.store.flush()
        assert not scene.store.views["team-a", "demo"].operator_silent

    async def test_is_known_at_once_of_what_was_there_before(self, monkeypatch):
        monkeypatch.setattr(store_module, "Informer", FakeInformer)
        scene = Scene()
        scene.clusters.put(make_cluster(status={}, created=START - timedelta(minutes=5)))
        await scene.store.start()
        await scene.store.wait_synced()
        assert scene.store.views["team-a", "demo"].operator_silent
        assert scene.store.problem.code == "operator-silent"
        await scene.store.close()


@pytest.mark.parametrize("memory", ["1e999", "9" * 400, "8E", 10**30, "two"])
async def test_a_silly_quantity_hides_no_cluster(scene, memory):
    silly = make_cluster("silly", uid="u2")
    container = {"name": "worker", "resources": {"limits": {"memory": memory}}}
    silly["spec"]["worker"] = {"replicas": 2**31 - 1, "spec": {"containers": [container]}}
    scene.clusters.put(silly)
    scene.clusters.put(make_cluster())
    scene.store.flush()
    assert {name for _, name in scene.store.views} == {"demo", "silly"}
    assert orjson.dumps([change.to_json() for change in scene.take()])


async def test_a_cluster_that_cannot_be_read_hides_no_other(scene, caplog):
    broken = make_cluster("broken", uid="u2")
    broken["spec"] = "nothing like a spec"
    scene.clusters.put(broken)
    scene.clusters.put(make_cluster())
    scene.store.flush()
    assert set(scene.store.views) == {("team-a", "demo")}
    assert "team-a/broken cannot be shown" in caplog.text
