"""The sidebar's story over HTTP: make, watch, scale, adapt, look at the dashboard, delete."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

WAIT_S = 120


async def make_cluster(browser: Any, namespace: str, image: str, **fields: Any) -> dict[str, Any]:
    body = {"namespace": namespace, "name": "demo", "n_workers": 2, "image": image, **fields}
    status, view = await browser.call("POST", "api/clusters", body)
    assert status == 201, view
    made: dict[str, Any] = view
    return made


def has_ready(count: int) -> Callable[[dict[str, Any]], bool]:
    def check(cluster: dict[str, Any]) -> bool:
        workers = cluster["workers"]
        settled = workers["desired"] == workers["ready"] == count and not workers["retiring"]
        return bool(settled and cluster["state"] == "running")

    return check


async def test_a_cluster_from_the_first_click_to_the_last(
    browser: Any, namespace: str, dask_image: str, kubectl_json: Callable[..., Any],
    wait_until: Callable[..., Awaitable[Any]], read_bokeh_token: Callable[[str], str],
) -> None:  # fmt: skip
    async with browser.stream(namespace) as stream:
        snapshot = await stream.wait(lambda told: True)
        assert (snapshot["type"], snapshot["clusters"]) == ("snapshot", [])

        made = await make_cluster(browser, namespace, dask_image, cpu="300m", memory="512Mi")
        assert (made["state"], made["workers"]["desired"]) == ("waiting", 2)
        assert made["reason"]
        waiting = await stream.wait_cluster(lambda cluster: cluster["state"] == "waiting")
        assert waiting["reason"]
        running = await stream.wait_cluster(has_ready(2), WAIT_S)
        assert running["reason"] is None
        assert running["memory_bytes"] == 2 * 512 * 2**20

        for count in (3, 1):
            path = f"api/clusters/{namespace}/demo/scale"
            status, view = await browser.call("PUT", path, {"replicas": count})
            assert (status, view["workers"]["desired"]) == (200, count)
            await stream.wait_cluster(has_ready(count), WAIT_S)

        bounds = {"minimum": 1, "maximum": 4}
        status, view = await browser.call("PUT", f"api/clusters/{namespace}/demo/adapt", bounds)
        assert (status, view["adaptive"]) == (200, bounds)
        status, view = await browser.call(
            "PUT", f"api/clusters/{namespace}/demo/scale", {"replicas": 1}
        )
        assert (status, view["adaptive"]) == (200, None)

        await look_at_dashboard(browser, running["dashboard_path"], read_bokeh_token)

        assert (await browser.call("DELETE", f"api/clusters/{namespace}/demo"))[0] == 202
        gone = await stream.wait(lambda told: told["type"] == "remove", WAIT_S)
        assert gone["uid"] == made["uid"]
    # That their processes end is up to Dask's own shutdown, which may take its whole grace period.
    await wait_until(
        lambda: all(
            "deletionTimestamp" in pod["metadata"] for pod in kubectl_json("get", "pods")["items"]
        )
    )


async def look_at_dashboard(
    browser: Any, path: str, read_bokeh_token: Callable[[str], str]
) -> None:
    """A page and its websocket, through the server's own URL; the scheduler's API stays closed."""
    async with browser.session.get(browser.server.url + path) as response:
        page = await response.text()
        assert response.status == 200, page
        assert "Dask" in page
        assert "Set-Cookie" not in response.headers
    url = f"{browser.server.url}{path}/ws"
    protocols = ("bokeh", read_bokeh_token(page))
    headers = {"Origin": f"http://{browser.server.host}"}
    async with browser.session.ws_connect(url, headers=headers, protocols=protocols) as websocket:
        assert websocket.protocol == "bokeh"
        first = await websocket.receive(timeout=90)
        assert "ACK" in first.data or "msgtype" in first.data
    strange = {"Origin": "https://stranger.net"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await browser.session.ws_connect(url, headers=strange, protocols=protocols)
    assert caught.value.status == 403
    root = browser.server.url + path.removesuffix("status")
    for closed in ("api/v1/get_workers", "statics/..%2fapi/v1/get_workers", "jupyter/lab"):
        async with browser.session.get(root + closed) as response:
            assert response.status == 404
    async with browser.session.get(root + "individual-plots.json") as response:
        assert (await response.json())["Individual Task Stream"] == "/individual-task-stream"


async def test_a_cluster_made_elsewhere_shows_its_events_and_logs(
    browser: Any, namespace: str, dask_image: str, wait_until: Callable[..., Awaitable[Any]]
) -> None:
    await make_cluster(browser, namespace, dask_image, n_workers=1, cpu="300m", memory="512Mi")
    async with browser.stream(namespace) as stream:
        snapshot = await stream.wait(lambda told: told["type"] == "snapshot")
        if not has_ready(1)(snapshot["clusters"][0]):
            await stream.wait_cluster(has_ready(1), WAIT_S)

    async def read_log() -> dict[str, Any]:
        status, content = await browser.call("GET", f"api/clusters/{namespace}/demo/logs?tail=50")
        assert status == 200
        return content if "Scheduler at" in content["text"] else {}

    # A scheduler answers, and counts as ready, a moment before its log says where it is.
    content = await wait_until(read_log)
    assert content["pod"] == content["pods"][0] == "demo-scheduler"
    worker = content["pods"][1]
    status, content = await browser.call("GET", f"api/clusters/{namespace}/demo/logs?pod={worker}")
    assert (status, content["pod"]) == (200, worker)
    status, content = await browser.call("GET", f"api/clusters/{namespace}/demo/logs?pod=other")
    assert (status, content["problem"]["code"]) == (404, "not-found")

    async def read_events() -> list[dict[str, Any]]:
        status, content = await browser.call("GET", f"api/clusters/{namespace}/demo/events")
        assert status == 200
        found: list[dict[str, Any]] = content["events"]
        # Events are written after what they tell of.
        return found if any(event["object"].startswith("Pod/demo-") for event in found) else []

    for event in await wait_until(read_events):
        assert set(event) == {"time", "type", "object", "reason", "message", "count"}


async def test_a_page_of_a_cluster_that_is_not_there_says_so(browser: Any, namespace: str) -> None:
    for path in (f"dashboard/{namespace}/gone/status", "dashboard/Not_A_Name/demo/status"):
        status, page = await browser.call("GET", path)
        assert status == 404
        assert "gone" in page or "Not_A_Name" in page


async def test_a_dashboard_that_cannot_answer_says_what_its_cluster_fails_on(
    browser: Any, namespace: str, missing_image: str
) -> None:
    await make_cluster(browser, namespace, missing_image, n_workers=0)
    async with browser.stream(namespace) as stream:
        failing = await stream.wait(
            lambda told: any(
                cluster["state"] == "failing"
                for cluster in told.get("clusters", [told.get("cluster")])
                if cluster
            ),
            WAIT_S,
        )
    cluster = failing.get("cluster") or failing["clusters"][0]
    assert missing_image in cluster["reason"]
    assert cluster["dashboard_path"] is None
    path = f"dashboard/{namespace}/demo/status"
    status, page = await browser.call("GET", path)
    assert status == 503
    assert missing_image in page
    assert 'http-equiv="refresh"' in page
    headers = {"Origin": f"http://{browser.server.host}"}
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await browser.session.ws_connect(f"{browser.server.url}dask-k8s/{path}/ws", headers=headers)
    assert caught.value.status == 503
