"""Applies manifests by server-side apply, from one release to the next.

Guarantees that what an earlier release had and this one has not is gone from an object, also where
kubectl or Helm had applied the earlier one: their fields become ours first. Refuses to touch what
controllers write.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.client import DEFAULT_FIELD_MANAGER
from dask_k8s_operator.kube.errors import NotFoundError, build_not_kubernetes_error
from dask_k8s_operator.resources.kinds import Kind

Manifest = dict[str, Any]
Kinds = Mapping[tuple[str, str], Kind]

# Who applies manifests for people; "before-first-apply" is what the API calls their older writes.
_APPLIERS = ("kubectl", "helm", "before-first-apply")


async def find_kinds(client: KubeClient, manifests: Iterable[Manifest]) -> Kinds:
    """Ask the API how the kinds of some manifests are addressed."""
    versions = sorted({manifest["apiVersion"] for manifest in manifests})
    paths = [f"/apis/{version}" if "/" in version else f"/api/{version}" for version in versions]
    served = await asyncio.gather(*(list_served(client, path) for path in paths))
    return {
        (version, resource["kind"]): build_kind(version, resource)
        for version, resources in zip(versions, served, strict=True)
        for resource in resources
        if "/" not in resource["name"]
    }


async def list_served(client: KubeClient, path: str) -> list[Manifest]:
    """Ask which resources the API serves of a group and version, by its path.

    Raises
    ------
    NotFoundError
        When it serves none.
    ApiUnreachableError
        When the answer is none of Kubernetes'.
    """
    answer = await client.request("GET", path)
    resources = answer.get("resources", ()) if isinstance(answer, dict) else ()
    if resources is None:  # as Go writes an empty list
        return []
    if not isinstance(resources, list) or not all(map(_is_served, resources)):
        raise build_not_kubernetes_error(client.host)
    return resources


def _is_served(resource: Any) -> bool:
    return isinstance(resource, dict) and {"name", "kind"} <= resource.keys()


def build_kind(api_version: str, resource: Mapping[str, Any]) -> Kind:
    """Build a kind from what discovery says of it."""
    group, _, version = api_version.rpartition("/")
    return Kind(group, version, resource["name"], resource["kind"], resource["namespaced"])


async def apply_manifest(client: KubeClient, kind: Kind, manifest: Manifest) -> Manifest:
    """Apply one manifest; fields that somebody else set otherwise are taken over."""
    metadata = manifest["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace")
    with contextlib.suppress(NotFoundError):
        await _take_over(client, kind, await client.get(kind, name, namespace))
    return await client.patch(kind, name, manifest, namespace, patch_type="apply", force=True)


async def _take_over(client: KubeClient, kind: Kind, live: Manifest) -> None:
    """Make ours what kubectl or Helm manage, as client-go does when it upgrades to apply."""
    metadata = live["metadata"]
    entries = metadata.get("managedFields") or []
    taken = merge_appliers(entries)
    if taken == entries:
        return
    patch = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "replace", "path": "/metadata/managedFields", "value": taken},
    ]
    await client.patch(kind, metadata["name"], patch, metadata.get("namespace"), patch_type="json")


def merge_appliers(entries: list[Manifest], manager: str = DEFAULT_FIELD_MANAGER) -> list[Manifest]:
    """Give to ``manager`` the fields of all who apply for people.

    Examples
    --------
    >>> merge_appliers([{"manager": "kubectl", "operation": "Apply", "fieldsV1": {"f:spec": {}}}])
    [{'manager': 'dask-k8s', 'operation': 'Apply', 'fieldsV1': {'f:spec': {}}}]
    """
    taken = [entry for entry in entries if _is_of_applier(entry)]
    if not taken:
        return entries
    mine = [entry for entry in entries if _is_of(entry, manager)]
    rest = [entry for entry in entries if entry not in taken and entry not in mine]
    fields: Manifest = {}
    for entry in (*mine, *taken):
        fields = _unite(fields, entry.get("fieldsV1") or {})
    merged = {**(mine or taken)[0], "manager": manager, "operation": "Apply", "fieldsV1": fields}
    return [*rest, merged]


def _is_of(entry: Manifest, manager: str) -> bool:
    is_apply = entry.get("operation") == "Apply" and not entry.get("subresource")
    return is_apply and entry.get("manager") == manager


def _is_of_applier(entry: Manifest) -> bool:
    return not entry.get("subresource") and str(entry.get("manager")).startswith(_APPLIERS)


def _unite(some: Manifest, others: Manifest) -> Manifest:
    united = dict(some)
    for key, nested in others.items():
        united[key] = _unite(united.get(key) or {}, nested or {})
    return united
