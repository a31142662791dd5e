"""The names that ``dask_kubernetes.operator`` has, for code that moves over by changing the import.

New code takes them from ``dask_k8s_jupyter`` itself. Importing this is cheap: names are looked up
when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dask_k8s_jupyter import (
        CreateMode,
        KubeCluster,
        make_cluster_spec,
        make_scheduler_spec,
        make_worker_spec,
    )
    from dask_k8s_jupyter.clusters.discovery import discover_clusters as discover

__all__ = [
    "CreateMode",
    "KubeCluster",
    "discover",
    "make_cluster_spec",
    "make_scheduler_spec",
    "make_worker_spec",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "discover":
        from dask_k8s_jupyter.clusters.discovery import discover_clusters

        return discover_clusters
    import dask_k8s_jupyter

    return getattr(dask_k8s_jupyter, name)


def __dir__() -> list[str]:
    return sorted(__all__)
