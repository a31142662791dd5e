"""What the server serves, told to clients: discovery, version, OpenAPI v3. Pure.

The OpenAPI documents say which operations a kind has, and its fields: for ``kubectl explain``, for
the patches that ``kubectl apply`` computes. Built-in kinds have types and no descriptions.
"""

from __future__ import annotations

import platform
from typing import Any

import orjson

from . import builtin, protobuf
from .resources import SUBRESOURCES, Registry, Resource

Object = dict[str, Any]

# The release whose behaviour is followed; clients choose features by it.
VERSION: Object = {
    "major": "1",
    "minor": "36",
    "gitVersion": "v1.36.0+dask-k8s-local",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "cpython",
    "platform": f"{platform.system().lower()}/{platform.machine()}",
}


def build_api_versions(host: str) -> Object:
    """Answer ``GET /api``."""
    address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}


def build_group_list(registry: Registry) -> Object:
    """Answer ``GET /apis``."""
    groups = [build_group(registry, group) for group in _groups(registry)]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _groups(registry: Registry) -> list[str]:
    return list(dict.fromkeys(group for group, _ in registry.group_versions() if group))


def build_group(registry: Registry, group: str) -> Object | None:
    """Answer ``GET /apis/GROUP``; None when there is no such group."""
    versions = [
        {"groupVersion": f"{group}/{version}", "version": version}
        for known, version in registry.group_versions()
        if known == group
    ]
    if not versions:
        return None
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": group,
        "versions": versions,
        "preferredVersion": versions[0],
    }


def build_resource_list(registry: Registry, group: str, version: str) -> Object | None:
    """Answer ``GET /apis/GROUP/VERSION``; None when there is no such version."""
    resources = registry.group_versions().get((group, version))
    if resources is None:
        return None
    entries = [entry for resource in resources for entry in _list_entries(resource)]
    group_version = f"{group}/{version}" if group else version
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": entries,
    }


def _list_entries(resource: Resource) -> list[Object]:
    entry: Object = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    entries = [entry]
    for name in resource.subresources:
        group, version, kind, verbs = SUBRESOURCES[name]
        sub: Object = {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": kind or resource.kind,
            "verbs": list(verbs),
        }
        if group:
            sub |= {"group": group, "version": version}
        entries.append(sub)
    return entries


def build_aggregated(registry: Registry, is_core: bool, version: str) -> Object:
    """Answer ``/api`` or ``/apis`` in the form that lists everything at once."""
    groups: dict[str, list[Object]] = {}
    for (group, group_version), resources in registry.group_versions().items():
        if (group == "") == is_core:
            entry = {
                "version": group_version,
                "resources": [_aggregated_entry(resource) for resource in resources],
                "freshness": "Current",
            }
            groups.setdefault(group, []).append(entry)
    items = [
        {"metadata": {"name": group} if group else {}, "versions": versions}
        for group, versions in groups.items()
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": items,
    }


def _aggregated_entry(resource: Resource) -> Object:
    entry: Object = {
        "resource": resource.plural,
        "responseKind": _kind(resource.group, resource.version, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    if resource.subresources:
        entry["subresources"] = [_aggregated_sub(resource, name) for name in resource.subresources]
    return entry


def _aggregated_sub(resource: Resource, name: str) -> Object:
    group, version, kind, verbs = SUBRESOURCES[name]
    response = (
        _kind(group, version or "v1", kind)
        if kind
        else _kind(resource.group, resource.version, resource.kind)
    )
    return {"subresource": name, "responseKind": response, "verbs": list(verbs)}


def _kind(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}


def _group_version_path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def build_openapi_index(registry: Registry) -> Object:
    """Answer ``GET /openapi/v3``."""
    paths = {}
    for group, version in registry.group_versions():
        path = _group_version_path(group, version)
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={registry.generation}"}
    return {"paths": paths}


def build_openapi(registry: Registry, group: str, version: str) -> Object | None:
    """Answer ``GET /openapi/v3/apis/GROUP/VERSION``; None when there is no such version."""
    resources = registry.group_versions().get((group, version))
    if resources is None:
        return None
    paths: Object = {}
    schemas: Object = {}
    for resource in resources:
        if "patch" not in resource.verbs:
            continue
        scope = "/namespaces/{namespace}" if resource.namespaced else ""
        path = f"/{_group_version_path(group, version)}{scope}/{resource.plural}"
        paths[path] = {"post": _operation(resource, "post")}
        paths[f"{path}/{{name}}"] = {
            "get": _operation(resource, "get"),
            "put": _operation(resource, "put"),
            "patch": _operation(resource, "patch"),
            "delete": _operation(resource, "delete"),
        }
        if resource.is_custom:
            schemas[_schema_name(resource)] = _schema(resource)
        else:
            schemas |= builtin.collect([_schema_name(resource)])
    return {
        "openapi": "3.0.0",
        "info": {"title": "dask-k8s-local", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def build_openapi_v2(accept: str) -> tuple[bytes, str]:
    """Answer ``GET /openapi/v2`` with a body and its type: a document without a definition.

    kubectl reads it before it applies a ``List``, and checks what it finds there, which is
    nothing: every item is checked by the server when it comes.
    """
    title, version = "dask-k8s-local", VERSION["gitVersion"]
    if "protobuf" not in accept:
        info = {"title": title, "version": version}
        body = {"swagger": "2.0", "info": info, "paths": {}, "definitions": {}}
        return orjson.dumps(body), "application/json"
    # Fields 1 swagger, 2 info (1 title, 2 version), 8 paths, 9 definitions.
    inner = protobuf.encode_field(1, title.encode()) + protobuf.encode_field(2, version.encode())
    fields = ((1, b"2.0"), (2, inner), (8, b""), (9, b""))
    encoded = b"".join(protobuf.encode_field(*field) for field in fields)
    return encoded, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"


def _schema_name(resource: Resource) -> str:
    known = None if resource.is_custom else builtin.find_name(resource.group, resource.kind)
    if known is not None:
        return known
    group = ".".join(reversed(resource.group.split("."))) if resource.group else "core"
    return f"{group}.{resource.version}.{resource.kind}"


def _schema(resource: Resource) -> Object:
    kind = _kind(resource.group, resource.version, resource.kind)
    known = resource.schema or {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {**known, "x-kubernetes-group-version-kind": [kind]}


def _operation(resource: Resource, method: str) -> Object:
    names = (
        ["dryRun", "fieldManager", "fieldValidation"] if method in ("post", "put", "patch") else []
    )
    if method == "patch":
        names.append("force")
    reference = {"$ref": f"#/components/schemas/{_schema_name(resource)}"}
    content: Object = {"application/json": {"schema": reference}}
    operation: Object = {
        "parameters": [
            {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for name in names
        ],
        "responses": {"200": {"description": "OK", "content": content}},
        "x-kubernetes-action": method,
        "x-kubernetes-group-version-kind": _kind(resource.group, resource.version, resource.kind),
    }
    if method == "patch":
        suffixes = ["json-patch+json", "merge-patch+json", "apply-patch+yaml"]
        if not resource.is_custom:
            suffixes.append("strategic-merge-patch+json")
        types = [f"application/{suffix}" for suffix in suffixes]
        operation["requestBody"] = {"content": {name: {"schema": reference} for name in types}}
    elif method in ("post", "put"):
        operation["requestBody"] = {"content": {"*/*": {"schema": reference}}}
    return operation
