"""JSON patch, merge patch and strategic merge patch. Pure.

Guarantees that the object given is not changed. Refuses a patch that does not apply.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from . import builtin, statuses

_DIRECTIVES = {"$patch", "$retainKeys"}
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """Apply an RFC 7386 merge patch.

    Examples
    --------
    >>> apply_merge_patch({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"d": 3}})
    {'b': {'c': 2, 'd': 3}}
    """
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = apply_merge_patch(merged.get(key), value)
    return merged


def apply_json_patch(target: Any, operations: Any) -> Any:
    """Apply an RFC 6902 JSON patch.

    Examples
    --------
    >>> apply_json_patch({"a": [1]}, [{"op": "add", "path": "/a/-", "value": 2}])
    {'a': [1, 2]}
    """
    if not isinstance(operations, list):
        raise statuses.bad_request("a JSON patch is a list of operations")
    patched = copy.deepcopy(target)
    for operation in operations:
        try:
            patched = _apply_operation(patched, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise statuses.StatusError(
                422,
                "Invalid",
                f"the server rejected our request due to an error in our request: "
                f"{operation!r} does not apply ({error})",
            ) from error
    return patched


def _apply_operation(target: Any, operation: dict[str, Any]) -> Any:
    verb, path = operation["op"], _parse_pointer(operation["path"])
    if verb == "test":
        if _read(target, path) != operation["value"]:
            raise ValueError("the test failed")
        return target
    if verb in ("move", "copy"):
        source = _parse_pointer(operation["from"])
        value = copy.deepcopy(_read(target, source))
        if verb == "move":
            target = _write(target, source, None, "remove")
        return _write(target, path, value, "add")
    if verb not in ("add", "remove", "replace"):
        raise ValueError(f"unknown operation {verb!r}")
    return _write(target, path, copy.deepcopy(operation.get("value")), verb)


def _parse_pointer(pointer: str) -> list[str]:
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is not a JSON pointer")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer[1:].split("/")]


def _read(target: Any, path: list[str]) -> Any:
    for step in path:
        target = target[int(step)] if isinstance(target, list) else target[step]
    return target


def _write(target: Any, path: list[str], value: Any, verb: str) -> Any:
    if not path:
        return value
    parent, last = _read(target, path[:-1]), path[-1]
    if isinstance(parent, list):
        _write_item(parent, last, value, verb)
    elif verb == "add":
        parent[last] = value
    else:
        del parent[last]
        if verb == "replace":
            parent[last] = value
    return target


def _write_item(items: list[Any], step: str, value: Any, verb: str) -> None:
    if verb == "add":
        index = len(items) if step == "-" else int(step)
        if not 0 <= index <= len(items):
            raise IndexError(f"index {index} is out of bounds")
        items.insert(index, value)
    elif verb == "remove":
        del items[int(step)]
    else:
        items[int(step)] = value


def apply_strategic_patch(target: Any, patch: Any, schema: Any = None) -> Any:
    """Apply a strategic merge patch: a merge patch that merges some lists, by a key of their items.

    Parameters
    ----------
    schema
        Type of the target, which names the lists and their keys; without it lists are replaced.

    Examples
    --------
    >>> pod = builtin.find_schema("", "Pod")
    >>> apply_strategic_patch(
    ...     {"spec": {"containers": [{"name": "a", "image": "x"}]}},
    ...     {"spec": {"containers": [{"name": "a", "tty": True}]}},
    ...     pod,
    ... )
    {'spec': {'containers': [{'name': 'a', 'image': 'x', 'tty': True}]}}
    """
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {k: copy.deepcopy(v) for k, v in patch.items() if k not in _DIRECTIVES}
    merged = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        merged = {key: merged[key] for key in patch["$retainKeys"] if key in merged}
    for key, value in patch.items():
        if key in _DIRECTIVES or key.startswith(_ORDER):
            continue
        part = builtin.find_part(schema, key)
        if key.startswith(_DELETE):
            name = key.removeprefix(_DELETE)
            merged[name] = [item for item in merged.get(name, ()) if item not in value]
        elif value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            merged.pop(key, None)
        elif isinstance(value, list):
            order = patch.get(_ORDER + key)
            merged[key] = _merge_list(merged.get(key) or [], value, part, order)
        else:
            merged[key] = apply_strategic_patch(merged.get(key), value, part)
    return merged


def _merge_list(current: list[Any], patch: list[Any], schema: Any, order: Any) -> list[Any]:
    merge_key = builtin.find_merge_key(schema)
    dicts = [item for item in patch if isinstance(item, dict)]
    if merge_key == "":
        added = [item for item in patch if item not in current]
        return _put_in_order([*current, *added], current, order or patch, lambda item: item)
    if merge_key is None or any(item.get("$patch") == "replace" for item in dicts):
        return [copy.deepcopy(i) for i in patch if not (isinstance(i, dict) and "$patch" in i)]
    inner = builtin.resolve(schema.get("items"))
    merged = list(current)
    for item in dicts:
        identity = item.get(merge_key)
        if identity is None:
            message = f"map: {item!r} does not contain declared merge key: {merge_key}"
            raise statuses.StatusError(500, "", message)
        at = next((i for i, known in enumerate(merged) if known.get(merge_key) == identity), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del merged[at]
        elif at is None:
            merged.append(apply_strategic_patch({}, item, inner))
        else:
            merged[at] = apply_strategic_patch(merged[at], item, inner)
    wanted = [item for item in (order or dicts) if item.get("$patch") != "delete"]
    return _put_in_order(merged, current, wanted, lambda item: item.get(merge_key))


def _put_in_order(
    merged: list[Any], before: list[Any], wanted: list[Any], identify: Callable[[Any], Any]
) -> list[Any]:
    """Order as the API does: what the patch names in the patch's order, the rest where it was.

    A remaining item goes before a named one only if both were there, in that order.
    """
    rank = {identify(item): index for index, item in enumerate(before)}
    order = {identify(item): index for index, item in enumerate(wanted)}
    named = sorted(
        (item for item in merged if identify(item) in order), key=lambda i: order[identify(i)]
    )
    rest = [item for item in merged if identify(item) not in order]
    result = []
    while named and rest:
        left, right = rank.get(identify(rest[0])), rank.get(identify(named[0]))
        is_rest_first = left is not None and right is not None and left < right
        result.append((rest if is_rest_first else named).pop(0))
    return [*result, *named, *rest]
