"""Whatever is in the way, the sidebar says what, and what to do. Nothing is pretended here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.sync_api import expect

from dask_k8s_jupyter.local import LocalKubernetes
from dask_k8s_operator.resources.crds import build_crds


@pytest.fixture(scope="module")
def bare_kubernetes() -> Iterator[Path]:
    """The kubeconfig of a Kubernetes that nobody has installed anything into."""
    with LocalKubernetes.in_thread(operator=False) as kube:
        yield kube.kubeconfig


@pytest.fixture(scope="module")
def bare_lab(bare_kubernetes: Path, start_lab: Callable[[Path], Any]) -> Any:
    """A JupyterLab before that Kubernetes."""
    return start_lab(bare_kubernetes)


def _point_elsewhere(kubeconfig: Path, target: Path, **user: str) -> Path:
    """Write a kubeconfig like another, with another server or another user."""
    content = yaml.safe_load(kubeconfig.read_text())
    if "server" in user:
        content["clusters"][0]["cluster"]["server"] = user["server"]
    if "token" in user:
        content["users"][0]["user"] = {"token": user["token"]}
    target.write_text(yaml.safe_dump(content))
    return target


def test_without_a_kubeconfig_it_says_how_to_get_one(
    sidebar: Any, start_lab: Callable[[Path], Any], tmp_path: Path
) -> None:
    sidebar.open(start_lab(tmp_path / "none"))
    note = sidebar.note("no-kubeconfig")
    expect(note).to_contain_text("No Kubernetes is configured")
    expect(note.locator("code")).to_have_text("dask-k8s up")
    expect(sidebar.panel.get_by_role("button", name="New")).to_have_count(0)
    sidebar.shoot("problem-no-kubeconfig")


def test_an_api_that_does_not_answer_is_named(
    sidebar: Any, start_lab: Callable[[Path], Any], bare_kubernetes: Path, tmp_path: Path
) -> None:
    dead = _point_elsewhere(bare_kubernetes, tmp_path / "dead", server="https://127.0.0.1:9")
    sidebar.open(start_lab(dead))
    note = sidebar.note("api-unreachable")
    expect(note).to_contain_text("127.0.0.1:9")
    expect(note.locator("code")).to_have_text("kubectl cluster-info")
    sidebar.shoot("problem-api-unreachable")


def test_missing_definitions_and_then_a_silent_operator_are_told_apart(
    sidebar: Any,
    bare_lab: Any,
    bare_kubernetes: Path,
    kubectl_for: Callable[[Path], Any],
) -> None:
    sidebar.open(bare_lab)
    expect(sidebar.note("crds-missing")).to_contain_text("An administrator installs the operator")
    sidebar.shoot("problem-crds-missing")

    kubectl_for(bare_kubernetes).apply(*build_crds())
    sidebar.shows("No clusters in default")

    sidebar.create(name="waits")
    expect(sidebar.note("operator-silent")).to_contain_text("default/waits")
    sidebar.is_in_state("waits", "waiting")
    sidebar.shoot("problem-operator-silent")


def test_a_wish_that_does_not_come_true_can_be_taken_back(
    sidebar: Any,
    bare_lab: Any,
    bare_kubernetes: Path,
    kubectl_for: Callable[[Path], Any],
) -> None:
    kubectl_for(bare_kubernetes).apply(*build_crds())
    sidebar.open(bare_lab)
    sidebar.create(name="wishes", workers="2")
    sidebar.head("wishes").press("s")
    expect(sidebar.row("wishes").get_by_role("spinbutton")).to_be_focused()
    sidebar.page.keyboard.type("5")
    sidebar.page.keyboard.press("Enter")
    sidebar.counts("wishes", "2 → 5")
    expect(sidebar.row("wishes").locator(".dk-GroupCount")).to_contain_text("0 of 5")
    sidebar.row("wishes").get_by_role("button", name="Keep 2").click()
    expect(sidebar.row("wishes").locator(".dk-GroupCount")).to_contain_text("0 of 2")
    sidebar.counts("wishes", "0 of 2")


def test_a_missing_permission_is_named_with_what_grants_it(
    sidebar: Any,
    start_lab: Callable[[Path], Any],
    bare_kubernetes: Path,
    kubectl_for: Callable[[Path], Any],
    tmp_path: Path,
) -> None:
    kubectl = kubectl_for(bare_kubernetes)
    kubectl.apply(*build_crds())
    kubectl("create", "serviceaccount", "nobody")
    token = kubectl("create", "token", "nobody").strip()
    sidebar.open(start_lab(_point_elsewhere(bare_kubernetes, tmp_path / "nobody", token=token)))
    note = sidebar.note("forbidden")
    expect(note).to_contain_text("daskclusters.kubernetes.dask.org in namespace default")
    expect(note).to_contain_text("dask-user")
    sidebar.shoot("problem-forbidden")


def test_a_name_that_is_taken_or_invalid_is_said_at_the_name(
    sidebar: Any,
    bare_lab: Any,
    bare_kubernetes: Path,
    kubectl_for: Callable[[Path], Any],
) -> None:
    kubectl_for(bare_kubernetes).apply(*build_crds())
    sidebar.open(bare_lab)
    sidebar.create(name="first")
    sidebar.row("first").wait_for()

    dialog = sidebar.fill_new_cluster(name="first")
    expect(dialog.locator(".dk-Hint").first).to_have_text(re.compile("a cluster of this name"))
    sidebar.shoot("problem-name-taken")
    dialog.locator('input[name="name"]').fill("My cluster")
    expect(dialog.locator(".dk-Hint").first).to_have_text(re.compile("a-z, 0-9"))
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.locator('input[name="name"]')).to_be_focused()
    sidebar.shoot("problem-name-invalid")
