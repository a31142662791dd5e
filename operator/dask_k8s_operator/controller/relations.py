"""Which objects have to be looked at when one has changed.

Guarantees that every decision is made again when something that it looks at has changed. Refuses to
wake what cannot be affected: a status written by us wakes nobody who does not read it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..reconcile.conditions import SCHEDULER_MISSING_REASONS, find_condition
from ..resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_WORKER_GROUPS,
    PODS,
    SERVICES,
    Kind,
)
from ..resources.names import (
    CLUSTER_NAME_LABEL,
    COMPONENT_LABEL,
    JOB_RUNNER,
    SCHEDULER,
    WORKER_GROUP_LABEL,
)
from .cache import Cache, Place

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A name to look at; never what happened to it."""

    kind: Kind
    namespace: str
    name: str

    @property
    def place(self) -> Place:
        """The same, as the cache has it."""
        return self.kind, self.namespace, self.name

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.namespace}/{self.name}"


def affected(
    cache: Cache, kind: Kind, old: Manifest | None, new: Manifest | None
) -> Iterator[Request]:
    """Name what has to be looked at after a change of one object."""
    item = new if new is not None else old
    if item is None:
        return
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    if kind in (DASK_CLUSTERS, DASK_WORKER_GROUPS, DASK_AUTOSCALERS, DASK_JOBS):
        yield Request(kind, namespace, name)
    if kind == DASK_CLUSTERS:
        yield Request(DASK_JOBS, namespace, name)
        is_other = _what_members_see(old) != _what_members_see(new)
        if is_other or _has_come_or_gone(old, new):
            yield from _members(cache, namespace, name)
    elif kind in (DASK_WORKER_GROUPS, DASK_AUTOSCALERS):
        cluster = item["spec"]["cluster"]
        yield Request(DASK_CLUSTERS, namespace, cluster)
        if _has_come_or_gone(old, new):
            yield from _members(cache, namespace, cluster)
    elif kind in (PODS, SERVICES):
        yield from _owners_of(item, kind, namespace)


def is_status_only(old: Manifest | None, new: Manifest | None) -> bool:
    """Whether of an object that is still there nothing but its status has changed.

    Examples
    --------
    >>> metadata = {"name": "x", "labels": {"a": "b"}}
    >>> before = {"metadata": metadata | {"resourceVersion": "1"}, "spec": {}}
    >>> is_status_only(before, {"metadata": metadata | {"resourceVersion": "2"}, "spec": {}})
    True
    """
    if old is None or new is None or old.get("spec") != new.get("spec"):
        return False
    was, is_ = ({**item["metadata"], "resourceVersion": ""} for item in (old, new))
    return was == is_


def _members(cache: Cache, namespace: str, cluster: str) -> Iterator[Request]:
    for kind in (DASK_WORKER_GROUPS, DASK_AUTOSCALERS):
        for member in cache.children(kind, namespace, cluster):
            yield Request(kind, namespace, member["metadata"]["name"])


def _owners_of(item: Manifest, kind: Kind, namespace: str) -> Iterator[Request]:
    labels = item["metadata"].get("labels") or {}
    component, cluster = labels.get(COMPONENT_LABEL), labels.get(CLUSTER_NAME_LABEL, "")
    if kind == SERVICES or component == SCHEDULER:
        yield Request(DASK_CLUSTERS, namespace, cluster)
    elif component == JOB_RUNNER:
        yield Request(DASK_JOBS, namespace, cluster)
    elif WORKER_GROUP_LABEL in labels:
        yield Request(DASK_WORKER_GROUPS, namespace, labels[WORKER_GROUP_LABEL])


def _has_come_or_gone(old: Manifest | None, new: Manifest | None) -> bool:
    if old is None or new is None:
        return True
    was, is_ = old["metadata"], new["metadata"]
    return was.get("uid") != is_.get("uid") or bool(was.get("deletionTimestamp")) != bool(
        is_.get("deletionTimestamp")
    )


def _what_members_see(cluster: Manifest | None) -> tuple[object, ...]:
    """What of a cluster its groups and autoscalers decide by."""
    authority = ((cluster or {}).get("status") or {}).get("schedulerAuthority")
    return _is_suspended(cluster), _has_scheduler(cluster), authority


def _has_scheduler(cluster: Manifest | None) -> bool:
    """Whether a cluster's status says what its groups wait for."""
    scheduler = find_condition((cluster or {}).get("status"), "SchedulerReady")
    return scheduler is not None and scheduler["reason"] not in SCHEDULER_MISSING_REASONS


def _is_suspended(cluster: Manifest | None) -> bool:
    return bool(((cluster or {}).get("spec") or {}).get("suspend"))
