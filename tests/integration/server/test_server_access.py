"""Every endpoint wants a login, every write the XSRF token, every websocket our own page."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from dask_k8s_jupyter.server.dashboard import DashboardHandler
from dask_k8s_jupyter.server.extension import build_handlers
from dask_k8s_jupyter.server.stream import StreamHandler

WRITES = ("POST", "PUT", "DELETE", "PATCH")


def list_endpoints() -> list[tuple[str, str]]:
    """Every method of every handler, the path with real names in it."""
    endpoints = []
    for pattern, handler in build_handlers("/"):
        path = re.sub(r"\(\[\^/\]\+\)", "demo", pattern).replace("(.*)", "status").lstrip("/")
        methods = ["GET"] if handler in (StreamHandler, DashboardHandler) else []
        methods += [m for m in ("GET", *WRITES) if m.lower() in vars(handler)]
        endpoints += [(method, path) for method in dict.fromkeys(methods)]
    return endpoints


def test_the_endpoints_are_those_we_know_of() -> None:
    assert len(list_endpoints()) == 10, list_endpoints()


@pytest.mark.parametrize(("method", "path"), list_endpoints())
async def test_nobody_gets_in_without_a_login(
    server: Any, open_browser: Callable[..., Any], method: str, path: str
) -> None:
    browser = await open_browser(server, logs_in=False)
    url = server.url + path
    async with browser.session.request(method, url, allow_redirects=False) as response:
        is_page = "/dashboard/" in path
        assert response.status == (302 if is_page else 403)
        assert not is_page or "/login" in response.headers["Location"]


@pytest.mark.parametrize(
    "path", [path for _, path in list_endpoints() if "stream" in path or "dashboard" in path]
)
async def test_no_websocket_opens_without_a_login(
    server: Any, open_browser: Callable[..., Any], path: str
) -> None:
    browser = await open_browser(server, logs_in=False)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await browser.session.ws_connect(server.url + path)
    assert caught.value.status == 403


@pytest.mark.parametrize("kind", ["server", "kubeflow_server"])
@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p in list_endpoints() if m in WRITES])
async def test_no_write_without_the_xsrf_token(
    request: pytest.FixtureRequest,
    open_browser: Callable[..., Any],
    kind: str,
    method: str,
    path: str,
) -> None:
    server = request.getfixturevalue(kind)
    browser = await open_browser(server)
    for headers in ({}, {"X-XSRFToken": "guessed"}, {"Origin": "https://stranger.net"}):
        async with browser.session.request(method, server.url + path, headers=headers) as response:
            assert response.status in (403, 404)
            assert "problem" in await response.json()
    status, content = await browser.call(method, path.removeprefix("dask-k8s/"), {})
    assert status in (400, 404), content
    assert content["problem"]["code"] in ("invalid", "not-found")


@pytest.mark.parametrize("kind", ["server", "kubeflow_server"])
async def test_the_stream_opens_for_our_page_and_for_no_strangers(
    request: pytest.FixtureRequest, open_browser: Callable[..., Any], kind: str, namespace: str
) -> None:
    server = request.getfixturevalue(kind)
    browser = await open_browser(server)
    url = f"{server.url}dask-k8s/api/stream?namespace={namespace}"
    for origin in ("https://stranger.net", "null", f"http://{server.host}.stranger.net"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await browser.session.ws_connect(url, headers={"Origin": origin})
        assert caught.value.status == 403
    async with browser.stream(namespace) as stream:
        assert (await stream.wait(lambda told: True))["type"] == "snapshot"


async def test_a_stream_of_no_valid_namespace_is_refused_in_the_handshake(browser: Any) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        async with browser.stream("Not_A_Name"):
            pass
    assert caught.value.status == 400


async def test_the_token_alone_suffices_for_programs(
    server: Any, open_browser: Callable[..., Any], namespace: str
) -> None:
    browser = await open_browser(server, logs_in=False)
    headers = {"Authorization": f"token {server.token}"}
    path = f"api/clusters/{namespace}/demo/scale"
    status, content = await browser.call("PUT", path, {"replicas": -1}, headers=headers)
    assert (status, content["field"]) == (400, "replicas")


async def test_watching_is_no_sign_of_life(browser: Any, namespace: str) -> None:
    async def last_activity() -> str:
        url = f"{browser.server.url}api/status?no_track_activity=1"
        async with browser.session.get(url) as response:
            activity: str = (await response.json())["last_activity"]
            return activity

    before = await last_activity()
    async with browser.stream(namespace) as stream:
        await stream.wait(lambda told: told["type"] == "snapshot")
    await browser.call("GET", f"api/clusters?namespace={namespace}&no_track_activity=1")
    assert await last_activity() == before
