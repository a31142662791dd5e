"""What ought to happen to a DaskCluster: scheduler Pod, Service, default group, idle time-out.

Guarantees: whatever of these is missing is made, what ended is made anew, and the count of the
default group is the last one that a person set, on the cluster or on the group. Refuses to touch a
running scheduler, and to delete a cluster as idle on anything but the word of its scheduler.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..resources.agent_protocol import Answer
from ..resources.builders import (
    build_agent_config_map,
    build_agent_secret,
    build_default_group,
    build_scheduler_pod,
    build_scheduler_service,
    is_of_namesake,
    is_owned_by,
)
from ..resources.kinds import (
    CONFIG_MAPS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    PODS,
    SECRETS,
    SERVICES,
)
from ..resources.names import AGREED_REPLICAS_ANNOTATION, default_group_name
from .clusterstatus import build_cluster_status, is_scheduler_ready
from .plan import NOTHING, Create, Delete, Manifest, Notice, Patch, Plan, Refusal, Write, earliest
from .pods import created_s, ended_s, explain_pod, standing

REPLACE_DELAY_S = 5.0
# How late an idle cluster may be noticed, at most.
IDLE_POLL_MAX_S = 60.0


@dataclass(frozen=True)
class ObservedCluster:
    """All that a decision about a cluster looks at.

    Parameters
    ----------
    cluster
        The DaskCluster.
    scheduler_pod, service
        Whatever has their names, None when nothing has.
    groups, autoscalers
        Those that name this cluster.
    idle
        Seconds without work by the scheduler's own word, None when it was not asked.
    refusals
        What Kubernetes refused the last time.
    """

    cluster: Manifest
    scheduler_pod: Manifest | None = None
    service: Manifest | None = None
    groups: tuple[Manifest, ...] = ()
    autoscalers: tuple[Manifest, ...] = ()
    idle: Answer | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def idle_timeout_s(self) -> int:
        """Seconds without work after which the cluster goes, 0 for never."""
        return int(self.cluster["spec"].get("idleTimeout") or 0)

    @property
    def default_group(self) -> Manifest | None:
        """The group that the cluster made for itself."""
        name = default_group_name(self.cluster["metadata"]["name"])
        return next((g for g in self.groups if g["metadata"]["name"] == name), None)


@dataclass(frozen=True)
class AgentParts:
    """What the agent of a new scheduler is made of: its text, and a token drawn for it."""

    source: str
    token: str = field(repr=False)


def wants_idleness(observed: ObservedCluster) -> bool:
    """Whether the scheduler has to be asked how long it has been idle."""
    is_going = observed.cluster["metadata"].get("deletionTimestamp")
    return bool(
        observed.idle_timeout_s and not is_going and is_scheduler_ready(observed.scheduler_pod)
    )


def decide_cluster(observed: ObservedCluster, now: float, agent: AgentParts) -> Plan:
    """Decide about one cluster.

    Parameters
    ----------
    observed
        What there is.
    now
        Seconds since the epoch.
    agent
        Text of the agent and a new token, for the case that a scheduler is made.
    """
    if observed.cluster["metadata"].get("deletionTimestamp"):
        return NOTHING
    idle = _decide_idle(observed)
    if idle.steps:
        return idle
    scheduler = _decide_scheduler(observed, now, agent)
    others = [*_make_service(observed), *_settle_default_group(observed)]
    steps = [list(step) for step in scheduler.steps] or [[]]
    # The Service and the group do not wait for the scheduler Pod: image pulls run side by side.
    steps[0] += others
    return Plan(
        steps=tuple(tuple(step) for step in steps if step),
        status=build_cluster_status(
            observed.cluster,
            observed.scheduler_pod,
            observed.groups,
            refusals=observed.refusals,
            idle=observed.idle,
            replaced=bool(scheduler.notices) and _has_ended(observed),
            now=now,
        ),
        notices=scheduler.notices,
        look_again_s=earliest(idle.look_again_s, scheduler.look_again_s),
    )


def _decide_scheduler(observed: ObservedCluster, now: float, agent: AgentParts) -> Plan:
    cluster, pod = observed.cluster, observed.scheduler_pod
    namespace = cluster["metadata"]["namespace"]
    agent_objects: tuple[Write, ...] = (
        Create(CONFIG_MAPS, build_agent_config_map(cluster, agent.source), "merge"),
        Create(SECRETS, build_agent_secret(cluster, agent.token)),
    )
    if pod is None:
        create = Create(PODS, build_scheduler_pod(cluster))
        notice = Notice("Created", f"scheduler Pod {namespace}/{create.body['metadata']['name']}")
        return Plan(steps=(agent_objects, (create,)), notices=(notice,))
    if not is_owned_by(pod, cluster):
        # A namesake's, on its way out: when it is gone, the watch says so.
        return NOTHING
    trouble = explain_pod(pod)
    if trouble and trouble.reason == "CreateContainerConfigError":
        # Most likely the agent's objects were deleted under a Pod that had not started.
        return Plan(steps=(agent_objects,), look_again_s=IDLE_POLL_MAX_S)
    if standing(pod) != "ended":
        return NOTHING
    remaining_s = (ended_s(pod) or created_s(pod)) + REPLACE_DELAY_S - now
    if remaining_s > 0:
        return Plan(look_again_s=remaining_s)
    name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
    why = trouble.message if trouble else "it ended"
    return Plan(
        steps=((Delete(PODS, namespace, name, uid),),),
        notices=(Notice("Replaced", f"scheduler Pod {namespace}/{name}: {why}", "Warning"),),
    )


def _has_ended(observed: ObservedCluster) -> bool:
    pod = observed.scheduler_pod
    return pod is not None and standing(pod) == "ended"


def _make_service(observed: ObservedCluster) -> list[Write]:
    if observed.service is not None:
        return []
    return [Create(SERVICES, build_scheduler_service(observed.cluster))]


def _settle_default_group(observed: ObservedCluster) -> list[Write]:
    group, built = observed.default_group, build_default_group(observed.cluster)
    if group is None:
        return [Create(DASK_WORKER_GROUPS, built)]
    if is_of_namesake(group, DASK_CLUSTERS, observed.cluster):
        return []  # goes with the cluster that had this name before; then the watch says so
    writes: list[Write] = _settle_replicas(observed, group)
    changes = _changed_worker(group, built)
    if changes:
        metadata = group["metadata"]
        writes.append(Patch(DASK_WORKER_GROUPS, metadata["namespace"], metadata["name"], changes))
    return writes


def _changed_worker(group: Manifest, built: Manifest) -> list[Manifest]:
    # A JSON patch, since a merge patch cannot take a key away from what it replaces.
    return [
        {"op": "add", "path": f"/spec/worker/{key}", "value": built["spec"]["worker"][key]}
        for key in ("metadata", "spec")
        if key in built["spec"]["worker"]
        and group["spec"]["worker"].get(key) != built["spec"]["worker"][key]
    ]


def _settle_replicas(observed: ObservedCluster, group: Manifest) -> list[Write]:
    """Let the last edit win: what differs from the count last agreed upon was edited since."""
    cluster = observed.cluster
    metadata, group_metadata = cluster["metadata"], group["metadata"]
    of_cluster = int(cluster["spec"]["worker"].get("replicas", 1))
    of_group = int(group["spec"]["worker"].get("replicas", 1))
    agreed = (group_metadata.get("annotations") or {}).get(AGREED_REPLICAS_ANNOTATION)
    is_cluster_edited = agreed != str(of_cluster) and agreed is not None
    if of_group == of_cluster:
        return [] if agreed == str(of_cluster) else [_agree(group, of_cluster)]
    if agreed is None or is_cluster_edited:
        return [_agree(group, of_cluster, set_group=agreed is not None)]
    if _is_autoscaled(observed, group):
        # Its count is the autoscaler's; written up, it would fight whoever applies the cluster.
        return []
    return [
        Patch(
            DASK_CLUSTERS,
            metadata["namespace"],
            metadata["name"],
            {
                # If the cluster was edited meanwhile, that edit wins the next time round.
                "metadata": {"resourceVersion": metadata.get("resourceVersion")},
                "spec": {"worker": {"replicas": of_group}},
            },
        ),
    ]


def _agree(group: Manifest, replicas: int, *, set_group: bool = True) -> Patch:
    metadata = group["metadata"]
    annotations = {AGREED_REPLICAS_ANNOTATION: str(replicas)}
    body: Manifest = {
        "metadata": {
            "annotations": annotations,
            "resourceVersion": metadata.get("resourceVersion"),
        }
    }
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


def _decide_idle(observed: ObservedCluster) -> Plan:
    timeout_s = observed.idle_timeout_s
    if not timeout_s or not is_scheduler_ready(observed.scheduler_pod):
        return NOTHING
    poll_s = max(1.0, min(timeout_s / 4, IDLE_POLL_MAX_S))
    idle_s = observed.idle.value if observed.idle else None
    if idle_s is None:
        return Plan(look_again_s=poll_s)
    if idle_s < timeout_s:
        return Plan(look_again_s=max(0.5, min(timeout_s - idle_s, poll_s)))
    metadata = observed.cluster["metadata"]
    delete = Delete(DASK_CLUSTERS, metadata["namespace"], metadata["name"], metadata["uid"])
    message = f"without work for {idle_s:.0f} s, its idleTimeout is {timeout_s} s: deleted"
    return Plan(steps=((delete,),), notices=(Notice("IdleTimeout", message),))
