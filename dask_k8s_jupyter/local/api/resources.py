"""Which resources the server knows, with their names, verbs, subresources and CRD particulars.

Guarantees that a resource is described once, for discovery, routing, tables and storage.
Refuses nothing itself: a resource that is not registered is a 404.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
STATUS_VERBS = ("get", "patch", "update")


@dataclass(frozen=True)
class Resource:
    """One served resource of one group version.

    Parameters
    ----------
    group, version, plural, kind
        As in URLs and manifests; the core group is "".
    singular
        What ``kubectl get <singular>`` says.
    namespaced
        Whether objects live in a namespace.
    short_names, categories
        As discovery lists them.
    subresources
        Names of the subresources that are served.
    verbs
        Verbs on the resource itself.
    schema, columns, scale_paths
        Of a custom resource: the structural schema, the printer columns, the paths of scale.
    is_served, storage_version
        Of a custom resource with several versions: whether clients see this one, and which one
        its objects are kept in; "" when that is this one.
    """

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    schema: dict[str, Any] | None = field(default=None, compare=False)
    columns: tuple[dict[str, Any], ...] = field(default=(), compare=False)
    scale_paths: dict[str, str] | None = field(default=None, compare=False)
    is_served: bool = True
    storage_version: str = ""

    @property
    def api_version(self) -> str:
        """``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_custom(self) -> bool:
        """Whether a CustomResourceDefinition made it."""
        return self.schema is not None

    @property
    def list_kind(self) -> str:
        """Kind of a list of its objects."""
        return f"{self.kind}List"

    @property
    def storage_key(self) -> tuple[str, str]:
        """Where its objects are kept."""
        return (self.group, self.plural)


def _core(plural: str, kind: str, *short: str, **more: Any) -> Resource:
    return Resource("", "v1", plural, kind, kind.lower(), short_names=short, **more)


_RBAC = "rbac.authorization.k8s.io"
_CREATE = ("create",)
_WORKLOAD_SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    # A map of labels here, which scale writes as the text of a selector.
    "labelSelectorPath": ".spec.selector",
}

BUILT_IN = (
    _core(
        "namespaces",
        "Namespace",
        "ns",
        namespaced=False,
        subresources=("status",),
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    ),
    _core("nodes", "Node", "no", namespaced=False, subresources=("status",)),
    _core(
        "pods",
        "Pod",
        "po",
        categories=("all",),
        subresources=("status", "binding", "eviction", "exec", "log", "portforward"),
    ),
    _core("services", "Service", "svc", categories=("all",), subresources=("status",)),
    _core("endpoints", "Endpoints", "ep"),
    _core("events", "Event", "ev"),
    _core("configmaps", "ConfigMap", "cm"),
    _core("secrets", "Secret"),
    _core("serviceaccounts", "ServiceAccount", "sa", subresources=("token",)),
    _core("persistentvolumeclaims", "PersistentVolumeClaim", "pvc", subresources=("status",)),
    _core("resourcequotas", "ResourceQuota", "quota", subresources=("status",)),
    Resource(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        "deployment",
        short_names=("deploy",),
        categories=("all",),
        subresources=("scale", "status"),
        scale_paths=_WORKLOAD_SCALE,
    ),
    Resource(
        "apps",
        "v1",
        "replicasets",
        "ReplicaSet",
        "replicaset",
        short_names=("rs",),
        categories=("all",),
        subresources=("scale", "status"),
        scale_paths=_WORKLOAD_SCALE,
    ),
    Resource("batch", "v1", "jobs", "Job", "job", categories=("all",), subresources=("status",)),
    Resource(
        "discovery.k8s.io",
        "v1",
        "endpointslices",
        "EndpointSlice",
        "endpointslice",
    ),
    Resource("coordination.k8s.io", "v1", "leases", "Lease", "lease"),
    Resource(_RBAC, "v1", "roles", "Role", "role"),
    Resource(_RBAC, "v1", "rolebindings", "RoleBinding", "rolebinding"),
    Resource(_RBAC, "v1", "clusterroles", "ClusterRole", "clusterrole", namespaced=False),
    Resource(
        _RBAC,
        "v1",
        "clusterrolebindings",
        "ClusterRoleBinding",
        "clusterrolebinding",
        namespaced=False,
    ),
    Resource(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "customresourcedefinition",
        namespaced=False,
        short_names=("crd", "crds"),
        categories=("api-extensions",),
        subresources=("status",),
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreview",
        namespaced=False,
        verbs=_CREATE,
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "subjectaccessreviews",
        "SubjectAccessReview",
        "subjectaccessreview",
        namespaced=False,
        verbs=_CREATE,
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        "selfsubjectrulesreview",
        namespaced=False,
        verbs=_CREATE,
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "localsubjectaccessreviews",
        "LocalSubjectAccessReview",
        "localsubjectaccessreview",
        verbs=_CREATE,
    ),
    Resource(
        "authentication.k8s.io",
        "v1",
        "selfsubjectreviews",
        "SelfSubjectReview",
        "selfsubjectreview",
        namespaced=False,
        verbs=_CREATE,
    ),
)

# Kind and verbs of subresources, for discovery.
SUBRESOURCES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "status": ("", "", "", STATUS_VERBS),
    "scale": ("autoscaling", "v1", "Scale", STATUS_VERBS),
    "binding": ("", "v1", "Binding", _CREATE),
    "eviction": ("policy", "v1", "Eviction", _CREATE),
    "log": ("", "", "", ("get",)),
    "exec": ("", "v1", "PodExecOptions", ("create", "get")),
    "portforward": ("", "v1", "PodPortForwardOptions", ("create", "get")),
    "token": ("authentication.k8s.io", "v1", "TokenRequest", _CREATE),
}


class Registry:
    """The resources served now; CustomResourceDefinitions add and remove theirs."""

    def __init__(self) -> None:
        self._resources = {(r.group, r.version, r.plural): r for r in BUILT_IN}
        self.generation = 0

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Resource of a URL, or None."""
        found = self._resources.get((group, version, plural))
        return found if found is not None and found.is_served else None

    def find_stored(self, key: tuple[str, str]) -> Resource:
        """Resource whose objects are kept under ``key``, in the version that is kept."""
        return next(
            r for r in self._resources.values() if r.storage_key == key and not r.storage_version
        )

    def find_kind(self, group: str, kind: str) -> Resource | None:
        """Resource of a kind, in whichever version is served."""
        return next(
            (r for r in self._resources.values() if r.group == group and r.kind == kind), None
        )

    def add(self, resource: Resource) -> None:
        """Serve a custom resource, or serve it in its new form."""
        self._resources[(resource.group, resource.version, resource.plural)] = resource
        self.generation += 1

    def remove(self, group: str, plural: str) -> None:
        """Serve a custom resource no longer."""
        kept = {k: r for k, r in self._resources.items() if r.storage_key != (group, plural)}
        self._resources = kept
        self.generation += 1

    def group_versions(self) -> dict[tuple[str, str], list[Resource]]:
        """Resources by group and version, the core group first."""
        found: dict[tuple[str, str], list[Resource]] = {}
        for resource in self:
            found.setdefault((resource.group, resource.version), []).append(resource)
        return found

    def __iter__(self) -> Any:
        return iter([r for r in self._resources.values() if r.is_served])
