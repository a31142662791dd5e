"""What ought to happen to a DaskCluster: scheduler Pod, Service, default group, idle time-out.

Guarantees: whatever of these is missing is made, what ended is made anew, and what is edited is
applied; a changed scheduler spec waits until the scheduler neither works nor holds results; a
suspended cluster loses its scheduler when its workers have gone. Refuses to delete a cluster as
idle on anything but the word of its scheduler.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..resources.agent_objects import build_agent_config_map, build_agent_secret
from ..resources.builders import (
    build_scheduler_metadata,
    build_scheduler_pod,
    build_scheduler_service,
    build_service_metadata,
)
from ..resources.kinds import CONFIG_MAPS, DASK_CLUSTERS, PODS, SECRETS, SERVICES
from ..resources.names import APPLIED_SPEC_ANNOTATION
from ..resources.owners import is_owned_by
from ..resources.passing import (
    dump_applied_spec,
    find_metadata_changes,
    find_spec_changes,
    read_applied_spec,
)
from ..resources.times import parse_time
from .clusterstatus import build_cluster_status
from .defaultgroup import settle_default_group
from .encryption import CERTIFICATE_FIELDS, keep_certificates, next_check_s, wants_certificates
from .observedcluster import ObservedCluster
from .plan import NOTHING, Create, Delete, Manifest, Notice, Patch, Plan, Write, earliest
from .pods import created_s, ended_s, explain_pod, has_started, standing

REPLACE_DELAY_S = 5.0
# How late an idle cluster may be noticed, at most.
IDLE_POLL_MAX_S = 60.0
# A scheduler of an older spec without work for so long, and without results, is replaced.
SCHEDULER_IDLE_S = 10.0
# A Pod still there so long after its time to end is on a node that does not answer.
LOST_AFTER_S = 60.0


@dataclass(frozen=True)
class AgentParts:
    """What the agent of a new scheduler is made of: its text, and a token drawn for it."""

    source: str
    token: str = field(repr=False)


def wants_idleness(observed: ObservedCluster) -> bool:
    """Whether the scheduler has to be asked how long it has been idle."""
    is_going = observed.cluster["metadata"].get("deletionTimestamp")
    if is_going or observed.is_suspended or not observed.is_scheduler_ready:
        return False
    return bool(observed.idle_timeout_s or observed.is_scheduler_outdated)


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
    certificates = keep_certificates(observed)
    others = [*certificates, *_settle_service(observed)]
    others += [*settle_default_group(observed), *_pass_on_to_scheduler(observed, scheduler)]
    steps = [list(step) for step in scheduler.steps] or [[]]
    # The Service and the group do not wait for the scheduler Pod: image pulls run side by side.
    steps[0] += others
    return Plan(
        steps=tuple(tuple(step) for step in steps if step),
        status=build_cluster_status(
            observed, replaced=bool(scheduler.notices) and _has_ended(observed), now=now
        ),
        proofs=tuple((write, CERTIFICATE_FIELDS) for write in certificates),
        notices=scheduler.notices,
        look_again_s=earliest(
            idle.look_again_s, scheduler.look_again_s, next_check_s(observed, now)
        ),
    )


def _decide_scheduler(observed: ObservedCluster, now: float, agent: AgentParts) -> Plan:
    cluster, pod = observed.cluster, observed.scheduler_pod
    if observed.is_suspended:
        return _suspend_scheduler(observed)
    agent_objects: tuple[Write, ...] = (
        Create(CONFIG_MAPS, build_agent_config_map(cluster, agent.source), "merge"),
        Create(SECRETS, build_agent_secret(cluster, agent.token)),
    )
    if pod is None:
        create = Create(PODS, build_scheduler_pod(cluster, observed.authority))
        name = create.body["metadata"]["name"]
        message = f"scheduler Pod {cluster['metadata']['namespace']}/{name}"
        notice = Notice("Created", message, of=(create,))
        return Plan(steps=(agent_objects, (create,)), notices=(notice,))
    if not observed.has_own_scheduler:
        # A namesake's, on its way out: when it is gone, the watch says so.
        return NOTHING
    if standing(pod) == "leaving":
        return _give_up_lost(pod, now)
    if observed.is_scheduler_outdated:
        return _update_scheduler(observed, pod)
    trouble = explain_pod(pod)
    if trouble and trouble.reason == "CreateContainerConfigError":
        # Most likely the agent's objects were deleted under a Pod that had not started.
        return Plan(steps=(agent_objects,), look_again_s=IDLE_POLL_MAX_S)
    if standing(pod) != "ended":
        return NOTHING
    remaining_s = (ended_s(pod) or created_s(pod)) + REPLACE_DELAY_S - now
    if remaining_s > 0:
        return Plan(look_again_s=remaining_s)
    return _remove_scheduler(pod, trouble.message if trouble else "it ended", is_warning=True)


def _suspend_scheduler(observed: ObservedCluster) -> Plan:
    pod = observed.scheduler_pod
    if pod is None or not observed.has_own_scheduler or standing(pod) == "leaving":
        return NOTHING
    if observed.has_workers:
        return NOTHING  # they need it to finish; when they are gone, their groups say so
    name, delete = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}", _delete(pod)
    notice = Notice("Suspended", f"scheduler Pod {name}", of=(delete,))
    return Plan(steps=((delete,),), notices=(notice,))


def _give_up_lost(pod: Manifest, now: float) -> Plan:
    """Let go of a Pod whose node does not answer: its name is needed for the next one."""
    overdue_s = now - (parse_time(pod["metadata"].get("deletionTimestamp")) or now)
    if overdue_s < LOST_AFTER_S:
        return Plan(look_again_s=LOST_AFTER_S - overdue_s)
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    message = f"scheduler Pod {name} does not end, its node is taken for lost"
    delete = _delete(pod, is_forced=True)
    return Plan(
        steps=((delete,),),
        notices=(Notice("NodeLost", message, "Warning", (delete,)),),
        # Something else may hold it; then trying every second would not help either.
        look_again_s=LOST_AFTER_S,
    )


def _update_scheduler(observed: ObservedCluster, pod: Manifest) -> Plan:
    is_unused = standing(pod) != "ready" and not has_started(pod)
    idle = observed.idle
    if idle is not None and idle.value is not None and not idle.tasks:
        is_unused = is_unused or idle.value >= SCHEDULER_IDLE_S
    if not is_unused:
        return Plan(look_again_s=SCHEDULER_IDLE_S / 2)
    changed = "certificates were" if observed.holds_old_certificates else "spec was"
    return _remove_scheduler(pod, f"its {changed} changed and it is not in use", is_warning=False)


def _remove_scheduler(pod: Manifest, why: str, *, is_warning: bool) -> Plan:
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    kind = "Warning" if is_warning else "Normal"
    # One that had not started when the watch last told of it may be at work by now.
    delete = _delete(pod, version=pod["metadata"].get("resourceVersion"))
    message = f"scheduler Pod {name}: {why}"
    notice = Notice("Replaced", message, kind, (delete,))  # type: ignore[arg-type]
    return Plan(steps=((delete,),), notices=(notice,))


def _delete(pod: Manifest, *, is_forced: bool = False, version: str | None = None) -> Delete:
    metadata = pod["metadata"]
    place = (metadata["namespace"], metadata["name"])
    return Delete(PODS, *place, metadata["uid"], is_forced, version)


def _has_ended(observed: ObservedCluster) -> bool:
    pod = observed.scheduler_pod
    return pod is not None and standing(pod) == "ended"


def _settle_service(observed: ObservedCluster) -> list[Write]:
    cluster, service = observed.cluster, observed.service
    built = build_scheduler_service(cluster)
    if service is None:
        return [Create(SERVICES, built)]
    if not is_owned_by(service, cluster):
        return []
    body: Manifest = {}
    metadata = find_metadata_changes(service, build_service_metadata(cluster))
    before = read_applied_spec(service)
    changes = find_spec_changes(before, built["spec"]) if before is not None else None
    if changes:
        body["spec"] = changes
        annotations = metadata.setdefault("annotations", {})
        annotations[APPLIED_SPEC_ANNOTATION] = dump_applied_spec(built["spec"])
    if metadata:
        body["metadata"] = metadata
    place = (built["metadata"]["namespace"], built["metadata"]["name"])
    return [Patch(SERVICES, *place, body)] if body else []


def _pass_on_to_scheduler(observed: ObservedCluster, scheduler: Plan) -> list[Write]:
    pod = observed.scheduler_pod
    if pod is None or not observed.has_own_scheduler or scheduler.steps:
        return []
    changes = find_metadata_changes(pod, build_scheduler_metadata(observed.cluster))
    metadata = pod["metadata"]
    is_here = standing(pod) in ("pending", "running", "ready")
    if not changes or not is_here:
        return []
    return [Patch(PODS, metadata["namespace"], metadata["name"], {"metadata": changes})]


def _decide_idle(observed: ObservedCluster) -> Plan:
    timeout_s = observed.idle_timeout_s
    is_asked = observed.is_scheduler_ready and observed.has_own_scheduler
    if not timeout_s or observed.is_suspended or not is_asked:
        return NOTHING
    poll_s = max(1.0, min(timeout_s / 4, IDLE_POLL_MAX_S))
    idle_s = observed.idle.value if observed.idle else None
    if idle_s is None:
        return Plan(look_again_s=poll_s)
    if idle_s < timeout_s:
        return Plan(look_again_s=max(0.5, min(timeout_s - idle_s, poll_s)))
    metadata = observed.cluster["metadata"]
    delete = Delete(
        DASK_CLUSTERS,
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        # An edit that was not seen yet may have lifted the time-out.
        resource_version=metadata.get("resourceVersion"),
    )
    message = f"without work for {idle_s:.0f} s, its idleTimeout is {timeout_s} s: deleted"
    return Plan(steps=((delete,),), notices=(Notice("IdleTimeout", message, of=(delete,)),))


__all__ = [
    "AgentParts",
    "ObservedCluster",
    "decide_cluster",
    "wants_certificates",
    "wants_idleness",
]
