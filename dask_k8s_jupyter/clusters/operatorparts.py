"""Finds what an installation of the operator consists of, whichever release made it.

What is installed is marked. So what an earlier or a later release had and this one has not can be
told from what is somebody else's. Guarantees that only what carries the mark is found, of whatever
kind it is, and nothing that a controller made; that an extension of the API that answers oddly is
noted and passed over. Refuses to delete, and to find namespaces.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from dask_k8s_jupyter.errors import DaskKubernetesError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ApiError, ApiUnreachableError
from dask_k8s_operator.resources.kinds import CUSTOM_RESOURCE_DEFINITIONS, Kind
from dask_k8s_operator.resources.manifests import NAME

from .apply import build_kind, list_served

logger = logging.getLogger(__name__)

Manifest = dict[str, Any]

MARK: Mapping[str, str] = {
    "app.kubernetes.io/part-of": NAME,
    "app.kubernetes.io/managed-by": "dask-k8s",
}
SELECTOR = ",".join(f"{key}={value}" for key, value in MARK.items())
# The definitions hold people's clusters: who deletes them has asked before.
_NOT_PARTS = ("Namespace", "CustomResourceDefinition", "Event")


def mark(manifest: Manifest) -> Manifest:
    """Mark an object as a part; a namespace is its owner's, who may only lodge the operator.

    Examples
    --------
    >>> mark({"kind": "Role", "metadata": {"name": "a"}})["metadata"]["labels"] == MARK
    True
    """
    if manifest["kind"] == "Namespace":
        return manifest
    metadata = manifest["metadata"]
    labels = {**(metadata.get("labels") or {}), **MARK}
    return {**manifest, "metadata": {**metadata, "labels": labels}}


async def find_parts(
    client: KubeClient, namespace: str, *, single_namespace: bool = False
) -> list[tuple[Kind, Manifest]]:
    """Find all parts: kind and object.

    Parameters
    ----------
    client
        Connection to the API, as an administrator.
    namespace
        Where the operator runs.
    single_namespace
        Whether only that namespace is looked through.
    """
    kinds = [kind for kind in await _list_kinds(client) if kind.namespaced or not single_namespace]
    found = await asyncio.gather(*(_list_marked(client, kind, namespace) for kind in kinds))
    return [(kind, item) for kind, items in zip(kinds, found, strict=True) for item in items]


async def find_definitions(client: KubeClient) -> list[Manifest]:
    """Find the definitions that carry the mark."""
    return (await client.list(CUSTOM_RESOURCE_DEFINITIONS, label_selector=SELECTOR)).items


def build_served_kind(definition: Manifest) -> Kind:
    """Build the kind of a definition, in a version that all objects of it are read by.

    Raises
    ------
    DaskKubernetesError
        When the API serves none.

    Examples
    --------
    >>> versions = [{"name": "v1alpha1", "served": False}, {"name": "v1", "served": True}]
    >>> spec = {"group": "acme.example", "scope": "Namespaced", "versions": versions}
    >>> spec["names"] = {"plural": "things", "kind": "Thing"}
    >>> build_served_kind({"metadata": {"name": "things.acme.example"}, "spec": spec}).version
    'v1'
    """
    spec, name = definition["spec"], definition["metadata"]["name"]
    served = [version["name"] for version in spec["versions"] if version["served"]]
    if not served:
        raise DaskKubernetesError(
            f"CustomResourceDefinition {name} serves no version: what it holds cannot be listed",
            fix=f"Set `served: true` in one of its versions, or `kubectl delete crd {name}`",
        )
    names = spec["names"]
    namespaced = spec["scope"] == "Namespaced"
    return Kind(spec["group"], served[0], names["plural"], names["kind"], namespaced)


def select_others(
    parts: Iterable[tuple[Kind, Manifest]], manifests: Iterable[Manifest]
) -> list[tuple[Kind, Manifest]]:
    """Select the parts that are none of some manifests, by kind and name."""
    known = {(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests}
    return [
        (kind, item)
        for kind, item in parts
        if (kind.kind, item["metadata"]["name"]) not in known
        and not item["metadata"].get("ownerReferences")
    ]


async def _list_kinds(client: KubeClient) -> list[Kind]:
    """Every kind that can be listed and deleted, each in the version that the API prefers."""
    groups = (await client.request("GET", "/apis")).get("groups") or []
    versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]
    paths = [f"/apis/{version}" if "/" in version else f"/api/{version}" for version in versions]
    served = await asyncio.gather(*(_list_served(client, path) for path in paths))
    return [
        build_kind(version, resource)
        for version, resources in zip(versions, served, strict=True)
        for resource in resources
        if {"list", "delete"} <= set(resource.get("verbs") or ()) and _may_be_part(resource)
    ]


def _may_be_part(resource: Mapping[str, Any]) -> bool:
    return "/" not in resource["name"] and resource["kind"] not in _NOT_PARTS


async def _list_served(client: KubeClient, path: str) -> list[Manifest]:
    try:
        return await list_served(client, path)
    except ApiError:  # of an extension whose server is down: none of ours
        return []
    except ApiUnreachableError as error:
        if path == "/api/v1":  # which no extension answers for
            raise
        _note_skipped(path, error)
        return []


def _note_skipped(path: str, error: ApiUnreachableError) -> None:
    logger.warning("%s was not looked through for parts of the operator: %s", path, error.why)


async def _list_marked(client: KubeClient, kind: Kind, namespace: str) -> list[Manifest]:
    where = namespace if kind.namespaced else None
    try:
        return (await client.list(kind, where, label_selector=SELECTOR)).items
    except ApiError:  # what we may not list, or nobody serves right now, we did not install
        return []
    except ApiUnreachableError as error:
        if not kind.group:
            raise
        _note_skipped(kind.path(where), error)
        return []
