"""JSON patch, merge patch and strategic merge patch. Pure.

Guarantees that the object given is not changed. Refuses a patch that does not apply.
"""

from __future__ import annotations

import copy
from typing import Any

from . import statuses

# How strategic merge patches find the items of a list: by the name of the field that holds it.
# https://kubernetes.io/docs/reference/generated/kubernetes-api/ ("patch merge key"). The few names
# that are not merged by key everywhere are told apart by what holds them.
MERGE_KEYS: dict[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "conditions": "type",
    "addresses": "type",
    "ownerReferences": "uid",
    "secrets": "name",
    "podIPs": "ip",
}
_PORT_KEYS = {"containerPort", "port"}
# Lists of plain values that are merged as sets.
MERGED_SETS = {"finalizers"}
_DIRECTIVES = {"$patch", "$retainKeys"}


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


def apply_strategic_patch(target: Any, patch: Any) -> Any:
    """Apply a strategic merge patch: a merge patch that merges known lists by a key of their items.

    Examples
    --------
    >>> apply_strategic_patch(
    ...     {"containers": [{"name": "a", "image": "x"}]},
    ...     {"containers": [{"name": "a", "tty": True}, {"name": "b"}]},
    ... )
    {'containers': [{'name': 'a', 'image': 'x', 'tty': True}, {'name': 'b'}]}
    """
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {k: copy.deepcopy(v) for k, v in patch.items() if k not in _DIRECTIVES}
    merged = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        merged = {key: merged[key] for key in patch["$retainKeys"] if key in merged}
    for key, value in patch.items():
        if key in _DIRECTIVES or key.startswith("$setElementOrder/"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            merged[name] = [item for item in merged.get(name, ()) if item not in value]
        elif value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            merged.pop(key, None)
        elif isinstance(value, list):
            merged[key] = _merge_list(key, merged.get(key) or [], value)
        else:
            merged[key] = apply_strategic_patch(merged.get(key), value)
    return merged


def find_merge_key(field: str, items: list[Any]) -> str | None:
    """Field that identifies the items of a list, or None where lists are replaced whole."""
    if field == "ports":
        named = [key for key in ("containerPort", "port") if any(key in item for item in items)]
        return named[0] if named else None
    return MERGE_KEYS.get(field)


def _merge_list(field: str, current: list[Any], patch: list[Any]) -> list[Any]:
    if field in MERGED_SETS:
        return current + [item for item in patch if item not in current]
    dicts = [item for item in patch if isinstance(item, dict)]
    merge_key = find_merge_key(field, [*current, *dicts]) if len(dicts) == len(patch) else None
    if merge_key is None or any(item.get("$patch") == "replace" for item in dicts):
        return [copy.deepcopy(i) for i in patch if not (isinstance(i, dict) and "$patch" in i)]
    merged = list(current)
    for item in dicts:
        identity = item.get(merge_key)
        if identity is None:
            raise statuses.bad_request(
                f"map: {item!r} does not contain declared merge key: {merge_key}"
            )
        at = next((i for i, known in enumerate(merged) if known.get(merge_key) == identity), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del merged[at]
        elif at is None:
            merged.append(apply_strategic_patch({}, item))
        else:
            merged[at] = apply_strategic_patch(merged[at], item)
    return merged
