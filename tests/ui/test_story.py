"""The whole story in a browser: what a newcomer does after ``dask-k8s up``, click by click."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from dask_k8s_operator.resources import names

# The prefix that the test's `up` is started with: everything stays below it.
PREFIX = "/notebook/default/demo/"


def test_a_person_makes_scales_watches_uses_and_deletes_a_cluster(
    up: Any, sidebar: Any, kubectl_for: Callable[[Path], Any]
) -> None:
    sidebar.open(up)
    sidebar.shows("No clusters in default")
    sidebar.shows("A cluster is one scheduler and as many workers as you ask for")
    expect(sidebar.panel.locator(".dk-mod-filled")).to_have_count(1)
    sidebar.shoot("1-empty")

    _make(sidebar)
    _scale_up_and_down(sidebar)
    _adapt(sidebar)
    _open_dashboard(sidebar)
    _read_logs(sidebar)
    _connect(sidebar)

    _refuse_to_delete(sidebar)
    sidebar.delete("story")
    sidebar.shows("No clusters in default")
    sidebar.shoot("9-deleted")
    _wait_for_end_of_pods(kubectl_for(up.kubeconfig))


def _make(sidebar: Any) -> None:
    dialog = sidebar.fill_new_cluster(name="story", workers="2", cpu="0.25", memory="512Mi")
    expect(dialog.locator(".dk-Summary")).to_have_text("2 workers · 0.5 cores · 1 GiB")
    sidebar.shoot("2-dialog")
    with sidebar.watched() as seen:
        dialog.get_by_role("button", name="Create").click()
        sidebar.row("story").wait_for()
        sidebar.shoot("3-waiting")
        sidebar.is_in_state("story", "running")
        sidebar.counts("story", "2 of 2")
    # The row was there with the answer to the click, and said what it waited for.
    assert any(re.search("story, waiting.*The (scheduler|operator) ", text) for text in seen), seen
    expect(sidebar.row("story").locator(".dk-Why")).to_have_count(0)
    sidebar.shoot("4-running")


def _scale_up_and_down(sidebar: Any) -> None:
    row = sidebar.row("story")
    sidebar.head("story").press("Enter")
    workers = row.get_by_role("spinbutton", name="Number of workers of story")
    workers.fill("3")
    with sidebar.watched("story") as seen:
        workers.press("Enter")
        sidebar.counts("story", "3 of 3")
    assert any("2 → 3" in text and "Keep 2" in text for text in seen), seen

    sidebar.head("story").press("s")
    expect(workers).to_be_focused()
    sidebar.page.keyboard.type("1")
    with sidebar.watched("story") as seen:
        sidebar.page.keyboard.press("Enter")
        sidebar.shoot("5-shrinking")
        sidebar.counts("story", "1 of 1")
    assert any("3 → 1" in text and "Keep 3" in text for text in seen), seen


def _adapt(sidebar: Any) -> None:
    row = sidebar.row("story")
    row.get_by_role("radio", name="Adaptive").check(force=True)
    row.get_by_role("spinbutton", name="Smallest number").fill("1")
    row.get_by_role("spinbutton", name="Largest number").fill("4")
    row.get_by_role("button", name="Apply").click()
    expect(row.locator(".dk-Facts")).to_contain_text("adaptive 1–4")


def _open_dashboard(sidebar: Any) -> None:
    sidebar.row("story").get_by_role("button", name="Dashboard").click()
    frame = sidebar.page.locator('iframe[title="Dask dashboard of story"]')
    path = f"{PREFIX}dask-k8s/dashboard/default/story/status"
    expect(frame).to_have_attribute("src", re.compile(re.escape(path)))
    page = frame.content_frame
    # Drawn by Bokeh, so the websocket came through the notebook server too.
    expect(page.get_by_text("Data Transfer")).to_be_visible()
    sidebar.shoot("6-dashboard")


def _read_logs(sidebar: Any) -> None:
    sidebar.row("story").get_by_role("button", name="Logs").click()
    log = sidebar.page.locator(".dk-LogText")
    expect(log).to_contain_text("Scheduler at:")
    sidebar.shoot("7-logs")


def _connect(sidebar: Any) -> None:
    sidebar.row("story").get_by_role("button", name="Connect").click()
    notebook = _Notebook(sidebar.page)
    notebook.wait_for_run(1)
    expect(notebook.cell(0)).to_contain_text('KubeCluster.from_name("story"')
    notebook.run("client.submit(sum, [20, 22]).result()", 2, "42")
    sidebar.shoot("8-connected")


def _refuse_to_delete(sidebar: Any) -> None:
    sidebar.head("story").press("Delete")
    dialog = sidebar.page.locator(".jp-Dialog")
    expect(dialog).to_contain_text("cannot be taken back")
    dialog.get_by_role("button", name="Cancel").click()
    expect(sidebar.row("story")).to_have_count(1)


def _wait_for_end_of_pods(kubectl: Any) -> None:
    label = f"{names.CLUSTER_NAME_LABEL}=story"
    kubectl("wait", "--for=delete", "pod", f"--selector={label}", "--timeout=90s")
    cluster = kubectl.kubeconfig.parent.name
    left = [process for process in _pod_processes() if cluster in process and "story-" in process]
    assert not left, f"processes outlive the cluster: {left}"


def _pod_processes() -> list[str]:
    """Command line and environment of each process of this machine that is a Pod's."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue  # ended meanwhile, or somebody else's
        if b"DASK_K8S_LOCAL_POD=" in text:
            found.append(text.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_a_notebook_makes_a_cluster_and_computes_on_it(up: Any, sidebar: Any) -> None:
    sidebar.open(up)
    sidebar.page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click()
    notebook = _Notebook(sidebar.page)

    notebook.start(
        'from dask_k8s_jupyter import KubeCluster\ncluster = KubeCluster(name="demo", n_workers=2)'
    )
    notebook.wait_for_run(1)
    panel = notebook.cell(0).locator(".jp-OutputArea")
    expect(panel).to_contain_text("demo")
    expect(panel).to_contain_text("2 of 2 workers")
    sidebar.counts("demo", "2 of 2")
    sidebar.shoot("10-panel")

    notebook.run("client = cluster.get_client()", 2)
    notebook.run(
        "import dask.array as da\nda.random.random((20_000, 20_000)).mean().compute()",
        3,
        re.compile(r"0\.(49|50)\d+"),
    )

    notebook.run("cluster.scale(4)", 4)
    sidebar.counts("demo", "4 of 4")
    expect(panel).to_contain_text("4 of 4 workers")
    notebook.run("cluster.adapt(minimum=1, maximum=4)", 5)
    expect(sidebar.row("demo").locator(".dk-Facts")).to_contain_text("adaptive 1–4")
    expect(panel).to_contain_text("adaptive 1–4")
    sidebar.shoot("11-notebook")

    notebook.run("cluster.close()", 6)
    expect(sidebar.row("demo")).to_have_count(0)
    sidebar.shoot("12-closed")


class _Notebook:
    """The notebook in front, used as by hand."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.panel = page.locator(".jp-NotebookPanel:visible")
        self.panel.wait_for()
        # What is run before there is a kernel is not run at all.
        expect(page.locator("#jp-main-statusbar")).to_contain_text(re.compile(r"\| (Idle|Busy)"))

    def cell(self, index: int) -> Locator:
        """A cell, counted from 0."""
        return self.panel.locator(".jp-Cell").nth(index)

    def start(self, code: str) -> None:
        """Write code into the last cell and run it."""
        last = self.panel.locator(".jp-Cell").last
        last.locator(".cm-content").click()
        # Inserted as by a paste: typing would be indented again by the editor.
        self.page.keyboard.insert_text(code)
        expect(last.locator(".cm-content")).to_contain_text(code.splitlines()[-1])
        self.page.keyboard.press("Shift+Enter")

    def wait_for_run(self, number: int) -> Locator:
        """Wait until a cell has been run as the numbered one, without an error; give its output."""
        cell = self.panel.locator(".jp-Cell").nth(number - 1)
        prompt = cell.locator(".jp-InputPrompt")
        expect(prompt).to_have_text(f"[{number}]:")
        expect(cell.locator('[data-mime-type="application/vnd.jupyter.stderr"]')).to_have_count(0)
        expect(cell.locator(".jp-RenderedText[data-mime-type*=error]")).to_have_count(0)
        return cell.locator(".jp-OutputArea-output")

    def run(self, code: str, number: int, answer: str | re.Pattern[str] | None = None) -> None:
        """Run code as the numbered cell, and wait until it shows an answer, if it has one."""
        self.start(code)
        outputs = self.wait_for_run(number)
        if answer is not None:
            # It is drawn a moment after the cell has ended.
            expect(outputs.last).to_have_text(answer)
