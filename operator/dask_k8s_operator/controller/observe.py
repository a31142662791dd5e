"""Reads what a decision looks at out of the cache.

Guarantees to read only, and only what belongs to the one object: the cost does not grow with the
number of other clusters. Refuses to ask anything over the network.
"""

from __future__ import annotations

from ..reconcile.autoscaler import ObservedAutoscaler, group_of
from ..reconcile.cluster import ObservedCluster
from ..reconcile.job import ObservedJob
from ..reconcile.plan import Manifest, Refusal
from ..reconcile.workergroup import ObservedGroup
from ..resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    PODS,
    SERVICES,
)
from ..resources.names import runner_name, scheduler_name
from ..resources.owners import is_owned_by
from ..resources.tls import is_encrypted
from .cache import Cache

Refusals = tuple[Refusal, ...]


def observe_cluster(cache: Cache, cluster: Manifest, refusals: Refusals) -> ObservedCluster:
    """Gather what belongs to a cluster."""
    namespace, name = _place(cluster)
    groups = cache.children(DASK_WORKER_GROUPS, namespace, name)
    names = [group["metadata"]["name"] for group in groups] if is_encrypted(cluster) else []
    return ObservedCluster(
        cluster=cluster,
        scheduler_pod=cache.get(PODS, namespace, scheduler_name(name)),
        service=cache.get(SERVICES, namespace, scheduler_name(name)),
        workers=tuple(pod for each in names for pod in cache.children(PODS, namespace, each)),
        groups=groups,
        autoscalers=cache.children(DASK_AUTOSCALERS, namespace, name),
        refusals=refusals,
    )


def observe_group(cache: Cache, group: Manifest, refusals: Refusals) -> ObservedGroup:
    """Gather what belongs to a worker group; a Pod counts only if this very group owns it."""
    namespace, name = _place(group)
    cluster = group["spec"]["cluster"]
    pods = cache.children(PODS, namespace, name)
    return ObservedGroup(
        group=group,
        cluster=cache.get(DASK_CLUSTERS, namespace, cluster),
        pods=tuple(pod for pod in pods if is_owned_by(pod, group)),
        has_other_workers=any(
            ((sibling.get("status") or {}).get("workers") or {}).get("running", 0) > 0
            for sibling in _siblings(cache, group)
        ),
        refusals=refusals,
    )


def observe_neighbours(cache: Cache, group: Manifest) -> tuple[Manifest, ...]:
    """Gather the worker Pods of the other groups of a group's cluster."""
    namespace, _ = _place(group)
    names = [sibling["metadata"]["name"] for sibling in _siblings(cache, group)]
    return tuple(pod for name in names for pod in cache.children(PODS, namespace, name))


def _siblings(cache: Cache, group: Manifest) -> list[Manifest]:
    namespace, name = _place(group)
    groups = cache.children(DASK_WORKER_GROUPS, namespace, group["spec"]["cluster"])
    return [sibling for sibling in groups if sibling["metadata"]["name"] != name]


def observe_autoscaler(cache: Cache, autoscaler: Manifest) -> ObservedAutoscaler:
    """Gather what an autoscaler names."""
    namespace, _ = _place(autoscaler)
    return ObservedAutoscaler(
        autoscaler=autoscaler,
        cluster=cache.get(DASK_CLUSTERS, namespace, autoscaler["spec"]["cluster"]),
        group=cache.get(DASK_WORKER_GROUPS, namespace, group_of(autoscaler)),
        rivals=tuple(
            other
            for other in cache.children(DASK_AUTOSCALERS, namespace, autoscaler["spec"]["cluster"])
            if other["metadata"]["name"] != autoscaler["metadata"]["name"]
        ),
    )


def observe_job(cache: Cache, job: Manifest, refusals: Refusals) -> ObservedJob:
    """Gather what belongs to a job."""
    namespace, name = _place(job)
    return ObservedJob(
        job=job,
        cluster=cache.get(DASK_CLUSTERS, namespace, name),
        runner=cache.get(PODS, namespace, runner_name(name)),
        refusals=refusals,
    )


def _place(item: Manifest) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]
