"""Dask clusters on Kubernetes, from inside Jupyter.

Importing this package is cheap: names are looked up when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .classic.podspec import make_pod_from_dict, make_pod_spec
    from .clusters.auth import ClusterAuth, InCluster, KubeAuth, KubeConfig
    from .clusters.helmcluster import HelmCluster
    from .clusters.kubecluster import KubeCluster
    from .clusters.settings import CreateMode
    from .clusters.spec import make_cluster_spec, make_scheduler_spec, make_worker_spec

__version__ = "0.1.0"

__all__ = [
    "ClusterAuth",
    "CreateMode",
    "HelmCluster",
    "InCluster",
    "KubeAuth",
    "KubeCluster",
    "KubeConfig",
    "__version__",
    "make_cluster_spec",
    "make_pod_from_dict",
    "make_pod_spec",
    "make_scheduler_spec",
    "make_worker_spec",
]

_HOMES = {
    "ClusterAuth": ".clusters.auth",
    "CreateMode": ".clusters.settings",
    "HelmCluster": ".clusters.helmcluster",
    "InCluster": ".clusters.auth",
    "KubeAuth": ".clusters.auth",
    "KubeCluster": ".clusters.kubecluster",
    "KubeConfig": ".clusters.auth",
    "make_cluster_spec": ".clusters.spec",
    "make_pod_from_dict": ".classic.podspec",
    "make_pod_spec": ".classic.podspec",
    "make_scheduler_spec": ".clusters.spec",
    "make_worker_spec": ".clusters.spec",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
