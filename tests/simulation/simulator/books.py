"""What was asked for and what there was, group by group, through time.

Guarantees to be complete: every change of the simulated API goes into the books. Refuses to judge.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import Any, TypeVar

from dask_k8s_operator.resources.builders import hash_worker_spec
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, Kind
from dask_k8s_operator.resources.names import RETIRING_ANNOTATION, WORKER_GROUP_LABEL

from .api import ApiServer, Manifest

T = TypeVar("T")
Past = list[tuple[float, T]]


class Books:
    """The past of every worker group, by its uid."""

    def __init__(self, api: ApiServer) -> None:
        self._api = api
        self._asked: dict[str, Past[int]] = {}
        self._live: dict[str, Past[int]] = {}
        self._specs: dict[str, Past[str]] = {}
        self._marked: dict[str, dict[str, float]] = {}
        self._suspended: dict[tuple[str, str] | None, Past[bool]] = {}
        self._cluster_of: dict[str, tuple[str, str]] = {}

    def note(self, kind: Kind, before: Manifest | None, after: Manifest | None) -> None:
        """Write a change down."""
        if kind == PODS:
            self._count(before, -1)
            self._count(after, 1)
            self._note_mark(before, after)
        elif kind == DASK_WORKER_GROUPS and after is not None:
            if before is None or before["spec"] is not after["spec"]:
                self._note_group(after)
        elif kind == DASK_CLUSTERS and (after or before):
            self._note_cluster(after or before or {})

    def live(self, group: str) -> int:
        """How many live Pods a group has now."""
        return self._live.get(group, [(0.0, 0)])[-1][1]

    def seen(self, group: str, since_s: float) -> int:
        """How many live Pods somebody may believe a group to have, who last looked then."""
        counts = self._since(self._live.get(group, [(0.0, 0)]), since_s)
        # Those that went may still be seen beside those that came.
        return counts[0] + sum(max(0, after - before) for before, after in pairwise(counts))

    def asked(self, group: str, since_s: float) -> list[int]:
        """How many workers somebody may believe to be asked for, who last looked then."""
        asked = self._since(self._asked.get(group, []), since_s)
        suspended = self._since(self._suspended.get(self._cluster_of.get(group), []), since_s)
        if suspended and all(suspended):
            return [0]
        return [*asked, 0] if any(suspended) else asked

    def specs(self, group: str, since_s: float) -> list[str]:
        """Hashes of the worker specs that a group had, at any time since."""
        return self._since(self._specs.get(group, []), since_s)

    def marked(self, group: str) -> list[float]:
        """When the Pods of a group that are there were marked to go."""
        return list(self._marked.get(group, {}).values())

    def changed_s(self, group: str) -> float:
        """When the count or the spec of a group last changed."""
        pasts = (self._asked.get(group, []), self._specs.get(group, []))
        return max((past[-1][0] for past in pasts if past), default=0.0)

    def was_suspended(self, namespace: str, cluster: str, since_s: float) -> bool:
        """Whether a cluster was to have no Pods, at any time since."""
        return any(self._since(self._suspended.get((namespace, cluster), []), since_s))

    def _count(self, pod: Manifest | None, step: int) -> None:
        group = group_of(pod)
        if pod is None or group is None or not is_live(pod):
            return
        live = self._live.setdefault(group, [(0.0, 0)])
        live.append((self._api.loop.time(), live[-1][1] + step))

    def _note_mark(self, before: Manifest | None, after: Manifest | None) -> None:
        group = group_of(after or before)
        if group is None:
            return
        marked = self._marked.setdefault(group, {})
        uid = (after or before or {})["metadata"]["uid"]
        if after is not None and is_marked(after):
            marked.setdefault(uid, self._api.loop.time())
        else:
            marked.pop(uid, None)

    def _note_group(self, group: Manifest) -> None:
        metadata, spec = group["metadata"], group["spec"]
        self._cluster_of[metadata["uid"]] = (metadata["namespace"], spec["cluster"])
        self._append(self._asked.setdefault(metadata["uid"], []), spec["worker"]["replicas"])
        self._append(self._specs.setdefault(metadata["uid"], []), hash_worker_spec(group))

    def _note_cluster(self, cluster: Manifest) -> None:
        place = (cluster["metadata"]["namespace"], cluster["metadata"]["name"])
        past = self._suspended.setdefault(place, [(0.0, False)])
        is_there = self._api.find(DASK_CLUSTERS, *place) is not None
        self._append(past, is_there and bool(cluster["spec"].get("suspend")))

    def _append(self, past: Past[Any], value: Any) -> None:
        if not past or past[-1][1] != value:
            past.append((self._api.loop.time(), value))

    @staticmethod
    def _since(past: Past[T], since_s: float) -> list[T]:
        first = max(0, bisect_left(past, since_s, key=lambda entry: entry[0]) - 1)
        return [value for _, value in past[first:]]


def is_live(pod: Manifest) -> bool:
    """Whether a Pod counts as one that is wanted: not ended, not marked, not on its way out."""
    is_ended = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
    return not (is_ended or is_marked(pod) or pod["metadata"].get("deletionTimestamp"))


def is_marked(pod: Manifest) -> bool:
    """Whether a Pod is meant to go."""
    return RETIRING_ANNOTATION in (pod["metadata"].get("annotations") or {})


def group_of(pod: Manifest | None) -> str | None:
    """Uid of the group that owns a worker Pod."""
    if pod is None or WORKER_GROUP_LABEL not in (pod["metadata"].get("labels") or {}):
        return None
    owners: list[dict[str, Any]] = pod["metadata"].get("ownerReferences") or []
    return owners[0]["uid"] if owners else None
