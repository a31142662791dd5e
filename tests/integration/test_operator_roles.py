"""The ClusterRoles for people reach whoever has Kubernetes' or Kubeflow's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import (
    CLUSTER_ROLES,
    DASK_CLUSTERS,
    DASK_JOBS,
    PODS,
    RBAC_GROUP,
    ROLE_BINDINGS,
    Kind,
)

REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
KUBEFLOW = "rbac.authorization.kubeflow.org/aggregate-to-kubeflow-"
ROLES = ("edit", "view")

MayI = Callable[[str, str, Kind], Awaitable[bool]]


@pytest.fixture
async def may(kube_client: KubeClient, namespace: str) -> AsyncIterator[MayI]:
    """Ask what somebody may who has Kubeflow's role, as Kubeflow makes and binds it."""
    names = {role: f"kubeflow-{role}-{namespace}" for role in ROLES}
    for role, name in names.items():
        selector = {"matchLabels": {f"{KUBEFLOW}{role}": "true"}}
        rule = {"clusterRoleSelectors": [selector]}
        body = {"metadata": {"name": name}, "aggregationRule": rule, "rules": []}
        await kube_client.create(CLUSTER_ROLES, body)
        binding = {
            "metadata": {"name": name},
            "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": RBAC_GROUP, "kind": "User", "name": f"{role}or"}],
        }
        await kube_client.create(ROLE_BINDINGS, binding, namespace)

    async def ask(role: str, verb: str, kind: Kind) -> bool:
        attributes = {
            "verb": verb,
            "group": kind.group,
            "resource": kind.plural,
            "namespace": namespace,
        }
        spec = {"user": f"{role}or", "resourceAttributes": attributes}
        review = await kube_client.request("POST", REVIEWS, body={"spec": spec})
        return bool(review["status"]["allowed"])

    yield ask
    for name in names.values():
        await kube_client.delete(CLUSTER_ROLES, name)


async def test_the_roles_carry_the_labels_by_which_others_take_them_in(kube_client):
    expected = {"dask-user": {"edit", "admin"}, "dask-viewer": {"view"}}
    for name, roles in expected.items():
        labels = (await kube_client.get(CLUSTER_ROLES, name))["metadata"]["labels"]
        prefix = f"{RBAC_GROUP}/aggregate-to-"
        found = {key.removeprefix(prefix) for key in labels if key.startswith(prefix)}
        assert found == roles
        first = "edit" if "edit" in roles else "view"
        assert labels[f"{KUBEFLOW}{first}"] == "true"


async def test_who_edits_in_kubeflow_makes_clusters_and_who_views_sees_them(may, wait_until):
    # Kubernetes copies the rules a moment after the role is made.
    await wait_until(lambda: may("edit", "create", DASK_CLUSTERS))
    await wait_until(lambda: may("view", "list", DASK_CLUSTERS))
    assert await may("edit", "delete", DASK_CLUSTERS)
    assert await may("edit", "list", PODS)
    assert await may("view", "watch", DASK_CLUSTERS)
    assert not await may("view", "create", DASK_CLUSTERS)
    assert not await may("view", "delete", DASK_JOBS)
    # Neither runs Pods of his own by it.
    assert not await may("edit", "create", PODS)
