"""The types of built-in kinds: decoding as a typed API server does, and how lists are merged. Pure.

The types stand in ``builtin_types.json``, recorded from a real API server without its prose
(``scripts/record_api_types.py``).

Guarantees that a field of a wrong type is refused (400), that an unknown field is dropped (or
named, when asked strictly), and that null, and what Go leaves out when it is empty, is left out.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import orjson

from . import quantities, statuses
from .names import parse_time

Schema = dict[str, Any]
# Decodes a value in place of the one given; collects the paths of unknown fields.
Decoder = Callable[[Any, str, list[str]], Any]

_PREFIX = "#/components/schemas/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_QUANTITY_TEXT = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)
_GO_NAMES = {dict: "object", list: "array", str: "string", bool: "bool", int: "number"}
_GO_NAMES[float] = "number"


@lru_cache
def load_types() -> dict[str, Schema]:
    """Every recorded type, by its OpenAPI name."""
    found: dict[str, Schema] = orjson.loads(
        Path(__file__).with_name("builtin_types.json").read_bytes()
    )
    return found


@lru_cache
def _names_by_kind() -> dict[tuple[str, str], str]:
    found = {}
    for name, schema in load_types().items():
        for gvk in schema.get("x-kubernetes-group-version-kind") or ():
            found[(gvk["group"], gvk["kind"])] = name
    return found


def find_name(group: str, kind: str) -> str | None:
    """OpenAPI name of a built-in kind, or None."""
    return _names_by_kind().get((group, kind))


def find_schema(group: str, kind: str) -> Schema | None:
    """Type of a built-in kind, or None."""
    name = find_name(group, kind)
    return load_types()[name] if name else None


def collect(names: Iterable[str]) -> dict[str, Schema]:
    """Types by name, with every type that they refer to."""
    found: dict[str, Schema] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = load_types()[name]
            waiting += _references(found[name])
    return found


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from _references(part)
    elif isinstance(node, dict):
        for key, part in node.items():
            if key == "$ref" and isinstance(part, str):
                yield part.removeprefix(_PREFIX)
            else:
                yield from _references(part)


def find_metadata_schema() -> Schema:
    """Type of the metadata of every object."""
    return load_types()[f"{_META}ObjectMeta"]


def resolve(schema: Any) -> Schema:
    """Follow a reference; what the field itself says (merge keys) is kept by the caller."""
    while isinstance(schema, dict):
        inner = schema.get("allOf")
        reference = schema.get("$ref") or (inner[0].get("$ref") if inner else None)
        if not isinstance(reference, str):
            return schema
        schema = load_types()[reference.removeprefix(_PREFIX)]
    return {}


def find_part(schema: Any, key: str) -> Any:
    """Schema of a field of an object, with its own merge keys; None when there is none."""
    if not isinstance(schema, dict):
        return None
    known = resolve(schema)
    part = (known.get("properties") or {}).get(key) or known.get("additionalProperties")
    return part if isinstance(part, dict) else None


def find_merge_key(schema: Any) -> str | None:
    """Key by which a strategic merge patch merges a list; "" for a set of plain values."""
    if not isinstance(schema, dict) or schema.get("x-kubernetes-patch-strategy") is None:
        return None
    if "merge" not in schema["x-kubernetes-patch-strategy"].split(","):
        return None
    return schema.get("x-kubernetes-patch-merge-key") or ""


# -- decoding ------------------------------------------------------------------------------------


class WrongTypeError(Exception):
    """A value that a field cannot hold."""


def decode(group: str, kind: str, value: Any) -> list[str]:
    """Decode an object of a built-in kind in place; returns the paths of the unknown fields.

    Raises
    ------
    StatusError
        400, when a field is of a wrong type.
    """
    name = find_name(group, kind)
    if name is None:
        return []
    return decode_as(name, kind, value)


def decode_metadata(kind: str, value: Any) -> list[str]:
    """Decode the metadata of a custom resource, which is typed like every other's."""
    return decode_as(f"{_META}ObjectMeta", kind, value, "metadata")


def decode_as(name: str, kind: str, value: Any, path: str = "") -> list[str]:
    """Decode a value in place as a recorded type; 400 when a field is of a wrong type."""
    unknown: list[str] = []
    try:
        _find_decoder(name)(value, path, unknown)
    except WrongTypeError as error:
        raise statuses.bad_request(
            f'{kind} in version "v1" cannot be handled as a {kind}: {error}'
        ) from None
    return unknown


@cache
def _find_decoder(name: str) -> Decoder:
    short = name.rpartition(".")[2]
    special = _SPECIAL.get(short)
    if special is not None and name.startswith("io.k8s.apimachinery"):
        return special
    # Types refer to themselves (JSONSchemaProps): look the fields up when the first value comes.
    fields: dict[str, tuple[Decoder, bool]] = {}

    def decode_object(value: Any, path: str, unknown: list[str]) -> Any:
        if not fields:
            fields.update(_build_fields(load_types()[name]))
        return _decode_fields(value, path, unknown, fields)

    schema = load_types()[name]
    return decode_object if schema.get("properties") else _build(schema)


def _build_fields(schema: Schema) -> dict[str, tuple[Decoder, bool]]:
    required = schema.get("required") or ()
    fields = {}
    for key, part in schema["properties"].items():
        decode_field = _build(part)
        is_kept = key in required or "default" in part or _is_struct(decode_field)
        fields[key] = (decode_field, is_kept)
    return fields


def _decode_fields(
    value: Any, path: str, unknown: list[str], fields: dict[str, tuple[Decoder, bool]]
) -> Any:
    if not isinstance(value, dict):
        raise _wrong(value, path, "object")
    for key, item in list(value.items()):
        known = fields.get(key)
        if known is None:
            unknown.append(f"{path}.{key}" if path else key)
        elif item is not None:
            decode_field, is_kept = known
            if decode_field is _decode_string and type(item) is str:
                read = item  # most fields are texts, and a call for each shows
            else:
                read = decode_field(item, f"{path}.{key}" if path else key, unknown)
            if read or not (read is None or (not is_kept and read in ("", [], _EMPTY))):
                if read is not item:
                    value[key] = read
                continue
        del value[key]
    return value


_EMPTY: dict[str, Any] = {}


def _is_struct(decoder: Decoder) -> bool:
    return getattr(decoder, "__name__", "") in ("decode_object", "decode_anything")


def _build(schema: Schema) -> Decoder:
    inner = schema.get("allOf")
    reference = schema.get("$ref") or (inner[0].get("$ref") if inner else None)
    if isinstance(reference, str):
        return _find_decoder(reference.removeprefix(_PREFIX))
    type_ = schema.get("type")
    if type_ == "array":
        return _build_list(_build(schema["items"]))
    if type_ == "object":
        extra = schema.get("additionalProperties")
        return _build_map(_build(extra)) if isinstance(extra, dict) else _decode_anything
    if schema.get("format") == "byte":
        return _decode_bytes
    return _SCALARS.get(type_ or "", _decode_anything)


def _build_list(decode_item: Decoder) -> Decoder:
    def decode_list(value: Any, path: str, unknown: list[str]) -> Any:
        if not isinstance(value, list):
            raise _wrong(value, path, "array")
        for index, item in enumerate(value):
            read = decode_item({} if item is None else item, f"{path}[{index}]", unknown)
            if read is not item:
                value[index] = read
        return value

    return decode_list


def _build_map(decode_item: Decoder) -> Decoder:
    def decode_map(value: Any, path: str, unknown: list[str]) -> Any:
        if not isinstance(value, dict):
            raise _wrong(value, path, "object")
        for key, item in value.items():
            # A null in a Go map is the empty value.
            value[key] = "" if item is None else decode_item(item, f"{path}.{key}", unknown)
        return value

    return decode_map


def _decode_anything(value: Any, path: str, unknown: list[str]) -> Any:
    return value


_decode_anything.__name__ = "decode_anything"


def _wrong(value: Any, path: str, wanted: str) -> WrongTypeError:
    found = _GO_NAMES.get(type(value), "null")
    return WrongTypeError(
        f"json: cannot unmarshal {found} into Go struct field {path} of type {wanted}"
    )


def _decode_string(value: Any, path: str, unknown: list[str]) -> Any:
    if not isinstance(value, str):
        raise _wrong(value, path, "string")
    return value


def _decode_bytes(value: Any, path: str, unknown: list[str]) -> Any:
    try:
        base64.b64decode(_decode_string(value, path, unknown), validate=True)
    except ValueError:
        raise WrongTypeError("illegal base64 data at input byte 0") from None
    return value


def _decode_integer(value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(value, path, "int32")
    return value


def _decode_number(value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(value, path, "float64")
    return value


def _decode_bool(value: Any, path: str, unknown: list[str]) -> Any:
    if not isinstance(value, bool):
        raise _wrong(value, path, "bool")
    return value


def _decode_quantity(value: Any, path: str, unknown: list[str]) -> Any:
    text = value if isinstance(value, str) else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = repr(value)
    if text is None or not quantities.is_quantity(text or "0"):
        raise WrongTypeError(_QUANTITY_TEXT)
    return _canonical(text or "0")


_canonical = lru_cache(maxsize=1024)(quantities.canonical)


def _decode_int_or_string(value: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _wrong(value, path, "intstr.IntOrString")
    return value


def _decode_time(value: Any, path: str, unknown: list[str]) -> Any:
    try:
        parse_time(_decode_string(value, path, unknown))
    except ValueError:
        raise WrongTypeError(
            f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": '
            f'cannot parse "{value}" as "2006"'
        ) from None
    return value


_SCALARS: dict[str, Decoder] = {
    "string": _decode_string,
    "integer": _decode_integer,
    "number": _decode_number,
    "boolean": _decode_bool,
}
_SPECIAL: dict[str, Decoder] = {
    "Quantity": _decode_quantity,
    "IntOrString": _decode_int_or_string,
    "Time": _decode_time,
    "MicroTime": _decode_time,
    "FieldsV1": _decode_anything,
    "RawExtension": _decode_anything,
}
