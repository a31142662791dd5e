"""What a request is about: its path, query, body and Accept header, read into values.

Guarantees that a handler never parses a URL. Refuses bodies that are neither JSON nor YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
import yaml
from aiohttp import web

from . import protobuf, statuses
from .access import Attributes
from .reading import APPLY_PATCH, WriteOptions
from .resources import SUBRESOURCES, Registry, Resource

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
# As Go reads a bool.
TRUE = ("1", "t", "T", "true", "TRUE", "True")
_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
_OPTIONS = {"PUT": "UpdateOptions", "PATCH": "PatchOptions"}


@dataclass(frozen=True)
class Target:
    """The resource, and perhaps the object, that a path names."""

    resource: Resource
    namespace: str
    name: str = ""
    subresource: str = ""
    verb: str = ""

    @property
    def scope(self) -> str | None:
        """Namespace of a list; None lists all of them."""
        return self.namespace or None if self.resource.namespaced else None

    @property
    def place(self) -> str:
        """Namespace under which the object is stored; empty for what is in none."""
        return self.namespace if self.resource.namespaced else ""

    @property
    def attributes(self) -> Attributes:
        """What is asked, for the authorizer."""
        resource = self.resource
        return Attributes(
            self.verb, resource.group, resource.plural, self.subresource, self.namespace, self.name
        )


def parse_target(
    registry: Registry, method: str, path: str, query: Mapping[str, str]
) -> Target | None:
    """Read the path of a resource request; None when there is no such resource."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = registry.find(group, version, rest[0])
    if resource is None or len(rest) > 3 or (namespace and not resource.namespaced):
        return None
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and subresource not in resource.subresources:
        return None
    # RBAC sees a namespace as an object inside itself.
    where = name if resource.storage_key == ("", "namespaces") else namespace
    return Target(resource, where, name, subresource, _find_verb(method, name, query))


def parse_unknown(method: str, path: str) -> Attributes:
    """What a request wants that no resource is there for: access is judged before existence."""
    parts = [part for part in path.split("/") if part]
    start = 2 if parts[:1] == ["api"] else 3
    if parts[:1] not in (["api"], ["apis"]) or len(parts) <= start:
        return Attributes(method.lower(), path=path)
    group, rest, namespace = "" if start == 2 else parts[1], parts[start:], ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = [*rest, "", ""][:3]
    verb = _find_verb(method, name, {})
    return Attributes(verb, group, plural, subresource, namespace, name)


def is_served(target: Target) -> bool:
    """Whether the resource, or its subresource, knows the verb."""
    if target.subresource:
        return target.verb in SUBRESOURCES[target.subresource][3]
    return target.verb in target.resource.verbs


def is_complete(target: Target) -> bool:
    """Whether the verb fits the path: objects have names, collections are created into."""
    if target.verb in ("create", "list", "deletecollection"):
        in_namespace = bool(target.namespace) or not target.resource.namespaced
        return not target.name and (in_namespace or target.verb == "list")
    return bool(target.name) or target.verb == "watch"


def _find_verb(method: str, name: str, query: Mapping[str, str]) -> str:
    if method in ("GET", "HEAD"):
        if name:
            return "get"
        return "watch" if query.get("watch") in TRUE else "list"
    if method == "DELETE":
        return "delete" if name else "deletecollection"
    return _VERBS.get(method, method.lower())


@dataclass(frozen=True)
class Format:
    """The form in which a client wants objects.

    Parameters
    ----------
    kind
        ``Object``, ``Table``, ``PartialObjectMetadata`` or ``APIGroupDiscoveryList``.
    version
        Version of that form, where the client names one.
    include
        What rows of a Table carry.
    """

    kind: str = "Object"
    version: str = ""
    include: str = "Metadata"

    @classmethod
    def read(cls, accept: str, query: Mapping[str, str]) -> Format:
        """Choose the first form of an ``Accept`` header that the server can give."""
        return cls._choose(accept, query.get("includeObject", "Metadata"))

    @classmethod
    @lru_cache(maxsize=256)
    def _choose(cls, accept: str, include: str) -> Format:
        for choice in accept.split(","):
            media_type, *pairs = (part.strip() for part in choice.split(";"))
            if media_type not in ("application/json", "*/*", "application/*", ""):
                continue
            given = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
            kind = given.get("as", "Object").removesuffix("List")
            if kind == "APIGroupDiscovery":
                return cls("APIGroupDiscoveryList", given.get("v", "v2"))
            if kind in ("Object", "Table", "PartialObjectMetadata"):
                return cls(kind, given.get("v", ""), include)
        raise statuses.not_acceptable(accept)


async def read_body(request: web.BaseRequest, required: bool = True) -> Any:
    """Read the body as JSON or YAML; None where it is empty and may be."""
    raw = await request.read()
    if not raw:
        if required:
            raise statuses.bad_request("the request needs a body")
        return None
    media_type = request.content_type
    if media_type == protobuf.MEDIA_TYPE:
        return protobuf.decode(raw)
    try:
        if "yaml" in media_type and raw[:1] not in b"{[":
            return yaml.load(raw, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        if "json" in media_type or "yaml" in media_type or media_type == "application/octet-stream":
            return orjson.loads(raw)
    except (orjson.JSONDecodeError, yaml.YAMLError) as error:
        raise statuses.bad_request(f"the body of the request cannot be read: {error}") from error
    raise statuses.unsupported_media_type(media_type, "application/json, application/yaml")


def read_write_options(request: web.BaseRequest) -> WriteOptions:
    """Read the options of a write from its query."""
    query = request.query
    agent = request.headers.get("User-Agent", "unknown").partition("/")[0]
    is_apply = request.content_type == APPLY_PATCH
    manager = query.get("fieldManager") or ("unknown" if is_apply else agent)
    options = _OPTIONS.get(request.method, "CreateOptions")
    dry_run = query.getall("dryRun", [])
    if dry_run not in ([], ["All"]):
        raise statuses.bad_option(options, "dryRun", dry_run, ("All",))
    validation = query.get("fieldValidation", "")
    if validation not in _VALIDATIONS:
        raise statuses.bad_option(options, "fieldValidation", validation, _VALIDATIONS)
    return WriteOptions(
        manager=manager,
        is_dry_run=bool(dry_run),
        is_strict=validation == "Strict",
        is_forced=query.get("force") in TRUE,
        is_apply=is_apply,
    )
