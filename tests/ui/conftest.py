"""A real browser before a real JupyterLab, as a person meets them.

Waits for what the page shows, never for time to pass. A missing Chromium fails every test here,
loudly, unless SKIP_BROWSER=1. Pictures of what was seen go to ``screenshots/``.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from ports import hold_port

SCREENSHOTS = Path(__file__).parent / "screenshots"
BIN = Path(sys.executable).parent
BASE_URL = "/notebook/default/demo/"
# Pods that start as processes, and a computation, on a machine that does other things too.
TIMEOUT_MS = 90_000
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
UP_SAYS = re.compile(
    r"(?s)(?P<url>http://\S+/lab\S*token=\S+).*export KUBECONFIG=(?P<kubeconfig>\S+)\n"
)
T = TypeVar("T")
WATCH = """part => {
  part.seen = [];
  const look = () => part.seen.push([
    ...[...part.querySelectorAll('[aria-label]')].map(each => each.getAttribute('aria-label')),
    part.textContent,
  ].join('; '));
  new MutationObserver(look).observe(
    part, { subtree: true, childList: true, characterData: true, attributeFilter: ['aria-label'] }
  );
}"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip all of this folder where somebody asked for that."""
    if os.environ.get("SKIP_BROWSER") == "1":
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="SKIP_BROWSER=1"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.fail(
            "CHROMIUM IS MISSING, so nobody has looked at the sidebar. Install it "
            "(`apt-get install chromium`), or set SKIP_BROWSER=1 to go without."
        )
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield launched
        launched.close()


@dataclass(frozen=True)
class Lab:
    """A JupyterLab that runs; ``kubeconfig`` is what it was started with."""

    url: str
    kubeconfig: Path


@pytest.fixture(scope="session")
def start_process() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start processes that log to ``log`` in their folder and end when all tests are over."""
    started: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], folder: Path, **environment: str) -> subprocess.Popen[bytes]:
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **_homes(folder), **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(timeout=90)


def _homes(folder: Path) -> dict[str, str]:
    """Nothing of the person who runs the tests is read or written."""
    # Nobody is asked in a test whether Jupyter may send news.
    settings = folder / ".settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    return {
        "HOME": str(folder),
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "JUPYTER_CONFIG_DIR": str(folder / ".jupyter"),
        "JUPYTER_DATA_DIR": str(folder / ".data"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / ".workspaces"),
    }


def _wait_for(process: subprocess.Popen[bytes], folder: Path, find: Callable[[], T | None]) -> T:
    """Wait until something is found, as long as the process lives."""
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while True:
        found = find()
        if found is not None:
            return found
        if process.poll() is not None or time.monotonic() > deadline:
            said = (folder / "log").read_text(errors="replace")[-4000:]
            pytest.fail(f"{process.args} did not come up; it said:\n{said}")
        time.sleep(0.05)


def _answers(url: str) -> bool | None:
    # JupyterLab says that it runs before it listens.
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310  (our own, on loopback)
            return True
    except OSError:
        return None


@pytest.fixture(scope="session")
def start_lab(
    start_process: Callable[..., subprocess.Popen[bytes]], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], Lab]:
    """Start JupyterLab with a kubeconfig, under a prefix, as on Kubeflow."""

    def start(kubeconfig: Path, **environment: str) -> Lab:
        folder = tmp_path_factory.mktemp("lab")
        token, port = secrets.token_hex(8), hold_port()
        command = [
            *(str(BIN / "jupyter"), "lab", "--no-browser", "--allow-root", f"--port={port}"),
            "--ServerApp.port_retries=0",
            f"--ServerApp.base_url={BASE_URL}",
            f"--IdentityProvider.token={token}",
        ]
        process = start_process(command, folder, KUBECONFIG=str(kubeconfig), **environment)
        address = f"http://127.0.0.1:{port}{BASE_URL}"
        _wait_for(process, folder, lambda: _answers(f"{address}api"))
        return Lab(f"{address}lab?token={token}", kubeconfig)

    return start


@pytest.fixture(scope="session")
def up(
    start_process: Callable[..., subprocess.Popen[bytes]], tmp_path_factory: pytest.TempPathFactory
) -> Lab:
    """All of it on this machine, as a newcomer starts it."""
    folder = tmp_path_factory.mktemp("up")
    command = [str(BIN / "dask-k8s"), "up", "--port", str(hold_port()), "--base-url", BASE_URL]
    process = start_process(command, folder)
    said = _wait_for(process, folder, lambda: UP_SAYS.search((folder / "log").read_text()))
    return Lab(said["url"], Path(said["kubeconfig"]))


class Sidebar:
    """The sidebar in a page, by the words that a person sees."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.panel = page.locator("#dask-k8s-sidebar")

    def open(self, lab: Lab) -> None:
        """Open JupyterLab and show the sidebar."""
        self.page.goto(lab.url.replace("?token=", "?reset&token="))
        tab = self.page.locator('[data-id="dask-k8s-sidebar"]').first
        tab.wait_for()
        # JupyterLab restores its own layout first, and would hide what was shown before.
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")
        # Its launcher comes last, and takes the cursor from whoever has it.
        self.page.locator(".jp-Launcher:focus").wait_for()
        if not self.panel.is_visible():
            tab.click()
        self.panel.wait_for()

    def shows(self, words: str) -> None:
        """Wait until the sidebar says something."""
        expect(self.panel).to_contain_text(words)

    def note(self, code: str) -> Locator:
        """The note about what is wrong, once it is there."""
        note = self.panel.locator(f'.dk-Note[data-code="{code}"]')
        note.wait_for()
        return note

    def row(self, name: str) -> Locator:
        """The row of a cluster."""
        return self.panel.locator(f'.dk-Row[data-key$="/{name}"]')

    def head(self, name: str) -> Locator:
        """The line of a row that has the focus when the arrows walk."""
        return self.row(name).locator(".dk-RowHead")

    def counts(self, name: str, count: str) -> None:
        """Wait until a row counts its workers so."""
        expect(self.row(name).locator(".dk-Count")).to_have_text(count)

    @contextmanager
    def watched(self, name: str | None = None) -> Iterator[list[str]]:
        """Give, at the end, every text that a row had meanwhile, however short its life was.

        Without a name of the whole list; the labels that are read aloud come before the text.
        """
        seen: list[str] = []
        part = (self.row(name) if name else self.panel).element_handle()
        part.evaluate(WATCH)
        yield seen
        seen += part.evaluate("part => part.seen")

    def is_in_state(self, name: str, state: str) -> None:
        """Wait for the colour of a row."""
        expect(self.row(name)).to_have_attribute("data-state", state)

    def fill_new_cluster(self, **fields: str) -> Locator:
        """Open the dialog of a new cluster, fill fields by their names, and give the dialog."""
        self.panel.get_by_role("button", name="New").click()
        dialog = self.page.locator(".dk-NewCluster")
        for name, text in fields.items():
            dialog.locator(f'input[name="{name}"]').fill(text)
        return dialog

    def create(self, **fields: str) -> None:
        """Make a cluster."""
        dialog = self.fill_new_cluster(**fields)
        dialog.get_by_role("button", name="Create").click()
        dialog.wait_for(state="detached")

    def delete(self, name: str) -> None:
        """Delete a cluster by the keyboard, confirm, and wait until its row has gone."""
        self.head(name).press("Delete")
        self.page.locator(".jp-Dialog").get_by_role("button", name="Delete").click()
        expect(self.row(name)).to_have_count(0)

    def shoot(self, name: str) -> None:
        """Keep a picture."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@pytest.fixture
def sidebar(browser: Browser) -> Iterator[Sidebar]:
    """A page of its own; what went wrong in it is kept as a picture."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(TIMEOUT_MS)
    yield Sidebar(context.new_page())
    context.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """Keep a picture of every failure."""
    report = yield
    seen = getattr(item, "funcargs", {}).get("sidebar")
    if report.when == "call" and report.failed and isinstance(seen, Sidebar):
        seen.shoot(f"failed-{item.name}")
    return report


@dataclass(frozen=True)
class Kubectl:
    """The real kubectl."""

    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        result = subprocess.run(
            ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, f"kubectl {' '.join(arguments)}: {result.stderr}"
        return result.stdout

    def apply(self, *manifests: dict[str, Any]) -> None:
        """Apply manifests."""
        self("apply", "--filename=-", stdin=yaml.safe_dump_all(manifests))


@pytest.fixture(scope="session")
def kubectl_for() -> Callable[[Path], Kubectl]:
    """Give the kubectl of a kubeconfig."""
    if not shutil.which("kubectl"):
        pytest.fail("kubectl is not installed; `make test` installs it where it can")
    return Kubectl
