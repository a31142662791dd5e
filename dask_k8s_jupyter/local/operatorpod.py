"""Installs the operator into an embedded cluster: definitions, roles, and the operator as a Pod."""

from __future__ import annotations

import asyncio
from typing import Any

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources import kinds
from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.manifests import build_operator_manifests

_KINDS = {
    kind.kind: kind
    for kind in (
        kinds.NAMESPACES,
        kinds.SERVICE_ACCOUNTS,
        kinds.CLUSTER_ROLES,
        kinds.CLUSTER_ROLE_BINDINGS,
        kinds.ROLES,
        kinds.ROLE_BINDINGS,
        kinds.CUSTOM_RESOURCE_DEFINITIONS,
        kinds.PODS,
    )
}


async def install_operator(client: KubeClient) -> None:
    """Create everything that the operator needs, and the operator itself."""
    manifests = [
        build_pod(m) if m["kind"] == "Deployment" else m for m in build_operator_manifests()
    ]
    pods = [m for m in manifests if m["kind"] == "Pod"]
    spaces = [m for m in manifests if m["kind"] == "Namespace"]
    rest = [m for m in manifests if m["kind"] not in ("Pod", "Namespace")]
    for step in (spaces, [*build_crds(), *rest], pods):
        await asyncio.gather(*(client.create(_KINDS[m["kind"]], m) for m in step))


def build_pod(deployment: dict[str, Any]) -> dict[str, Any]:
    """Build the Pod that a Deployment of one replica would have.

    One object in place of three keeps the start short; the node restarts its container as well.
    """
    template = deployment["spec"]["template"]
    metadata = {
        "name": deployment["metadata"]["name"],
        "namespace": deployment["metadata"]["namespace"],
        **(template.get("metadata") or {}),
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
