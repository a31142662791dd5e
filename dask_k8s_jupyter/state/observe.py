"""Reads one cluster from the API and draws it, for who has just changed it and has no store.

Guarantees a picture that is not older than the call. Refuses to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any

from dask_k8s_jupyter.errors import ClusterNotFoundError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import NotFoundError, UnsupportedKindError
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    Kind,
)

from .autoscalers import index_autoscalers
from .view import ClusterView, build_cluster_view

_DRAWN = (DASK_CLUSTERS, DASK_WORKER_GROUPS, DASK_AUTOSCALERS)


async def observe_cluster(client: KubeClient, namespace: str, name: str) -> ClusterView:
    """Draw one cluster as it is now.

    Raises
    ------
    ClusterNotFoundError
        When there is none of that name.

    Examples
    --------
    >>> async def count_workers(client):
    ...     return (await observe_cluster(client, "default", "demo")).workers.ready
    """
    try:
        cluster, groups, autoscalers = await asyncio.gather(
            client.get(DASK_CLUSTERS, name, namespace),
            _list_parts(client, DASK_WORKER_GROUPS, namespace, name),
            _list_parts(client, DASK_AUTOSCALERS, namespace, name),
        )
    except UnsupportedKindError:
        raise
    except NotFoundError as error:
        raise ClusterNotFoundError(
            f"There is no DaskCluster {namespace}/{name}",
            fix=f"See `dask-k8s list -n {namespace}`",
        ) from error
    scaling = index_autoscalers(autoscalers, namespace, name)
    return build_cluster_view(cluster, groups, scaling, datetime.now(timezone.utc))


async def observe_clusters(client: KubeClient, namespace: str | None) -> list[ClusterView]:
    """Draw all clusters of a namespace as they are now, by namespace and name.

    Parameters
    ----------
    client
        Connection to the API.
    namespace
        Whose clusters; None means all namespaces.
    """
    clusters, groups, autoscalers = await asyncio.gather(
        *(client.list(kind, namespace) for kind in _DRAWN)
    )
    now = datetime.now(timezone.utc)
    views = [
        build_cluster_view(
            cluster,
            [group for group in groups.items if _belongs(group, cluster)],
            _index_autoscalers(autoscalers.items, cluster),
            now,
        )
        for cluster in clusters.items
    ]
    return sorted(views, key=lambda view: (view.namespace, view.name))


def _index_autoscalers(
    autoscalers: Iterable[dict[str, Any]], cluster: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    metadata = cluster["metadata"]
    return index_autoscalers(autoscalers, metadata["namespace"], metadata["name"])


def _belongs(part: dict[str, Any], cluster: dict[str, Any]) -> bool:
    named = (part["metadata"]["namespace"], (part.get("spec") or {}).get("cluster"))
    return named == (cluster["metadata"]["namespace"], cluster["metadata"]["name"])


async def _list_parts(
    client: KubeClient, kind: Kind, namespace: str, cluster: str
) -> list[dict[str, Any]]:
    """List what names the cluster; one made by hand has no label until it is adopted."""
    parts = (await client.list(kind, namespace)).items
    return [part for part in parts if (part.get("spec") or {}).get("cluster") == cluster]
