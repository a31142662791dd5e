"""Write the types of the built-in kinds that the embedded Kubernetes serves, from a real server.

    KUBECONFIG=… python scripts/record_api_types.py

Keeps names, types, merge keys and what is required; leaves the descriptions out. The result is
``dask_k8s_jupyter/local/api/builtin_types.json``, in the form of OpenAPI v3.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "dask_k8s_jupyter" / "local" / "api" / "builtin_types.json"
GROUP_VERSIONS = {
    "api/v1": (
        *("Namespace", "Node", "Pod", "Service", "Endpoints", "Event", "ConfigMap", "Secret"),
        *("ServiceAccount", "PersistentVolumeClaim", "ResourceQuota", "Binding"),
    ),
    "apis/apps/v1": ("Deployment", "ReplicaSet"),
    "apis/batch/v1": ("Job",),
    "apis/coordination.k8s.io/v1": ("Lease",),
    "apis/discovery.k8s.io/v1": ("EndpointSlice",),
    "apis/rbac.authorization.k8s.io/v1": (
        *("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
    ),
    "apis/apiextensions.k8s.io/v1": ("CustomResourceDefinition",),
    "apis/authorization.k8s.io/v1": (
        *("SelfSubjectAccessReview", "SubjectAccessReview", "SelfSubjectRulesReview"),
        "LocalSubjectAccessReview",
    ),
    "apis/authentication.k8s.io/v1": ("SelfSubjectReview", "TokenRequest"),
    "apis/autoscaling/v1": ("Scale",),
    "apis/policy/v1": ("Eviction",),
}
_GVK = "x-kubernetes-group-version-kind"
_REFERENCE = re.compile(r'"#/components/schemas/([^"]+)"')


def read_document(path: str) -> dict[str, Any]:
    """The schemas of one group version."""
    command = ["kubectl", "get", "--raw", f"/openapi/v3/{path}"]
    answer = subprocess.run(command, check=True, capture_output=True).stdout
    found: dict[str, Any] = json.loads(answer)["components"]["schemas"]
    return found


def without_descriptions(node: Any) -> Any:
    """Remove the prose, but not a field that is called description."""
    if isinstance(node, dict):
        return {
            key: without_descriptions(part)
            for key, part in node.items()
            if key != "description" or isinstance(part, dict)
        }
    return [without_descriptions(part) for part in node] if isinstance(node, list) else node


def collect(schemas: dict[str, Any], name: str, found: dict[str, Any]) -> None:
    """Take a schema and every schema that it refers to."""
    if name in found:
        return
    found[name] = without_descriptions(schemas[name])
    kinds = found[name].pop(_GVK, [])
    if len(kinds) == 1:
        found[name][_GVK] = kinds
    for other in sorted(set(_REFERENCE.findall(json.dumps(found[name])))):
        collect(schemas, other, found)


def main() -> None:
    """Write the file."""
    schemas: dict[str, Any] = {}
    for path in GROUP_VERSIONS:
        schemas |= read_document(path)
    wanted = {(path, kind) for path, kinds in GROUP_VERSIONS.items() for kind in kinds}
    found: dict[str, Any] = {}
    for name, schema in schemas.items():
        if any((_path_of(gvk), gvk["kind"]) in wanted for gvk in schema.get(_GVK, ())):
            collect(schemas, name, found)
    lines = [
        f"{json.dumps(name)}:{json.dumps(found[name], separators=(',', ':'), sort_keys=True)}"
        for name in sorted(found)
    ]
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{TARGET}: {len(found)} types, {TARGET.stat().st_size} bytes")


def _path_of(gvk: dict[str, str]) -> str:
    return f"apis/{gvk['group']}/{gvk['version']}" if gvk["group"] else f"api/{gvk['version']}"


if __name__ == "__main__":
    main()
