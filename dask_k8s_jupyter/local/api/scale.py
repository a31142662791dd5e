"""The scale subresource: a ``Scale`` read from an object, and written back into one. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import builtin, statuses
from .resources import Resource

Object = dict[str, Any]


def _steps(path: str) -> list[str]:
    return path.lstrip(".").split(".")


def _read(value: Any, path: str | None) -> Any:
    for step in _steps(path) if path else ():
        value = value.get(step) if isinstance(value, dict) else None
    return value if path else None


def build_scale(resource: Resource, value: Object) -> Object:
    """Build the ``Scale`` of an object."""
    paths = resource.scale_paths or {}
    metadata = value["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Object = {"replicas": _read(value, paths.get("statusReplicasPath")) or 0}
    selector = _read(value, paths.get("labelSelectorPath"))
    if isinstance(selector, dict):
        labels = sorted((selector.get("matchLabels") or {}).items())
        selector = ",".join(f"{key}={value}" for key, value in labels)
    if selector:
        status["selector"] = selector
    replicas = _read(value, paths.get("specReplicasPath")) or 0
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def build_change(resource: Resource, scale: Object) -> Callable[[Object], Object]:
    """Build the change that a written ``Scale`` makes to its object."""
    if not isinstance(scale, dict) or scale.get("kind", "Scale") != "Scale":
        raise statuses.bad_request("the scale subresource takes a Scale of autoscaling/v1")
    builtin.decode("autoscaling", "Scale", scale)
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if replicas < 0:
        name = str((scale.get("metadata") or {}).get("name", ""))
        why = "should be a non-negative integer"
        if resource.is_custom:
            field = str((resource.scale_paths or {}).get("specReplicasPath"))
            cause = statuses.invalid_value(field, replicas, why)
            raise statuses.invalid(resource.kind, resource.group, name, [cause])
        cause = statuses.invalid_value("spec.replicas", replicas, why)
        raise statuses.invalid("Scale", "autoscaling", name, [cause])
    version = (scale.get("metadata") or {}).get("resourceVersion")

    def change(value: Object) -> Object:
        *parents, last = _steps((resource.scale_paths or {})["specReplicasPath"])
        holder = value
        for step in parents:
            holder = holder.setdefault(step, {})
        holder[last] = replicas
        value["metadata"]["resourceVersion"] = version or value["metadata"]["resourceVersion"]
        return value

    return change
