"""The definitions stay small, strict where they are ours, open where they are Kubernetes'."""

import json
from pathlib import Path

import pytest
import yaml

from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.manifests import (
    build_manifest_files,
    build_operator_manifests,
    operator_rules,
)

MANIFESTS = Path(__file__).parents[3] / "operator" / "manifests"
CRDS = {crd["spec"]["names"]["plural"]: crd for crd in build_crds()}


def schema_of(plural):
    return CRDS[plural]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize("plural", CRDS)
def test_a_definition_fits_into_a_client_side_apply(plural):
    # kubectl apply keeps the whole manifest in an annotation of at most 256 kB; we promise 50.
    assert len(json.dumps(CRDS[plural])) < 50_000


@pytest.mark.parametrize(
    ("plural", "short_names", "subresources"),
    [
        ("daskclusters", ["daskcluster", "dsk"], {"status", "scale"}),
        ("daskworkergroups", ["daskworkers", "dwg"], {"status", "scale"}),
        ("daskjobs", ["djb"], {"status"}),
        ("daskautoscalers", None, {"status"}),
    ],
)
def test_names_and_subresources_are_those_that_clients_use(plural, short_names, subresources):
    spec = CRDS[plural]["spec"]
    assert spec["names"].get("shortNames") == short_names
    assert set(spec["versions"][0]["subresources"]) == subresources


@pytest.mark.parametrize(
    ("plural", "columns"),
    [
        ("daskclusters", ["Workers", "Ready", "Status", "Reason", "Age"]),
        ("daskworkergroups", ["Workers", "Ready", "Reason", "Age"]),
        ("daskjobs", ["Status", "Number Of Workers", "Reason", "Age"]),
        ("daskautoscalers", ["Cluster", "Minimum", "Maximum", "Desired", "Reason", "Age"]),
    ],
)
def test_kubectl_get_shows_the_state_and_its_reason(plural, columns):
    version = CRDS[plural]["spec"]["versions"][0]
    assert [column["name"] for column in version["additionalPrinterColumns"]] == columns


def test_pod_and_service_specs_pass_through_but_want_a_container():
    spec = schema_of("daskclusters")["properties"]["spec"]["properties"]
    pod = spec["worker"]["properties"]["spec"]
    assert pod["x-kubernetes-preserve-unknown-fields"] is True
    assert pod["required"] == ["containers"]
    assert pod["properties"]["containers"]["minItems"] == 1
    service = spec["scheduler"]["properties"]["service"]
    assert service["x-kubernetes-preserve-unknown-fields"] is True


def test_defaults_are_those_of_the_contract():
    cluster = schema_of("daskclusters")["properties"]["spec"]["properties"]
    assert cluster["idleTimeout"]["default"] == 0
    assert cluster["worker"]["properties"]["replicas"]["default"] == 1
    job = schema_of("daskjobs")["properties"]["spec"]["properties"]["job"]["properties"]["spec"]
    assert job["properties"]["restartPolicy"]["default"] == "OnFailure"


def test_the_manifests_in_the_repository_are_generated_ones():
    on_disk = {
        str(path.relative_to(MANIFESTS)): path.read_text() for path in MANIFESTS.rglob("*.yaml")
    }
    assert on_disk == build_manifest_files(), (
        "run: python -m dask_k8s_operator.resources.manifests operator/manifests"
    )


def test_the_written_yaml_says_the_same_as_the_values():
    for name, text in build_manifest_files().items():
        if name.startswith("crds/") and not name.endswith("kustomization.yaml"):
            assert [yaml.safe_load(text)] == [
                crd for crd in build_crds() if f"crds/{crd['metadata']['name']}.yaml" == name
            ]


@pytest.mark.parametrize("single_namespace", [False, True])
def test_every_manifest_is_written_as_it_is(single_namespace):
    manifests = build_operator_manifests(single_namespace=single_namespace)
    folder = "single-namespace/" if single_namespace else ""
    text = build_manifest_files()[f"{folder}operator.yaml"]
    assert list(yaml.safe_load_all(text)) == manifests
    is_namespaced = {m["kind"]: bool(m["metadata"].get("namespace")) for m in manifests}
    assert ("ClusterRole" in is_namespaced) is not single_namespace
    if single_namespace:
        assert all(is_namespaced.values())


def test_everybody_may_see_who_leads_and_nothing_else():
    manifests = build_operator_manifests()
    (binding,) = (
        m
        for m in manifests
        if m["kind"].endswith("Binding") and m["subjects"][0]["kind"] == "Group"
    )
    (role,) = (
        m
        for m in manifests
        if (m["kind"], m["metadata"]["name"]) == ("Role", binding["roleRef"]["name"])
    )
    (rule,) = role["rules"]
    assert (rule["verbs"], rule["resourceNames"]) == (["get"], ["dask-operator"])


def test_the_operator_may_not_list_secrets_nor_anything_with_a_star():
    for rule in operator_rules():
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        if "secrets" in rule["resources"]:
            assert rule["verbs"] == ["get", "create", "patch"]
