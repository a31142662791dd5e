"""The objects that every cluster begins with: namespaces, and the roles of Kubernetes itself."""

from __future__ import annotations

from typing import Any

from .backend import Backend

Object = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_ALL: list[Object] = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]
_PUBLIC_PATHS = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY_PATHS = [*_PUBLIC_PATHS, "/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"]
_VIEWED = [
    "configmaps",
    "endpoints",
    "events",
    "namespaces",
    "pods",
    "pods/log",
    "pods/status",
    "serviceaccounts",
    "services",
    "services/status",
]
_EDITED = ["configmaps", "endpoints", "events", "pods", "secrets", "serviceaccounts", "services"]
_REVIEWS: list[Object] = [
    {
        "apiGroups": ["authorization.k8s.io"],
        "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        "verbs": ["create"],
    },
    {
        "apiGroups": ["authentication.k8s.io"],
        "resources": ["selfsubjectreviews"],
        "verbs": ["create"],
    },
]
_SLICES: Object = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]}
_VIEW: list[Object] = [
    {"apiGroups": [""], "resources": _VIEWED, "verbs": _READ},
    {**_SLICES, "verbs": _READ},
]
_EDIT: list[Object] = [
    *_VIEW,
    {"apiGroups": [""], "resources": _EDITED, "verbs": [*_READ, *_WRITE]},
    {"apiGroups": [""], "resources": ["pods/exec", "pods/portforward"], "verbs": ["create", "get"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": [*_READ, *_WRITE]},
]
_ADMIN: list[Object] = [
    *_EDIT,
    {"apiGroups": [_RBAC], "resources": ["roles", "rolebindings"], "verbs": [*_READ, *_WRITE]},
]
_NODE: list[Object] = [
    {"apiGroups": [""], "resources": ["services", "configmaps", "secrets"], "verbs": _READ},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": _READ},
    {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": [*_READ, "delete"]},
    {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch", "update"]},
    {"apiGroups": [""], "resources": ["pods/binding"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["nodes"], "verbs": [*_READ, "create", "patch", "update"]},
    {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch", "update"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch", "update"]},
    {
        "apiGroups": [""],
        "resources": ["endpoints"],
        "verbs": [*_READ, "create", "update", "patch", "delete"],
    },
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "create", "patch", "update"],
    },
]
_ROLES: dict[str, tuple[list[Object], str]] = {
    "cluster-admin": (_ALL, "system:masters"),
    "system:basic-user": (_REVIEWS, "system:authenticated"),
    "system:discovery": (
        [{"nonResourceURLs": _DISCOVERY_PATHS, "verbs": ["get"]}],
        "system:authenticated",
    ),
    "system:public-info-viewer": (
        [{"nonResourceURLs": _PUBLIC_PATHS, "verbs": ["get"]}],
        "system:unauthenticated",
    ),
    "system:node": (_NODE, "system:nodes"),
    "admin": (_ADMIN, ""),
    "edit": (_EDIT, ""),
    "view": (_VIEW, ""),
}
NAMESPACES = ("default", "kube-system", "kube-public")


def create_first_objects(backend: Backend) -> None:
    """Create the namespaces, roles and bindings of a new cluster."""
    for name in NAMESPACES:
        _create(backend, "", "namespaces", {"metadata": {"name": name}})
    for name, (rules, group) in _ROLES.items():
        role: Object = {"metadata": {"name": name}, "rules": rules}
        if name in ("admin", "edit", "view"):
            labels = {f"{_RBAC}/aggregate-to-{name}": "true"}
            role["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": labels}]}
        _create(backend, _RBAC, "clusterroles", role)
        if group:
            binding = {
                "metadata": {"name": name},
                "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": name},
                "subjects": [{"apiGroup": _RBAC, "kind": "Group", "name": group}],
            }
            _create(backend, _RBAC, "clusterrolebindings", binding)


def _create(backend: Backend, group: str, plural: str, value: Object) -> None:
    resource = backend.registry.find(group, "v1", plural)
    if resource is not None:
        backend.create(resource, "", value)
