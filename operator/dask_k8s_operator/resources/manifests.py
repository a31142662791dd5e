"""Manifests that install the operator: namespace, account, permissions, Deployment.

Guarantees that the operator may do exactly what it does and no more, and that
``operator/manifests/`` is this module's output (run it with a folder as its argument; a test
compares). Refuses to grant more than reading and making Secrets by name: it never lists them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .crds import build_crds
from .kinds import DASK_KINDS, GROUP, RBAC_GROUP

DEFAULT_NAMESPACE = "dask-operator"
DEFAULT_IMAGE = "ghcr.io/dask/dask-k8s-operator:0.1.0"
NAME = "dask-operator"
HEALTH_PORT = 8080

_EDIT = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
_VIEW = ["get", "list", "watch"]
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
_AGGREGATE_KUBEFLOW = "rbac.authorization.kubeflow.org/aggregate-to-kubeflow-"

Manifest = dict[str, Any]


def build_operator_manifests(
    namespace: str = DEFAULT_NAMESPACE, image: str = DEFAULT_IMAGE
) -> list[Manifest]:
    """Build what an installation needs besides the custom resource definitions.

    Parameters
    ----------
    namespace
        Where the operator runs; it serves all namespaces.
    image
        Image with the operator in it.

    Examples
    --------
    >>> [manifest["kind"] for manifest in build_operator_manifests()][:3]
    ['Namespace', 'ServiceAccount', 'ClusterRole']
    """
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": NAME, "namespace": namespace},
        },
        _cluster_role(NAME, operator_rules()),
        _cluster_role_binding(namespace),
        build_deployment(namespace, image),
        _cluster_role(
            "dask-user",
            user_rules(),
            {f"{_AGGREGATE}edit": "true", f"{_AGGREGATE}admin": "true"}
            | {f"{_AGGREGATE_KUBEFLOW}edit": "true"},
        ),
        _cluster_role(
            "dask-viewer",
            viewer_rules(),
            {f"{_AGGREGATE}view": "true", f"{_AGGREGATE_KUBEFLOW}view": "true"},
        ),
    ]


def operator_rules() -> list[Manifest]:
    """What the operator itself may do."""
    plurals = [kind.plural for kind in DASK_KINDS]
    return [
        _rule([GROUP], plurals, ["get", "list", "watch", "patch"]),
        _rule([GROUP], ["daskclusters", "daskworkergroups"], ["create", "delete"]),
        _rule([GROUP], [f"{plural}/status" for plural in plurals], ["patch"]),
        # Where OwnerReferencesPermissionEnforcement is on, owning a child wants it.
        _rule([GROUP], [f"{plural}/finalizers" for plural in plurals], ["update"]),
        _rule([""], ["pods"], ["get", "list", "watch", "create", "patch", "delete"]),
        _rule([""], ["services"], ["get", "list", "watch", "create", "patch"]),
        _rule([""], ["configmaps"], ["get", "create", "patch"]),
        _rule([""], ["secrets"], ["get", "create"]),
        _rule([""], ["events"], ["create", "patch"]),
    ]


def user_rules() -> list[Manifest]:
    """What a person (or a notebook) needs to work with clusters in a namespace."""
    plurals = [kind.plural for kind in DASK_KINDS]
    scales = ["daskclusters/scale", "daskworkergroups/scale"]
    return [
        _rule([GROUP], plurals, _EDIT),
        _rule([GROUP], scales, ["get", "update", "patch"]),
        _rule([""], ["pods", "pods/log", "services", "events"], _VIEW),
        # A websocket asks for "get", the older SPDY upgrade for "create".
        _rule([""], ["pods/portforward"], ["get", "create"]),
    ]


def viewer_rules() -> list[Manifest]:
    """What a person needs to see clusters in a namespace, and no more."""
    plurals = [kind.plural for kind in DASK_KINDS]
    return [
        _rule([GROUP], [*plurals, *(f"{plural}/status" for plural in plurals)], _VIEW),
        _rule([""], ["pods", "pods/log", "services", "events"], _VIEW),
    ]


def build_deployment(namespace: str, image: str) -> Manifest:
    """Build the operator's Deployment: non-root, read-only root file system, probed."""
    labels = {"app.kubernetes.io/name": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace, "labels": labels},
        "spec": {
            # One at a time: the old one ends before the new one starts.
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**labels, "sidecar.istio.io/inject": "false"}},
                "spec": {
                    "serviceAccountName": NAME,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [_operator_container(image)],
                },
            },
        },
    }


def _operator_container(image: str) -> Manifest:
    return {
        "name": "operator",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "dask_k8s_operator"],
        "ports": [{"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "health"},
            "initialDelaySeconds": 15,
            "periodSeconds": 15,
        },
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "health"}, "periodSeconds": 3},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _cluster_role_binding(namespace: str) -> Manifest:
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": namespace}],
    }


def _cluster_role(
    name: str, rules: list[Manifest], labels: dict[str, str] | None = None
) -> Manifest:
    metadata: Manifest = {"name": name}
    if labels:
        metadata["labels"] = labels
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": metadata,
        "rules": rules,
    }


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Manifest:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def build_manifest_files() -> dict[str, str]:
    """Build the text of every file of ``operator/manifests/`` by name.

    YAML contains JSON, so the files are JSON in block form, and no YAML library is needed.
    """
    files = {f"crds/{crd['metadata']['name']}.yaml": _yaml_documents([crd]) for crd in build_crds()}
    files["operator.yaml"] = _yaml_documents(build_operator_manifests())
    resources = "".join(f"  - {name}\n" for name in sorted(files))
    files["kustomization.yaml"] = (
        f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n{resources}"
    )
    return files


def _yaml_documents(manifests: list[Manifest]) -> str:
    return "---\n".join("\n".join(_yaml_lines(manifest)) + "\n" for manifest in manifests)


def _yaml_lines(value: Any, indent: str = "") -> list[str]:
    lines: list[str] = []
    pairs = value.items() if isinstance(value, dict) else [(None, item) for item in value]
    for key, item in pairs:
        lead = f"{indent}-" if key is None else f"{indent}{key}:"
        if not isinstance(item, (dict, list)) or not item:
            lines.append(f"{lead} {_yaml_scalar(item)}")
        elif key is None:
            nested = _yaml_lines(item, indent + "  ")
            lines += [f"{lead} {nested[0].lstrip()}", *nested[1:]]
        else:
            lines += [lead, *_yaml_lines(item, indent + "  ")]
    return lines


def _yaml_scalar(value: Any) -> str:
    # Plain words stay bare for the reader; everything else is quoted as in JSON, which is YAML too.
    words = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
    is_plain = isinstance(value, str) and value[:1].isalpha() and value.replace("-", "").isalpha()
    return value if is_plain and value.lower() not in words else json.dumps(value)


def main(arguments: list[str]) -> None:
    """Write the files into the folder that is the one argument."""
    if len(arguments) != 1:
        raise SystemExit("usage: python -m dask_k8s_operator.resources.manifests FOLDER")
    for name, text in build_manifest_files().items():
        path = Path(arguments[0], name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
