"""The schemas that our definitions are put together from.

Guarantees that our own fields are checked strictly and that of Kubernetes' objects only what is
read here is. Refuses to repeat Kubernetes' own schemas: a copy prunes what newer releases add.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

WORKER_COUNTS = ("desired", "pending", "running", "ready", "failed", "retiring")
# A day: longer than most tasks, shorter than for ever.
DEFAULT_RETIRE_TIMEOUT_S = 86_400
UNCHANGED = {"rule": "self == oldSelf", "message": "cannot be changed, make a new one instead"}


def cluster_spec() -> Schema:
    """Schema of a DaskCluster's spec."""
    scheduler = closed_object(
        {
            "metadata": metadata(),
            "spec": pod_spec(),
            "service": _service_spec(),
        },
        required=["spec", "service"],
    )
    return closed_object(
        {
            "idleTimeout": {
                **count("Seconds without work after which the cluster is deleted; 0 is never"),
                "default": 0,
            },
            "suspend": switch("Whether all Pods go until it is resumed"),
            "tls": {
                **switch("Whether scheduler, workers and clients speak TLS, with own certificates"),
                "default": False,
                "x-kubernetes-validations": [UNCHANGED],
            },
            "scheduler": scheduler,
            "worker": worker(),
        },
        required=["scheduler", "worker"],
    )


def worker() -> Schema:
    """Schema of the workers of a group."""
    return closed_object(
        {
            "replicas": {**count("Number of workers"), "default": 1},
            "retireTimeout": {
                **count("Seconds that a worker meant to go may take to finish what it runs"),
                "default": DEFAULT_RETIRE_TIMEOUT_S,
            },
            "metadata": metadata(),
            "spec": pod_spec(),
        },
        required=["spec"],
    )


def pod_spec() -> Schema:
    """Schema of a PodSpec: open, but what is read here is checked."""
    # What programs write for an empty list may be null.
    texts = {"type": "array", "nullable": True, "items": {"type": "string"}}
    variable = _open_object(
        {"name": {"type": "string", "minLength": 1}, "value": {"type": "string"}},
        required=["name"],
    )
    container = _open_object(
        {
            "name": {"type": "string", "minLength": 1},
            "ports": {"type": "array", "nullable": True, "items": _port()},
            "env": {"type": "array", "nullable": True, "items": variable},
            "command": texts,
            "args": texts,
        },
        required=["name"],
    )
    containers = {"type": "array", "minItems": 1, "items": container}
    schema = _open_object({"containers": containers}, required=["containers"])
    schema["description"] = "A PodSpec; Kubernetes itself checks it when the Pod is made"
    return schema


def _service_spec() -> Schema:
    schema = _open_object({"ports": {"type": "array", "items": _port()}})
    schema["description"] = "A ServiceSpec; Kubernetes itself checks it when the Service is made"
    return schema


def _port() -> Schema:
    return _open_object(
        {
            "name": {"type": "string"},
            "containerPort": {"type": "integer"},
            "protocol": {"type": "string", "default": "TCP"},
        }
    )


def metadata() -> Schema:
    """Schema of labels and annotations for children."""

    def texts() -> Schema:
        return {"type": "object", "additionalProperties": {"type": "string"}}

    schema = _open_object({"labels": texts(), "annotations": texts()})
    schema["description"] = "Labels and annotations for what is made from it"
    return schema


def worker_status() -> dict[str, Schema]:
    """Schemas of what clusters and groups say of workers."""
    return {
        "replicas": count("Worker Pods there are, those going not counted"),
        "selector": {"type": "string"},
        "ready": {"type": "string"},
        "workers": closed_object({state: count() for state in WORKER_COUNTS}),
        **common_status(),
    }


def common_status() -> dict[str, Schema]:
    """Schemas of what every status has."""
    condition = closed_object(
        {
            "type": {"type": "string"},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": {"type": "string"},
            "message": {"type": "string"},
            "lastTransitionTime": time(),
            "observedGeneration": {"type": "integer"},
        },
        required=["type", "status"],
    )
    conditions = {
        "type": "array",
        "items": condition,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    return {
        "observedGeneration": {"type": "integer"},
        "message": {"type": "string"},
        "conditions": conditions,
    }


def immutable_name(description: str) -> Schema:
    """Schema of a name that cannot be changed."""
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "description": description,
        "x-kubernetes-validations": [UNCHANGED],
    }


def closed_object(properties: dict[str, Schema], *, required: list[str] | None = None) -> Schema:
    """Schema of an object with these fields only."""
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema


def _open_object(properties: dict[str, Schema], *, required: list[str] | None = None) -> Schema:
    return {
        **closed_object(properties, required=required),
        "x-kubernetes-preserve-unknown-fields": True,
    }


def count(description: str | None = None) -> Schema:
    """Schema of a number from 0."""
    schema: Schema = {"type": "integer", "minimum": 0}
    if description:
        schema["description"] = description
    return schema


def time() -> Schema:
    """Schema of a time."""
    return {"type": "string", "format": "date-time"}


def switch(description: str) -> Schema:
    """Schema of what is on or off."""
    return {"type": "boolean", "description": description}
