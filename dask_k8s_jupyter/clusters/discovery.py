"""Finds running clusters, as dask-ctl asks for them (entry points ``dask_cluster_discovery``).

Each discovery is an asynchronous generator of pairs: a name, and the class whose ``from_name``
takes that name. Guarantees that where there is no Kubernetes, no operator or no permission, nothing
is found and nothing is raised: dask-ctl asks everybody. Refuses to look into other namespaces for
what ``from_name`` could not find there.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Any

from dask_k8s_jupyter import config
from dask_k8s_jupyter.errors import NoKubernetesError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ForbiddenError, KubeError
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DEPLOYMENTS

from .auth import Auth, ClusterAuth, connect
from .helmrelease import CHART, list_records, release_of

logger = logging.getLogger(__name__)
Found = AsyncIterator[tuple[str, Any]]


async def discover_clusters() -> Found:
    """Find the DaskClusters of the current namespace.

    Not those of other namespaces: a name is all that ``from_name`` is given by whoever asks, and
    with it alone it finds, or mistakes for another, what is in the current one.

    Examples
    --------
    >>> async def names():
    ...     return [name async for name, manager in discover_clusters()]
    """
    from .kubecluster import KubeCluster

    for name in await find_names("clusters", _list_clusters):
        yield name, KubeCluster


async def discover_helm_releases(
    auth: Auth = ClusterAuth.DEFAULT, namespace: str | None = None
) -> Found:
    """Find the Helm releases of the Dask chart, as ``{release}.{namespace}``.

    Parameters
    ----------
    auth
        Ways to find Kubernetes, in order; None for the usual places.
    namespace
        Where; None for all namespaces where we may look there, otherwise for the current one.

    Examples
    --------
    >>> async def names():
    ...     return [name async for name, manager in discover_helm_releases(namespace="team-a")]
    """
    from .helmcluster import HelmCluster

    def list_names(client: KubeClient) -> Awaitable[list[str]]:
        return _list_releases(client, namespace)

    for name in await find_names("Helm releases", list_names, auth):
        yield name, HelmCluster


async def find_names(what: str, list_names: Any, auth: Auth = None) -> list[str]:
    """List names over a connection of its own; none where something is in the way."""
    try:
        async with await connect(auth) as client:
            names: list[str] = await list_names(client)
            return names
    except (KubeError, NoKubernetesError) as error:
        logger.info("no Dask %s were found: %s", what, error)
        return []


async def _list_clusters(client: KubeClient) -> list[str]:
    namespace = config.get("namespace") or client.namespace
    clusters = (await client.list(DASK_CLUSTERS, namespace)).items
    return sorted(cluster["metadata"]["name"] for cluster in clusters)


async def _list_releases(client: KubeClient, asked: str | None) -> list[str]:
    own = config.get("namespace") or client.namespace
    places = (None, own) if asked is None else (asked,)
    for namespace in places:
        records = await list_records(client, namespace)
        if records is not None:
            return [
                f"{record.name}.{record.namespace}"
                for record in records
                if record.chart == CHART and record.status == "deployed"
            ]
    return await _list_releases_without_records(client, places)


async def _list_releases_without_records(
    client: KubeClient, places: Iterable[str | None]
) -> list[str]:
    """Where we may not read Secrets, the Deployments of schedulers tell."""
    for namespace in places:
        try:
            deployments = (await client.list(DEPLOYMENTS, namespace)).items
        except ForbiddenError:
            continue
        schedulers = [each for each in deployments if _is_scheduler(each)]
        return sorted(f"{release_of(each)}.{each['metadata']['namespace']}" for each in schedulers)
    return []


def _is_scheduler(deployment: dict[str, Any]) -> bool:
    labels = deployment["metadata"].get("labels") or {}
    component = labels.get("component") or labels.get("app.kubernetes.io/component")
    return component == "scheduler" and release_of(deployment) is not None
