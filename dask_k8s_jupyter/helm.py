"""The names that ``dask_kubernetes.helm`` has, for code that moves over by changing the import."""

from __future__ import annotations

from .clusters.discovery import discover_helm_releases as discover
from .clusters.helmcluster import HelmCluster

__all__ = ["HelmCluster", "discover"]
