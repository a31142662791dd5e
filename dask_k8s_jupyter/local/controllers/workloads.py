"""Makes Deployments and ReplicaSets true, as ``decide`` says."""

from __future__ import annotations

import uuid

from dask_k8s_operator.resources.kinds import DEPLOYMENTS, PODS, Kind

from .decide import build_pod, decide_deployment, decide_replica_set
from .toolkit import Key, Object, Toolkit

REPLICA_SETS = Kind("apps", "v1", "replicasets", "ReplicaSet")


async def reconcile_deployment(kit: Toolkit, key: Key, deployment: Object) -> None:
    """Bring the ReplicaSets of a Deployment in order."""
    own = kit.children("ReplicaSet", deployment)
    plan = decide_deployment(deployment, own)
    if plan.create is not None:
        await kit.create(key, REPLICA_SETS, plan.create)
    for each in own:
        size = plan.sizes.get(each["metadata"]["name"])
        if size is not None and size != each["spec"].get("replicas"):
            await kit.patch(REPLICA_SETS, each, {"spec": {"replicas": size}})
    await kit.write_status(DEPLOYMENTS, deployment, plan.status)


async def reconcile_replica_set(kit: Toolkit, key: Key, replica_set: Object) -> None:
    """Bring the Pods of a ReplicaSet in order."""
    pods = kit.find_pods(replica_set)
    plan = decide_replica_set(
        replica_set, [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    )
    for _ in range(plan.missing):
        name = f"{key[2]}-{uuid.uuid4().hex[:5]}"
        await kit.create(key, PODS, build_pod(replica_set, name))
    for pod in plan.surplus:
        await kit.delete_pod(pod)
    await kit.write_status(REPLICA_SETS, replica_set, plan.status)
