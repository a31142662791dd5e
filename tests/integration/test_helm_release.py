"""HelmCluster on a release laid down as the Dask chart lays it, by hand and by a real helm."""

from __future__ import annotations

import operator
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client
from helm_resources import build_record, build_release, lay_down

from dask_k8s_jupyter import HelmCluster, KubeConfig
from dask_k8s_jupyter.clusters.discovery import discover_helm_releases
from dask_k8s_jupyter.errors import ClusterNotFoundError

# Client and image may differ in the last digit of Python's version.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")

WaitUntil = Callable[..., Awaitable[Any]]
Kubectl = Callable[..., str]
CHART = Path(__file__).parent / "charts" / "dask"


INSIDE = """
import operator
from dask_k8s_jupyter import HelmCluster

with HelmCluster("mine") as cluster, cluster.get_client() as client:
    assert cluster.scheduler_address.startswith("tcp://mine-dask-scheduler."), "no tunnel inside"
    cluster.scale(2)
    cluster.wait_for_workers(2, timeout=120)
    kept = client.map(operator.neg, range(10))
    assert sum(client.gather(kept)) == -45
    cluster.scale(1)
    assert sum(client.gather(kept)) == -45
    assert any("Scheduler at" in log for log in cluster.get_logs().values())
print("the story is told")
"""
# What the documentation says that an account needs.
NEEDED_RULES = [
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["list"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["services"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch", "patch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]


def replicas_of(kubectl_json: Callable[..., Any], name: str) -> int:
    """How many Pods a Deployment asks for."""
    return int(kubectl_json("get", "deployment", name)["spec"]["replicas"])


async def list_found(**where: Any) -> list[str]:
    """The names of the releases that are discovered."""
    return [name async for name, manager in discover_helm_releases(**where)]


def test_a_release_is_found_computes_scales_and_stays(
    kubectl: Kubectl, kubectl_json: Callable[..., Any], namespace: str, dask_image: str
) -> None:
    lay_down(kubectl, build_release("mine", namespace, dask_image))
    cluster = HelmCluster(release_name="mine", namespace=namespace)
    assert cluster.name == f"mine.{namespace}"
    assert cluster.dashboard_link.endswith("/status")
    with Client(cluster) as client:
        cluster.wait_for_workers(1, timeout=120)
        assert client.submit(operator.add, 1, 2).result(timeout=120) == 3
        cluster.scale(2)
        cluster.scale(1, worker_group="high-mem")
        cluster.wait_for_workers(3, timeout=120)
        kept = client.map(operator.neg, range(30))
        assert sum(client.gather(kept)) == -435
        cluster.scale(1)
        assert sum(client.gather(kept)) == -435
        logs = cluster.get_logs()
    assert any("Scheduler at" in text for pod, text in logs.items() if "scheduler" in pod)
    assert sum("worker" in pod for pod in logs) >= 2
    with pytest.raises(ClusterNotFoundError, match="no worker group 'gpu'"):
        cluster.scale(1, worker_group="gpu")
    with pytest.raises(NotImplementedError, match=f"Helm release {namespace}/mine"):
        cluster.adapt()
    cluster.close()
    assert replicas_of(kubectl_json, "mine-dask-worker") == 1
    assert replicas_of(kubectl_json, "mine-dask-worker-high-mem") == 1


async def test_it_connects_by_name_is_discovered_and_is_used_from_inside(
    kubectl: Kubectl,
    kubectl_json: Callable[..., Any],
    kubeconfig: Path,
    namespace: str,
    dask_image: str,
    run_inside: Callable[..., Awaitable[str]],
) -> None:
    lay_down(kubectl, build_release("mine", namespace, dask_image, workers=0))
    # Whoever may not look everywhere finds what is in the namespace that is configured.
    with dask.config.set({"kubernetes.namespace": namespace}):
        found = {name: made async for name, made in discover_helm_releases()}
    made = found[f"mine.{namespace}"]
    auth = KubeConfig(kubeconfig)
    assert await list_found(auth=auth, namespace=namespace) == [f"mine.{namespace}"]
    assert await list_found(auth=auth, namespace=f"{namespace}-other") == []
    assert await list_found(auth=[], namespace=namespace) == []
    async with made.from_name(f"mine.{namespace}", asynchronous=True) as cluster:
        await cluster.scale(1)
        await cluster.wait_for_workers(1, timeout=120)
        async with Client(cluster, asynchronous=True) as client:
            assert await client.submit(operator.mul, 6, 7) == 42
    told = await run_inside(INSIDE, NEEDED_RULES)
    assert "Kubernetes chooses which workers" not in told
    assert told.splitlines()[-1] == "the story is told"
    assert replicas_of(kubectl_json, "mine-dask-worker") == 1


async def test_what_is_not_there_or_is_no_dask_cluster_is_said(
    kubectl: Kubectl, namespace: str, dask_image: str
) -> None:
    with pytest.raises(ClusterNotFoundError, match=f"There is no Helm release {namespace}/none"):
        await HelmCluster("none", namespace=namespace, asynchronous=True)
    lay_down(kubectl, [build_record("other", namespace)])
    with pytest.raises(ClusterNotFoundError, match=r"other \(dask 2024.1.1\) has no Deployment"):
        await HelmCluster("other", namespace=namespace, asynchronous=True)


def test_a_release_that_a_real_helm_installed_is_found(
    kubeconfig: Path,
    kubectl_json: Callable[..., Any],
    namespace: str,
    dask_image: str,
    helm_program: str,
    tmp_path: Path,
) -> None:
    subprocess.run(
        [
            helm_program,
            *("install", "real", str(CHART), f"--namespace={namespace}"),
            *(f"--set=image={dask_image}", "--set=workers=1"),
        ],
        check=True,
        capture_output=True,
        timeout=120,
        env={**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path)},
    )
    with HelmCluster("real", namespace=namespace) as cluster:
        cluster.wait_for_workers(1, timeout=120)
        with Client(cluster) as client:
            assert client.submit(operator.add, 1, 2).result(timeout=120) == 3
        cluster.scale(0)
    assert replicas_of(kubectl_json, "real-dask-worker") == 0
