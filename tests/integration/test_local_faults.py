"""Failures on request: what the embedded API server shows, and how our client lives with it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from dask_k8s_jupyter.local import LocalKubernetes
from dask_k8s_operator.kube import Informer, KubeClient
from dask_k8s_operator.kube.errors import (
    ApiError,
    ConflictError,
    TooManyRequestsError,
    UnauthorizedError,
)
from dask_k8s_operator.resources.kinds import CONFIG_MAPS, SERVICE_ACCOUNTS

pytestmark = pytest.mark.local_only("only the embedded Kubernetes fails on request")
WaitUntil = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def kube() -> Any:
    """A Kubernetes of these tests' own, in a thread of its own."""
    with LocalKubernetes.in_thread(operator=False) as kube:
        yield kube


@pytest.fixture
async def client(kube: LocalKubernetes) -> AsyncIterator[KubeClient]:
    """Its administrator."""
    async with await KubeClient.connect(kube.kubeconfig) as client:
        yield client
    kube.faults.clear()


@pytest.fixture
async def informer(client: KubeClient, wait_until: WaitUntil) -> AsyncIterator[Informer]:
    """A view of the ConfigMaps of the default namespace that begins without any."""
    for found in (await client.list(CONFIG_MAPS, "default", label_selector="test")).items:
        await client.delete(CONFIG_MAPS, found["metadata"]["name"], "default")
    informer = Informer(client, CONFIG_MAPS, "default", label_selector="test")
    task = asyncio.ensure_future(informer.run())
    await wait_until(lambda: client.usage.answers["watch", "configmaps", 200])
    yield informer
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def config_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"test": "fault"}}}


async def test_a_refusal_hits_the_next_request_of_its_kind_and_no_other(
    kube: LocalKubernetes, client: KubeClient
) -> None:
    kube.faults.refuse(500, verb="list", plural="configmaps")
    kube.faults.refuse(409, verb="patch")
    await client.list(SERVICE_ACCOUNTS, "default")
    with pytest.raises(ApiError, match="Internal error occurred") as failed:
        await client.list(CONFIG_MAPS, "default")
    assert failed.value.status == 500
    with pytest.raises(ConflictError, match="the object has been modified"):
        await client.patch(CONFIG_MAPS, "kube-root-ca.crt", {"data": {}}, "default")
    await client.list(CONFIG_MAPS, "default")
    with pytest.raises(ValueError, match="418"):
        kube.faults.refuse(418)


async def test_a_client_comes_again_when_the_busy_server_said(
    kube: LocalKubernetes, client: KubeClient
) -> None:
    kube.faults.refuse(429, verb="get", retry_after_s=1)
    began = time.monotonic()
    await client.get(SERVICE_ACCOUNTS, "default", "default")
    assert time.monotonic() - began >= 1.0
    kube.faults.refuse(429, times=100, verb="get", retry_after_s=0)
    with pytest.raises(TooManyRequestsError):
        await client.get(SERVICE_ACCOUNTS, "default", "default")


async def test_every_answer_takes_as_long_as_was_asked_for(
    kube: LocalKubernetes, client: KubeClient
) -> None:
    kube.faults.latency_s = 0.2
    began = time.monotonic()
    await client.get(SERVICE_ACCOUNTS, "default", "default")
    assert time.monotonic() - began >= 0.2


async def test_a_dropped_watch_is_resumed_and_a_compacted_one_is_read_anew(
    kube: LocalKubernetes, client: KubeClient, informer: Informer, wait_until: WaitUntil
) -> None:
    lists = client.usage.answers["list", "configmaps", 200]
    watches = client.usage.answers["watch", "configmaps", 200]
    kube.faults.drop_watches()
    await client.create(CONFIG_MAPS, config_map("a"), "default")
    await wait_until(lambda: ("default", "a") in informer.objects)
    # Dropped before the creation: it came by another one.
    assert client.usage.answers["watch", "configmaps", 200] > watches
    assert client.usage.answers["list", "configmaps", 200] == lists
    kube.faults.compact()
    kube.faults.drop_watches()
    await client.delete(CONFIG_MAPS, "a", "default")
    await wait_until(lambda: not informer.objects)
    assert client.usage.answers["list", "configmaps", 200] > lists


async def test_a_restarted_server_keeps_its_port_and_its_objects(
    kube: LocalKubernetes, client: KubeClient, informer: Informer, wait_until: WaitUntil
) -> None:
    await client.create(CONFIG_MAPS, config_map("b"), "default")
    url = kube.url
    await kube.restart_api()
    assert kube.url == url
    found = await client.get(CONFIG_MAPS, "b", "default")
    assert found["metadata"]["labels"] == {"test": "fault"}
    await client.create(CONFIG_MAPS, config_map("c"), "default")
    await wait_until(lambda: {name for _, name in informer.objects} == {"b", "c"})


async def test_who_holds_a_token_that_expired_reads_the_new_one(
    kube: LocalKubernetes, client: KubeClient, tmp_path: Path
) -> None:
    async def issue() -> str:
        path = f"{SERVICE_ACCOUNTS.path('default', 'default')}/token"
        answer = await client.request("POST", path, body={"spec": {}})
        return str(answer["status"]["token"])

    token_file, kubeconfig = tmp_path / "token", tmp_path / "kubeconfig"
    token_file.write_text(old := await issue())
    config = orjson.loads(kube.kubeconfig.read_bytes())
    config["users"][0]["user"] = {"tokenFile": str(token_file)}
    kubeconfig.write_bytes(orjson.dumps(config))
    async with await KubeClient.connect(kubeconfig) as holder:
        assert await holder.can_i("get", CONFIG_MAPS, "default") is False
        kube.faults.expire_token(old)
        with pytest.raises(UnauthorizedError):
            await holder.can_i("get", CONFIG_MAPS, "default")
        token_file.write_text(await issue())
        assert await holder.can_i("get", CONFIG_MAPS, "default") is False
