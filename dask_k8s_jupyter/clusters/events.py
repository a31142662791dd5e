"""What happened to a cluster: Kubernetes' Events of its parts, the newest first.

Guarantees that only what belongs to the cluster is shown, its Pods that are gone included.
Refuses to write, and to follow.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import DASK_WORKER_GROUPS, EVENTS

MAX_EVENTS = 100


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


def _build_belongs(cluster: str, groups: Iterable[str]) -> re.Pattern[str]:
    """Names of a cluster's objects, those of Pods that are gone included.

    By name and not by prefix: the cluster "demo" does not own what belongs to "demo-2".
    """
    own = [cluster, names.scheduler_name(cluster), names.agent_name(cluster)]
    parts = [re.escape(name) for name in own]
    for group in {*groups, names.default_group_name(cluster)}:
        parts += [re.escape(group), re.escape(group) + r"-worker-[0-9a-f]{10}"]
    return re.compile("|".join(parts))
