"""Finds classic clusters whose scheduler is a Pod, as dask-ctl asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from dask_k8s_jupyter import config
from dask_k8s_jupyter.clusters.discovery import find_names
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import PODS

from .build import CLASSIC, MANAGED_BY_LABEL


async def discover_classic_clusters() -> AsyncIterator[tuple[str, Any]]:
    """Find the classic clusters of the current namespace.

    Examples
    --------
    >>> async def names_of_clusters():
    ...     return [name async for name, manager in discover_classic_clusters()]
    """
    from .kubecluster import KubeCluster

    for name in await find_names("classic clusters", _list_clusters):
        yield name, KubeCluster


async def _list_clusters(client: KubeClient) -> list[str]:
    namespace = config.get("namespace") or client.namespace
    selector = f"{MANAGED_BY_LABEL}={CLASSIC},{names.COMPONENT_LABEL}={names.SCHEDULER}"
    pods = (await client.list(PODS, namespace, label_selector=selector)).items
    return sorted(
        pod["metadata"]["labels"][names.CLUSTER_NAME_LABEL]
        for pod in pods
        if (pod.get("status") or {}).get("phase") == "Running"
        and "deletionTimestamp" not in pod["metadata"]
    )
