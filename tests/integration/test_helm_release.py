"""HelmCluster on a release laid down as the Dask chart lays it, by hand and by a real helm."""

from __future__ import annotations

import base64
import gzip
import json
import operator
import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from distributed import Client

from dask_k8s_jupyter import HelmCluster
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


def build_marks(release: str, namespace: str, component: str) -> dict[str, Any]:
    """What Helm and the chart write on an object of a release."""
    return {
        "namespace": namespace,
        "labels": {
            "app": "dask",
            "heritage": "Helm",
            "release": release,
            "chart": "dask-2024.1.1",
            "component": component,
            "app.kubernetes.io/managed-by": "Helm",
        },
        "annotations": {
            "meta.helm.sh/release-name": release,
            "meta.helm.sh/release-namespace": namespace,
        },
    }


def build_deployment(
    release: str, namespace: str, component: str, suffix: str, replicas: int, container: Any
) -> dict[str, Any]:
    """One Deployment of the chart."""
    labels = {"app": "dask", "release": release, "component": component}
    name = f"{release}-dask-{component}{suffix}"
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, **build_marks(release, namespace, component)},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 2,
                    "containers": [{"name": name, "imagePullPolicy": "IfNotPresent", **container}],
                },
            },
        },
    }


def build_record(release: str, namespace: str) -> dict[str, Any]:
    """The Secret in which Helm keeps what it did."""
    record = {
        "name": release,
        "namespace": namespace,
        "version": 1,
        "info": {"status": "deployed"},
        "chart": {"metadata": {"name": "dask", "version": "2024.1.1"}},
    }
    packed = base64.b64encode(gzip.compress(json.dumps(record).encode()))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {
            "name": f"sh.helm.release.v1.{release}.v1",
            "namespace": namespace,
            "labels": {"name": release, "owner": "helm", "status": "deployed", "version": "1"},
        },
        "data": {"release": base64.b64encode(packed).decode()},
    }


def build_release(release: str, namespace: str, image: str, workers: int = 1) -> list[Any]:
    """Everything that a release of the chart leaves in a namespace."""
    scheduler = {
        "image": image,
        "args": ["dask", "scheduler", "--port", "8786", "--dashboard-address", ":8787"],
        "ports": [{"containerPort": 8786}, {"containerPort": 8787}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8787}, "periodSeconds": 1},
    }
    address = f"{release}-dask-scheduler:8786"
    worker = {"image": image, "args": ["dask", "worker", address, "--nthreads", "1", "--no-nanny"]}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{release}-dask-scheduler",
            **build_marks(release, namespace, "scheduler"),
        },
        "spec": {
            "type": "ClusterIP",
            "selector": {"app": "dask", "release": release, "component": "scheduler"},
            "ports": [
                {"name": f"{release}-dask-scheduler", "port": 8786, "targetPort": 8786},
                {"name": f"{release}-dask-webui", "port": 80, "targetPort": 8787},
            ],
        },
    }
    return [
        build_deployment(release, namespace, "scheduler", "", 1, scheduler),
        build_deployment(release, namespace, "worker", "", workers, worker),
        build_deployment(release, namespace, "worker", "-high-mem", 0, worker),
        service,
        build_record(release, namespace),
    ]


def lay_down(kubectl: Kubectl, manifests: list[Any]) -> None:
    """Apply some manifests."""
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))


def replicas_of(kubectl_json: Callable[..., Any], name: str) -> int:
    """How many Pods a Deployment asks for."""
    return int(kubectl_json("get", "deployment", name)["spec"]["replicas"])


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
    namespace: str,
    dask_image: str,
    run_inside: Callable[..., Awaitable[str]],
) -> None:
    lay_down(kubectl, build_release("mine", namespace, dask_image, workers=0))
    found = {name: made async for name, made in discover_helm_releases()}
    made = found[f"mine.{namespace}"]
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
