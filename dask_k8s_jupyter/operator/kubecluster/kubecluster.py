"""Where dask-kubernetes has ``CreateMode``, and nowhere else: for code that moves over."""

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
