"""What a person does to clusters: create, scale, adapt, delete.

Sidebar, panel, KubeCluster and command line all come through here. Guarantees one or two writes an
action, and exceptions of ``dask_k8s_jupyter.errors``. Refuses to wait: what comes of a wish is
the operator's to tell.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from dask_k8s_jupyter.errors import (
    ClusterNotFoundError,
    InvalidSpecError,
    NameTakenError,
    NotInstalledError,
    WorkerGroupNotFoundError,
    build_permission_missing_error,
    explain,
)
from dask_k8s_jupyter.state.autoscalers import find_autoscalers
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    KubeError,
    NotFoundError,
    UnsupportedKindError,
)
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    GROUP,
    PODS,
    Kind,
)

from .apply import list_served
from .checks import check_count, check_name
from .groupspec import build_autoscaler, build_worker_group, name_autoscalers

P = ParamSpec("P")
T = TypeVar("T")
Manifest = dict[str, Any]
# Verb, kind, subresource.
Need = tuple[str, Kind, str | None]

DEFAULT_GROUP = "default"
NEEDED_TO_SEE: tuple[Need, ...] = (
    ("get", DASK_CLUSTERS, None),
    ("list", DASK_CLUSTERS, None),
    ("watch", DASK_CLUSTERS, None),
)
NEEDED_TO_CONNECT: tuple[Need, ...] = (
    *NEEDED_TO_SEE,
    ("list", PODS, None),
    ("get", PODS, "portforward"),
    # Newer versions of Kubernetes ask for this one where the tunnel is a websocket.
    ("create", PODS, "portforward"),
)
NEEDED_TO_CREATE: tuple[Need, ...] = (
    ("create", DASK_CLUSTERS, None),
    ("delete", DASK_CLUSTERS, None),
    *NEEDED_TO_CONNECT,
)


def _explained(action: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    @functools.wraps(action)
    async def explained(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await action(*args, **kwargs)
        except KubeError as error:
            raise explain(error) from error

    return explained


@_explained
async def preflight(
    client: KubeClient, namespace: str, needs: Sequence[Need] = NEEDED_TO_CREATE
) -> None:
    """Make sure that Kubernetes knows Dask clusters and lets us do what we need, before we do it.

    Raises
    ------
    NotInstalledError
        When the custom resource definitions are missing.
    PermissionMissingError
        When we may not do something of ``needs``; it names all of it.
    """
    reviews = [
        client.can_i(verb, kind, namespace, subresource=subresource)
        for verb, kind, subresource in needs
    ]
    _, *allowed = await asyncio.gather(check_installed(client), *reviews)
    missing = [need for need, is_allowed in zip(needs, allowed, strict=True) if not is_allowed]
    if missing:
        first, *others = [
            (verb, _resource_name(kind, subresource)) for verb, kind, subresource in missing
        ]
        also = f"; nor {', '.join(' '.join(other) for other in others)}" if others else ""
        raise build_permission_missing_error(*first, f"in namespace {namespace}", also=also)


@_explained
async def check_installed(client: KubeClient) -> None:
    """Make sure that Kubernetes knows Dask clusters; everybody may ask that.

    Raises
    ------
    NotInstalledError
        When it does not.
    """
    path = f"/apis/{GROUP}/{DASK_CLUSTERS.version}"
    try:
        served = await list_served(client, path)
    except NotFoundError as error:
        raise NotInstalledError(f"{client.host} does not know {GROUP}") from error
    if DASK_CLUSTERS.plural not in [resource["name"] for resource in served]:
        raise NotInstalledError(f"{client.host} does not know {DASK_CLUSTERS.plural}.{GROUP}")


@_explained
async def get_cluster(client: KubeClient, namespace: str, name: str) -> Manifest:
    """Read one DaskCluster.

    Raises
    ------
    ClusterNotFoundError
        When there is none of this name.
    """
    try:
        return await client.get(DASK_CLUSTERS, name, namespace)
    except NotFoundError as error:
        raise _cluster_not_found(namespace, name, error) from error


@_explained
async def create_cluster(client: KubeClient, spec: Mapping[str, Any], namespace: str) -> Manifest:
    """Create a DaskCluster, and return it as the API stored it.

    Parameters
    ----------
    client
        Connection to the API.
    spec
        A whole DaskCluster, as ``make_cluster_spec`` builds it.
    namespace
        Where; goes before the one that the spec names.

    Raises
    ------
    NameTakenError
        When there is a cluster of this name.
    """
    name = check_name("name", (spec.get("metadata") or {}).get("name", ""))
    body = {**spec, "metadata": {**spec["metadata"], "namespace": namespace}}
    try:
        return await client.create(DASK_CLUSTERS, body, namespace)
    except AlreadyExistsError as error:
        raise NameTakenError(f"DaskCluster {namespace}/{name} exists already") from error


@_explained
async def scale_cluster(
    client: KubeClient, namespace: str, name: str, replicas: int, group: str | None = None
) -> None:
    """Ask for a fixed number of workers; an autoscaler of that group is deleted first.

    Parameters
    ----------
    client
        Connection to the API.
    namespace, name
        The cluster.
    replicas
        Workers to have.
    group
        Short or full name of a worker group; None for the default one.

    Raises
    ------
    WorkerGroupNotFoundError
        When the cluster has no such group.
    """
    check_count("replicas", replicas)
    patch = {"spec": {"worker": {"replicas": replicas}}}
    full_name = await _find_group(client, namespace, name, group, "worker_group")
    await _delete_autoscalers(client, namespace, name, full_name)
    try:
        await client.patch(DASK_WORKER_GROUPS, full_name, patch, namespace)
    except NotFoundError:
        if full_name != names.default_group_name(name):
            raise
        # The operator has yet to make the default group: it will read the number here.
        await _patch_cluster(client, namespace, name, patch)


@_explained
async def adapt_cluster(
    client: KubeClient,
    namespace: str,
    name: str,
    minimum: int,
    maximum: int,
    group: str | None = None,
) -> None:
    """Let the scheduler's load choose between ``minimum`` and ``maximum`` workers of a group.

    Parameters
    ----------
    client
        Connection to the API.
    namespace, name
        The cluster.
    minimum, maximum
        Workers to keep, and to have at most.
    group
        Short or full name of a worker group; None for the default one.

    Raises
    ------
    InvalidSpecError
        When the minimum is above the maximum.
    ClusterNotFoundError
        When there is no such cluster.
    WorkerGroupNotFoundError
        When it has no such group.
    """
    check_count("minimum", minimum)
    check_count("maximum", maximum)
    if minimum > maximum:
        raise InvalidSpecError(f"minimum: {minimum} is above the maximum, {maximum}")
    await get_cluster(client, namespace, name)
    full_name = await _find_group(client, namespace, name, group, "worker_group")
    bounds = {"minimum": minimum, "maximum": maximum}
    own_names = name_autoscalers(name, full_name)
    for own_name in own_names:
        found = await _find_autoscalers(client, namespace, name, full_name)
        if found:
            scaling = found[0]["metadata"]["name"]
            await client.patch(DASK_AUTOSCALERS, scaling, {"spec": bounds}, namespace)
            return
        try:
            body = build_autoscaler(name, minimum, maximum, full_name)
            body["metadata"]["name"] = own_name
            await client.create(DASK_AUTOSCALERS, body, namespace)
        except AlreadyExistsError:
            continue
        return
    taken = " and ".join(f"{namespace}/{own_name}" for own_name in own_names)
    raise NameTakenError(
        f"DaskAutoscaler {taken} {'scale' if len(own_names) > 1 else 'scales'} something else",
        fix=f"See `kubectl get daskautoscalers --namespace={namespace}`",
    )


@_explained
async def delete_cluster(
    client: KubeClient, namespace: str, name: str, *, uid: str | None = None
) -> None:
    """Delete a cluster and all that belongs to it; with ``uid``, that one and no successor.

    Raises
    ------
    ClusterNotFoundError
        When there is none of this name.
    """
    try:
        await client.delete(DASK_CLUSTERS, name, namespace, uid=uid)
    except (NotFoundError, ConflictError) as error:
        raise _cluster_not_found(namespace, name, error) from error


@_explained
async def suspend_cluster(
    client: KubeClient, namespace: str, name: str, *, suspend: bool = True
) -> None:
    """Let all Pods of a cluster go until it is resumed (``suspend=False``).

    Raises
    ------
    ClusterNotFoundError
        When there is none of this name.
    """
    await _patch_cluster(client, namespace, name, {"spec": {"suspend": suspend}})


@_explained
async def add_worker_group(
    client: KubeClient, namespace: str, cluster: str, group: str, worker: Mapping[str, Any]
) -> Manifest:
    """Create a worker group from its short name and its ``worker`` section."""
    check_name("name", group, names.MAX_GROUP_NAME_LENGTH - len(cluster) - 1)
    full_name = names.group_name(cluster, group)
    body = build_worker_group(full_name, cluster, worker)
    try:
        return await client.create(DASK_WORKER_GROUPS, body, namespace)
    except AlreadyExistsError as error:
        raise NameTakenError(
            f"DaskWorkerGroup {namespace}/{full_name} exists already", fix="Choose another name"
        ) from error


@_explained
async def delete_worker_group(client: KubeClient, namespace: str, cluster: str, group: str) -> None:
    """Delete a worker group by its short or full name, and its autoscaler; not the default one.

    Raises
    ------
    WorkerGroupNotFoundError
        When the cluster has no such group.
    """
    full_name = await _find_group(client, namespace, cluster, group, "name")
    if full_name == names.default_group_name(cluster):
        raise InvalidSpecError(
            f"name: the default worker group of {namespace}/{cluster} cannot be deleted",
            fix="Scale it to 0 instead",
        )
    # Left behind, it would scale the next group of this name, unasked.
    await _delete_autoscalers(client, namespace, cluster, full_name)
    await client.delete(DASK_WORKER_GROUPS, full_name, namespace)


async def _find_group(
    client: KubeClient, namespace: str, cluster: str, group: str | None, argument: str
) -> str:
    """Full name of a group: the short name goes before, a full one must belong to the cluster.

    ``argument`` is what the person calls the group, for the message that there is none.
    """
    if group is None or names.group_name(cluster, group) == names.default_group_name(cluster):
        return names.default_group_name(cluster)
    for candidate in (names.group_name(cluster, group), group):
        if candidate == names.default_group_name(cluster):
            return candidate
        try:
            found = await client.get(DASK_WORKER_GROUPS, candidate, namespace)
        except NotFoundError:
            continue
        if found["spec"]["cluster"] == cluster:
            return candidate
    raise WorkerGroupNotFoundError(
        f"{argument}: DaskCluster {namespace}/{cluster} has no worker group {group!r}",
        fix=f"See `kubectl get daskworkergroups --namespace={namespace}`",
    )


async def _delete_autoscalers(client: KubeClient, namespace: str, cluster: str, group: str) -> None:
    for autoscaler in await _find_autoscalers(client, namespace, cluster, group):
        metadata = autoscaler["metadata"]
        with contextlib.suppress(NotFoundError, ConflictError):  # gone, or another one meanwhile
            await client.delete(
                DASK_AUTOSCALERS, metadata["name"], namespace, uid=metadata.get("uid")
            )


async def _find_autoscalers(
    client: KubeClient, namespace: str, cluster: str, group: str | None = None
) -> list[Manifest]:
    listed = await client.list(DASK_AUTOSCALERS, namespace)
    return find_autoscalers(listed.items, namespace, cluster, group)


async def _patch_cluster(client: KubeClient, namespace: str, name: str, patch: Manifest) -> None:
    try:
        await client.patch(DASK_CLUSTERS, name, patch, namespace)
    except NotFoundError as error:
        raise _cluster_not_found(namespace, name, error) from error


def _cluster_not_found(namespace: str, name: str, error: ApiError) -> Exception:
    explained = explain(error)
    if isinstance(error, UnsupportedKindError) or error.details.get("kind") == "namespaces":
        return explained
    return ClusterNotFoundError(
        f"There is no DaskCluster {namespace}/{name}",
        fix=f"See `kubectl get daskclusters --namespace={namespace}`",
    )


def _resource_name(kind: Kind, subresource: str | None) -> str:
    resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
    return f"{resource}.{kind.group}" if kind.group else resource
