"""Only what belongs to a cluster is shown of its namespace."""

from __future__ import annotations

import pytest

from dask_k8s_jupyter.clusters.events import draw_event, observe_events
from dask_k8s_jupyter.errors import ClusterNotFoundError
from dask_k8s_jupyter.server.inspect import observe_log
from dask_k8s_operator.kube import ObjectList
from dask_k8s_operator.kube.errors import InvalidError
from dask_k8s_operator.resources.kinds import DASK_WORKER_GROUPS, EVENTS, PODS


class FakeClient:
    """Lists what it is given."""

    def __init__(self, logs="", **objects):
        self.objects = {
            EVENTS: objects.get("events", []),
            DASK_WORKER_GROUPS: objects.get("groups", []),
            PODS: objects.get("pods", []),
        }
        self.answer = logs
        self.asked = []

    async def list(self, kind, namespace, *, label_selector=None):
        return ObjectList(self.objects[kind], "1")

    async def logs(self, pod, namespace, *, container, tail_lines, limit_bytes):
        self.asked.append((pod, container, tail_lines))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def make_event(name, time="2026-11-20T10:00:00Z", kind="Pod"):
    return {"involvedObject": {"kind": kind, "name": name}, "lastTimestamp": time, "reason": "X"}


def make_pod(name, component, *containers):
    return {
        "metadata": {"name": name, "labels": {"dask.org/component": component}},
        "spec": {"containers": [{"name": container} for container in containers or (component,)]},
    }


async def test_events_of_the_cluster_are_shown_and_those_of_its_namesakes_are_not():
    own = [
        "demo",
        "demo-scheduler",
        "demo-default",
        "demo-default-worker-0123456789",
        "demo-big",
        "demo-big-worker-abcdef0123",
    ]
    others = [
        "demo-2",
        "demo-2-scheduler",
        "demo-2-default-worker-0123456789",
        "demo-other-worker-0123456789",
        "training-default",
        "demoXdefault",
    ]
    client = FakeClient(
        events=[make_event(name) for name in (*own, *others)],
        groups=[
            {"metadata": {"name": "demo-big"}, "spec": {"cluster": "demo"}},
            {"metadata": {"name": "demo-other"}, "spec": {"cluster": "other"}},
        ],
    )
    events = await observe_events(client, "team-a", "demo")
    assert sorted(event["object"] for event in events) == sorted(f"Pod/{name}" for name in own)


async def test_the_newest_events_come_first():
    times = ["2026-11-20T10:00:00Z", "2026-11-20T12:00:00Z", "2026-11-20T11:00:00Z"]
    client = FakeClient(events=[make_event("demo", time) for time in times])
    events = await observe_events(client, "team-a", "demo")
    assert [event["time"] for event in events] == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("event", "time", "count"),
    [
        ({"lastTimestamp": "b", "eventTime": "a", "count": 3}, "b", 3),
        ({"lastTimestamp": None, "eventTime": "a"}, "a", 1),
        ({"eventTime": "a", "series": {"lastObservedTime": "c", "count": 9}}, "c", 9),
        ({"metadata": {"creationTimestamp": "d"}}, "d", 1),
        ({}, None, 1),
    ],
)
def test_both_generations_of_events_are_understood(event, time, count):
    drawn = draw_event(event)
    assert (drawn["time"], drawn["count"]) == (time, count)


PODS_OF_DEMO = [
    make_pod("demo-default-worker-0123456789", "worker", "proxy", "worker"),
    make_pod("demo-scheduler", "scheduler"),
]


@pytest.mark.parametrize(
    ("pod", "asked"),
    [
        (None, ("demo-scheduler", "scheduler", 50)),
        ("demo-default-worker-0123456789", ("demo-default-worker-0123456789", "worker", 50)),
    ],
)
async def test_the_log_is_that_of_dasks_container_of_the_scheduler_or_the_named_pod(pod, asked):
    client = FakeClient("line", pods=PODS_OF_DEMO)
    answer = await observe_log(client, "team-a", "demo", pod=pod, tail_lines=50)
    assert client.asked == [asked]
    assert answer["text"] == "line"
    assert answer["pods"][0] == "demo-scheduler"


@pytest.mark.parametrize("pod", ["other-scheduler", "", "../secrets/x"])
async def test_the_log_of_a_pod_of_somebody_else_is_refused(pod):
    client = FakeClient("line", pods=PODS_OF_DEMO)
    with pytest.raises(ClusterNotFoundError, match="has no Pod"):
        await observe_log(client, "team-a", "demo", pod=pod, tail_lines=50)
    assert client.asked == []


async def test_a_cluster_without_pods_has_no_log_yet():
    answer = await observe_log(FakeClient(), "team-a", "demo", pod=None, tail_lines=50)
    assert answer == {"pods": [], "pod": None, "text": ""}


async def test_a_container_that_has_yet_to_start_says_so():
    waiting = InvalidError(400, "BadRequest", 'container "worker" is waiting to start')
    client = FakeClient(waiting, pods=PODS_OF_DEMO)
    answer = await observe_log(client, "team-a", "demo", pod=None, tail_lines=50)
    assert "waiting to start" in answer["text"]
