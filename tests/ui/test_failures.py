"""Pods that cannot start: the row says which Pod and why; red where waiting will not help."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from dask_k8s_jupyter.clusters.spec import make_cluster_spec
from dask_k8s_jupyter.local import LocalKubernetes

CRASHING = ["python", "-c", "raise SystemExit('boom')"]
MISSING_IMAGE = "registry.invalid/no-such-image:1"


@pytest.fixture(scope="module")
def kubernetes() -> Iterator[LocalKubernetes]:
    """A whole Kubernetes that lacks one image."""
    with LocalKubernetes.in_thread(missing_images={MISSING_IMAGE}, restart_backoff_s=1) as kube:
        yield kube


def test_pods_that_cannot_start_say_why(
    kubernetes: LocalKubernetes,
    sidebar: Any,
    start_lab: Callable[..., Any],
    kubectl_for: Callable[[Path], Any],
) -> None:
    kubectl_for(kubernetes.kubeconfig).apply(
        make_cluster_spec("crashes", n_workers=1, worker_command=CRASHING),
        make_cluster_spec("no-command", n_workers=1, worker_command=["no-such-program"]),
    )
    sidebar.open(start_lab(kubernetes.kubeconfig, **kubernetes.service_environment()))
    sidebar.row("crashes").wait_for()
    sidebar.create(name="no-image", image=MISSING_IMAGE)
    sidebar.create(name="no-room", memory="4000Gi")

    sidebar.is_in_state("crashes", "failing")
    sidebar.is_in_state("no-command", "failing")
    sidebar.is_in_state("no-image", "failing")
    sidebar.is_in_state("no-room", "waiting")
    _says(sidebar, "crashes", r"crashes-default-worker-\w+")
    _says(sidebar, "no-command", "no-such-program")
    _says(sidebar, "no-image", re.escape(MISSING_IMAGE))
    _says(sidebar, "no-room", "Insufficient memory")
    sidebar.shoot("problem-cannot-start")


def _says(sidebar: Any, name: str, words: str) -> None:
    why = sidebar.row(name).locator(".dk-WhyText")
    expect(why).to_have_text(re.compile(words))
