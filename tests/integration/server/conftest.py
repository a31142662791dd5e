"""A real Jupyter server with our extension, at a base URL of Kubeflow's shape."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from ports import hold_port
from yarl import URL

BASE_URL = "/notebook/default/demo/"
TOKEN = "a-token-of-the-tests"
# What else is installed would only take its time to start; the browser's tests have all of it.
LEFT_OUT = ("dask_labextension", "jupyter_lsp", "jupyterlab", "notebook_shim")
EXTENSIONS = {"dask_k8s_jupyter.server": True, **dict.fromkeys(LEFT_OUT, False)}


class JupyterServer:
    """One server process.

    Parameters
    ----------
    folder
        For its files; nothing of the person who runs the tests is read.
    kubeconfig
        What the server uses.
    options
        More options of the server.
    """

    def __init__(self, folder: Path, kubeconfig: Path | str, *options: str, token: str = TOKEN):
        self.token = token
        self.log_path = folder / "server.log"
        self.port = hold_port()
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}{BASE_URL}"
        folders = {f"JUPYTER_{kind}_DIR": str(folder / kind) for kind in ("CONFIG", "RUNTIME")}
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_server", *self._build_options(folder), *options],
                env={**os.environ, **folders, "KUBECONFIG": str(kubeconfig)},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )

    def _build_options(self, folder: Path) -> list[str]:
        return [
            "--allow-root",
            "--no-browser",
            "--ServerApp.ip=127.0.0.1",
            f"--ServerApp.port={self.port}",
            "--ServerApp.port_retries=0",
            f"--ServerApp.base_url={BASE_URL}",
            f"--ServerApp.root_dir={folder}",
            f"--IdentityProvider.token={self.token}",
            f"--ServerApp.jpserver_extensions={EXTENSIONS}",
        ]

    def wait(self, timeout_s: float = 120) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}api", timeout=5):  # noqa: S310
                    return
            except OSError:  # nobody listens yet, or is slow to answer
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(self.log_path.read_text()) from None
                time.sleep(0.1)

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(60)


class Browser:
    """What a page does: requests with cookies, the XSRF token where it is told to, websockets."""

    def __init__(self, server: JupyterServer, session: aiohttp.ClientSession):
        self.server = server
        self.session = session

    async def open_page(self) -> None:
        """Open any page with the token in its URL, as the link that the server prints does.

        Every page, that of a 404 included, brings the login and the XSRF cookie.
        """
        async with self.session.get(f"{self.server.url}a-page?token={self.server.token}"):
            pass

    @property
    def xsrf(self) -> str:
        """The XSRF token, as a page reads it from its cookie."""
        cookies = self.session.cookie_jar.filter_cookies(URL(self.server.url))
        return cookies["_xsrf"].value

    async def call(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Call the API as the sidebar does; gives status and content."""
        sent = {"X-XSRFToken": self.xsrf} if headers is None else headers
        url = f"{self.server.url}dask-k8s/{path}"
        text = None if body is None else json.dumps(body)
        async with self.session.request(method, url, data=text, headers=sent) as response:
            content = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(content) if is_json and content else content

    @asynccontextmanager
    async def stream(self, namespace: str) -> AsyncIterator[Stream]:
        """Open the stream of a namespace."""
        url = f"{self.server.url}dask-k8s/api/stream?namespace={namespace}&no_track_activity=1"
        headers = {"Origin": f"http://{self.server.host}"}
        async with self.session.ws_connect(url, headers=headers) as websocket:
            yield Stream(websocket)


class Stream:
    """What the stream has told so far."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse):
        self._websocket = websocket
        self.told: list[dict[str, Any]] = []

    async def wait(
        self, predicate: Callable[[dict[str, Any]], Any], timeout_s: float = 120
    ) -> dict[str, Any]:
        """Wait for a message."""

        async def read() -> dict[str, Any]:
            while True:
                message: dict[str, Any] = await self._websocket.receive_json()
                self.told.append(message)
                if predicate(message):
                    return message

        try:
            return await asyncio.wait_for(read(), timeout_s)
        except asyncio.TimeoutError:
            raise AssertionError(f"not within {timeout_s} s; told were {self.told}") from None

    async def wait_cluster(
        self, predicate: Callable[[dict[str, Any]], Any], timeout_s: float = 120
    ) -> dict[str, Any]:
        """Wait for a picture of a cluster."""
        message = await self.wait(
            lambda told: told["type"] == "upsert" and predicate(told["cluster"]), timeout_s
        )
        cluster: dict[str, Any] = message["cluster"]
        return cluster


@pytest.fixture(scope="session")
def start_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., JupyterServer]]:
    """Start servers; all end with the tests."""
    servers: list[JupyterServer] = []

    def start(kubeconfig: Path | str, *options: str, token: str = TOKEN) -> JupyterServer:
        folder = tmp_path_factory.mktemp("server")
        server = JupyterServer(folder, kubeconfig, *options, token=token)
        servers.append(server)
        server.wait()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(kubeconfig: Path, start_server: Callable[..., JupyterServer]) -> JupyterServer:
    """A server with a token, as people start it."""
    return start_server(kubeconfig)


@pytest.fixture(scope="session")
def kubeflow_server(kubeconfig: Path, start_server: Callable[..., JupyterServer]) -> JupyterServer:
    """A server as Kubeflow starts it: no token, every origin allowed."""
    return start_server(kubeconfig, "--ServerApp.allow_origin=*", token="")


@pytest.fixture
async def open_browser() -> AsyncIterator[Callable[..., Any]]:
    """Open pages of a server; ``logs_in=False`` leaves it at the door."""
    sessions: list[aiohttp.ClientSession] = []

    async def open_page(server: JupyterServer, *, logs_in: bool = True) -> Browser:
        # Cookies of an IP address are refused otherwise; Jupyter's hold what quotes would change.
        jar = aiohttp.CookieJar(unsafe=True, quote_cookie=False)
        session = aiohttp.ClientSession(cookie_jar=jar)
        sessions.append(session)
        browser = Browser(server, session)
        if logs_in:
            await browser.open_page()
        return browser

    yield open_page
    for session in sessions:
        await session.close()


@pytest.fixture
async def browser(server: JupyterServer, open_browser: Callable[..., Any]) -> Browser:
    """A page of the server, logged in."""
    page: Browser = await open_browser(server)
    return page


@pytest.fixture
def read_bokeh_token() -> Callable[[str], str]:
    """Find the token that a dashboard's page opens its websocket with."""

    def read(html: str) -> str:
        found = re.search(r'"token":"([^"]+)"', html)
        assert found, html[:2000]
        return found[1]

    return read
