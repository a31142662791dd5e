"""Whether a Deployment has rolled out, and what it waits for. Pure.

Guarantees the reason that a person can act on, of those that there are: the container's before the
Pod's, the Pod's before the Deployment's. Refuses to read a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Resource = Mapping[str, Any]

# What Kubernetes goes on trying, and what waiting hardly ever mends.
HOPELESS = frozenset(
    {"ImagePullBackOff", "InvalidImageName", "CrashLoopBackOff", "CreateContainerConfigError"}
)
_QUIET = frozenset({"ContainerCreating", "PodInitializing"})


@dataclass(frozen=True)
class Rollout:
    """How far a Deployment is.

    Parameters
    ----------
    is_ready
        Whether all its Pods are new and available.
    reason
        What it waits for; empty when it is ready.
    trouble
        One word of Kubernetes for what waiting will not mend; empty where it may.
    """

    is_ready: bool
    reason: str = ""
    trouble: str = ""


def judge_rollout(deployment: Resource | None, pods: Iterable[Resource]) -> Rollout:
    """Judge a Deployment by its status and its Pods.

    Examples
    --------
    >>> judge_rollout(None, []).reason
    'the Deployment is being made'
    """
    if deployment is None:
        return Rollout(False, "the Deployment is being made")
    status = deployment.get("status") or {}
    wanted = (deployment.get("spec") or {}).get("replicas", 1)
    if (status.get("observedGeneration") or 0) < (deployment["metadata"].get("generation") or 0):
        return Rollout(False, "Kubernetes has yet to see the Deployment")
    counts = [status.get(count) or 0 for count in ("updatedReplicas", "availableReplicas")]
    if min(counts) >= wanted and (status.get("replicas") or 0) <= wanted:
        return Rollout(True)
    for pod in pods:
        found = _judge_pod(pod)
        if found is not None:
            return found
    failure = _condition(status, "ReplicaFailure")
    if failure.get("status") == "True":
        return Rollout(False, f"its Pods are refused: {failure.get('message')}", "ReplicaFailure")
    if min(counts) >= wanted:
        return Rollout(False, "a Pod of the earlier release has still to go")
    return Rollout(False, f"{min(counts)} of {wanted} Pods are ready")


def _judge_pod(pod: Resource) -> Rollout | None:
    status = pod.get("status") or {}
    name = pod["metadata"]["name"]
    if "deletionTimestamp" in pod["metadata"]:
        return Rollout(False, f"Pod {name} of the earlier release is still ending")
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason") or ""
        if reason and reason not in _QUIET:
            ended = (container.get("lastState") or {}).get("terminated") or {}
            said = ended.get("message") or waiting.get("message") or ""
            trouble = reason if reason in HOPELESS else ""
            return Rollout(False, f"Pod {name}: {reason}: {' '.join(said.split())}", trouble)
    scheduled = _condition(status, "PodScheduled")
    if scheduled.get("status") == "False":
        return Rollout(False, f"Pod {name} does not fit: {scheduled.get('message')}")
    return None


def _condition(status: Resource, kind: str) -> Resource:
    return next((c for c in status.get("conditions") or [] if c.get("type") == kind), {})
