"""What happened to a cluster: Kubernetes' Events of its parts, and the logs of its Pods.

Guarantees that only what belongs to the cluster is shown: a Pod's name from the browser is looked
up among the cluster's own. Refuses to write.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from dask_k8s_jupyter.errors import ClusterNotFoundError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import InvalidError
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import DASK_WORKER_GROUPS, EVENTS, PODS

MAX_EVENTS = 100
_DASK_CONTAINERS = (names.SCHEDULER, names.WORKER)


async def observe_events(client: KubeClient, namespace: str, name: str) -> list[dict[str, Any]]:
    """Read the newest Events of a cluster, its groups, its Pods and its Service."""
    events, groups = await asyncio.gather(
        client.list(EVENTS, namespace), client.list(DASK_WORKER_GROUPS, namespace)
    )
    own_groups = [
        group["metadata"]["name"]
        for group in groups.items
        if (group.get("spec") or {}).get("cluster") == name
    ]
    belongs = _build_belongs(name, own_groups)
    drawn = [
        draw_event(event)
        for event in events.items
        if belongs.fullmatch((event.get("involvedObject") or {}).get("name") or "")
    ]
    return sorted(drawn, key=lambda event: event["time"] or "", reverse=True)[:MAX_EVENTS]


def draw_event(event: dict[str, Any]) -> dict[str, Any]:
    """Draw one Event; ``time`` is when it happened last.

    Examples
    --------
    >>> draw_event({"reason": "Pulled", "involvedObject": {"kind": "Pod", "name": "x"}})["object"]
    'Pod/x'
    """
    involved, series = event.get("involvedObject") or {}, event.get("series") or {}
    return {
        "time": series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or (event.get("metadata") or {}).get("creationTimestamp"),
        "type": event.get("type") or "Normal",
        "object": f"{involved.get('kind', '')}/{involved.get('name', '')}",
        "reason": event.get("reason") or "",
        "message": event.get("message") or "",
        "count": series.get("count") or event.get("count") or 1,
    }


async def observe_log(
    client: KubeClient, namespace: str, name: str, *, pod: str | None, tail_lines: int
) -> dict[str, Any]:
    """Read the last lines of a Pod of a cluster; ``pod=None`` means the scheduler's.

    Raises
    ------
    ClusterNotFoundError
        When the cluster has no such Pod.
    """
    selector = f"{names.CLUSTER_NAME_LABEL}={name}"
    pods = {
        found["metadata"]["name"]: found
        for found in (await client.list(PODS, namespace, label_selector=selector)).items
    }
    ordered = sorted(pods, key=lambda found: (_component(pods[found]) != names.SCHEDULER, found))
    chosen = pod if pod is not None else next(iter(ordered), None)
    if chosen is None:
        return {"pods": [], "pod": None, "text": ""}
    if chosen not in pods:
        raise ClusterNotFoundError(f"DaskCluster {namespace}/{name} has no Pod {chosen[:253]!r}")
    text = await _read_log(client, namespace, pods[chosen], tail_lines)
    return {"pods": ordered, "pod": chosen, "text": text}


async def _read_log(
    client: KubeClient, namespace: str, pod: dict[str, Any], tail_lines: int
) -> str:
    containers = [container["name"] for container in pod["spec"]["containers"]]
    container = next((name for name in containers if name in _DASK_CONTAINERS), containers[0])
    try:
        return await client.logs(
            pod["metadata"]["name"], namespace, container=container, tail_lines=tail_lines
        )
    except InvalidError as error:
        # A container that has yet to start has written nothing: the API's sentence says so.
        return error.message


def _component(pod: dict[str, Any]) -> str | None:
    label: str | None = (pod["metadata"].get("labels") or {}).get(names.COMPONENT_LABEL)
    return label


def _build_belongs(cluster: str, groups: Iterable[str]) -> re.Pattern[str]:
    """Names of a cluster's objects, those of Pods that are gone included.

    By name and not by prefix: the cluster "demo" does not own what belongs to "demo-2".
    """
    own = [cluster, names.scheduler_name(cluster), names.agent_name(cluster)]
    parts = [re.escape(name) for name in own]
    for group in {*groups, names.default_group_name(cluster)}:
        parts += [re.escape(group), re.escape(group) + r"-worker-[0-9a-f]{10}"]
    return re.compile("|".join(parts))
