"""An answer that no Kubernetes gives is a failure that the informers outlive, whatever it is."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.auth import Credentials
from dask_k8s_operator.kube.errors import ApiUnreachableError, GoneError, Target
from dask_k8s_operator.kube.stream import iterate_watch_events
from dask_k8s_operator.resources.kinds import PODS

HOST = "http://10.0.0.1"
LOGIN_PAGE = b"<html><body>Please log in</body></html>"
ADDED = b'{"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "7"}}}'


@pytest.fixture
async def client():
    async with KubeClient(Credentials(HOST)) as client:
        yield client


def answer_with(client, monkeypatch, raw):
    async def read(*args, **options):
        return raw

    monkeypatch.setattr(client._transport, "read", read)


@pytest.mark.parametrize("raw", [LOGIN_PAGE, b"[]", b"{}", b'{"metadata": null}', b'"hello"', b""])
async def test_a_list_that_is_none_is_told_as_such(client, monkeypatch, raw):
    answer_with(client, monkeypatch, raw)
    with pytest.raises(ApiUnreachableError, match=r"10\.0\.0\.1.*not Kubernetes"):
        await client.list(PODS, "default")


@pytest.mark.parametrize("raw", [LOGIN_PAGE, b"[]", b'"hello"', b'{"kind": "Pod", "meta'])
async def test_an_object_that_is_none_is_told_as_such(client, monkeypatch, raw):
    answer_with(client, monkeypatch, raw)
    with pytest.raises(ApiUnreachableError, match="not Kubernetes"):
        await client.get(PODS, "demo", "default")


def watch(*chunks):
    async def iter_any():
        for chunk in chunks:
            yield chunk

    response = SimpleNamespace(content=SimpleNamespace(iter_any=iter_any))
    return iterate_watch_events(response, Target("watch", "pods"), HOST)


@pytest.mark.parametrize(
    "line",
    [
        LOGIN_PAGE,
        ADDED[:-20],
        b"[]",
        b"null",
        b'{"type": "ADDED"}',
        b'{"type": "ADDED", "object": {"metadata": {}}}',
        b'{"type": "ERROR", "object": "no"}',
    ],
)
async def test_a_watch_that_is_cut_or_none_is_told_as_such(line):
    seen = []
    with pytest.raises(ApiUnreachableError, match="not Kubernetes"):
        async for event in watch(ADDED + b"\n", line):
            seen.append(event.resource_version)
    assert seen == ["7"]


async def test_what_the_api_reports_in_a_watch_is_its_own_failure():
    gone = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}\n'
    with pytest.raises(GoneError):
        async for _ in watch(gone):
            pass
