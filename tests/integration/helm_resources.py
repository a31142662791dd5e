"""A release of the Dask chart as Helm and the chart lay it down, without a helm."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any

import yaml

Kubectl = Callable[..., str]


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


def build_release(
    release: str,
    namespace: str,
    image: str,
    workers: int = 1,
    *,
    service_type: str = "ClusterIP",
    names: tuple[str, str] = ("scheduler", "worker"),
) -> list[Any]:
    """Everything that a release of the chart leaves in a namespace; ``names`` are its roles'."""
    head, hand = names
    scheduler = {
        "image": image,
        "args": ["dask", "scheduler", "--port", "8786", "--dashboard-address", ":8787"],
        "ports": [{"containerPort": 8786}, {"containerPort": 8787}],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8787}, "periodSeconds": 1},
    }
    address = f"{release}-dask-{head}:8786"
    worker = {"image": image, "args": ["dask", "worker", address, "--nthreads", "1", "--no-nanny"]}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": f"{release}-dask-{head}",
            **build_marks(release, namespace, head),
        },
        "spec": {
            "type": service_type,
            "selector": {"app": "dask", "release": release, "component": head},
            "ports": [
                {"name": f"{release}-dask-{head}", "port": 8786, "targetPort": 8786},
                {"name": f"{release}-dask-webui", "port": 80, "targetPort": 8787},
            ],
        },
    }
    return [
        build_deployment(release, namespace, head, "", 1, scheduler),
        build_deployment(release, namespace, hand, "", workers, worker),
        build_deployment(release, namespace, hand, "-high-mem", 0, worker),
        service,
        build_record(release, namespace),
    ]


def lay_down(kubectl: Kubectl, manifests: list[Any]) -> None:
    """Apply some manifests."""
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))
