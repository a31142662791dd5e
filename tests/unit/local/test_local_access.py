"""Who may do what in the embedded API, and what watches tell."""

import pytest

from dask_k8s_jupyter.local.api.access import Attributes, Authorizer, Tokens, User, rule_allows
from dask_k8s_jupyter.local.api.statuses import StatusError
from dask_k8s_operator.resources.manifests import build_operator_manifests


@pytest.mark.parametrize(
    ("rule", "wanted", "allowed"),
    [
        ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {}, True),
        ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, {}, True),
        ({"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]}, {}, False),
        ({"verbs": ["get"], "apiGroups": ["apps"], "resources": ["pods"]}, {}, False),
        (
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]},
            {"subresource": "log"},
            False,
        ),
        (
            {"verbs": ["get"], "apiGroups": [""], "resources": ["*/log"]},
            {"subresource": "log"},
            True,
        ),
        (
            {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]},
            {"name": "b"},
            False,
        ),
    ],
)
def test_a_rule_allows_what_it_names(rule, wanted, allowed):
    attributes = Attributes(**{"verb": "get", "plural": "pods", "namespace": "n"} | wanted)
    assert rule_allows(rule, attributes) is allowed


def test_an_account_may_what_its_bindings_grant_where_they_grant_it(api):
    for manifest in build_operator_manifests():
        if manifest["kind"] != "Deployment":
            plural = {
                "Namespace": "namespaces",
                "ServiceAccount": "serviceaccounts",
                "ClusterRole": "clusterroles",
                "ClusterRoleBinding": "clusterrolebindings",
                "Role": "roles",
                "RoleBinding": "rolebindings",
            }[manifest["kind"]]
            api.create(plural, manifest, manifest["metadata"].get("namespace", ""))
    subject = {"kind": "ServiceAccount", "name": "nb", "namespace": "default"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    binding = {"metadata": {"name": "nb"}, "subjects": [subject], "roleRef": role}
    api.create("rolebindings", binding)
    user = User("system:serviceaccount:default:nb", ("system:authenticated",))
    authorizer = Authorizer(api.store)

    def may(verb, plural, namespace, group="kubernetes.dask.org"):
        return authorizer.is_allowed(user, Attributes(verb, group, plural, namespace=namespace))

    # "edit" gathers our user role by its label.
    assert may("create", "daskclusters", "default")
    assert not may("create", "daskclusters", "kube-system")
    assert not may("list", "nodes", "", group="")
    with pytest.raises(StatusError, match='cannot create resource "daskclusters" in API group'):
        authorizer.check(user, Attributes("create", "kubernetes.dask.org", "daskclusters"))


def test_a_token_ends_with_its_account(api):
    tokens = Tokens(api.store)
    account = api.get("serviceaccounts", "default")
    uid = account["metadata"]["uid"]
    token = tokens.issue(User("system:serviceaccount:default:default", (), uid))
    assert tokens.authenticate(f"Bearer {token}").uid == uid
    api.delete("serviceaccounts", "default")
    with pytest.raises(StatusError, match="Unauthorized"):
        tokens.authenticate(f"Bearer {token}")
    with pytest.raises(StatusError, match="Unauthorized"):
        tokens.authenticate("Bearer made-up")
    assert tokens.authenticate(None).name == "system:anonymous"


# -- watching ------------------------------------------------------------------------------------


def test_a_watch_resumes_where_it_was_and_tells_what_entered_and_left_its_selection(api):
    key = ("", "pods")
    version = api.store.version
    api.pod("p", labels={"app": "a"})
    api.patch("pods", "p", {"metadata": {"labels": {"app": "b"}}})
    api.patch("pods", "p", {"metadata": {"labels": {"app": "a"}}})
    api.delete("pods", "p")

    def selected(value):
        return (value["metadata"].get("labels") or {}).get("app") == "a"

    watcher = api.store.watch(key, "default", selected, version)
    assert [type_ for type_, _ in watcher.pending] == ["ADDED", "DELETED", "ADDED", "DELETED"]
    everything = api.store.watch(key, None, None, version)
    types = [type_ for type_, _ in everything.pending]
    assert types == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def test_a_watch_from_before_the_compaction_is_answered_with_410(api):
    version = api.store.version
    api.pod("p")
    api.store.compact()
    with pytest.raises(StatusError, match="too old resource version") as error:
        api.store.watch(("", "pods"), None, None, version)
    assert error.value.code == 410


def test_a_watcher_that_does_not_read_is_cut_off(api, monkeypatch):
    monkeypatch.setattr("dask_k8s_jupyter.local.api.store.WATCH_BUFFER", 3)
    watcher = api.store.watch(("", "pods"), None, None, api.store.version)
    for number in range(5):
        api.pod(f"p{number}")
    assert watcher.is_overrun
    assert len(watcher.pending) == 3
