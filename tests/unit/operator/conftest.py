"""Small objects as the API would give them, for tables of what is observed."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_WORKER_GROUPS,
)
from dask_k8s_operator.resources.names import AGREED_REPLICAS_ANNOTATION, RETIRING_ANNOTATION
from dask_k8s_operator.resources.times import format_time

NOW = 1_800_000_000.0


def _object(kind: Any, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-of-{name}",
            "generation": 1,
            "resourceVersion": "7",
            **metadata,
        },
        "spec": spec,
    }


def make_cluster(name: str = "demo", replicas: int = 2, **changes: Any) -> dict[str, Any]:
    spec = {
        "idleTimeout": changes.pop("idle_timeout", 0),
        "scheduler": {
            "spec": {"containers": [{"name": "scheduler", "image": "dask"}]},
            "service": {},
        },
        "worker": {
            "replicas": replicas,
            "spec": {"containers": [{"name": "worker", "image": "dask"}]},
        },
    }
    status = changes.pop("status", None)
    cluster = _object(DASK_CLUSTERS, name, spec, **changes)
    return {**cluster, "status": status} if status else cluster


def make_served_cluster(name: str = "demo", replicas: int = 2, **changes: Any) -> dict[str, Any]:
    """One that has its scheduler."""
    ready = {"type": "SchedulerReady", "status": "True", "reason": "SchedulerReady"}
    status = changes.pop("status", {"conditions": [ready]})
    return make_cluster(name, replicas, status=status, **changes)


def _labels(component: str, **more: str) -> dict[str, str]:
    return {"dask.org/cluster-name": "demo", "dask.org/component": component, **more}


def _owner(kind: Any, uid: str) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "name": uid.removeprefix("uid-of-"),
            "uid": uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def make_group(
    name: str = "demo-default", replicas: int = 2, cluster: str = "demo", **changes: Any
) -> dict[str, Any]:
    spec = {
        "cluster": cluster,
        "worker": {
            "replicas": replicas,
            "spec": {"containers": [{"name": "worker", "image": "dask"}]},
        },
    }
    status = changes.pop("status", None)
    changes.setdefault("ownerReferences", _owner(DASK_CLUSTERS, f"uid-of-{cluster}"))
    changes.setdefault("labels", _labels("workergroup"))
    group = _object(DASK_WORKER_GROUPS, name, spec, **changes)
    return {**group, "status": status} if status else group


def make_pod(
    name: str,
    state: str = "ready",
    *,
    age_s: float = 100.0,
    retiring: bool = False,
    ip: str | None = None,
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """``state``: pending, running, ready, Failed, Succeeded or leaving."""
    phase = {"pending": "Pending", "running": "Running", "ready": "Running", "leaving": "Running"}
    pod = {
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-of-{name}",
            "creationTimestamp": format_time(NOW - age_s),
            "ownerReferences": _owner(DASK_WORKER_GROUPS, "uid-of-demo-default"),
            "labels": _labels(
                "worker",
                **{
                    "dask.org/workergroup-name": "demo-default",
                    "sidecar.istio.io/inject": "false",
                },
            ),
            **metadata,
        },
        "spec": {"containers": [{"name": "worker", "args": ["dask", "worker"]}]},
        "status": {"phase": phase.get(state, state), **(status or {})},
    }
    if state == "ready":
        pod["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    if state in ("ready", "running"):
        pod["status"].setdefault("containerStatuses", [{"state": {"running": {}}}])
    if state == "leaving":
        pod["metadata"]["deletionTimestamp"] = format_time(NOW)
    if retiring:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations.setdefault(RETIRING_ANNOTATION, format_time(NOW - 5))
    if ip:
        pod["status"]["podIP"] = ip
    return pod


def make_scheduler_pod(state: str = "ready", **changes: Any) -> dict[str, Any]:
    changes.setdefault("ownerReferences", _owner(DASK_CLUSTERS, "uid-of-demo"))
    changes.setdefault("labels", _labels("scheduler", **{"sidecar.istio.io/inject": "false"}))
    return make_pod("demo-scheduler", state, **changes)


def make_autoscaler(minimum: int = 1, maximum: int = 10, **changes: Any) -> dict[str, Any]:
    spec = {"cluster": "demo", "minimum": minimum, "maximum": maximum, **changes.pop("spec", {})}
    status = changes.pop("status", None)
    changes.setdefault("ownerReferences", _owner(DASK_CLUSTERS, "uid-of-demo"))
    autoscaler = _object(DASK_AUTOSCALERS, "demo", spec, **changes)
    return {**autoscaler, "status": status} if status else autoscaler


def make_job(**changes: Any) -> dict[str, Any]:
    spec = {
        "job": {"spec": {"containers": [{"name": "job", "image": "dask"}]}},
        "cluster": {"spec": copy.deepcopy(make_cluster()["spec"])},
    }
    status = changes.pop("status", None)
    job = _object(DASK_JOBS, "etl", spec, **changes)
    return {**job, "status": status} if status else job


def owned_by_job(item: dict[str, Any]) -> dict[str, Any]:
    item["metadata"]["ownerReferences"] = _owner(DASK_JOBS, "uid-of-etl")
    return item


def group_status(desired=2, ready=2, **conditions):
    holds = {"WorkersReady": (ready >= desired, "WorkersReady", ""), **conditions}
    return {
        "replicas": ready,
        "workers": {"desired": desired, "ready": ready, "running": ready},
        "conditions": [
            {"type": type_, "status": str(value), "reason": reason, "message": message}
            for type_, (value, reason, message) in holds.items()
        ],
    }


@pytest.fixture
def make() -> SimpleNamespace:
    """Makers of objects, and the time it is."""
    return SimpleNamespace(
        now=NOW,
        cluster=make_cluster,
        served_cluster=make_served_cluster,
        group=make_group,
        pod=make_pod,
        scheduler_pod=make_scheduler_pod,
        autoscaler=make_autoscaler,
        job=make_job,
        owned_by_job=owned_by_job,
        group_status=group_status,
    )


@pytest.fixture
def settled(make):
    """All that a cluster of two has when nothing is left to do."""
    group = make.group(annotations={AGREED_REPLICAS_ANNOTATION: "2"}, status=group_status())
    return {"scheduler_pod": make.scheduler_pod(), "service": {"metadata": {}}, "groups": (group,)}
