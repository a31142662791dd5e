"""Says of Pods that fit on no node whether to wait for room, or that only other nodes can help.

``RoomPatience`` says when to judge, ``count_fitting`` counts (pure), ``explain_misfit`` looks.
Guarantees to give up only where all is seen and nothing helps: not where an autoscaler of nodes is
at work, where those that fit are enough, where room is only taken by somebody else for now, nor
where nodes or Events are not ours to see. Refuses to poll.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from dask_k8s_jupyter.state.words import parse_quantity
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError
from dask_k8s_operator.resources.kinds import EVENTS, NODES

Resource = Mapping[str, Any]

UNSCHEDULABLE = "Unschedulable"
# cluster-autoscaler looks at Pods without a place every 10 s, and says then whether a node comes. A
# Pod of a cluster that is going frees its room within this, too.
ROOM_PATIENCE_S = 20.0
# What cluster-autoscaler and Karpenter say of a Pod for which they bring a node.
_NODE_COMES = ("TriggeredScaleUp", "Nominated")
# What passes: room comes back when another Pod ends, a node when it is well. The rest is about
# which nodes there are.
_PASSING_TAINTS = "node.kubernetes.io/"
_PASSING = ("Insufficient", "Too many pods", _PASSING_TAINTS)
_NAMED_PODS = 3


class RoomPatience:
    """How long Pods that do not fit may yet find room.

    Parameters
    ----------
    say
        Told what is waited for, once each.
    monotonic
        The clock, in seconds.

    Examples
    --------
    >>> patience = RoomPatience(print, lambda: 0.0)
    >>> patience.left_s("1 Pod does not fit"), patience.left_s(None)
    1 Pod does not fit
    (20.0, None)
    """

    def __init__(
        self, say: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._monotonic = monotonic
        self._said: str | None = None
        self._since_s = 0.0
        self._is_judged = False

    def left_s(self, said: str | None) -> float | None:
        """Seconds until it is time to judge; 0 once, when it is; None when there is no need.

        Parameters
        ----------
        said
            What does not fit and why; None when everything does. Another text begins anew.
        """
        now_s = self._monotonic()
        if said != self._said:
            self._said, self._since_s, self._is_judged = said, now_s, False
            if said:
                self._say(said)
        if not said or self._is_judged:
            return None
        left_s = max(0.0, self._since_s + ROOM_PATIENCE_S - now_s)
        self._is_judged = left_s == 0
        return left_s


def find_misfit(pod: Resource) -> str | None:
    """What Kubernetes says of a Pod for which it finds no node; None when it does not say so.

    Examples
    --------
    >>> find_misfit({"metadata": {}, "status": {"phase": "Running"}}) is None
    True
    """
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("reason") == UNSCHEDULABLE:
            return condition.get("message") or "no node has room"
    return None


def count_fitting(pods: Sequence[Resource], nodes: Sequence[Resource]) -> int:
    """Count the Pods that have a place, or would have one if nobody else's Pods took it.

    Parameters
    ----------
    pods
        Those that are there to stay.
    nodes
        All nodes.

    Examples
    --------
    >>> count_fitting([{"metadata": {}, "spec": {}, "status": {}}], [])
    1
    """
    by_size: dict[Any, list[Resource]] = defaultdict(list)
    for pod in pods:
        by_size[_size_of(pod)].append(pod)
    fitting = 0
    for alike in by_size.values():
        stuck = [misfit for pod in alike if (misfit := find_misfit(pod)) is not None]
        placed = len(alike) - len(stuck)
        fitting += placed
        if any(word in misfit for misfit in stuck for word in _PASSING):
            room = sum(_count_room(alike[0], node) for node in nodes)
            fitting += min(len(stuck), max(0, room - placed))
    return fitting


async def explain_misfit(
    client: KubeClient, namespace: str, pods: Sequence[Resource], wanted: int
) -> str | None:
    """Name the Pods for which waiting brings no room; None where it may, or enough others fit.

    Parameters
    ----------
    client, namespace
        Where to look.
    pods
        Those that are there to stay.
    wanted
        How many of them are to run.
    """
    stuck = [pod["metadata"]["name"] for pod in pods if find_misfit(pod) is not None]
    if not stuck or len(pods) - len(stuck) >= wanted:
        return None
    nodes = await _list_nodes(client)
    if nodes is None or await is_node_coming(client, namespace, stuck) is not False:
        return None  # something that we do not see may yet bring them room
    if count_fitting(pods, nodes) >= wanted:
        return None
    named = ", ".join(sorted(stuck)[:_NAMED_PODS])
    others = len(stuck) - _NAMED_PODS
    return f"{named} and {others} more" if others > 0 else named


async def is_node_coming(client: KubeClient, namespace: str, pods: Collection[str]) -> bool | None:
    """Whether an autoscaler of nodes has promised one for some of these Pods, None if unknown."""
    try:
        lists = await asyncio.gather(
            *(
                client.list(EVENTS, namespace, field_selector=f"reason={reason}")
                for reason in _NODE_COMES
            )
        )
    except KubeError:
        return None
    events = [event for each in lists for event in each.items]
    return any((event.get("involvedObject") or {}).get("name") in pods for event in events)


async def _list_nodes(client: KubeClient) -> list[dict[str, Any]] | None:
    try:
        return list((await client.list(NODES)).items)
    except KubeError:  # who may use one namespace need not see nodes
        return None


def _size_of(pod: Resource) -> Any:
    spec = pod.get("spec") or {}
    selector = (spec.get("nodeSelector") or {}).items()
    return frozenset(_sum_requests(pod).items()), frozenset(selector)


def _sum_requests(pod: Resource) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float, pods=1.0)
    for container in (pod.get("spec") or {}).get("containers") or ():
        resources = container.get("resources") or {}
        requests = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for resource, amount in requests.items():
            sums[resource] += parse_quantity(amount) or 0.0
    return dict(sums)


def _count_room(pod: Resource, node: Resource) -> int:
    """How many Pods of this size an empty node holds."""
    spec, labels = pod.get("spec") or {}, node["metadata"].get("labels") or {}
    if not (spec.get("nodeSelector") or {}).items() <= labels.items():
        return 0
    node_spec = node.get("spec") or {}
    if node_spec.get("unschedulable") or not all(
        any(_tolerates(toleration, taint) for toleration in spec.get("tolerations") or ())
        for taint in node_spec.get("taints") or ()
        if taint.get("effect") != "PreferNoSchedule"
        and not taint["key"].startswith(_PASSING_TAINTS)
    ):
        return 0
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    return min(
        int((parse_quantity(allocatable.get(resource, 0)) or 0.0) // amount)
        for resource, amount in _sum_requests(pod).items()
        if amount
    )


def _tolerates(toleration: Resource, taint: Resource) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    is_equal = (toleration.get("value") or "") == (taint.get("value") or "")
    return toleration.get("key") == taint["key"] and is_equal
