"""What a client sends, read: the envelope of an object, its fields by their types, patches. Pure.

Guarantees that what leaves here is an object of the kind that the path names. Refuses (400) what is
none, and unknown fields when asked to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import builtin, patches, schemas, statuses
from .resources import Resource
from .store import Object

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True)
class WriteOptions:
    """How a write is to be done.

    Parameters
    ----------
    manager
        Who writes, for the ownership of fields.
    is_dry_run
        Check everything and keep nothing.
    is_strict
        Refuse fields that the schema does not know, instead of pruning them.
    is_forced
        An apply takes fields over from other managers.
    is_apply
        The write is a server-side apply.
    """

    manager: str = "unknown"
    is_dry_run: bool = False
    is_strict: bool = False
    is_forced: bool = False
    is_apply: bool = False


def check_envelope(resource: Resource, value: Object) -> None:
    """Check that a body is an object of the kind, and fill in what it leaves out of that."""
    if not isinstance(value, dict):
        raise statuses.bad_request("the body must be one object")
    if resource.is_custom and not value.get("kind"):
        raise statuses.bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): "
            "Object 'Kind' is missing"
        )
    given = (
        value.get("apiVersion") or resource.api_version,
        value.get("kind") or resource.kind,
    )
    if resource.is_custom and given[0] == resource.api_version and given[1] != resource.kind:
        cause = statuses.invalid_value("kind", given[1], f"must be {resource.kind}")
        name = str((value.get("metadata") or {}).get("name", ""))
        raise statuses.invalid(str(given[1]), resource.group, name, [cause])
    if given != (resource.api_version, resource.kind):
        raise statuses.bad_request(
            f"{given[1]} in version {given[0]!r} cannot be handled as a {resource.kind}: "
            f"the API expects {resource.kind} of {resource.api_version}"
        )
    value["apiVersion"], value["kind"] = given
    if not isinstance(value.setdefault("metadata", {}), dict):
        raise statuses.bad_request("metadata must be an object")


def decode(resource: Resource, value: Object, options: WriteOptions) -> list[str]:
    """Read the fields as their types say, drop unknown ones; refuse them when asked to."""
    if resource.schema is None:
        unknown = builtin.decode(resource.group, resource.kind, value)
    else:
        unknown = builtin.decode_metadata(resource.kind, value["metadata"])
        if options.is_strict or options.is_apply:
            unknown += schemas.find_unknown(value, resource.schema)
    if options.is_strict and unknown:
        listed = ", ".join(f'unknown field "{path}"' for path in unknown)
        version = statuses.show(resource.version)
        raise statuses.bad_request(
            f"{resource.kind} in version {version} cannot be handled as a {resource.kind}: "
            f"strict decoding error: {listed}"
        )
    return unknown


def check_patch(media_type: str, body: Any) -> None:
    """Check that a patch is a list of operations, or a map."""
    wanted = list if media_type == JSON_PATCH else dict
    if isinstance(body, wanted):
        return
    found = "array" if isinstance(body, list) else "object"
    type_ = "[]handlers.jsonPatchOp" if wanted is list else "map[string]interface {}"
    raise statuses.bad_request(
        f"error decoding patch: json: cannot unmarshal {found} into Go value of type {type_}"
    )


def find_patch(resource: Resource, media_type: str) -> Callable[[Any, Any], Any]:
    """How a patch of a media type is applied; 415 when the kind takes none such."""
    known = {JSON_PATCH: patches.apply_json_patch, MERGE_PATCH: patches.apply_merge_patch}
    if not resource.is_custom:
        schema = builtin.find_schema(resource.group, resource.kind)
        known[STRATEGIC_PATCH] = partial(patches.apply_strategic_patch, schema=schema)
    if media_type not in known:
        accepted = ", ".join([*known, APPLY_PATCH])
        raise statuses.unsupported_media_type(media_type, accepted)
    return known[media_type]
