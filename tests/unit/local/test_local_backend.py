"""The life of objects in the embedded API, without HTTP: create, change, apply, own, delete."""

import copy
from ipaddress import ip_network

import pytest

from dask_k8s_jupyter.local.api import reading
from dask_k8s_jupyter.local.api.access import Attributes, Authorizer, Tokens, User, rule_allows
from dask_k8s_jupyter.local.api.backend import Backend
from dask_k8s_jupyter.local.api.bootstrap import create_first_objects
from dask_k8s_jupyter.local.api.garbage import DeleteOptions
from dask_k8s_jupyter.local.api.reading import WriteOptions
from dask_k8s_jupyter.local.api.statuses import StatusError
from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.manifests import build_operator_manifests

CLUSTER = {
    "metadata": {"name": "demo"},
    "spec": {
        "worker": {"spec": {"containers": [{"name": "w", "image": "x"}]}},
        "scheduler": {
            "spec": {"containers": [{"name": "s", "image": "x"}]},
            "service": {"ports": [{"port": 8786}]},
        },
    },
}


@pytest.fixture
def api():
    backend = Backend(ip_network("127.64.128.0/17"))
    create_first_objects(backend)
    return Api(backend)


class Api:
    """Short words for the tests."""

    def __init__(self, backend):
        self.backend = backend
        self.store = backend.store

    def resource(self, plural):
        return next(r for r in self.backend.registry if r.plural == plural)

    def create(self, plural, value, namespace="default", **options):
        resource = self.resource(plural)
        place = namespace if resource.namespaced else ""
        # The backend keeps what it is given.
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        own = head | copy.deepcopy(value)
        return self.backend.create(resource, place, own, WriteOptions(**options)).object

    def pod(self, name, **metadata):
        spec = {"containers": [{"name": "c", "image": "x"}]}
        return self.create("pods", {"metadata": {"name": name, **metadata}, "spec": spec})

    def get(self, plural, name, namespace="default"):
        return self.backend.get(self.resource(plural), namespace, name).object

    def patch(self, plural, name, body, kind="merge", subresource="", **options):
        types = {
            "merge": reading.MERGE_PATCH,
            "json": reading.JSON_PATCH,
            "strategic": reading.STRATEGIC_PATCH,
            "apply": reading.APPLY_PATCH,
        }
        if kind == "apply":
            resource = self.resource(plural)
            body = {"apiVersion": resource.api_version, "kind": resource.kind} | body
        record = self.backend.patch(
            self.resource(plural),
            "default",
            name,
            types[kind],
            body,
            subresource,
            WriteOptions(**options),
        )
        return record.object

    def delete(self, plural, name, namespace="default", **options):
        resource = self.resource(plural)
        place = namespace if resource.namespaced else ""
        result = self.backend.collector.delete(resource, place, name, DeleteOptions(**options))
        self.backend.collector.drain()
        return result

    def names(self, plural, namespace="default"):
        records = self.store.collection(self.resource(plural).storage_key).select(namespace, None)
        return [record.object["metadata"]["name"] for record in records]

    def install(self):
        for crd in build_crds():
            self.create("customresourcedefinitions", crd)


def owner_of(value, blocks=False):
    metadata = value["metadata"]
    return {
        "apiVersion": value["apiVersion"],
        "kind": value["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "blockOwnerDeletion": blocks,
    }


def test_a_created_object_has_what_the_system_gives_it(api):
    pod = api.pod("p")
    metadata = pod["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["uid"]
    assert metadata["resourceVersion"]
    assert pod["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert pod["spec"]["restartPolicy"] == "Always"
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == "Always"


def test_a_generated_name_begins_with_its_prefix(api):
    spec = {"containers": [{"name": "c", "image": "x"}]}
    names = {
        api.create("pods", {"metadata": {"generateName": "p-"}, "spec": spec})["metadata"]["name"]
        for _ in range(5)
    }
    assert len(names) == 5
    assert all(name.startswith("p-") and len(name) == 7 for name in names)


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        ({"metadata": {"name": "taken"}}, 409, "AlreadyExists"),
        ({"metadata": {"name": "Bad Name"}}, 422, "Invalid"),
        ({"metadata": {}}, 422, "Invalid"),
        ({"metadata": {"name": "x", "namespace": "other"}}, 400, "BadRequest"),
        ({"metadata": {"name": "x", "resourceVersion": "1"}}, 500, ""),
        ({"kind": "Secret", "metadata": {"name": "x"}}, 400, "BadRequest"),
        ({"metadata": {"name": "x", "labels": {"a b": "c"}}}, 422, "Invalid"),
    ],
)
def test_a_bad_object_is_refused_with_the_right_status(api, value, code, reason):
    api.create("configmaps", {"metadata": {"name": "taken"}})
    with pytest.raises(StatusError) as error:
        api.create("configmaps", value)
    assert (error.value.code, error.value.reason) == (code, reason)


def test_nothing_is_created_in_a_namespace_that_is_missing(api):
    with pytest.raises(StatusError, match='namespaces "gone" not found'):
        api.create("configmaps", {"metadata": {"name": "x"}}, "gone")


def test_a_stale_write_is_a_conflict_and_an_empty_one_keeps_the_version(api):
    first = api.create("configmaps", {"metadata": {"name": "x"}, "data": {"a": "1"}})
    version = first["metadata"]["resourceVersion"]
    assert api.patch("configmaps", "x", {"data": {"a": "1"}}) == first
    api.patch("configmaps", "x", {"data": {"a": "2"}})
    with pytest.raises(StatusError, match="the object has been modified"):
        api.patch("configmaps", "x", {"metadata": {"resourceVersion": version}})


def test_the_systems_metadata_cannot_be_written(api):
    before = api.create("configmaps", {"metadata": {"name": "x"}})["metadata"]
    body = {"metadata": {"creationTimestamp": "2000-01-01T00:00:00Z", "labels": {"a": "b"}}}
    after = api.patch("configmaps", "x", body)["metadata"]
    assert after["creationTimestamp"] == before["creationTimestamp"]
    with pytest.raises(StatusError, match=r"metadata\.uid: Invalid value"):
        api.patch("configmaps", "x", {"metadata": {"uid": "other"}})


def test_status_and_spec_are_written_through_different_doors(api):
    api.install()
    created = api.create("daskclusters", {**CLUSTER, "status": {"phase": "Forged"}})
    assert "status" not in created
    api.patch("daskclusters", "demo", {"status": {"phase": "Forged"}})
    assert "status" not in api.get("daskclusters", "demo")
    body = {"spec": {"idleTimeout": 9}, "status": {"phase": "Running"}}
    after = api.patch("daskclusters", "demo", body, subresource="status")
    assert after["status"] == {"phase": "Running"}
    assert after["spec"] == created["spec"]
    assert after["metadata"]["generation"] == 1


def test_scale_writes_replicas_and_raises_the_generation(api):
    api.install()
    api.create("daskclusters", CLUSTER)
    after = api.patch("daskclusters", "demo", {"spec": {"replicas": 5}}, subresource="scale")
    assert after["spec"]["worker"]["replicas"] == 5
    assert after["metadata"]["generation"] == 2


def test_a_custom_object_is_checked_by_its_definition(api):
    api.install()
    with pytest.raises(StatusError, match=r"spec\.worker: Required value"):
        api.create("daskclusters", {"metadata": {"name": "x"}, "spec": {"scheduler": {}}})
    with pytest.raises(StatusError, match="strict decoding error: unknown field"):
        api.create("daskclusters", {**CLUSTER, "spec": {**CLUSTER["spec"], "x": 1}}, is_strict=True)
    with pytest.raises(StatusError, match="53"):
        api.create("daskclusters", {**CLUSTER, "metadata": {"name": "a" * 54}})


def test_a_definition_that_goes_takes_its_objects_and_its_resource(api):
    api.install()
    api.create("daskclusters", CLUSTER)
    api.delete("customresourcedefinitions", "daskclusters.kubernetes.dask.org")
    assert api.backend.registry.find("kubernetes.dask.org", "v1", "daskclusters") is None


def test_a_definition_whose_rules_are_beyond_the_server_is_refused(api):
    crd = build_crds()[0]
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["x-kubernetes-validations"] = [{"rule": "cidr(self.a).isCanonical()"}]
    with pytest.raises(StatusError, match="knows a part of CEL"):
        api.create("customresourcedefinitions", crd)


# -- deletion ------------------------------------------------------------------------------------


def test_dependents_go_with_their_last_owner(api):
    first = api.create("configmaps", {"metadata": {"name": "first"}})
    second = api.create("configmaps", {"metadata": {"name": "second"}})
    api.pod("one", ownerReferences=[owner_of(first)])
    api.pod("both", ownerReferences=[owner_of(first), owner_of(second)])
    api.delete("configmaps", "first")
    assert api.names("pods") == ["both"]
    api.delete("configmaps", "second")
    assert api.names("pods") == []


def test_an_object_born_of_a_dead_owner_is_collected(api):
    dead = api.create("configmaps", {"metadata": {"name": "dead"}})
    api.delete("configmaps", "dead")
    api.pod("late", ownerReferences=[owner_of(dead)])
    api.backend.collector.drain()
    api.backend.collector.drain()
    assert api.names("pods") == []


def test_orphans_stay_and_lose_their_owner(api):
    owner = api.create("configmaps", {"metadata": {"name": "owner"}})
    api.pod("p", ownerReferences=[owner_of(owner)])
    api.delete("configmaps", "owner", propagation="Orphan")
    assert "ownerReferences" not in api.get("pods", "p")["metadata"]


def test_a_foreground_deletion_waits_for_those_that_block_it(api):
    owner = api.create("configmaps", {"metadata": {"name": "owner"}})
    api.pod("p", ownerReferences=[owner_of(owner, blocks=True)], finalizers=["test/hold"])
    _, is_gone = api.delete("configmaps", "owner", propagation="Foreground")
    assert not is_gone
    assert api.get("configmaps", "owner")["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in api.get("pods", "p")["metadata"]
    api.patch("pods", "p", {"metadata": {"finalizers": None}})
    assert api.names("pods") == []
    assert "owner" not in api.names("configmaps")


def test_what_joins_an_owner_that_is_going_goes_too(api):
    owner = api.create("configmaps", {"metadata": {"name": "owner"}})
    api.pod("early", ownerReferences=[owner_of(owner, blocks=True)], finalizers=["test/hold"])
    api.delete("configmaps", "owner", propagation="Foreground")
    api.pod("late", ownerReferences=[owner_of(owner, blocks=True)])
    api.backend.collector.drain()
    assert api.names("pods") == ["early"]
    api.patch("pods", "early", {"metadata": {"finalizers": None}})
    assert "owner" not in api.names("configmaps")


def test_a_finalizer_holds_an_object_until_it_is_removed(api):
    api.create("configmaps", {"metadata": {"name": "x", "finalizers": ["a/b"]}})
    _, is_gone = api.delete("configmaps", "x")
    assert not is_gone
    with pytest.raises(StatusError, match="no new finalizers can be added"):
        api.patch("configmaps", "x", {"metadata": {"finalizers": ["a/b", "c/d"]}})
    api.patch("configmaps", "x", {"metadata": {"finalizers": []}})
    assert "x" not in api.names("configmaps")


def test_a_pod_on_a_node_waits_for_its_node_and_one_on_none_does_not(api):
    api.pod("bound")
    api.backend.bind(api.resource("pods"), "default", "bound", {"target": {"name": "local"}})
    api.pod("free")
    assert api.delete("pods", "free")[1]
    record, is_gone = api.delete("pods", "bound")
    assert not is_gone
    assert record.object["metadata"]["deletionGracePeriodSeconds"] == 30
    record, _ = api.delete("pods", "bound", grace_period_s=5)
    assert record.object["metadata"]["deletionGracePeriodSeconds"] == 5
    assert api.delete("pods", "bound", grace_period_s=0)[1]


def test_a_deletion_of_another_object_of_the_name_is_refused(api):
    api.pod("p")
    with pytest.raises(StatusError, match=r"the UID in the precondition \(other\)"):
        api.delete("pods", "p", uid="other")


def test_a_namespace_goes_when_it_is_empty_and_takes_nothing_new(api):
    api.create("namespaces", {"metadata": {"name": "team"}})
    assert api.names("serviceaccounts", "team") == ["default"]
    api.create("configmaps", {"metadata": {"name": "x", "finalizers": ["a/b"]}}, "team")
    _, is_gone = api.delete("namespaces", "team")
    assert not is_gone
    with pytest.raises(StatusError, match="because it is being terminated"):
        api.create("configmaps", {"metadata": {"name": "y"}}, "team")
    resource = api.resource("configmaps")
    body = {"metadata": {"finalizers": None}}
    api.backend.patch(resource, "team", "x", reading.MERGE_PATCH, body)
    assert "team" not in api.names("namespaces", None)


# -- server-side apply ---------------------------------------------------------------------------


def apply(api, data, manager, **options):
    body = {"metadata": {"name": "x"}, "data": data}
    return api.patch("configmaps", "x", body, "apply", manager=manager, **options).get("data")


def test_an_apply_creates_merges_and_removes_what_its_manager_left_out(api):
    assert apply(api, {"a": "1", "b": "2"}, "one") == {"a": "1", "b": "2"}
    assert apply(api, {"c": "3"}, "two") == {"a": "1", "b": "2", "c": "3"}
    assert apply(api, {"a": "1"}, "one") == {"a": "1", "c": "3"}


def test_a_value_of_another_manager_is_a_conflict_unless_forced(api):
    apply(api, {"a": "1"}, "one")
    with pytest.raises(StatusError, match=r'conflict with "one": \.data\.a') as error:
        apply(api, {"a": "2"}, "two")
    assert error.value.code == 409
    assert apply(api, {"a": "2"}, "two", is_forced=True) == {"a": "2"}
    with pytest.raises(StatusError, match='conflict with "two"'):
        apply(api, {"a": "1"}, "one")


def test_a_plain_write_takes_a_field_over_from_the_applier(api):
    apply(api, {"a": "1"}, "one")
    api.patch("configmaps", "x", {"data": {"a": "2"}}, manager="kubectl-edit")
    with pytest.raises(StatusError, match='conflict with "kubectl-edit"'):
        apply(api, {"a": "1"}, "one")


def test_an_apply_that_changes_nothing_keeps_the_version(api):
    apply(api, {"a": "1"}, "one")
    before = api.get("configmaps", "x")
    apply(api, {"a": "1"}, "one")
    assert api.get("configmaps", "x") == before


# -- access --------------------------------------------------------------------------------------


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
