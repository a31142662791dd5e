"""What is a part of an installation, and what is not."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dask_k8s_jupyter.clusters.operatorinstall import find_losses
from dask_k8s_jupyter.clusters.operatorparts import (
    MARK,
    build_served_kind,
    find_parts,
    mark,
    select_others,
)
from dask_k8s_jupyter.errors import DaskKubernetesError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.auth import Credentials
from dask_k8s_operator.kube.errors import ApiUnreachableError
from dask_k8s_operator.resources.kinds import (
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DASK_CLUSTERS,
    DASK_JOBS,
)
from dask_k8s_operator.resources.manifests import build_operator_manifests


def build_item(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}}


def test_everything_but_the_namespace_is_marked_beside_its_own_labels() -> None:
    for manifest in build_operator_manifests("team"):
        before = manifest["metadata"].get("labels") or {}
        marked = mark(manifest)["metadata"].get("labels") or {}
        expected = before if manifest["kind"] == "Namespace" else {**before, **MARK}
        assert marked == expected
        assert (manifest["metadata"].get("labels") or {}) == before


def test_what_this_release_has_and_what_a_controller_made_is_none_of_another_release() -> None:
    manifests = build_operator_manifests("team")
    older = build_item("dask-admin")
    parts = [
        (CLUSTER_ROLES, build_item("dask-user")),
        (CLUSTER_ROLES, older),
        (CONFIG_MAPS, build_item("dask-user", ownerReferences=[{"kind": "Other"}])),
        (CONFIG_MAPS, build_item("dask-user")),
    ]
    assert select_others(parts, manifests) == [parts[1], parts[3]]


def build_resources(plural: str, kind: str) -> dict[str, Any]:
    verbs = ["list", "delete"]
    return {"resources": [{"name": plural, "kind": kind, "namespaced": True, "verbs": verbs}]}


def build_list(*names: str) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "1"}, "items": [build_item(name) for name in names]}


def build_definition(scope: str, *versions: tuple[str, bool]) -> dict[str, Any]:
    spec = {
        "group": "acme.example",
        "scope": scope,
        "names": {"plural": "things", "kind": "Thing"},
        "versions": [{"name": name, "served": is_served} for name, is_served in versions],
    }
    return {**build_item("things.acme.example"), "spec": spec}


ACME = "acme.example/v1"
# What is asked of an API, and what it answers; it has one extension.
ANSWERS: dict[str, Any] = {
    "/apis": {"groups": [{"preferredVersion": {"groupVersion": ACME}}]},
    "/api/v1": build_resources("configmaps", "ConfigMap"),
    "/api/v1/namespaces/team/configmaps": build_list("older"),
    f"/apis/{ACME}": build_resources("things", "Thing"),
    f"/apis/{ACME}/namespaces/team/things": build_list("thing"),
}


@pytest.fixture
async def client() -> AsyncIterator[KubeClient]:
    async with KubeClient(Credentials("http://10.0.0.1")) as client:
        yield client


def answer(client: KubeClient, monkeypatch: pytest.MonkeyPatch, **odd: Any) -> None:
    async def json(method: str, path: str, *args: Any, **options: Any) -> Any:
        return {**ANSWERS, **odd}[path]

    monkeypatch.setattr(client._transport, "json", json)


@pytest.mark.parametrize(
    ("path", "said", "is_noted"),
    [
        (f"/apis/{ACME}", {"resources": None}, False),
        (f"/apis/{ACME}", {"resources": [{"name": "things"}]}, True),
        (f"/apis/{ACME}", {}, True),
        (f"/apis/{ACME}", "please log in", True),
        (f"/apis/{ACME}/namespaces/team/things", {"items": None}, True),
    ],
)
async def test_an_extension_that_answers_oddly_is_noted_and_passed_over(
    client: KubeClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    path: str,
    said: Any,
    is_noted: bool,
) -> None:
    answer(client, monkeypatch, **{path: said})
    with caplog.at_level(logging.WARNING):
        parts = await find_parts(client, "team")
    assert [item["metadata"]["name"] for _, item in parts] == ["older"]
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == [path] * is_noted


@pytest.mark.parametrize("path", ["/api/v1", "/api/v1/namespaces/team/configmaps"])
async def test_an_api_that_answers_oddly_itself_is_none(
    client: KubeClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    answer(client, monkeypatch, **{path: "please log in"})
    with pytest.raises(ApiUnreachableError, match="not Kubernetes"):
        await find_parts(client, "team")


@pytest.mark.parametrize(
    ("scope", "path", "lost"),
    [
        ("Namespaced", f"/apis/{ACME}/namespaces/team/things", "team/thing"),
        ("Cluster", f"/apis/{ACME}/things", "thing"),
    ],
)
async def test_what_goes_with_another_releases_definition_is_found_by_a_version_that_is_served(
    client: KubeClient, monkeypatch: pytest.MonkeyPatch, scope: str, path: str, lost: str
) -> None:
    definition = build_definition(scope, ("v1alpha1", False), ("v1", True))
    item = build_item("thing", **({"namespace": "team"} if scope == "Namespaced" else {}))
    answers = {
        CUSTOM_RESOURCE_DEFINITIONS.path(): {**build_list(), "items": [definition]},
        path: {**build_list(), "items": [item]},
    }
    for kind in (DASK_CLUSTERS, DASK_JOBS):
        answers[kind.path("team")] = build_list()
    answer(client, monkeypatch, **answers)
    assert (await find_losses(client, "team"))["Thing"] == [lost]


def test_a_definition_that_serves_nothing_is_named_with_what_to_do() -> None:
    with pytest.raises(DaskKubernetesError, match=r"things\.acme\.example serves no version"):
        build_served_kind(build_definition("Namespaced", ("v1", False)))
