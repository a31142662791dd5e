"""Whether the world is what was asked for.

Guarantees to compare with what users asked for, not with what the operator says; and that what the
operator says is true too. Refuses to wait: it looks once.
"""

from __future__ import annotations

from collections.abc import Iterator

from dask_k8s_operator.resources.kinds import (
    CONFIG_MAPS,
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_WORKER_GROUPS,
    PODS,
    SECRETS,
    SERVICES,
)
from dask_k8s_operator.resources.names import (
    agent_name,
    default_group_name,
    runner_name,
    scheduler_name,
)
from dask_k8s_operator.resources.tls import is_of_other_authority

from .api import ApiServer, Manifest, owns
from .books import is_live
from .dask import Dask
from .users import BYSTANDER, TEAM, Users

OWNED = (PODS, SERVICES, CONFIG_MAPS, SECRETS)


# Of two edits of the same count, made on cluster and group within so long, either may win.
SAME_TIME_S = 60.0


def find_difference(api: ApiServer, dask: Dask, users: Users) -> str | None:
    """Say the first thing that is not as it ought to be, None when everything is."""
    for cluster in api.all(DASK_CLUSTERS):
        for difference in _judge_wish(api, users, cluster):
            return f"DaskCluster {_name(cluster)}: {difference}"
        for difference in _judge_cluster(api, dask, cluster):
            return f"DaskCluster {_name(cluster)}: {difference}"
    for group in api.all(DASK_WORKER_GROUPS):
        for difference in _judge_group(api, dask, group):
            return f"DaskWorkerGroup {_name(group)}: {difference}"
    for autoscaler in api.all(DASK_AUTOSCALERS):
        for difference in _judge_autoscaler(api, dask, autoscaler):
            return f"DaskAutoscaler {_name(autoscaler)}: {difference}"
    for job in api.all(DASK_JOBS):
        for difference in _judge_job(api, job):
            return f"DaskJob {_name(job)}: {difference}"
    return _find_left_over(api)


def _judge_cluster(api: ApiServer, dask: Dask, cluster: Manifest) -> Iterator[str]:
    namespace, name, spec = *_place(cluster), cluster["spec"]
    pod = api.find(PODS, namespace, scheduler_name(name))
    service = api.find(SERVICES, namespace, scheduler_name(name))
    if spec.get("suspend"):
        yield from _judge_suspended(cluster, pod)
        return
    scheduler = dask.schedulers.get((namespace, name))
    can_tell = scheduler is not None and scheduler.has_agent
    if spec.get("idleTimeout") and scheduler and can_tell and not scheduler.unfinished:
        yield "is idle and there"
    if pod is None or not owns(cluster, pod) or not _is_ready(pod):
        yield "has no scheduler that is ready"
        return
    if service is None or not owns(cluster, service):
        yield "has no Service"
        return
    has_other_image = _image(pod["spec"]) != _image(spec["scheduler"]["spec"])
    has_other_authority = is_of_other_authority(pod, dask.read_authority(pod))
    is_outdated = has_other_image or has_other_authority
    if is_outdated and can_tell and not (scheduler and (scheduler.unfinished or scheduler.held)):
        yield f"its scheduler has another {'image' if has_other_image else 'authority'}"
    if {_team(pod), _team(service)} != {_team(cluster)}:
        yield "its scheduler Pod or Service has another label"
    yield from _judge_default_group(api, cluster)
    yield from _judge_cluster_status(api, cluster, is_updated=not is_outdated)


def _judge_default_group(api: ApiServer, cluster: Manifest) -> Iterator[str]:
    namespace, name, spec = *_place(cluster), cluster["spec"]
    group = api.find(DASK_WORKER_GROUPS, namespace, default_group_name(name))
    if group is None or not owns(cluster, group):
        yield "has no default group"
        return
    if group["spec"]["worker"].get("spec") != spec["worker"].get("spec"):
        yield "its default group has another Pod spec"
    if _team(cluster) not in (None, _team(group)):
        yield "its default group has another label"


def _judge_cluster_status(api: ApiServer, cluster: Manifest, *, is_updated: bool) -> Iterator[str]:
    namespace, name = _place(cluster)
    status = cluster.get("status") or {}
    yield from _judge_status(cluster, status, is_updated=is_updated)
    if status.get("phase") != "Running":
        yield f"its phase is {status.get('phase')}"
    groups = [
        item
        for item in api.all(DASK_WORKER_GROUPS)
        if item["spec"]["cluster"] == name and item["metadata"]["namespace"] == namespace
    ]
    desired = sum(item["spec"]["worker"]["replicas"] for item in groups)
    if status.get("ready") != f"{desired}/{desired}":
        yield f"says {status.get('ready')} of {desired} workers"


def _judge_suspended(cluster: Manifest, scheduler_pod: Manifest | None) -> Iterator[str]:
    status = cluster.get("status") or {}
    if scheduler_pod is not None and owns(cluster, scheduler_pod):
        yield "is suspended and has a scheduler"
    if status.get("phase") != "Suspended" or _condition(status, "Ready").get("status") == "True":
        yield f"is suspended and says {status.get('phase')}"


def _judge_wish(api: ApiServer, users: Users, cluster: Manifest) -> Iterator[str]:
    wishes = users.wishes.get(cluster["metadata"]["uid"])
    if _place(cluster) in users.adapted or not wishes:
        return
    namespace, name = _place(cluster)
    group = api.find(DASK_WORKER_GROUPS, namespace, default_group_name(name))
    counts = {item["spec"]["worker"]["replicas"] for item in (cluster, group) if item}
    wanted = {count for time, count in wishes if time >= wishes[-1][0] - SAME_TIME_S}
    if len(counts) > 1:
        yield f"it and its default group differ: {sorted(counts)} workers"
    elif not counts <= wanted:
        yield f"has {sorted(counts)} workers, but {wishes[-1][1]} were asked for"


def _judge_group(api: ApiServer, dask: Dask, group: Manifest) -> Iterator[str]:
    metadata, status = group["metadata"], group.get("status") or {}
    pods = [pod for pod in api.all(PODS) if owns(group, pod)]
    cluster = api.find(DASK_CLUSTERS, metadata["namespace"], group["spec"]["cluster"])
    if cluster is None:
        if _condition(status, "WorkersReady").get("reason") != "ClusterMissing":
            yield "does not say that its cluster is missing"
        return
    if not owns(cluster, group):
        yield "is not adopted by its cluster"
    if cluster["spec"].get("suspend"):
        if pods or _condition(status, "WorkersReady").get("reason") != "Suspended":
            yield f"is suspended and has {len(pods)} Pods"
        return
    desired = group["spec"]["worker"]["replicas"]
    if any(_image(pod["spec"]) != _image(group["spec"]["worker"]["spec"]) for pod in pods):
        yield "some of its Pods have another image"
    if any(_team(pod) != _team(group) for pod in pods):
        yield "some of its Pods have another label"
    if len(pods) != desired:
        yield f"has {len(pods)} Pods of {desired}"
    if not all(is_live(pod) and _is_ready(pod) for pod in pods):
        yield "not all of its Pods are ready"
    yield from _judge_workers(dask, pods)
    yield from _judge_status(group, status)
    if status.get("ready") != f"{desired}/{desired}" or status.get("replicas") != desired:
        yield f"says {status.get('ready')} of {desired} workers"


def _judge_workers(dask: Dask, pods: list[Manifest]) -> Iterator[str]:
    workers = [dask.workers.get(pod["metadata"]["uid"]) for pod in pods]
    if not all(worker and worker.scheduler for worker in workers):
        yield "not all of its workers are with their scheduler"
    elif not all(worker and worker.is_accepting for worker in workers):
        yield "some of its workers take no work"


def _judge_status(item: Manifest, status: Manifest, *, is_updated: bool = True) -> Iterator[str]:
    if status.get("observedGeneration") != item["metadata"]["generation"]:
        yield "has not seen the last edit"
    if _condition(status, "Ready").get("status") != "True":
        yield f"is not called ready: {status.get('message')}"
    for trouble in ("Degraded", "Retiring"):
        if _condition(status, trouble).get("status") != "False":
            yield f"is called {trouble}: {status.get('message')}"
    if (_condition(status, "Updated").get("status") == "True") != is_updated:
        yield "does not say whether it is up to date"
    if "message" in status and is_updated:
        yield f"complains: {status['message']}"


def _judge_autoscaler(api: ApiServer, dask: Dask, autoscaler: Manifest) -> Iterator[str]:
    metadata, spec = autoscaler["metadata"], autoscaler["spec"]
    place = (metadata["namespace"], spec["cluster"])
    cluster = api.find(DASK_CLUSTERS, *place)
    active = _condition(autoscaler.get("status") or {}, "Active")
    name = spec.get("workerGroup") or default_group_name(spec["cluster"])
    group = api.find(DASK_WORKER_GROUPS, metadata["namespace"], name)
    if cluster is None or group is None or cluster["spec"].get("suspend"):
        if active.get("status") != "False":
            yield "does not say that it has nothing to scale"
        return
    if not owns(cluster, autoscaler):
        yield "is not adopted by its cluster"
    scheduler = dask.schedulers.get(place)
    target = scheduler.target() if scheduler else 0
    wanted = max(spec["minimum"], min(spec["maximum"], target))
    if group["spec"]["worker"]["replicas"] != wanted:
        yield f"its group has {group['spec']['worker']['replicas']}, not {wanted}"
    if active.get("status") != "True":
        yield "is not active"


def _judge_job(api: ApiServer, job: Manifest) -> Iterator[str]:
    metadata, status = job["metadata"], job.get("status") or {}
    place = (metadata["namespace"], metadata["name"])
    is_over = status.get("jobStatus") in ("Successful", "Failed")
    if is_over and "ttlSecondsAfterFinished" in job["spec"]:
        yield "is over and there"
    for kind, name in ((DASK_CLUSTERS, place[1]), (PODS, runner_name(place[1]))):
        there = api.find(kind, place[0], name)
        if there is not None and not owns(job, there):
            is_waiting = not is_over and not job["spec"].get("suspend")
            if is_waiting and "belongs to something else" not in status.get("message", ""):
                yield "does not say that its name is taken"
            return
    if job["spec"].get("suspend") and not is_over:
        if api.find(PODS, place[0], runner_name(place[1])) is not None:
            yield "is suspended and has a runner"
    elif not is_over:
        yield f"is {status.get('jobStatus')}"
    if api.find(DASK_CLUSTERS, *place) is not None:
        yield "its cluster is still there"


def _find_left_over(api: ApiServer) -> str | None:
    for kind in OWNED:
        for item in api.all(kind):
            owners = item["metadata"].get("ownerReferences") or []
            is_bystander = kind == PODS and item["spec"]["containers"][0]["name"] == BYSTANDER
            if not is_bystander and not any(api.has_uid(owner["uid"]) for owner in owners):
                return f"{kind.kind} {_name(item)} is left over"
    for cluster in api.all(DASK_CLUSTERS):
        if cluster["spec"].get("suspend"):
            continue
        name = agent_name(cluster["metadata"]["name"])
        for kind in (CONFIG_MAPS, SECRETS):
            if api.find(kind, cluster["metadata"]["namespace"], name) is None:
                return f"{kind.kind} {name} is missing"
    return None


def _image(spec: Manifest) -> str:
    return str(spec["containers"][0]["image"])


def _team(item: Manifest) -> str | None:
    return (item["metadata"].get("labels") or {}).get(TEAM)


def _is_ready(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return is_ready and not pod["metadata"].get("deletionTimestamp")


def _condition(status: Manifest, type_: str) -> Manifest:
    return next((c for c in status.get("conditions") or [] if c["type"] == type_), {})


def _place(item: Manifest) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _name(item: Manifest) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"
