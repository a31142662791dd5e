"""The names that ``dask_kubernetes.operator.kubecluster`` has, for code that moves over."""

from .kubecluster import (
    CreateMode,
    KubeCluster,
    discover,
    make_cluster_spec,
    make_scheduler_spec,
    make_worker_spec,
)

__all__ = [
    "CreateMode",
    "KubeCluster",
    "discover",
    "make_cluster_spec",
    "make_scheduler_spec",
    "make_worker_spec",
]
