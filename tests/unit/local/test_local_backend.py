"""The life of objects in the embedded API, without HTTP: create, change, apply."""

import pytest

from dask_k8s_jupyter.local.api.statuses import StatusError
from dask_k8s_operator.resources.crds import build_crds

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
