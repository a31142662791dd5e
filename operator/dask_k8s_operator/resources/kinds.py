"""The Kubernetes kinds that we read or write, and how the API addresses each of them.

Guarantees that a kind is named once. Refuses to know anything of a client or a connection.
"""

from __future__ import annotations

from dataclasses import dataclass

GROUP = "kubernetes.dask.org"
VERSION = "v1"


@dataclass(frozen=True)
class Kind:
    """One kind of a Kubernetes API.

    Parameters
    ----------
    group
        API group, "" for the core group.
    version
        Version within the group, such as ``"v1"``.
    plural
        Lower-case plural, as it stands in URLs.
    kind
        Name in manifests.
    namespaced
        Whether objects of the kind live in a namespace.

    Examples
    --------
    >>> PODS.path("team-a", "x")
    '/api/v1/namespaces/team-a/pods/x'
    >>> DASK_CLUSTERS.path()
    '/apis/kubernetes.dask.org/v1/daskclusters'
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``apiVersion`` in manifests."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Path of the collection, or of one object; ``namespace=None`` means all namespaces."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


DASK_CLUSTERS = Kind(GROUP, VERSION, "daskclusters", "DaskCluster")
DASK_WORKER_GROUPS = Kind(GROUP, VERSION, "daskworkergroups", "DaskWorkerGroup")
DASK_JOBS = Kind(GROUP, VERSION, "daskjobs", "DaskJob")
DASK_AUTOSCALERS = Kind(GROUP, VERSION, "daskautoscalers", "DaskAutoscaler")
DASK_KINDS = (DASK_CLUSTERS, DASK_WORKER_GROUPS, DASK_JOBS, DASK_AUTOSCALERS)

PODS = Kind("", "v1", "pods", "Pod")
SERVICES = Kind("", "v1", "services", "Service")
EVENTS = Kind("", "v1", "events", "Event")
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap")
SECRETS = Kind("", "v1", "secrets", "Secret")
SERVICE_ACCOUNTS = Kind("", "v1", "serviceaccounts", "ServiceAccount")
NAMESPACES = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
NODES = Kind("", "v1", "nodes", "Node", namespaced=False)
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment")
LEASES = Kind("coordination.k8s.io", "v1", "leases", "Lease")
RBAC_GROUP = "rbac.authorization.k8s.io"
ROLES = Kind(RBAC_GROUP, "v1", "roles", "Role")
ROLE_BINDINGS = Kind(RBAC_GROUP, "v1", "rolebindings", "RoleBinding")
CLUSTER_ROLES = Kind(RBAC_GROUP, "v1", "clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = Kind(
    RBAC_GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
CUSTOM_RESOURCE_DEFINITIONS = Kind(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False
)
SELF_SUBJECT_ACCESS_REVIEWS = Kind(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False
)
