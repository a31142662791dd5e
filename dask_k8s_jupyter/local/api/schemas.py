"""Structural schemas of custom resources: pruning, defaults, checks, CEL rules. Pure.

``prune`` and ``default`` change the object that they are given, the rest only reads.
Guarantees the API's wording. Refuses schemas that are not structural when they are installed.
"""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Iterator
from typing import Any

from . import cel
from .statuses import Cause, invalid_value, required, show

Schema = dict[str, Any]

_PRESERVE = "x-kubernetes-preserve-unknown-fields"
_EMBEDDED = "x-kubernetes-embedded-resource"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_RULES = "x-kubernetes-validations"
_ROOT_FIELDS = ("apiVersion", "kind", "metadata")
_LOGICAL = ("allOf", "anyOf", "oneOf")


def prune(value: Any, schema: Schema, is_root: bool = False) -> None:
    """Remove the fields that a schema does not know.

    Examples
    --------
    >>> spec = {"replicas": 1, "typo": 2}
    >>> prune(spec, {"type": "object", "properties": {"replicas": {"type": "integer"}}})
    >>> spec
    {'replicas': 1}
    """
    if isinstance(value, list):
        for item in value:
            prune(item, schema.get("items") or {})
        return
    if not isinstance(value, dict):
        return
    properties = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    kept = _ROOT_FIELDS if is_root or schema.get(_EMBEDDED) else ()
    for key in list(value):
        if key in kept:
            continue
        if key in properties:
            prune(value[key], properties[key])
        elif isinstance(extra, dict):
            prune(value[key], extra)
        elif not schema.get(_PRESERVE) and not extra:
            del value[key]


def find_unknown(value: Any, schema: Schema, path: str = "") -> list[str]:
    """Paths of the fields that ``prune`` would remove from an object."""
    before = copy.deepcopy(value)
    prune(before, schema, is_root=True)
    return list(_find_missing(value, before, path))


def _find_missing(value: Any, pruned: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            where = f"{path}.{key}" if path else key
            if key not in pruned:
                yield where
            else:
                yield from _find_missing(item, pruned[key], where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _find_missing(item, pruned[index], f"{path}[{index}]")


def default(value: Any, schema: Schema) -> None:
    """Fill in the defaults of a schema; null where null is not allowed counts as nothing.

    Examples
    --------
    >>> worker = {}
    >>> default(worker, {"properties": {"replicas": {"type": "integer", "default": 1}}})
    >>> worker
    {'replicas': 1}
    """
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        for key, part in properties.items():
            if key in value and value[key] is None and not part.get("nullable"):
                del value[key]
            if key not in value and "default" in part:
                value[key] = copy.deepcopy(part["default"])
            if key in value:
                default(value[key], part)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            for key in value.keys() - properties.keys():
                default(value[key], extra)
    elif isinstance(value, list):
        for item in value:
            default(item, schema.get("items") or {})


def validate(value: Any, schema: Schema, path: str = "") -> list[Cause]:
    """Find what breaks a schema.

    Examples
    --------
    >>> schema = {"properties": {"replicas": {"type": "integer"}}}
    >>> [str(cause) for cause in validate({"replicas": "two"}, schema)]
    ['replicas: Invalid value: "string": replicas in body must be of type integer: "string"']
    """
    if value is None and schema.get("nullable"):
        return []
    if wrong := _check_type(value, schema, path):
        return [wrong, *_check_enum(value, schema, path)]
    causes = _check_enum(value, schema, path)
    if isinstance(value, dict):
        causes += _check_object(value, schema, path)
    elif isinstance(value, list):
        causes += _check_list(value, schema, path)
    elif isinstance(value, str):
        causes += _check_string(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        causes += _check_number(value, schema, path)
    return causes + _check_logical(value, schema, path)


def _type_name(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    names |= {dict: "object", list: "array"}
    return names.get(type(value), "null")


def _is_of_type(value: Any, wanted: str) -> bool:
    found = _type_name(value)
    if wanted == "number":
        return found in ("integer", "number")
    if wanted == "integer":
        return found == "integer" or (found == "number" and value == int(value))
    return found == wanted


def _check_type(value: Any, schema: Schema, path: str) -> Cause | None:
    if schema.get(_INT_OR_STRING):
        if _type_name(value) in ("integer", "string"):
            return None
        wanted = "integer,string"
    else:
        wanted = schema.get("type", "")
        if not wanted or _is_of_type(value, wanted):
            return None
    found = show(_type_name(value))
    message = f"Invalid value: {found}: {path} in body must be of type {wanted}: {found}"
    return Cause(path, message, "FieldValueTypeInvalid")


def _check_enum(value: Any, schema: Schema, path: str) -> list[Cause]:
    allowed = schema.get("enum")
    if allowed is None or value in allowed:
        return []
    listed = ", ".join(show(item) for item in allowed)
    text = f"Unsupported value: {show(value)}: supported values: {listed}"
    return [Cause(path, text, "FieldValueNotSupported")]


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _check_object(value: dict[str, Any], schema: Schema, path: str) -> list[Cause]:
    causes = [
        required(_join(path, key)) for key in schema.get("required") or () if key not in value
    ]
    properties = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for key, item in value.items():
        part = properties.get(key, extra)
        # metadata is checked by the rules of every object, not by the schema's word "object".
        if isinstance(part, dict) and not (path == "" and key == "metadata"):
            causes += validate(item, part, _join(path, key))
    count = len(value)
    if count < schema.get("minProperties", 0):
        why = f"{path} in body should have at least {schema['minProperties']} properties"
        causes.append(invalid_value(path, count, why))
    if count > schema.get("maxProperties", count):
        why = f"{path} in body should have at most {schema['maxProperties']} properties"
        causes.append(invalid_value(path, count, why))
    return causes


def _check_list(value: list[Any], schema: Schema, path: str) -> list[Cause]:
    causes = []
    for index, item in enumerate(value):
        causes += validate(item, schema.get("items") or {}, f"{path}[{index}]")
    if len(value) < schema.get("minItems", 0):
        why = f"{path} in body should have at least {schema['minItems']} items"
        causes.append(invalid_value(path, len(value), why))
    if "maxItems" in schema and len(value) > schema["maxItems"]:
        text = f"Too many: {len(value)}: must have at most {schema['maxItems']} items"
        causes.append(Cause(path, text, "FieldValueTooMany"))
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    is_set = schema.get("x-kubernetes-list-type") in ("set", "map") or schema.get("uniqueItems")
    if is_set:
        seen: set[str] = set()
        for index, item in enumerate(value):
            identity = {k: item.get(k) for k in keys} if keys and isinstance(item, dict) else item
            if show(identity) in seen:
                text = f"Duplicate value: {show(identity)}"
                causes.append(Cause(f"{path}[{index}]", text, "FieldValueDuplicate"))
            seen.add(show(identity))
    return causes


def _check_string(value: str, schema: Schema, path: str) -> list[Cause]:
    causes = []
    if len(value) < schema.get("minLength", 0):
        why = f"{path} in body should be at least {schema['minLength']} chars long"
        causes.append(invalid_value(path, value, why))
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        text = f"Too long: may not be more than {schema['maxLength']} bytes"
        causes.append(Cause(path, text, "FieldValueTooLong"))
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        why = f"{path} in body should match '{schema['pattern']}'"
        causes.append(invalid_value(path, value, why))
    return causes


def _check_number(value: float, schema: Schema, path: str) -> list[Cause]:
    causes = []
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None:
        is_open = bool(schema.get("exclusiveMinimum"))
        if value < low or (is_open and value == low):
            word = "greater than" if is_open else "greater than or equal to"
            causes.append(invalid_value(path, value, f"{path} in body should be {word} {low}"))
    if high is not None:
        is_open = bool(schema.get("exclusiveMaximum"))
        if value > high or (is_open and value == high):
            word = "less than" if is_open else "less than or equal to"
            causes.append(invalid_value(path, value, f"{path} in body should be {word} {high}"))
    step = schema.get("multipleOf")
    if step and value % step:
        causes.append(invalid_value(path, value, f"{path} in body should be a multiple of {step}"))
    return causes


def _check_logical(value: Any, schema: Schema, path: str) -> list[Cause]:
    causes = [c for part in schema.get("allOf") or () for c in validate(value, part, path)]
    for word, how_many in (("anyOf", "at least one"), ("oneOf", "one and only one")):
        parts = schema.get(word)
        if not parts:
            continue
        fitting = sum(not validate(value, part, path) for part in parts)
        if fitting == 0 or (word == "oneOf" and fitting > 1):
            why = f"{path} in body must validate {how_many} schema ({word})"
            causes.append(invalid_value(path, value, why))
    if "not" in schema and not validate(value, schema["not"], path):
        why = f"{path} in body must not validate the schema (not)"
        causes.append(invalid_value(path, value, why))
    return causes


def iterate_rules(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    """Every CEL rule of a schema, with the path of its place."""
    for index, rule in enumerate(schema.get(_RULES) or ()):
        yield f"{path}.{_RULES}[{index}]", rule
    for key, part in (schema.get("properties") or {}).items():
        yield from iterate_rules(part, f"{path}.properties[{key}]")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from iterate_rules(schema[key], f"{path}.{key}")


def validate_rules(value: Any, schema: Schema, old: Any = None, path: str = "") -> list[Cause]:
    """Find the CEL rules that an object breaks; rules with ``oldSelf`` need the object before."""
    causes = []
    for rule in schema.get(_RULES) or ():
        broken = _check_rule(rule, value, old, path)
        causes += [broken] if broken else []
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        extra = schema.get("additionalProperties")
        for key, item in value.items():
            part = properties.get(key, extra)
            if isinstance(part, dict):
                before = old.get(key) if isinstance(old, dict) else None
                causes += validate_rules(item, part, before, _join(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            before = _find_before(item, old, schema)
            causes += validate_rules(item, schema.get("items") or {}, before, f"{path}[{index}]")
    return causes


def _find_before(item: Any, old: Any, schema: Schema) -> Any:
    # Only items with an identity can be told apart from new ones.
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(old, list) or not isinstance(item, dict):
        return None
    wanted = [item.get(key) for key in keys]
    return next((o for o in old if [o.get(key) for key in keys] == wanted), None)


def _check_rule(rule: Schema, value: Any, old: Any, path: str) -> Cause | None:
    compiled = cel.compile_rule(rule["rule"])
    if value is None or (compiled.is_transition and old is None):
        return None
    where = path + rule.get("fieldPath", "")
    try:
        if compiled(value, old) is True:
            return None
    except cel.CelError as error:
        return invalid_value(where, _type_name(value), f"rule evaluation error: {error}")
    message = rule.get("message") or f"failed rule: {rule['rule']}"
    if rule.get("messageExpression"):
        with contextlib.suppress(cel.CelError):
            message = str(cel.compile_rule(rule["messageExpression"])(value, old))
    reason = rule.get("reason", "FieldValueInvalid")
    shown = show(value if not isinstance(value, dict | list) else _type_name(value))
    text = (
        f"Forbidden: {message}"
        if reason == "FieldValueForbidden"
        else f"Invalid value: {shown}: {message}"
    )
    return Cause(where, text, reason)


def check_structural(schema: Schema, path: str, is_root: bool = True) -> list[Cause]:
    """Find what keeps a schema from being structural."""
    causes = []
    has_type = schema.get("type") or schema.get(_INT_OR_STRING) or schema.get(_PRESERVE)
    if not has_type:
        causes.append(
            required(
                f"{path}.type", "Required value: must not be empty for specified object fields"
            )
        )
    if is_root and schema.get("type") != "object":
        causes.append(
            invalid_value(f"{path}.type", schema.get("type"), "must be object at the root")
        )
    if schema.get("type") == "array" and not isinstance(schema.get("items"), dict):
        causes.append(required(f"{path}.items", "Required value: must be specified"))
    if schema.get("properties") and schema.get("additionalProperties"):
        text = "Forbidden: additionalProperties and properties are mutual exclusive"
        causes.append(Cause(f"{path}.additionalProperties", text, "FieldValueForbidden"))
    for word in ("$ref", "definitions", "dependencies", "patternProperties"):
        if word in schema:
            causes.append(
                Cause(f"{path}.{word}", "Forbidden: not supported", "FieldValueForbidden")
            )
    for key, part in (schema.get("properties") or {}).items():
        causes += check_structural(part, f"{path}.properties[{key}]", False)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            causes += check_structural(schema[key], f"{path}.{key}", False)
    return causes
