"""The panel in a real kernel of a Jupyter server, over the messages that JupyterLab would see."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

WAIT_S = 110


class Kernel:
    """A kernel as JupyterLab sees it: cells, and the models of its widgets."""

    def __init__(self, browser: Any, kernel_id: str, websocket: Any):
        self._browser = browser
        self._websocket = websocket
        self._session = uuid.uuid4().hex
        self.kernel_id = kernel_id
        self.models: dict[str, dict[str, Any]] = {}
        self.idle: set[str] = set()
        self.said: list[str] = []

    async def send(self, kind: str, content: dict[str, Any]) -> str:
        """Send a message; gives its id."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": self._session}
        header |= {"username": "", "version": "5.3", "date": ""}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        await self._websocket.send_json({**message, "channel": "shell", "buffers": []})
        return header["msg_id"]

    async def run(self, code: str) -> str:
        """Run a cell, without waiting for its end."""
        return await self.send("execute_request", {"code": code, "silent": False})

    async def interrupt(self) -> None:
        """Stop the cell that runs."""
        url = f"{self._browser.server.url}api/kernels/{self.kernel_id}/interrupt"
        headers = {"X-XSRFToken": self._browser.xsrf}
        async with self._browser.session.post(url, headers=headers) as response:
            assert response.status == 204

    async def wait(self, predicate: Callable[[], Any], timeout_s: float = WAIT_S) -> Any:
        """Read messages until something is true."""

        async def read() -> Any:
            while not (value := predicate()):
                self._take(await self._websocket.receive_json())
            return value

        try:
            return await asyncio.wait_for(read(), timeout_s)
        except asyncio.TimeoutError:
            shown = [model.get("value") for model in self.models.values()]
            raise AssertionError(f"not within {timeout_s} s: {self.said} {shown}") from None

    def shows(self, text: str) -> bool:
        """Whether a widget shows a text."""
        return any(text in str(model.get("value")) for model in self.models.values())

    def find(self, model_name: str, description: str) -> str:
        """Find the comm of a widget by what it is and what it is called."""
        found = [
            comm
            for comm, model in self.models.items()
            if (model.get("_model_name"), model.get("description")) == (model_name, description)
        ]
        assert len(found) == 1, self.models
        return found[0]

    async def click(self, description: str) -> None:
        """Press a button."""
        data = {"method": "custom", "content": {"event": "click"}}
        comm = self.find("ButtonModel", description)
        await self.send("comm_msg", {"comm_id": comm, "data": data})

    async def type(self, description: str, number: int) -> None:
        """Write a number into a field."""
        comm = self.find("BoundedIntTextModel", description)
        data = {"method": "update", "state": {"value": number}, "buffer_paths": []}
        await self.send("comm_msg", {"comm_id": comm, "data": data})

    def _take(self, message: dict[str, Any]) -> None:
        kind, content = message["header"]["msg_type"], message["content"]
        if kind in ("comm_open", "comm_msg"):
            model = self.models.setdefault(content["comm_id"], {})
            model.update(content["data"].get("state") or {})
        elif kind == "status" and content["execution_state"] == "idle":
            self.idle.add(message["parent_header"].get("msg_id", ""))
        elif kind in ("stream", "error"):
            self.said.append(str(content.get("text") or content.get("traceback")))
        elif kind == "execute_result":
            self.said.append(content["data"]["text/plain"])


@pytest.fixture
async def kernel(browser: Any) -> Any:
    """A kernel of the server."""
    url = f"{browser.server.url}api/kernels"
    headers = {"X-XSRFToken": browser.xsrf}
    async with browser.session.post(url, json={}, headers=headers) as response:
        kernel_id = (await response.json())["id"]
    channels = f"{url}/{kernel_id}/channels"
    async with browser.session.ws_connect(channels, max_msg_size=0) as websocket:
        yield Kernel(browser, kernel_id, websocket)
    async with browser.session.delete(f"{url}/{kernel_id}", headers=headers):
        pass


async def test_a_kernel_knows_the_servers_base_url(kernel: Any) -> None:
    await kernel.run("import os; os.environ['DASK_K8S_JUPYTER_BASE_URL']")
    await kernel.wait(lambda: kernel.said)
    assert kernel.said == ["'/notebook/default/demo/'"]


async def test_the_panel_lives_from_the_first_worker_to_the_end(
    kernel: Any,
    namespace: str,
    dask_image: str,
    kubectl: Callable[..., str],
    wait_until: Callable[..., Awaitable[Any]],
) -> None:
    resources = {"limits": {"cpu": "300m", "memory": "512Mi"}}
    cell = await kernel.run(
        "from dask_k8s_jupyter import KubeCluster\n"
        f"cluster = KubeCluster(name='demo', namespace={namespace!r}, image={dask_image!r}, "
        f"n_workers=2, resources={resources!r})"
    )
    await kernel.wait(lambda: kernel.shows("of 2 workers") or cell in kernel.idle)
    await kernel.wait(lambda: kernel.shows("2 of 2 workers"))
    link = f'href="/notebook/default/demo/dask-k8s/dashboard/{namespace}/demo/status"'
    await kernel.wait(lambda: kernel.shows(link))
    await kernel.wait(lambda: cell in kernel.idle)

    await kernel.type("Workers", 3)
    await kernel.click("Scale")
    await kernel.wait(lambda: kernel.shows("3 of 3 workers"))

    # The panel lives while a cell runs.
    cell = await kernel.run("cluster.scale(1)\nimport time\ntime.sleep(600)")
    await kernel.wait(lambda: kernel.shows("1 of 1 worker"))
    assert cell not in kernel.idle
    await kernel.interrupt()
    await kernel.wait(lambda: cell in kernel.idle)

    await kernel.run("cluster.close()")
    await kernel.wait(lambda: kernel.shows(">deleted<"))
    await wait_until(lambda: not kubectl("get", "dsk", "demo", "--ignore-not-found"))
