"""Pods that fit on no node: which may yet find room, and which need other nodes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from dask_k8s_jupyter.clusters import fitting
from dask_k8s_jupyter.clusters.fitting import (
    ROOM_PATIENCE_S,
    RoomPatience,
    count_fitting,
    explain_misfit,
)
from dask_k8s_jupyter.clusters.podwatch import PodWatch
from dask_k8s_jupyter.errors import PodDoesNotFitError, StartTimeoutError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ForbiddenError
from dask_k8s_operator.resources.kinds import EVENTS, NODES, Kind

NO_ROOM = "0/2 nodes are available: 2 Insufficient cpu."
NO_SUCH_NODE = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."


def pod(name: str = "p", cpu: str = "3", misfit: str | None = None, **spec: Any) -> dict[str, Any]:
    """A Pod that has a place, or does not for a reason."""
    condition = {"type": "PodScheduled", "status": "True" if misfit is None else "False"}
    if misfit is not None:
        condition |= {"reason": "Unschedulable", "message": misfit}
    container = {"name": "worker", "resources": {"requests": {"cpu": cpu}}}
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [container], **spec},
        "status": {"phase": "Pending", "conditions": [condition]},
    }


def node(cpu: str = "8", *, labels: Any = None, **spec: Any) -> dict[str, Any]:
    allocatable = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
    return {"metadata": {"labels": labels}, "spec": spec, "status": {"allocatable": allocatable}}


GPU = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
NOT_TOLERATED = [{"key": "gpu", "value": "no"}]
TOLERATED = [{"key": "gpu", "operator": "Exists"}]


@pytest.mark.parametrize(
    ("pods", "nodes", "fitting"),
    [
        ([pod(), pod()], [], 2),
        ([pod(), pod(misfit=NO_ROOM)], [], 1),
        # Somebody else's Pods take the room: it comes back.
        ([pod(), pod(misfit=NO_ROOM)], [node()], 2),
        # Its own Pods take it, and will not go.
        ([pod(), pod(), pod(misfit=NO_ROOM)], [node()], 2),
        ([pod(), pod(), pod(misfit=NO_ROOM)], [node(), node("2")], 2),
        ([pod(), pod(), pod(misfit=NO_ROOM)], [node(), node("3500m")], 3),
        ([pod(cpu="9", misfit=NO_ROOM)], [node(), node()], 0),
        # What another size takes is not counted: it may be over before.
        ([pod(), pod(cpu="1", misfit=NO_ROOM)], [node("3")], 2),
        ([pod(misfit=NO_SUCH_NODE)], [node()], 0),
        ([pod(misfit=NO_ROOM, nodeSelector={"disk": "ssd"})], [node()], 0),
        (
            [pod(misfit=NO_ROOM, nodeSelector={"disk": "ssd"})],
            [node(labels={"disk": "ssd"})],
            1,
        ),
        ([pod(misfit=NO_ROOM)], [node(unschedulable=True)], 0),
        ([pod(misfit=NO_ROOM)], [node(taints=[GPU])], 0),
        ([pod(misfit=NO_ROOM)], [node(taints=[{**GPU, "effect": "PreferNoSchedule"}])], 1),
        ([pod(misfit=NO_ROOM, tolerations=TOLERATED)], [node(taints=[GPU])], 1),
        (
            [pod(misfit=NO_ROOM, tolerations=[{"key": "gpu", "value": "no"}])],
            [node(taints=[GPU])],
            0,
        ),
    ],
)
def test_those_fit_that_have_a_place_or_whose_place_is_only_taken(
    pods: list[dict[str, Any]], nodes: list[dict[str, Any]] | None, fitting: int
) -> None:
    assert count_fitting(pods, nodes) == fitting


class Client:
    """What the API says of nodes and of Events (None: that we may not see them)."""

    def __init__(self, nodes: list[dict[str, Any]] | None, events: dict[str, str] | None) -> None:
        self._nodes = nodes
        self._events = events

    async def list(self, kind: Kind, *args: Any, field_selector: str = "", **rest: Any) -> Any:
        if kind == NODES:
            if self._nodes is None:
                raise ForbiddenError(403, "Forbidden", "nodes is forbidden")
            return SimpleNamespace(items=self._nodes)
        assert kind == EVENTS
        if self._events is None:
            raise ForbiddenError(403, "Forbidden", "events is forbidden")
        named = self._events.get(field_selector.removeprefix("reason="))
        return SimpleNamespace(items=[{"involvedObject": {"name": named}}] if named else [])


@pytest.mark.parametrize(
    ("nodes", "events", "wanted", "said"),
    [
        ([node("4")], {}, 2, "b"),
        # What we may not see may yet bring room.
        (None, {}, 2, None),
        ([node("4")], None, 2, None),
        # A node that is not well now may be well soon.
        ([node(taints=[NOT_READY])], {}, 2, None),
        ([node()], {}, 2, None),
        # Those that fit are enough.
        ([node("4")], {}, 1, None),
        ([node("4")], {"TriggeredScaleUp": "b"}, 2, None),
        ([node("4")], {"Nominated": "b"}, 2, None),
        ([node("4")], {"TriggeredScaleUp": "of-something-else"}, 2, "b"),
        ([node("4")], {"NotTriggerScaleUp": "b"}, 2, "b"),
    ],
)
async def test_the_wait_for_room_ends_where_only_other_nodes_help(
    nodes: list[dict[str, Any]] | None,
    events: dict[str, str] | None,
    wanted: int,
    said: str | None,
) -> None:
    client = cast(KubeClient, Client(nodes, events))
    pods = [pod("a"), pod("b", misfit=NO_ROOM)]
    assert await explain_misfit(client, "default", pods, wanted) == said


async def test_some_of_many_are_named() -> None:
    client = cast(KubeClient, Client([node("1")], {}))
    pods = [pod(name, misfit=NO_ROOM) for name in "edcba"]
    assert await explain_misfit(client, "default", pods, 1) == "a, b, c and 2 more"


def test_judged_is_once_and_when_nothing_has_changed_for_a_while() -> None:
    now_s, told = 100.0, list[str]()
    patience = RoomPatience(told.append, lambda: now_s)
    assert patience.left_s(None) is None
    assert patience.left_s("1 Pod does not fit") == ROOM_PATIENCE_S
    now_s += ROOM_PATIENCE_S - 1
    assert patience.left_s("1 Pod does not fit") == 1
    assert patience.left_s("2 Pods do not fit") == ROOM_PATIENCE_S
    now_s += ROOM_PATIENCE_S
    assert patience.left_s("2 Pods do not fit") == 0
    assert patience.left_s("2 Pods do not fit") is None
    assert patience.left_s(None) is None
    assert patience.left_s("2 Pods do not fit") == ROOM_PATIENCE_S
    assert told == ["1 Pod does not fit", "2 Pods do not fit", "2 Pods do not fit"]


async def test_of_pods_without_an_operator_those_that_do_not_fit_are_a_failure_after_a_while() -> (
    None
):
    watch = PodWatch(cast(KubeClient, Client([node("4")], {})), "default", "app=dask")
    now_s = 0.0
    watch._room = RoomPatience(lambda said: None, lambda: now_s)
    for each in (pod("a"), pod("b", misfit=NO_ROOM)):
        watch._informer.objects["default", each["metadata"]["name"]] = each
    assert await watch.find_failed("Helm release a/b", 2) is None
    assert watch.room_left_s == ROOM_PATIENCE_S
    now_s += ROOM_PATIENCE_S
    error = await watch.find_failed("Helm release a/b", 2)
    assert isinstance(error, PodDoesNotFitError)
    assert "Helm release a/b cannot start: Pod default/b: 0/2 nodes" in str(error)


@pytest.mark.parametrize(
    ("events", "failure"),
    [({}, PodDoesNotFitError), ({"TriggeredScaleUp": "a"}, StartTimeoutError)],
)
async def test_the_first_pod_waits_for_a_node_that_comes_and_else_for_a_while(
    monkeypatch: pytest.MonkeyPatch, events: Any, failure: type[Exception]
) -> None:
    monkeypatch.setattr(fitting, "ROOM_PATIENCE_S", 0.05)
    watch = PodWatch(cast(KubeClient, Client([node("4")], events)), "default", "app=dask")
    watch._informer.objects["default", "a"] = pod("a", misfit=NO_ROOM)
    with pytest.raises(failure):
        await watch.wait_any_ready("the scheduler", 0.3 if events else 60)
