"""ClusterView: the resources of one cluster in, one JSON-ready picture out. Pure.

Guarantees that the words of a picture are those of the operator's conditions, and that
half-written resources give a picture too. Adds only what the operator cannot say: that it is
silent, and that the cluster is being deleted. Refuses to read a clock: the time comes in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from dask_k8s_operator.resources import names

from .words import parse_quantity, parse_time

Resource = Mapping[str, Any]

# An operator that runs answers within a tenth of a second; a restarting one needs a few seconds
# to lead again.
OPERATOR_SILENT_AFTER_S = 10.0
# The largest whole number that a browser reads exactly.
MAX_MEMORY_BYTES = 2**53 - 1
OPERATOR_SILENT_REASON = "No operator has acted on this cluster"
NOT_SEEN_REASON = "The operator has yet to see it"
DELETING_REASON = "Its Pods are being deleted"


@dataclass(frozen=True)
class WorkerCounts:
    """How many workers are wanted and what became of them."""

    desired: int = 0
    ready: int = 0
    pending: int = 0
    running: int = 0
    failed: int = 0
    retiring: int = 0

    def __add__(self, other: WorkerCounts) -> WorkerCounts:
        mine, theirs = asdict(self), asdict(other)
        return WorkerCounts(**{state: mine[state] + theirs[state] for state in mine})


@dataclass(frozen=True)
class AdaptiveRange:
    """Between how many workers the autoscaler may choose."""

    minimum: int
    maximum: int


@dataclass(frozen=True)
class GroupView:
    """One worker group.

    ``cores_each`` and ``memory_bytes_each`` are 0 where its Pod names none; ``adaptive`` is None
    where the number of its workers is fixed.
    """

    name: str
    short_name: str
    is_default: bool
    workers: WorkerCounts
    cores_each: float
    memory_bytes_each: int
    reason: str | None
    adaptive: AdaptiveRange | None = None

    def to_json(self) -> dict[str, Any]:
        """The group as a JSON object, the counts beside its name."""
        fields: dict[str, Any] = asdict(self)
        counts: dict[str, Any] = fields.pop("workers")
        return fields | counts


@dataclass(frozen=True)
class ClusterView:
    """One cluster as a person sees it.

    Parameters
    ----------
    state
        ``"running"``, ``"waiting"``, ``"failing"``, ``"suspended"`` or ``"deleting"``.
    reason
        What it waits for or fails on; None where there is nothing to say.
    cores, memory_bytes
        Of the desired workers together; 0 where the Pods name none.
    adaptive
        Of the default group, as in ``groups``; None where its number of workers is fixed.
    unanswered_since
        Since when the operator owes an answer to the newest edit; None when it has given it. Not
        part of the JSON.

    Examples
    --------
    >>> now = datetime.fromisoformat("2026-11-20T10:00:00+00:00")
    >>> view = build_cluster_view({"metadata": {"name": "demo"}}, [], None, now)
    >>> view.state, view.workers.desired, view.dashboard_path
    ('waiting', 0, None)
    """

    namespace: str
    name: str
    uid: str
    created: str | None
    state: str
    reason: str | None
    workers: WorkerCounts
    cores: float
    memory_bytes: int
    groups: tuple[GroupView, ...]
    adaptive: AdaptiveRange | None
    scheduler_ready: bool
    scheduler_address: str | None
    dashboard_path: str | None
    image: str | None
    connect_code: str
    operator_silent: bool = False
    unanswered_since: datetime | None = None

    def list_ranges(self) -> list[tuple[str | None, AdaptiveRange]]:
        """What adapts, and in which range: groups by short name, first the default one as None."""
        others = [(each.short_name, each.adaptive) for each in self.groups if not each.is_default]
        return [(name, of) for name, of in [(None, self.adaptive), *others] if of]

    def to_json(self) -> dict[str, Any]:
        """The view as the JSON object that the sidebar knows."""
        fields = asdict(self) | {"groups": [group.to_json() for group in self.groups]}
        del fields["unanswered_since"], fields["operator_silent"]
        return fields


def build_cluster_view(
    cluster: Resource,
    groups: Iterable[Resource],
    autoscalers: Mapping[str, Resource] | None,
    now: datetime,
    *,
    unanswered_since: datetime | None = None,
) -> ClusterView:
    """Draw one cluster.

    Parameters
    ----------
    cluster, groups
        The resources as the API gives them; those groups that name the cluster, in any order.
    autoscalers
        The one that scales each group, by the group's full name; None where there are none.
    now
        The time, with a time zone.
    unanswered_since
        When the newest edit was first seen. None means since creation for a cluster that was
        never answered, and since now for an edit of one that was.
    """
    metadata = cluster.get("metadata") or {}
    namespace, name = metadata.get("namespace") or "default", metadata.get("name") or ""
    ranges = {group: _adaptive(each) for group, each in (autoscalers or {}).items()}
    drawn = _draw_groups(cluster, groups, ranges)
    since = None if _is_answered(cluster) else unanswered_since or _asked_at(cluster) or now
    silent = since is not None and (now - since).total_seconds() >= OPERATOR_SILENT_AFTER_S
    state, reason = _judge(cluster, silent)
    ready = _is_true(cluster, "SchedulerReady")
    return ClusterView(
        namespace=namespace,
        name=name,
        uid=metadata.get("uid") or "",
        created=metadata.get("creationTimestamp"),
        state=state,
        reason=reason,
        workers=sum((group.workers for group in drawn), WorkerCounts()),
        cores=round(sum(group.workers.desired * group.cores_each for group in drawn), 3),
        memory_bytes=min(
            sum(group.workers.desired * group.memory_bytes_each for group in drawn),
            MAX_MEMORY_BYTES,
        ),
        groups=drawn,
        adaptive=ranges.get(names.default_group_name(name)),
        scheduler_ready=ready,
        scheduler_address=_status(cluster).get("schedulerAddress"),
        dashboard_path=f"dask-k8s/dashboard/{namespace}/{name}/status" if ready else None,
        image=_main_container(cluster).get("image"),
        connect_code=build_connect_code(namespace, name),
        operator_silent=silent,
        unanswered_since=since,
    )


def build_connect_code(namespace: str, name: str) -> str:
    """Write the lines that connect a notebook to a cluster."""
    return (
        "from dask_k8s_jupyter import KubeCluster\n\n"
        f'cluster = KubeCluster.from_name("{name}", namespace="{namespace}")\n'
        "client = cluster.get_client()"
    )


def _judge(cluster: Resource, silent: bool) -> tuple[str, str | None]:
    """State and reason; the first that applies, the gravest first."""
    if (cluster.get("metadata") or {}).get("deletionTimestamp"):
        return "deleting", DELETING_REASON
    if silent:
        return "waiting", OPERATOR_SILENT_REASON
    said = _status(cluster).get("message")
    if _is_true(cluster, "Degraded"):
        return "failing", said or _message(cluster, "Degraded")
    if _is_true(cluster, "Suspended"):
        return "suspended", said or _message(cluster, "Suspended")
    if _is_true(cluster, "Ready"):
        retiring = _is_true(cluster, "Retiring")
        return "running", said or (_message(cluster, "Retiring") if retiring else None)
    return "waiting", said or _message(cluster, "Ready") or NOT_SEEN_REASON


def _draw_groups(
    cluster: Resource, groups: Iterable[Resource], ranges: Mapping[str, AdaptiveRange]
) -> tuple[GroupView, ...]:
    """The default group first, then by name; one still to be made is drawn from the cluster."""
    cluster_name = (cluster.get("metadata") or {}).get("name") or ""
    default = names.default_group_name(cluster_name)
    found = {(group.get("metadata") or {}).get("name") or "": group for group in groups}
    worker = (cluster.get("spec") or {}).get("worker")
    if default not in found and worker:
        found[default] = {"spec": {"worker": worker}}
    ordered = sorted(found, key=lambda group: (group != default, group))
    return tuple(
        _draw_group(cluster_name, group, found[group], ranges.get(group)) for group in ordered
    )


def _draw_group(
    cluster_name: str, name: str, group: Resource, adaptive: AdaptiveRange | None
) -> GroupView:
    worker = (group.get("spec") or {}).get("worker") or {}
    container = _worker_container(worker)
    return GroupView(
        name=name,
        short_name=names.short_group_name(cluster_name, name),
        is_default=name == names.default_group_name(cluster_name),
        workers=_count(worker.get("replicas"), _status(group)),
        cores_each=_resource(container, "cpu"),
        memory_bytes_each=min(int(_resource(container, "memory")), MAX_MEMORY_BYTES),
        reason=_status(group).get("message"),
        adaptive=adaptive,
    )


def _count(replicas: int | None, status: Resource) -> WorkerCounts:
    """Counts of a group; what is wanted from the spec: a wish shows before the operator acts."""
    counted = status.get("workers") or {}
    states = ("ready", "pending", "running", "failed", "retiring")
    return WorkerCounts(
        desired=1 if replicas is None else replicas,
        **{state: int(counted.get(state) or 0) for state in states},
    )


def _adaptive(autoscaler: Resource) -> AdaptiveRange:
    spec = autoscaler.get("spec") or {}
    return AdaptiveRange(int(spec.get("minimum") or 0), int(spec.get("maximum") or 0))


def _worker_container(worker: Resource) -> Resource:
    """The container that runs the worker: the one of that name, else the first."""
    containers = (worker.get("spec") or {}).get("containers") or [{}]
    return next((c for c in containers if c.get("name") == names.WORKER), containers[0])


def _main_container(cluster: Resource) -> Resource:
    return _worker_container((cluster.get("spec") or {}).get("worker") or {})


def _resource(container: Resource, resource: str) -> float:
    """What the container may use: its limit, else its request, else 0."""
    resources = container.get("resources") or {}
    for bound in ("limits", "requests"):
        amount = parse_quantity((resources.get(bound) or {}).get(resource))
        if amount:
            return amount
    return 0.0


def _status(resource: Resource) -> Resource:
    return resource.get("status") or {}


def _condition(resource: Resource, kind: str) -> Resource:
    conditions = _status(resource).get("conditions") or []
    return next((c for c in conditions if c.get("type") == kind), {})


def _is_true(resource: Resource, kind: str) -> bool:
    return _condition(resource, kind).get("status") == "True"


def _message(resource: Resource, kind: str) -> str | None:
    """The condition's sentence; where it has none its one-word reason is better than nothing."""
    condition = _condition(resource, kind)
    return condition.get("message") or condition.get("reason") or None


def _is_answered(cluster: Resource) -> bool:
    """Whether the operator has seen the newest edit."""
    observed = _status(cluster).get("observedGeneration")
    generation = (cluster.get("metadata") or {}).get("generation") or 0
    return observed is not None and observed >= generation


def _asked_at(cluster: Resource) -> datetime | None:
    """Since when a cluster that was never answered waits; of an edit the resource does not tell."""
    if _status(cluster).get("observedGeneration") is not None:
        return None
    return parse_time((cluster.get("metadata") or {}).get("creationTimestamp"))
