"""What Deployments and ReplicaSets need to become true. Pure.

Guarantees that old Pods of a rolling update go only when the new ones are ready, and that of a
ReplicaSet that shrinks those Pods go first that are not ready, that cost least to delete
(``controller.kubernetes.io/pod-deletion-cost``), that are youngest. Refuses surges and percentages:
a development cluster replaces all Pods of a Deployment side by side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


@dataclass(frozen=True)
class ReplicaSetPlan:
    """Pods to make and to delete, and the status to write."""

    missing: int
    surplus: Sequence[Object]
    status: Object


@dataclass(frozen=True)
class DeploymentPlan:
    """A ReplicaSet to make, sizes to set by the name of a ReplicaSet, and the status to write."""

    create: Object | None
    sizes: Mapping[str, int] = field(default_factory=dict)
    status: Object = field(default_factory=dict)


def decide_replica_set(replica_set: Object, pods: Sequence[Object]) -> ReplicaSetPlan:
    """Decide what a ReplicaSet needs.

    Parameters
    ----------
    replica_set
        As it is.
    pods
        Its Pods, those that are ending left out.
    """
    wanted = int(replica_set["spec"].get("replicas", 1))
    alive = [pod for pod in pods if _phase(pod) not in ("Failed", "Succeeded")]
    surplus = sorted(alive, key=_rank)[: max(0, len(alive) - wanted)]
    ready = sum(is_ready(pod) for pod in alive)
    status: Object = {
        "observedGeneration": replica_set["metadata"].get("generation", 1),
        "replicas": len(alive),
        "fullyLabeledReplicas": len(alive),
        "readyReplicas": ready,
        "availableReplicas": ready,
    }
    return ReplicaSetPlan(max(0, wanted - len(alive)), surplus, status)


def decide_deployment(deployment: Object, replica_sets: Sequence[Object]) -> DeploymentPlan:
    """Decide what a Deployment needs.

    Parameters
    ----------
    deployment
        As it is.
    replica_sets
        Its own.
    """
    wanted = int(deployment["spec"].get("replicas", 1))
    digest = hash_template(deployment["spec"]["template"])
    current = next((each for each in replica_sets if _hash(each) == digest), None)
    old = [each for each in replica_sets if each is not current]
    status = _build_status(deployment, current, replica_sets)
    recreates = (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"
    if recreates and any(_count(each, "replicas") for each in old):
        return DeploymentPlan(None, {_name(each): 0 for each in old}, status)
    if current is None:
        revision = 1 + max((_revision(each) for each in old), default=0)
        return DeploymentPlan(build_replica_set(deployment, digest, wanted, revision), {}, status)
    sizes = {_name(current): wanted}
    if _count(current, "readyReplicas") >= wanted:
        sizes |= {_name(each): 0 for each in old}
    return DeploymentPlan(None, sizes, status)


def build_replica_set(deployment: Object, digest: str, replicas: int, revision: int) -> Object:
    """Build the ReplicaSet of a Deployment's present template."""
    template = json.loads(json.dumps(deployment["spec"]["template"]))
    labels = {**(template.setdefault("metadata", {}).get("labels") or {}), HASH_LABEL: digest}
    template["metadata"]["labels"] = labels
    matched = deployment["spec"]["selector"].get("matchLabels") or {}
    metadata = deployment["metadata"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{metadata['name']}-{digest}",
            "namespace": metadata["namespace"],
            "labels": labels,
            "annotations": {REVISION: str(revision)},
            "ownerReferences": [build_controller_reference(deployment, "Deployment")],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {**matched, HASH_LABEL: digest}},
            "template": template,
        },
    }


def build_pod(replica_set: Object, name: str) -> Object:
    """Build one Pod of a ReplicaSet."""
    template = json.loads(json.dumps(replica_set["spec"]["template"]))
    metadata = {
        **(template.get("metadata") or {}),
        "name": name,
        "namespace": replica_set["metadata"]["namespace"],
        "ownerReferences": [build_controller_reference(replica_set, "ReplicaSet")],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def build_controller_reference(owner: Object, kind: str, version: str = "apps/v1") -> Object:
    """Build the owner reference of a controller."""
    return {
        "apiVersion": version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def find_controller(item: Object, kind: str) -> tuple[str, str] | None:
    """Namespace and name of the controller of some kind that an object has."""
    for owner in item["metadata"].get("ownerReferences") or ():
        if owner.get("kind") == kind and owner.get("controller"):
            return item["metadata"]["namespace"], owner["name"]
    return None


def hash_template(template: Object) -> str:
    """Tell templates apart, in letters and digits that a name may hold."""
    text = json.dumps(template, sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()[:10]


def is_ready(pod: Object) -> bool:
    """Whether a Pod is ready."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _build_status(
    deployment: Object, current: Object | None, replica_sets: Sequence[Object]
) -> Object:
    wanted = int(deployment["spec"].get("replicas", 1))
    replicas = sum(_count(each, "replicas") for each in replica_sets)
    ready = sum(_count(each, "readyReplicas") for each in replica_sets)
    updated = 0 if current is None else _count(current, "replicas")
    done = updated == wanted == replicas == ready
    available = "MinimumReplicasAvailable" if ready >= wanted else "MinimumReplicasUnavailable"
    progress = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
    return {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(0, wanted - ready),
        "conditions": [
            {"type": "Available", "status": str(ready >= wanted), "reason": available},
            {"type": "Progressing", "status": "True", "reason": progress},
        ],
    }


def _rank(pod: Object) -> tuple[bool, int, str]:
    """What goes first comes first; of the same age, the name decides."""
    metadata = pod["metadata"]
    try:
        cost = int((metadata.get("annotations") or {}).get(DELETION_COST, 0))
    except ValueError:
        cost = 0
    # Text cannot be turned round: the youngest is the one whose time has the largest digits.
    born = str(metadata.get("creationTimestamp", ""))
    youth = "".join(chr(0x7F - ord(each)) for each in born if ord(each) < 0x7F)
    return is_ready(pod), cost, youth + metadata["name"]


def _phase(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase", ""))


def _count(item: Object, key: str) -> int:
    return int((item.get("status") or {}).get(key) or 0)


def _hash(replica_set: Object) -> str:
    return str((replica_set["metadata"].get("labels") or {}).get(HASH_LABEL, ""))


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION, 0))


def _name(item: Object) -> str:
    return str(item["metadata"]["name"])
