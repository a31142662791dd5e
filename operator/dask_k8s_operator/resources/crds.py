"""The four custom resource definitions, as values.

Guarantees: our own fields are checked strictly, PodSpec and ServiceSpec pass through untouched for
the API server to judge when Pod and Service are made, and each definition stays small enough for a
client-side ``kubectl apply``. Refuses to repeat Kubernetes' own schemas: a copy prunes what newer
releases add.
"""

from __future__ import annotations

from typing import Any

from dask_k8s_operator import __version__

from .kinds import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_JOBS, DASK_WORKER_GROUPS, VERSION, Kind
from .names import MAX_CLUSTER_NAME_LENGTH, MAX_GROUP_NAME_LENGTH

Schema = dict[str, Any]

JOB_STATES = ("JobCreated", "ClusterCreated", "Running", "Successful", "Failed")
CLUSTER_PHASES = ("Created", "Pending", "Running", "Error")
RELEASE_PREFIX = "dask-k8s-operator "
WORKER_COUNTS = ("desired", "pending", "running", "ready", "failed", "retiring")

_AGE = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
_READY = {
    "name": "Ready",
    "type": "string",
    "jsonPath": ".status.ready",
    "description": "Workers that are ready, of those desired",
}
_REASON = {
    "name": "Reason",
    "type": "string",
    "jsonPath": ".status.message",
    "description": "What it waits for or suffers from",
}


def build_crds() -> list[dict[str, Any]]:
    """Build the definitions of DaskCluster, DaskWorkerGroup, DaskJob and DaskAutoscaler.

    Examples
    --------
    >>> [crd["metadata"]["name"].split(".")[0] for crd in build_crds()]
    ['daskclusters', 'daskworkergroups', 'daskjobs', 'daskautoscalers']
    """
    return [_build_cluster(), _build_worker_group(), _build_job(), _build_autoscaler()]


def _build_cluster() -> dict[str, Any]:
    columns = [
        _column("Workers", "integer", ".spec.worker.replicas", "Workers of the default group"),
        _READY,
        _column("Status", "string", ".status.phase"),
        _REASON,
        _AGE,
    ]
    status: dict[str, Schema] = {
        "phase": {"type": "string", "enum": list(CLUSTER_PHASES)},
        "schedulerAddress": {"type": "string"},
        "dashboardAddress": {"type": "string"},
        "schedulerReplacements": _count(),
        **_worker_status(),
    }
    return _crd(
        DASK_CLUSTERS,
        short_names=["daskcluster", "dsk"],
        spec=_cluster_spec(),
        status=status,
        columns=columns,
        name_length=MAX_CLUSTER_NAME_LENGTH,
        scale=True,
    )


def _build_worker_group() -> dict[str, Any]:
    columns = [
        _column("Workers", "integer", ".spec.worker.replicas", "Workers asked for"),
        _READY,
        _REASON,
        _AGE,
    ]
    spec = _object(
        {"cluster": _immutable_name("The DaskCluster that the workers join"), "worker": _worker()},
        required=["cluster", "worker"],
    )
    return _crd(
        DASK_WORKER_GROUPS,
        short_names=["daskworkers", "dwg"],
        spec=spec,
        status={
            "replacements": _count(),
            "lastReplacementTime": _time(),
            "unreachableSince": _time(),
            **_worker_status(),
        },
        columns=columns,
        name_length=MAX_GROUP_NAME_LENGTH,
        scale=True,
    )


def _build_job() -> dict[str, Any]:
    columns = [
        _column("Status", "string", ".status.jobStatus"),
        _column("Number Of Workers", "integer", ".spec.cluster.spec.worker.replicas"),
        _REASON,
        _AGE,
    ]
    runner = _pod_spec()
    runner["properties"]["restartPolicy"] = {"type": "string", "default": "OnFailure"}
    spec = _object(
        {
            "job": _object({"metadata": _metadata(), "spec": runner}, required=["spec"]),
            "cluster": _object(
                {"metadata": _metadata(), "spec": _cluster_spec()}, required=["spec"]
            ),
        },
        required=["job", "cluster"],
    )
    status: dict[str, Schema] = {
        "jobStatus": {"type": "string", "enum": list(JOB_STATES)},
        "clusterName": {"type": "string"},
        "jobRunnerPodName": {"type": "string"},
        "startTime": _time(),
        "endTime": _time(),
        **_common_status(),
    }
    return _crd(
        DASK_JOBS,
        short_names=["djb"],
        spec=spec,
        status=status,
        columns=columns,
        name_length=MAX_CLUSTER_NAME_LENGTH,
    )


def _build_autoscaler() -> dict[str, Any]:
    columns = [
        _column("Cluster", "string", ".spec.cluster"),
        _column("Minimum", "integer", ".spec.minimum"),
        _column("Maximum", "integer", ".spec.maximum"),
        _column("Desired", "integer", ".status.desiredReplicas", "Workers it asks for"),
        _REASON,
        _AGE,
    ]
    spec = _object(
        {
            "cluster": _immutable_name("The DaskCluster to scale"),
            "workerGroup": _immutable_name(
                "Full name of the DaskWorkerGroup to scale; the cluster's default group if absent"
            ),
            "minimum": _count("Fewest workers"),
            "maximum": _count("Most workers"),
        },
        required=["cluster", "minimum", "maximum"],
    )
    spec["x-kubernetes-validations"] = [
        {
            "rule": "self.minimum <= self.maximum",
            "message": "minimum must not be greater than maximum",
        }
    ]
    status = {
        "desiredReplicas": _count(),
        "lastScaleTime": _time(),
        **_common_status(),
    }
    return _crd(
        DASK_AUTOSCALERS,
        short_names=[],
        spec=spec,
        status=status,
        columns=columns,
        name_length=MAX_GROUP_NAME_LENGTH,
    )


def _crd(
    kind: Kind,
    *,
    short_names: list[str],
    spec: Schema,
    status: dict[str, Schema],
    columns: list[dict[str, Any]],
    name_length: int,
    scale: bool = False,
) -> dict[str, Any]:
    subresources: dict[str, Any] = {"status": {}}
    if scale:
        subresources["scale"] = {
            "specReplicasPath": ".spec.worker.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    names: dict[str, Any] = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.kind.lower(),
        "categories": ["dask"],
    }
    if short_names:
        names["shortNames"] = short_names
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": columns,
        "subresources": subresources,
        "schema": {"openAPIV3Schema": _root_schema(kind, spec, status, name_length)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }


def read_release(description: str) -> str | None:
    """Read which release made a definition from its description; None when none of ours did.

    Examples
    --------
    >>> read_release("DaskCluster of dask-k8s-operator 0.1.0"), read_release("A cluster")
    ('0.1.0', None)
    """
    _, found, release = description.partition(RELEASE_PREFIX)
    return release.split()[0] if found and release.strip() else None


def _root_schema(kind: Kind, spec: Schema, status: dict[str, Schema], name_length: int) -> Schema:
    schema = _object(
        {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": _object(status),
        },
        required=["spec"],
    )
    # Everybody may read this, few the definitions themselves: it tells which release is installed.
    schema["description"] = f"{kind.kind} of {RELEASE_PREFIX}{__version__}"
    schema["x-kubernetes-validations"] = [
        {
            "rule": f"size(self.metadata.name) <= {name_length}",
            "message": f"the name may have at most {name_length} characters",
        },
        {
            "rule": "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "message": "the name may have lower-case letters, digits and '-' only",
        },
    ]
    return schema


def _cluster_spec() -> Schema:
    scheduler = _object(
        {
            "metadata": _metadata(),
            "spec": _pod_spec(),
            "service": _service_spec(),
        },
        required=["spec", "service"],
    )
    return _object(
        {
            "idleTimeout": {
                **_count("Seconds without work after which the cluster is deleted; 0 is never"),
                "default": 0,
            },
            "scheduler": scheduler,
            "worker": _worker(),
        },
        required=["scheduler", "worker"],
    )


def _worker() -> Schema:
    return _object(
        {
            "replicas": {**_count("Number of workers"), "default": 1},
            "metadata": _metadata(),
            "spec": _pod_spec(),
        },
        required=["spec"],
    )


def _pod_spec() -> Schema:
    container = _open_object(
        {
            "name": {"type": "string", "minLength": 1},
            "ports": {"type": "array", "items": _port()},
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
    return _open_object({"protocol": {"type": "string", "default": "TCP"}})


def _metadata() -> Schema:
    def texts() -> Schema:
        return {"type": "object", "additionalProperties": {"type": "string"}}

    schema = _open_object({"labels": texts(), "annotations": texts()})
    schema["description"] = "Labels and annotations for what is made from it"
    return schema


def _worker_status() -> dict[str, Schema]:
    return {
        "replicas": _count("Worker Pods there are, those going not counted"),
        "selector": {"type": "string"},
        "ready": {"type": "string"},
        "workers": _object({count: _count() for count in WORKER_COUNTS}),
        **_common_status(),
    }


def _common_status() -> dict[str, Schema]:
    condition = _object(
        {
            "type": {"type": "string"},
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": {"type": "string"},
            "message": {"type": "string"},
            "lastTransitionTime": _time(),
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


def _immutable_name(description: str) -> Schema:
    return {
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "description": description,
        "x-kubernetes-validations": [
            {"rule": "self == oldSelf", "message": "cannot be changed, make a new one instead"}
        ],
    }


def _object(properties: dict[str, Schema], *, required: list[str] | None = None) -> Schema:
    schema: Schema = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return schema


def _open_object(properties: dict[str, Schema], *, required: list[str] | None = None) -> Schema:
    return {
        **_object(properties, required=required),
        "x-kubernetes-preserve-unknown-fields": True,
    }


def _count(description: str | None = None) -> Schema:
    schema: Schema = {"type": "integer", "minimum": 0}
    if description:
        schema["description"] = description
    return schema


def _time() -> Schema:
    return {"type": "string", "format": "date-time"}


def _column(name: str, type_: str, path: str, description: str | None = None) -> dict[str, Any]:
    column = {"name": name, "type": type_, "jsonPath": path}
    if description:
        column["description"] = description
    return column
