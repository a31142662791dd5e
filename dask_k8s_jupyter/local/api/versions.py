"""Objects of custom resources that are served in several versions.

An object is kept once, as its storage version. Guarantees that it is shown, changed and watched in
the version that a request names: with that version's ``apiVersion``, pruned and defaulted by that
version's schema. That is all that the conversion ``None`` does; there is no other.
"""

from __future__ import annotations

import re
from typing import Any

from . import schemas
from .resources import Resource
from .store import Record

Object = dict[str, Any]

_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")
_STAGES = {None: 2, "beta": 1, "alpha": 0}


def rank(version: str) -> tuple[int, int, int]:
    """Order of versions in discovery, the most stable last.

    Examples
    --------
    >>> sorted(["v1", "v2beta1", "foo", "v10", "v1alpha2"], key=rank, reverse=True)
    ['v10', 'v1', 'v2beta1', 'v1alpha2', 'foo']
    """
    match = _VERSION.fullmatch(version)
    if match is None:
        return (-1, 0, 0)
    return (_STAGES[match[2]], int(match[1]), int(match[3] or 0))


def is_shown(resource: Resource, record: Record) -> bool:
    """Whether an object is kept in the version of a resource."""
    return bool(record.object["apiVersion"] == resource.api_version)


def show(resource: Resource, record: Record) -> Record:
    """An object in the version of a resource."""
    if is_shown(resource, record):
        return record
    return Record(convert(resource, record.thaw()), record.version)


def convert(resource: Resource, value: Object) -> Object:
    """Change an object into the version of a resource, in place."""
    if value.get("apiVersion") != resource.api_version:
        value["apiVersion"] = resource.api_version
        schemas.prune(value, resource.schema or {}, is_root=True)
        schemas.default(value, resource.schema or {})
    return value
