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
from .schemas import (
    WORKER_COUNTS,
    Schema,
    closed_object,
    cluster_spec,
    common_status,
    count,
    immutable_name,
    metadata,
    pod_spec,
    switch,
    time,
    worker,
    worker_status,
)

JOB_STATES = ("JobCreated", "ClusterCreated", "Running", "Successful", "Failed")
CLUSTER_PHASES = ("Created", "Pending", "Running", "Error", "Suspended")
RELEASE_PREFIX = "dask-k8s-operator "

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
        "schedulerReplacements": count(),
        "certificatesUntil": time(),
        "certificatesAuthority": {"type": "string"},
        "schedulerAuthority": {"type": "string"},
        **worker_status(),
    }
    return _crd(
        DASK_CLUSTERS,
        short_names=["daskcluster", "dsk"],
        spec=cluster_spec(),
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
    spec = closed_object(
        {"cluster": immutable_name("The DaskCluster that the workers join"), "worker": worker()},
        required=["cluster", "worker"],
    )
    return _crd(
        DASK_WORKER_GROUPS,
        short_names=["daskworkers", "dwg"],
        spec=spec,
        status={
            "replacements": count(),
            "lastReplacementTime": time(),
            "unreachableSince": time(),
            **worker_status(),
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
    runner = pod_spec()
    runner["properties"]["restartPolicy"] = {"type": "string", "default": "OnFailure"}
    spec = closed_object(
        {
            "backoffLimit": count("Times that a failed runner is tried again; 0 is never"),
            "activeDeadlineSeconds": {
                **count("Seconds that the job may take, its cluster's start included"),
                "minimum": 1,
            },
            "ttlSecondsAfterFinished": count("Seconds after its end when the job is deleted"),
            "suspend": switch("Whether runner and cluster go until it is resumed"),
            "job": closed_object({"metadata": metadata(), "spec": runner}, required=["spec"]),
            "cluster": closed_object(
                {"metadata": metadata(), "spec": cluster_spec()}, required=["spec"]
            ),
        },
        required=["job", "cluster"],
    )
    status: dict[str, Schema] = {
        "jobStatus": {"type": "string", "enum": list(JOB_STATES)},
        "clusterName": {"type": "string"},
        "jobRunnerPodName": {"type": "string"},
        "startTime": time(),
        "endTime": time(),
        "activeSince": time(),
        "failures": count("Runners that failed"),
        "lastFailedRunner": {"type": "string"},
        **common_status(),
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
    spec = closed_object(
        {
            "cluster": immutable_name("The DaskCluster to scale"),
            "workerGroup": immutable_name(
                "Full name of the DaskWorkerGroup to scale; the cluster's default group if absent"
            ),
            "minimum": count("Fewest workers"),
            "maximum": count("Most workers"),
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
        "desiredReplicas": count(),
        "lastScaleTime": time(),
        **common_status(),
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
    schema = closed_object(
        {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": closed_object(status),
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


def _column(name: str, type_: str, path: str, description: str | None = None) -> dict[str, Any]:
    column = {"name": name, "type": type_, "jsonPath": path}
    if description:
        column["description"] = description
    return column


__all__ = ["CLUSTER_PHASES", "JOB_STATES", "WORKER_COUNTS", "build_crds", "read_release"]
