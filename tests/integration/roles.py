"""Who may do what in the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dask_k8s_operator.resources.kinds import Kind

SUBJECT_ACCESS_REVIEWS = Kind(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)


def build_binding(account: str, home: str, role: str, name: str) -> dict[str, Any]:
    """Build what gives a ServiceAccount of the namespace ``home`` a ClusterRole."""
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home}],
    }


def may_list_pods(in_api: Callable[..., Any], user: str, namespace: str) -> bool:
    """Whether a role, which an API server learns of a moment later, has come to count."""
    asked = {"verb": "list", "resource": "pods", "namespace": namespace}
    review = {"spec": {"user": user, "resourceAttributes": asked}}
    return bool(in_api("create", SUBJECT_ACCESS_REVIEWS, review)["status"]["allowed"])
