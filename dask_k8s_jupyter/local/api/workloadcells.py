"""Cells of the tables of workloads, claims and quotas. Pure."""

from __future__ import annotations

from typing import Any

from .ages import NONE, show_age, show_duration
from .names import now_text, parse_time

Object = dict[str, Any]

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX"}
_MODES["ReadWriteOncePod"] = "RWOP"


def _age(value: Object) -> str:
    return show_age(value["metadata"].get("creationTimestamp"))


def _template_cells(value: Object) -> list[str]:
    spec = value["spec"]
    containers = spec["template"]["spec"].get("containers") or ()
    selector = (spec.get("selector") or {}).get("matchLabels") or {}
    labels = ",".join(f"{key}={text}" for key, text in sorted(selector.items()))
    names = ",".join(container["name"] for container in containers)
    images = ",".join(container.get("image", "") for container in containers)
    return [names, images, labels or NONE]


def list_deployment(value: Object) -> list[Any]:
    """Cells of a Deployment."""
    status = value.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{value['spec'].get('replicas', 1)}"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    name = value["metadata"]["name"]
    return [name, ready, updated, available, _age(value), *_template_cells(value)]


def list_replica_set(value: Object) -> list[Any]:
    """Cells of a ReplicaSet."""
    status = value.get("status") or {}
    counts = [
        value["spec"].get("replicas", 1),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
    ]
    return [value["metadata"]["name"], *counts, _age(value), *_template_cells(value)]


def list_job(value: Object) -> list[Any]:
    """Cells of a Job."""
    status, spec = value.get("status") or {}, value["spec"]
    conditions = {c["type"] for c in status.get("conditions") or () if c["status"] == "True"}
    words = {"Complete": "Complete", "Failed": "Failed", "Suspended": "Suspended"}
    usual = "Suspended" if spec.get("suspend") else "Running"
    word = next((words[type_] for type_ in words if type_ in conditions), usual)
    if "deletionTimestamp" in value["metadata"]:
        word = "Terminating"
    wanted, parallelism = spec.get("completions"), spec.get("parallelism") or 0
    done = status.get("succeeded", 0)
    completions = f"{done}/{wanted}"
    if wanted is None:
        completions = f"{done}/1 of {parallelism}" if parallelism > 1 else f"{done}/1"
    duration = ""
    if status.get("startTime"):
        end = parse_time(status.get("completionTime") or now_text())
        duration = show_duration(int((end - parse_time(status["startTime"])).total_seconds()))
    cells = [value["metadata"]["name"], word, completions, duration, _age(value)]
    return [*cells, *_template_cells(value)]


def list_claim(value: Object) -> list[Any]:
    """Cells of a PersistentVolumeClaim."""
    spec, status = value["spec"], value.get("status") or {}
    modes = [_MODES.get(mode, mode) for mode in status.get("accessModes") or ()]
    return [
        value["metadata"]["name"],
        status.get("phase", ""),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", ""),
        ",".join(modes),
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or "<unset>",
        _age(value),
        spec.get("volumeMode") or "<unset>",
    ]


def list_quota(value: Object) -> list[Any]:
    """Cells of a ResourceQuota."""
    status = value.get("status") or {}
    used = status.get("used") or {}
    shown = [
        (key, f"{key}: {used.get(key, 0)}/{hard}")
        for key, hard in sorted((status.get("hard") or {}).items())
    ]
    requests = ", ".join(text for key, text in shown if not key.startswith("limits."))
    limits = ", ".join(text for key, text in shown if key.startswith("limits."))
    return [value["metadata"]["name"], requests, limits, _age(value)]
