"""Makes Deployments and ReplicaSets true, as ``decide`` says."""

from __future__ import annotations

import uuid

from dask_k8s_operator.resources.kinds import DEPLOYMENTS, PODS, Kind

from .decide import build_pod, decide_deployment, decide_replica_set
from .remembering import Key, Object, RememberingApi

REPLICA_SETS = Kind("apps", "v1", "replicasets", "ReplicaSet")


async def reconcile_deployment(api: RememberingApi, key: Key, deployment: Object) -> None:
    """Bring the ReplicaSets of a Deployment in order."""
    own = api.children("ReplicaSet", deployment)
    plan = decide_deployment(deployment, own)
    if plan.create is not None:
        await api.create(key, REPLICA_SETS, plan.create)
    for each in own:
        size = plan.sizes.get(each["metadata"]["name"])
        if size is not None and size != each["spec"].get("replicas"):
            await api.patch(REPLICA_SETS, each, {"spec": {"replicas": size}})
    await api.write_status(DEPLOYMENTS, deployment, plan.status)


async def reconcile_replica_set(api: RememberingApi, key: Key, replica_set: Object) -> None:
    """Bring the Pods of a ReplicaSet in order."""
    pods = api.find_pods(replica_set)
    plan = decide_replica_set(
        replica_set, [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    )
    for _ in range(plan.missing):
        name = f"{key[2]}-{uuid.uuid4().hex[:5]}"
        await api.create(key, PODS, build_pod(replica_set, name))
    for pod in plan.surplus:
        await api.delete_pod(pod)
    await api.write_status(REPLICA_SETS, replica_set, plan.status)
