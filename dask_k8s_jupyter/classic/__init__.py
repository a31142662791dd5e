"""The classic way: a scheduler and workers as bare Pods, without an operator.

It is for a namespace where one may create Pods and nothing else: no custom resources, no operator,
no administrator. Everywhere else ``dask_k8s_jupyter.KubeCluster`` is the better one: there the
cluster outlives the process that made it, is seen in the sidebar, has worker groups, and its
workers are replaced when they are lost. ``to_cluster_spec`` leads from here to there.

Importing this package is cheap: names are looked up when they are used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dask_k8s_jupyter.clusters.auth import ClusterAuth, InCluster, KubeAuth, KubeConfig

    from .kubecluster import KubeCluster
    from .migrate import to_cluster_spec
    from .podspec import make_pod_from_dict, make_pod_spec

__all__ = [
    "ClusterAuth",
    "InCluster",
    "KubeAuth",
    "KubeCluster",
    "KubeConfig",
    "make_pod_from_dict",
    "make_pod_spec",
    "to_cluster_spec",
]

_AUTH = "dask_k8s_jupyter.clusters.auth"
_HOMES = {
    "ClusterAuth": _AUTH,
    "InCluster": _AUTH,
    "KubeAuth": _AUTH,
    "KubeCluster": f"{__name__}.kubecluster",
    "KubeConfig": _AUTH,
    "make_pod_from_dict": f"{__name__}.podspec",
    "make_pod_spec": f"{__name__}.podspec",
    "to_cluster_spec": f"{__name__}.migrate",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
