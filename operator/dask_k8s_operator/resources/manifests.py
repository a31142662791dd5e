"""Manifests that install the operator: namespace, account, permissions, Deployment.

Guarantees that the operator may do exactly what it does and no more, and that
``operator/manifests/`` and the same things in ``operator/chart/`` are this module's output (run it
with the folder as its argument; a test compares). Refuses to grant more than reading and making
Secrets by name: it never lists them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .crds import build_crds
from .kinds import DASK_KINDS, GROUP, LEASES, RBAC_GROUP
from .names import CLUSTER_NAME_LABEL, COMPONENT_LABEL, SCHEDULER
from .yamltext import write_yaml, write_yaml_items

DEFAULT_NAMESPACE = "dask-operator"
DEFAULT_IMAGE = "ghcr.io/dask/dask-k8s-operator:0.1.0"
NAME = "dask-operator"
# The Lease that says which operator works, in the operator's namespace.
LEASE_NAME = NAME
LEASE_READER = "dask-operator-lease-reader"
HEALTH_PORT = 8080
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"

_EDIT = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"]
_VIEW = ["get", "list", "watch"]
_AGGREGATE = "rbac.authorization.k8s.io/aggregate-to-"
_AGGREGATE_KUBEFLOW = "rbac.authorization.kubeflow.org/aggregate-to-kubeflow-"

Manifest = dict[str, Any]


def build_operator_manifests(
    namespace: str = DEFAULT_NAMESPACE,
    image: str = DEFAULT_IMAGE,
    *,
    single_namespace: bool = False,
) -> list[Manifest]:
    """Build what an installation needs besides the custom resource definitions.

    Parameters
    ----------
    namespace
        Where the operator runs.
    image
        Image with the operator in it.
    single_namespace
        Whether it serves only its own namespace, with Roles in place of ClusterRoles; else all.

    Examples
    --------
    >>> [manifest["kind"] for manifest in build_operator_manifests()][:3]
    ['Namespace', 'ServiceAccount', 'ClusterRole']
    """
    place = {"name": NAME, "namespace": namespace}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place}
    leases = [
        _role(f"{NAME}-lease", lease_rules(), namespace),
        _binding(f"{NAME}-lease", [_account(namespace)], namespace),
        _role(
            LEASE_READER,
            [{**_rule([LEASES.group], ["leases"], ["get"]), "resourceNames": [LEASE_NAME]}],
            namespace,
        ),
        _binding(LEASE_READER, [_group("system:authenticated")], namespace),
    ]
    scope = namespace if single_namespace else None
    permissions = [
        _role(NAME, operator_rules(), scope),
        _binding(NAME, [_account(namespace)], scope),
    ]
    deployment = build_deployment(namespace, image, single_namespace=single_namespace)
    people = [
        _role("dask-user", user_rules(), scope, _aggregation("edit", "admin")),
        _role("dask-viewer", viewer_rules(), scope, _aggregation("view")),
    ]
    first = [] if single_namespace else [_namespace(namespace)]
    return [*first, account, *permissions, *leases, deployment, *people]


def _namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def operator_rules() -> list[Manifest]:
    """What the operator itself may do."""
    plurals = [kind.plural for kind in DASK_KINDS]
    return [
        _rule([GROUP], plurals, ["get", "list", "watch", "patch"]),
        _rule([GROUP], ["daskclusters", "daskworkergroups"], ["create", "delete"]),
        # Where they have a time to live after their end.
        _rule([GROUP], ["daskjobs"], ["delete"]),
        _rule([GROUP], [f"{plural}/status" for plural in plurals], ["patch"]),
        # Where OwnerReferencesPermissionEnforcement is on, owning a child wants it.
        _rule([GROUP], [f"{plural}/finalizers" for plural in plurals], ["update"]),
        _rule([""], ["pods"], ["get", "list", "watch", "create", "patch", "delete"]),
        _rule([""], ["services"], ["get", "list", "watch", "create", "patch"]),
        _rule([""], ["configmaps"], ["get", "create", "patch"]),
        _rule([""], ["secrets"], ["get", "create", "patch"]),
        _rule([""], ["events"], ["create", "patch"]),
    ]


def lease_rules() -> list[Manifest]:
    """What leader election needs; a creation cannot be limited to a name."""
    return [
        _rule([LEASES.group], ["leases"], ["create"]),
        {**_rule([LEASES.group], ["leases"], ["get", "patch"]), "resourceNames": [LEASE_NAME]},
    ]


def user_rules() -> list[Manifest]:
    """What a person (or a notebook) needs to work with clusters in a namespace."""
    plurals = [kind.plural for kind in DASK_KINDS]
    scales = ["daskclusters/scale", "daskworkergroups/scale"]
    return [
        _rule([GROUP], plurals, _EDIT),
        _rule([GROUP], scales, ["get", "update", "patch"]),
        _rule([""], ["pods", "pods/log", "services", "events"], _VIEW),
        # Our tunnels and websockets ask for "get", the SPDY of kubectl for "create".
        _rule([""], ["pods/portforward"], ["get", "create"]),
        # The certificates of an encrypted cluster. Whoever may make a DaskCluster may run a Pod
        # that reads any Secret of the namespace anyway.
        _rule([""], ["secrets"], ["get"]),
    ]


def viewer_rules() -> list[Manifest]:
    """What a person needs to see clusters in a namespace, and no more."""
    plurals = [kind.plural for kind in DASK_KINDS]
    return [
        _rule([GROUP], [*plurals, *(f"{plural}/status" for plural in plurals)], _VIEW),
        _rule([""], ["pods", "pods/log", "services", "events"], _VIEW),
    ]


def build_deployment(namespace: str, image: str, *, single_namespace: bool = False) -> Manifest:
    """Build the operator's Deployment: non-root, read-only root file system, probed."""
    labels = {"app.kubernetes.io/name": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": namespace, "labels": labels},
        "spec": {
            # However many there are, the one that has the lease works; the others wait for it.
            "replicas": 1,
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
                    "containers": [_operator_container(image, single_namespace)],
                },
            },
        },
    }


def _operator_container(image: str, single_namespace: bool) -> Manifest:
    environment = [
        _field("POD_NAME", "metadata.name"),
        _field("POD_NAMESPACE", "metadata.namespace"),
    ]
    arguments = ["--namespace=$(POD_NAMESPACE)"] if single_namespace else []
    return {
        "name": "operator",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "dask_k8s_operator", *arguments],
        "env": environment,
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


def _field(name: str, path: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def build_network_policy(operator_namespace: str = DEFAULT_NAMESPACE) -> Manifest:
    """Build the NetworkPolicy for a namespace with clusters: who may reach schedulers.

    The dashboard's port (8787), which also serves the agent, is open to Dask clusters, to the
    operator and to notebooks; the port for clients and workers (8786) to the namespace's Pods.

    Parameters
    ----------
    operator_namespace
        Where the operator runs: anybody can put its label on a Pod of another namespace.

    Examples
    --------
    >>> rule = build_network_policy("tools")["spec"]["ingress"][0]
    >>> rule["from"][-1]["namespaceSelector"]
    {'matchLabels': {'kubernetes.io/metadata.name': 'tools'}}
    """
    notebooks = [
        {"matchExpressions": [{"key": "notebook-name", "operator": "Exists"}]},  # Kubeflow
        {"matchLabels": {"component": "singleuser-server"}},  # JupyterHub
        {"matchLabels": {"dask.org/client": "true"}},  # anybody else who should
    ]
    members = {"matchExpressions": [{"key": CLUSTER_NAME_LABEL, "operator": "Exists"}]}
    operator = {
        # Kubernetes itself puts this label on every namespace, and nobody can change it.
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME_LABEL: operator_namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
    }
    peers = [{"podSelector": selector} for selector in (members, *notebooks)]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "dask-schedulers"},
        "spec": {
            "podSelector": {"matchLabels": {COMPONENT_LABEL: SCHEDULER}},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [*peers, operator], "ports": [{"protocol": "TCP", "port": 8787}]},
                {"from": [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": 8786}]},
            ],
        },
    }


def _role(
    name: str,
    rules: list[Manifest],
    namespace: str | None,
    labels: dict[str, str] | None = None,
) -> Manifest:
    """Build a Role, or a ClusterRole where ``namespace`` is None; only the latter aggregates."""
    metadata: Manifest = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    elif labels:
        metadata["labels"] = labels
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": metadata,
        "rules": rules,
    }


def _binding(name: str, subjects: list[Manifest], namespace: str | None) -> Manifest:
    kind = "Role" if namespace else "ClusterRole"
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": kind, "name": name},
        "subjects": subjects,
    }


def _account(namespace: str) -> Manifest:
    return {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}


def _group(name: str) -> Manifest:
    return {"apiGroup": RBAC_GROUP, "kind": "Group", "name": name}


def _aggregation(*roles: str) -> dict[str, str]:
    own = {f"{_AGGREGATE}{role}": "true" for role in roles}
    # Kubeflow has no admin of its own kind: its administrators have what editors have.
    return own | {f"{_AGGREGATE_KUBEFLOW}{roles[0]}": "true"}


def _rule(groups: list[str], resources: list[str], verbs: list[str]) -> Manifest:
    return {"apiGroups": groups, "resources": resources, "verbs": verbs}


def build_manifest_files() -> dict[str, str]:
    """Build the text of every file of ``operator/manifests/`` by name.

    The folder itself installs for the whole cluster, ``single-namespace/`` for one namespace;
    ``network-policy/`` is for namespaces with clusters in them.
    """
    crds = {f"{crd['metadata']['name']}.yaml": crd for crd in build_crds()}
    files = {f"crds/{name}": write_yaml([crd]) for name, crd in crds.items()}
    files["crds/kustomization.yaml"] = _kustomization(sorted(crds))
    files["operator.yaml"] = write_yaml(build_operator_manifests())
    files["kustomization.yaml"] = _kustomization(["crds", "operator.yaml"])
    single = build_operator_manifests(single_namespace=True)
    files["single-namespace/operator.yaml"] = write_yaml(single)
    files["single-namespace/kustomization.yaml"] = _kustomization(
        ["../crds", "operator.yaml"], namespace=DEFAULT_NAMESPACE
    )
    files["network-policy/network-policy.yaml"] = write_yaml([build_network_policy()])
    files["network-policy/kustomization.yaml"] = _kustomization(["network-policy.yaml"])
    return files


def build_chart_files() -> dict[str, str]:
    """Build the text of those files of ``operator/chart/`` that say what this module says."""
    rules = {"operator": operator_rules(), "user": user_rules(), "viewer": viewer_rules()}
    files = {f"files/{name}-rules.yaml": write_yaml_items(items) for name, items in rules.items()}
    files["files/network-policy.yaml"] = write_yaml([build_network_policy()])
    for crd in build_crds():
        files[f"crds/{crd['metadata']['name']}.yaml"] = write_yaml([crd])
    return files


def _kustomization(resources: list[str], namespace: str | None = None) -> str:
    lines = ["apiVersion: kustomize.config.k8s.io/v1beta1", "kind: Kustomization"]
    if namespace:
        lines += [
            "# The namespace to serve, which has to be there: change it here.",
            f"namespace: {namespace}",
        ]
    lines += ["resources:", *(f"  - {name}" for name in resources)]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> None:
    """Write the files into the folder that is the one argument, and into the chart beside it."""
    if len(arguments) != 1:
        raise SystemExit("usage: python -m dask_k8s_operator.resources.manifests FOLDER")
    folder = Path(arguments[0])
    _write_files(folder, build_manifest_files())
    chart = folder.parent / "chart"
    if (chart / "Chart.yaml").is_file():
        _write_files(chart, build_chart_files())


def _write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
