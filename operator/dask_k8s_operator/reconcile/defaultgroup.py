"""What ought to happen to the worker group that a cluster makes for itself.

Guarantees that the count is the last one that a person set, on the cluster or on the group, and
that whatever else is edited on the cluster reaches the group. Refuses to fight an autoscaler, and
another operator that has seen later states of the two than this one.
"""

from __future__ import annotations

from ..resources.builders import build_default_group, build_default_group_metadata, replicas_of
from ..resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS
from ..resources.names import (
    AGREED_REPLICAS_ANNOTATION,
    AS_OF_ANNOTATION,
    default_group_name,
)
from ..resources.owners import is_of_namesake, is_owned_by
from ..resources.passing import find_metadata_changes
from ..resources.versions import format_as_of, is_behind
from .observedcluster import ObservedCluster
from .plan import Create, Manifest, Patch, Write, format_pointer

# What else of the cluster's spec.worker the group has.
_FOLLOWED = ("metadata", "spec", "retireTimeout")


def settle_default_group(observed: ObservedCluster) -> list[Write]:
    """Make the group, or bring it up to date: one kind of change at a time."""
    group, cluster = observed.default_group, observed.cluster
    if group is None:
        return [Create(DASK_WORKER_GROUPS, build_default_group(cluster))]
    if is_of_namesake(group, DASK_CLUSTERS, cluster):
        return []  # goes with the cluster that had this name before; then the watch says so
    if _is_written_from_later(group, cluster) or _is_written_from_later(cluster, group):
        return []  # by another operator, around a lost lease; the watch brings what it saw
    metadata = group["metadata"]
    place = (DASK_WORKER_GROUPS, metadata["namespace"], metadata["name"])
    # Not side by side: the first holds for one version of the group only.
    writes = _settle_replicas(observed, group)
    if writes:
        return writes
    changes = _changed_worker(group, build_default_group(cluster))
    if changes:
        return [Patch(*place, [*changes, *_mark_operations(group, cluster)])]
    changed = find_metadata_changes(group, build_default_group_metadata(cluster))
    if not changed or not is_owned_by(group, cluster):
        return []
    return [Patch(*place, {"metadata": _mark(changed, group, cluster)})]


def _mark(changes: Manifest, item: Manifest, source: Manifest) -> Manifest:
    """Have changed metadata say what they were made from; they hold for the state seen only."""
    annotations = {**(changes.get("annotations") or {}), AS_OF_ANNOTATION: format_as_of(source)}
    version = item["metadata"].get("resourceVersion")
    return {**changes, "annotations": annotations, "resourceVersion": version}


def _mark_operations(item: Manifest, source: Manifest) -> list[Manifest]:
    """Build the same as operations of a JSON patch.

    There are annotations by now: the count is agreed upon first.
    """
    mark, version = format_as_of(source), item["metadata"].get("resourceVersion")
    return [
        {
            "op": "add",
            "path": format_pointer("metadata", "annotations", AS_OF_ANNOTATION),
            "value": mark,
        },
        {"op": "replace", "path": format_pointer("metadata", "resourceVersion"), "value": version},
    ]


def _is_written_from_later(item: Manifest, source: Manifest) -> bool:
    mark = (item["metadata"].get("annotations") or {}).get(AS_OF_ANNOTATION)
    return is_behind(source, mark)


def _changed_worker(group: Manifest, built: Manifest) -> list[Manifest]:
    # A JSON patch, since a merge patch cannot take a key away from what it replaces.
    before, after = group["spec"]["worker"], built["spec"]["worker"]
    return [
        {"op": "add", "path": format_pointer("spec", "worker", key), "value": after[key]}
        if key in after
        else {"op": "remove", "path": format_pointer("spec", "worker", key)}
        for key in _FOLLOWED
        if before.get(key) != after.get(key)
    ]


def _settle_replicas(observed: ObservedCluster, group: Manifest) -> list[Write]:
    """Let the last edit win: what differs from the count last agreed upon was edited since."""
    cluster = observed.cluster
    metadata, group_metadata = cluster["metadata"], group["metadata"]
    of_cluster, of_group = replicas_of(cluster), replicas_of(group)
    agreed = (group_metadata.get("annotations") or {}).get(AGREED_REPLICAS_ANNOTATION)
    # What we wrote ourselves is no edit of a person, though it is not agreed upon yet.
    copied = (metadata.get("annotations") or {}).get(AGREED_REPLICAS_ANNOTATION)
    is_cluster_edited = agreed is not None and str(of_cluster) not in (agreed, copied)
    if of_group == of_cluster:
        if agreed != str(of_cluster):
            return [_agree(group, cluster)]
        return [] if copied is None else [_write_cluster(cluster, group, None)]
    if agreed is None or is_cluster_edited:
        return [_agree(group, cluster, set_group=agreed is not None)]
    if _is_autoscaled(observed, group):
        # Its count is the autoscaler's; written up, it would fight whoever applies the cluster.
        return []
    return [_write_cluster(cluster, group, of_group)]


def _write_cluster(cluster: Manifest, group: Manifest, replicas: int | None) -> Patch:
    """Copy the group's count to the cluster, marked as a copy; None takes the marks away.

    If the cluster was edited meanwhile, that edit wins the next time round.
    """
    metadata = cluster["metadata"]
    place = (DASK_CLUSTERS, metadata["namespace"], metadata["name"])
    if replicas is None:
        gone = {AGREED_REPLICAS_ANNOTATION: None, AS_OF_ANNOTATION: None}
        version = metadata.get("resourceVersion")
        return Patch(*place, {"metadata": {"annotations": gone, "resourceVersion": version}})
    copied = {"annotations": {AGREED_REPLICAS_ANNOTATION: str(replicas)}}
    spec = {"worker": {"replicas": replicas}}
    return Patch(*place, {"metadata": _mark(copied, cluster, group), "spec": spec})


def _agree(group: Manifest, cluster: Manifest, *, set_group: bool = True) -> Patch:
    metadata, replicas = group["metadata"], replicas_of(cluster)
    agreed = {"annotations": {AGREED_REPLICAS_ANNOTATION: str(replicas)}}
    body: Manifest = {"metadata": _mark(agreed, group, cluster)}
    if set_group:
        body["spec"] = {"worker": {"replicas": replicas}}
    return Patch(DASK_WORKER_GROUPS, metadata["namespace"], metadata["name"], body)


def _is_autoscaled(observed: ObservedCluster, group: Manifest) -> bool:
    default = default_group_name(observed.cluster["metadata"]["name"])
    return any(
        autoscaler["spec"].get("workerGroup", default) == group["metadata"]["name"]
        for autoscaler in observed.autoscalers
        if not autoscaler["metadata"].get("deletionTimestamp")
    )
