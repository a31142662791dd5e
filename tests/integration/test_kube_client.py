"""The client, the informer and the credentials against a live API."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_k8s_operator.kube import Informer, KubeClient
from dask_k8s_operator.kube import client as client_module
from dask_k8s_operator.kube.errors import (
    AlreadyExistsError,
    ApiUnreachableError,
    ConflictError,
    InvalidError,
    NoKubeconfigError,
    NotFoundError,
    UnauthorizedError,
    UnsupportedKindError,
)
from dask_k8s_operator.kube.kubeconfig import read_context
from dask_k8s_operator.resources.kinds import CONFIG_MAPS, PODS, Kind

WaitUntil = Callable[..., Awaitable[Any]]
OURS = "test=ours"


def config_map(name: str, text: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"test": "ours"}}, "data": {"text": text}}


async def test_an_object_lives_from_create_to_delete(
    kube_client: KubeClient, namespace: str
) -> None:
    created = await kube_client.create(CONFIG_MAPS, config_map("a"), namespace)
    with pytest.raises(AlreadyExistsError):
        await kube_client.create(CONFIG_MAPS, config_map("a"), namespace)
    patched = await kube_client.patch(CONFIG_MAPS, "a", {"data": {"text": "new"}}, namespace)
    assert patched["data"]["text"] == "new"
    read = await kube_client.get(CONFIG_MAPS, "a", namespace)
    assert read["metadata"]["uid"] == created["metadata"]["uid"]
    with pytest.raises(ConflictError):
        await kube_client.delete(CONFIG_MAPS, "a", namespace, uid="another")
    await kube_client.delete(CONFIG_MAPS, "a", namespace, uid=created["metadata"]["uid"])
    with pytest.raises(NotFoundError) as caught:
        await kube_client.get(CONFIG_MAPS, "a", namespace)
    assert str(caught.value).startswith(f"get configmaps {namespace}/a: ")


async def test_patches_come_in_several_kinds(kube_client: KubeClient, namespace: str) -> None:
    await kube_client.create(CONFIG_MAPS, config_map("a", "old"), namespace)
    operations = [{"op": "replace", "path": "/data/text", "value": "json"}]
    patched = await kube_client.patch(CONFIG_MAPS, "a", operations, namespace, patch_type="json")
    assert patched["data"]["text"] == "json"
    whole = {"apiVersion": "v1", "kind": "ConfigMap", **config_map("b", "applied")}
    for _ in range(2):
        applied = await kube_client.patch(
            CONFIG_MAPS, "b", whole, namespace, patch_type="apply", force=True
        )
    assert applied["data"]["text"] == "applied"


async def test_refusals_say_what_is_wrong(kube_client: KubeClient, namespace: str) -> None:
    with pytest.raises(InvalidError, match="Bad Name"):
        await kube_client.create(CONFIG_MAPS, config_map("Bad Name"), namespace)
    with pytest.raises(UnsupportedKindError):
        await kube_client.list(Kind("nobody.example.com", "v1", "things", "Thing"), namespace)


async def test_lists_are_whole_however_many_pages_they_have(
    kube_client: KubeClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"page-{i}" for i in range(7)]
    await asyncio.gather(
        *(kube_client.create(CONFIG_MAPS, config_map(name), namespace) for name in names)
    )
    monkeypatch.setattr(client_module, "PAGE_SIZE", 3)
    listed = await kube_client.list(CONFIG_MAPS, namespace, label_selector=OURS)
    assert [item["metadata"]["name"] for item in listed.items] == names
    assert {item["kind"] for item in listed.items} == {"ConfigMap"}


async def test_an_informer_follows_and_outlives_its_connection(
    kube_client: KubeClient, namespace: str, wait_until: WaitUntil
) -> None:
    changes: list[tuple[str | None, str | None]] = []

    def text(item: dict[str, Any] | None) -> str | None:
        return item and item["data"]["text"]

    informer = Informer(
        kube_client,
        CONFIG_MAPS,
        namespace,
        label_selector=OURS,
        on_change=lambda old, new: changes.append((text(old), text(new))),
    )
    await kube_client.create(CONFIG_MAPS, config_map("a", "1"), namespace)
    task = asyncio.ensure_future(informer.run())
    try:
        await informer.wait_synced()
        await kube_client.patch(CONFIG_MAPS, "a", {"data": {"text": "2"}}, namespace)
        await wait_until(lambda: len(changes) == 2)
        big = "x" * 700_000  # longer than any read buffer
        await kube_client.create(CONFIG_MAPS, config_map("b", big), namespace)
        await kube_client.delete(CONFIG_MAPS, "a", namespace)
        await wait_until(lambda: len(changes) == 4)
        assert changes == [(None, "1"), ("1", "2"), (None, big), ("2", None)]
    finally:
        task.cancel()


async def test_a_watch_ends_when_its_time_is_up(kube_client: KubeClient, namespace: str) -> None:
    listed = await kube_client.list(CONFIG_MAPS, namespace)
    stream = kube_client.watch(
        CONFIG_MAPS, namespace, resource_version=listed.resource_version, timeout_s=1
    )
    events = [event.type async for event in stream]
    assert set(events) <= {"BOOKMARK", "ADDED", "MODIFIED"}


async def test_it_may_ask_what_it_may(kube_client: KubeClient, namespace: str) -> None:
    assert await kube_client.can_i("create", PODS, namespace)
    assert await kube_client.can_i("get", PODS, namespace, subresource="portforward")


@pytest.fixture
def documents(kubeconfig: Path) -> dict[str, Any]:
    """The kubeconfig of the test's Kubernetes, parsed."""
    parsed: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    return parsed


async def test_files_and_inline_material_are_the_same(
    documents: dict[str, Any], kubeconfig: Path, tmp_path: Path
) -> None:
    cluster = documents["clusters"][0]["cluster"]
    user = documents["users"][0]["user"]
    for section in (cluster, user):
        for key in ("certificate-authority", "client-certificate", "client-key"):
            if f"{key}-data" in section:
                (tmp_path / key).write_bytes(base64.b64decode(section.pop(f"{key}-data")))
                section[key] = key
            elif key in section:
                section[key] = str((kubeconfig.parent / section[key]).resolve())
    if "token" in user:
        (tmp_path / "token").write_text(user.pop("token") + "\n")
        user["tokenFile"] = "token"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(documents))
    async with await KubeClient.connect(path) as client:
        assert (await client.request("GET", "/version"))["gitVersion"]


@pytest.mark.parametrize(
    ("name", "expectation"),
    [
        pytest.param(
            "kubernetes",
            contextlib.nullcontext(),
            marks=pytest.mark.local_only("which names a certificate bears must be known"),
            id="good",
        ),
        pytest.param(
            "elsewhere.invalid",
            pytest.raises(ApiUnreachableError, match=r"not trusted.*elsewhere\.invalid"),
            id="bad",
        ),
    ],
)
async def test_a_certificate_may_be_for_another_name_than_that_of_the_address(
    documents: dict[str, Any], tmp_path: Path, name: str, expectation: AbstractContextManager[Any]
) -> None:
    documents["clusters"][0]["cluster"]["tls-server-name"] = name
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(documents))
    async with await KubeClient.connect(path) as client:
        with expectation:
            assert (await client.request("GET", "/version"))["gitVersion"]


async def test_a_token_file_is_read_again_when_the_api_refuses_it(
    namespace: str, kube_client: KubeClient, documents: dict[str, Any], tmp_path: Path
) -> None:
    accounts = Kind("", "v1", "serviceaccounts", "ServiceAccount")
    await kube_client.create(accounts, {"metadata": {"name": "renewed"}}, namespace)
    issued = await kube_client.request(
        "POST",
        f"{accounts.path(namespace, 'renewed')}/token",
        body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    documents["users"][0]["user"] = {"tokenFile": str(tmp_path / "token")}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(documents))
    (tmp_path / "token").write_text("stale")
    async with await KubeClient.connect(path) as client:
        with pytest.raises(UnauthorizedError):
            await client.can_i("get", PODS, namespace)
        (tmp_path / "token").write_text(issued["status"]["token"])
        assert await client.can_i("get", PODS, namespace) is False


async def test_a_credential_plugin_is_asked(
    documents: dict[str, Any], tmp_path: Path, namespace: str, kube_client: KubeClient
) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        'echo \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", '
        '"status": {"token": "from-the-plugin"}}\'\n'
    )
    plugin.chmod(0o700)
    documents["users"][0]["user"] = {
        "exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(documents))
    async with await KubeClient.connect(path) as client:
        assert await client._credentials.authorization() == "Bearer from-the-plugin"
        with pytest.raises(UnauthorizedError):
            await client.list(PODS, namespace)


def test_several_kubeconfigs_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"clusters": [{"name": "c", "cluster": {"server": "https://one/"}}], "users": []}
    two = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "c", "namespace": "team-a"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://two"}}],
    }
    for name, document in (("one", one), ("two", two)):
        (tmp_path / name).write_text(yaml.safe_dump(document))
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'one'}:{tmp_path / 'gone'}:{tmp_path / 'two'}")
    context = read_context()
    assert (context.server, context.namespace) == ("https://one", "team-a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no configuration"),
        ("{", "cannot be read"),
        ("contexts: []", "has no current-context"),
        ("current-context: x", "has no context 'x'"),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: c}}]}",
            "has no cluster 'c'",
        ),
    ],
)
def test_a_broken_kubeconfig_says_what_is_missing(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(NoKubeconfigError, match=words):
        read_context(path)
