"""The story of the documentation, told with kubectl: its first manifest works unchanged."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

MANIFEST = Path(__file__).parent / "manifests" / "cluster.yaml"
WORKER_PODS = "dask.org/cluster-name=simple,dask.org/component=worker"


def needs_the_documentations_image() -> None:
    """The manifest names an image that has lost, in its newest tag, the commands it calls."""
    if os.environ.get("DASK_TEST_IMAGE") and not os.environ.get("DASK_TEST_DOCUMENTATION_IMAGE"):
        pytest.skip("no ghcr.io/dask/dask:latest with `dask-worker` (distributed < 2026.6) here")


async def test_the_documentations_manifest_runs_unchanged_scales_and_goes(
    kubectl: Callable[..., str],
    kubectl_json: Callable[..., Any],
    wait_until: Callable[..., Awaitable[Any]],
) -> None:
    needs_the_documentations_image()
    assert "daskcluster.kubernetes.dask.org/simple created" in kubectl("apply", "-f", str(MANIFEST))
    kubectl("wait", "--for=condition=Ready", "--timeout=110s", "dsk/simple")

    listed = kubectl("get", "dsk,daskworkergroups,pods,svc")
    for name in (
        "daskcluster.kubernetes.dask.org/simple",
        "daskworkergroup.kubernetes.dask.org/simple-default",
        "pod/simple-scheduler",
        "pod/simple-default-worker-",
        "service/simple-scheduler",
    ):
        assert name in listed
    assert "2/2" in kubectl("get", "dsk", "simple")

    said = kubectl("scale", "--replicas=5", "daskworkergroup", "simple-default")
    assert "daskworkergroup.kubernetes.dask.org/simple-default scaled" in said

    def ready_workers() -> int:
        pods = kubectl_json("get", "pods", "-l", WORKER_PODS)["items"]
        return sum(
            condition["status"] == "True"
            for pod in pods
            for condition in pod["status"].get("conditions", [])
            if condition["type"] == "Ready"
        )

    await wait_until(lambda: ready_workers() == 5, 120, "five workers ready")
    cluster = await wait_until(
        lambda: (c := kubectl_json("get", "dsk", "simple"))["status"]["workers"]["ready"] == 5 and c
    )
    assert cluster["status"]["phase"] == "Running"

    await wait_until(
        lambda: kubectl("logs", "simple-scheduler").count("Register worker") >= 5, what="the log"
    )

    assert "deleted" in kubectl("delete", "dsk", "simple")
    await wait_until(
        lambda: not kubectl("get", "pods,svc,daskworkergroups", "-o", "name"), what="all gone"
    )
