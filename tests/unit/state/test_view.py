"""Resources in, one picture out: every state with its reason."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from dask_k8s_jupyter.state.autoscalers import index_autoscalers
from dask_k8s_jupyter.state.view import (
    DELETING_REASON,
    NOT_SEEN_REASON,
    OPERATOR_SILENT_AFTER_S,
    OPERATOR_SILENT_REASON,
    AdaptiveRange,
    WorkerCounts,
    build_cluster_view,
)

CREATED = datetime(2026, 11, 20, 10, 0, tzinfo=timezone.utc)
SOON = CREATED + timedelta(seconds=1)
LATE = CREATED + timedelta(seconds=OPERATOR_SILENT_AFTER_S)

COUNTS = {"desired": 2, "pending": 1, "running": 1, "ready": 1, "failed": 0, "retiring": 0}


def make_worker(replicas=2, **resources):
    container = {"name": "worker", "image": "dask:1", "resources": {"limits": resources}}
    worker = {"spec": {"containers": [container]}}
    return worker if replicas is None else {**worker, "replicas": replicas}


def make_cluster(*, status=None, generation=1, worker=None, **metadata):
    return {
        "metadata": {
            "name": "demo",
            "namespace": "team-a",
            "uid": "u1",
            "generation": generation,
            "creationTimestamp": "2026-11-20T10:00:00Z",
            **metadata,
        },
        "spec": {"worker": worker or make_worker()},
        **({"status": status} if status is not None else {}),
    }


def make_group(name="demo-default", *, worker=None, status=None):
    return {
        "metadata": {"name": name, "namespace": "team-a"},
        "spec": {"cluster": "demo", "worker": worker or make_worker()},
        **({"status": status} if status is not None else {}),
    }


def make_status(message=None, *, observed=1, **conditions):
    listed = [{"type": kind, "status": value} for kind, value in conditions.items()]
    said = {} if message is None else {"message": message}
    return {"observedGeneration": observed, "conditions": listed, **said}


WELL = make_status(SchedulerReady="True", WorkersReady="True", Ready="True", Degraded="False")
STATES = {
    "just made": (make_cluster(), SOON, "waiting", NOT_SEEN_REASON),
    "the status is empty": (make_cluster(status={}), SOON, "waiting", NOT_SEEN_REASON),
    "never answered": (make_cluster(), LATE, "waiting", OPERATOR_SILENT_REASON),
    "waits for Pods": (
        make_cluster(status=make_status("2 Pods do not fit", Ready="False", Degraded="False")),
        LATE,
        "waiting",
        "2 Pods do not fit",
    ),
    "fails": (
        make_cluster(status=make_status("image acme/dask:7 is not found", Degraded="True")),
        LATE,
        "failing",
        "image acme/dask:7 is not found",
    ),
    "runs": (make_cluster(status=WELL), LATE, "running", None),
    "runs and hands over": (
        make_cluster(
            status=make_status("2 workers finish what they run", Ready="True", Retiring="True")
        ),
        LATE,
        "running",
        "2 workers finish what they run",
    ),
    "is suspended": (
        make_cluster(
            status=make_status("suspended: it has no Pods", Suspended="True", Ready="False")
        ),
        LATE,
        "suspended",
        "suspended: it has no Pods",
    ),
    "is resumed": (
        make_cluster(status=make_status("starts", Suspended="False", Ready="False")),
        LATE,
        "waiting",
        "starts",
    ),
    "is being deleted": (
        make_cluster(status=WELL, deletionTimestamp="2026-11-20T11:00:00Z"),
        LATE,
        "deleting",
        DELETING_REASON,
    ),
    "is being deleted and was never answered": (
        make_cluster(deletionTimestamp="2026-11-20T11:00:00Z"),
        LATE,
        "deleting",
        DELETING_REASON,
    ),
}


@pytest.mark.parametrize(("cluster", "now", "state", "reason"), STATES.values(), ids=STATES)
def test_every_state_comes_with_its_reason(cluster, now, state, reason):
    view = build_cluster_view(cluster, [], None, now)
    assert (view.state, view.reason) == (state, reason)


def test_a_condition_gives_the_words_where_the_status_has_no_sentence():
    status = make_status(Ready="False")
    status["conditions"][0] |= {"reason": "SchedulerStarting", "message": "the scheduler starts"}
    view = build_cluster_view(make_cluster(status=status), [], None, SOON)
    assert view.reason == "the scheduler starts"
    del status["conditions"][0]["message"]
    view = build_cluster_view(make_cluster(status=status), [], None, SOON)
    assert view.reason == "SchedulerStarting"


class TestSilence:
    def test_counts_from_the_creation_of_what_was_never_answered(self):
        assert build_cluster_view(make_cluster(), [], None, SOON).unanswered_since == CREATED

    def test_counts_from_when_the_edit_was_seen_where_that_is_known(self):
        view = build_cluster_view(make_cluster(), [], None, LATE, unanswered_since=SOON)
        assert not view.operator_silent
        assert view.unanswered_since == SOON

    def test_of_an_edit_is_told_when_its_time_has_come(self):
        cluster = make_cluster(status=WELL, generation=2)
        for now, silent in ((SOON, False), (SOON + timedelta(seconds=10), True)):
            view = build_cluster_view(cluster, [], None, now, unanswered_since=SOON)
            assert view.operator_silent is silent

    def test_never_falls_on_a_fresh_edit_of_an_old_cluster(self):
        cluster = make_cluster(status=WELL, generation=2)
        view = build_cluster_view(cluster, [], None, LATE + timedelta(days=1))
        assert not view.operator_silent

    def test_ends_with_the_answer(self):
        view = build_cluster_view(make_cluster(status=WELL), [], None, LATE)
        assert not view.operator_silent
        assert view.unanswered_since is None


class TestWorkers:
    def test_a_default_group_still_to_be_made_is_drawn_from_the_cluster(self):
        view = build_cluster_view(make_cluster(worker=make_worker(3)), [], None, SOON)
        assert view.workers == WorkerCounts(desired=3)
        assert [group.name for group in view.groups] == ["demo-default"]

    def test_are_counted_over_all_groups_the_default_one_first(self):
        groups = [
            make_group("demo-a", worker=make_worker(4)),
            make_group(status={"workers": COUNTS}),
        ]
        view = build_cluster_view(make_cluster(), groups, None, SOON)
        assert view.workers == WorkerCounts(desired=6, ready=1, pending=1, running=1)
        assert [(group.short_name, group.is_default) for group in view.groups] == [
            ("default", True),
            ("a", False),
        ]

    def test_a_wish_is_shown_before_the_operator_has_seen_it(self):
        group = make_group(worker=make_worker(8), status={"workers": COUNTS})
        view = build_cluster_view(make_cluster(), [group], None, SOON)
        assert view.workers.desired == 8

    @pytest.mark.parametrize(("replicas", "desired"), [(None, 1), (0, 0), (5, 5)])
    def test_one_is_wanted_where_no_number_is_named(self, replicas, desired):
        group = make_group(worker=make_worker(replicas))
        view = build_cluster_view(make_cluster(), [group], None, SOON)
        assert view.workers.desired == desired

    def test_cores_and_memory_are_those_of_the_wanted_workers(self):
        groups = [
            make_group(worker=make_worker(2, cpu="500m", memory="2Gi")),
            make_group("demo-big", worker=make_worker(1, cpu="4", memory="8Gi")),
        ]
        view = build_cluster_view(make_cluster(), groups, None, SOON)
        assert (view.cores, view.memory_bytes) == (5.0, 12 * 2**30)

    def test_requests_count_where_there_is_no_limit_and_nothing_is_0(self):
        worker = make_worker(1)
        worker["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "2"}}
        view = build_cluster_view(make_cluster(), [make_group(worker=worker)], None, SOON)
        assert (view.cores, view.memory_bytes) == (2.0, 0)

    def test_the_container_named_worker_counts_and_not_its_sidecar(self):
        worker = make_worker(1, cpu="2")
        worker["spec"]["containers"].insert(0, {"name": "proxy", "image": "envoy"})
        view = build_cluster_view(make_cluster(worker=worker), [], None, SOON)
        assert (view.cores, view.image) == (2.0, "dask:1")

    def test_a_group_says_its_own_reason(self):
        group = make_group(status={"message": "1 Pod does not fit"})
        view = build_cluster_view(make_cluster(), [group], None, SOON)
        assert view.groups[0].reason == "1 Pod does not fit"


class TestAdaptive:
    def test_is_the_autoscalers_range(self):
        autoscaler = {"metadata": {}, "spec": {"cluster": "demo", "minimum": 1, "maximum": 4}}
        view = build_cluster_view(make_cluster(), [], {"demo-default": autoscaler}, SOON)
        assert view.adaptive == AdaptiveRange(1, 4)

    def test_each_group_has_its_own(self):
        def scaling(low, high):
            return {"metadata": {}, "spec": {"minimum": low, "maximum": high}}

        names = ("default", "gpu", "other")
        groups = [make_group(f"demo-{name}") for name in names]
        autoscalers = {"demo-gpu": scaling(0, 8)}
        view = build_cluster_view(make_cluster(), groups, autoscalers, SOON)
        assert [group.adaptive for group in view.groups] == [None, AdaptiveRange(0, 8), None]
        assert (view.adaptive, view.list_ranges()) == (None, [("gpu", AdaptiveRange(0, 8))])
        autoscalers["demo-default"] = scaling(1, 2)
        view = build_cluster_view(make_cluster(), groups, autoscalers, SOON)
        assert [name for name, _ in view.list_ranges()] == [None, "gpu"]
        assert view.to_json()["groups"][0]["adaptive"] == {"minimum": 1, "maximum": 2}

    def test_ends_when_the_autoscaler_is_being_deleted(self):
        autoscaler = {
            "metadata": {"name": "demo", "namespace": "team-a"},
            "spec": {"cluster": "demo", "minimum": 1, "maximum": 4},
        }
        scaling = index_autoscalers([autoscaler], "team-a", "demo")
        view = build_cluster_view(make_cluster(), [], scaling, SOON)
        assert view.adaptive == AdaptiveRange(1, 4)
        autoscaler["metadata"]["deletionTimestamp"] = "2026-11-20T11:00:00Z"
        scaling = index_autoscalers([autoscaler], "team-a", "demo")
        assert build_cluster_view(make_cluster(), [], scaling, SOON).adaptive is None


def test_the_dashboard_is_linked_once_the_scheduler_is_ready():
    waiting = build_cluster_view(make_cluster(), [], None, SOON)
    assert waiting.dashboard_path is None
    ready = build_cluster_view(make_cluster(status=WELL), [], None, SOON)
    assert ready.scheduler_ready
    assert ready.dashboard_path == "dask-k8s/dashboard/team-a/demo/status"


def test_the_json_has_the_agreed_fields_and_no_other():
    view = build_cluster_view(make_cluster(status=WELL), [], None, SOON).to_json()
    assert json.loads(json.dumps(view)) == view
    assert set(view) == {
        "namespace", "name", "uid", "created", "state", "reason", "workers", "cores",
        "memory_bytes", "groups", "adaptive", "scheduler_ready", "scheduler_address",
        "dashboard_path", "image", "connect_code",
    }  # fmt: skip
    assert set(view["groups"][0]) == {
        "name", "short_name", "is_default", "desired", "ready", "pending", "running", "failed",
        "retiring", "cores_each", "memory_bytes_each", "reason", "adaptive",
    }  # fmt: skip


def test_the_code_to_connect_is_code():
    code = build_cluster_view(make_cluster(), [], None, SOON).connect_code
    compile(code, "cell", "exec")
    assert 'KubeCluster.from_name("demo", namespace="team-a")' in code


@pytest.mark.parametrize(
    "cluster",
    [{}, {"metadata": {"name": "x"}}, {"metadata": {"name": "x"}, "spec": None, "status": None},
     {"metadata": {"name": "x"}, "spec": {"worker": {"spec": {"containers": []}}}}],
)  # fmt: skip
def test_a_half_written_resource_gives_a_picture_too(cluster):
    assert build_cluster_view(cluster, [], None, SOON).state == "waiting"
