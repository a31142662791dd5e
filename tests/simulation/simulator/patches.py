"""Patches as the API server applies them, without changing what they are applied to.

Guarantees that what a patch leaves alone is shared, not copied. Refuses patches that nobody here
sends.
"""

from __future__ import annotations

from typing import Any

from dask_k8s_operator.kube.errors import InvalidError

DOES_NOT_APPLY = "the server rejected our request due to an error in our request"


def merge(before: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7386).

    Examples
    --------
    >>> merge({"a": 1, "b": {"c": 2}}, {"a": None, "b": {"d": 3}})
    {'b': {'c': 2, 'd': 3}}
    """
    if not isinstance(patch, dict):
        return patch
    after = dict(before) if isinstance(before, dict) else {}
    for key, value in patch.items():
        if value is None:
            after.pop(key, None)
        else:
            after[key] = merge(after.get(key), value)
    return after


def apply_operations(before: Any, operations: list[dict[str, Any]]) -> Any:
    """Apply a JSON patch (RFC 6902): add, replace, remove and test.

    Examples
    --------
    >>> apply_operations({"a": {}}, [{"op": "add", "path": "/a/b", "value": 1}])
    {'a': {'b': 1}}
    """
    after = before
    for operation in operations:
        parts = operation["path"].replace("~1", "\0").split("/")[1:]
        parts = [part.replace("\0", "/").replace("~0", "~") for part in parts]
        after = _apply_one(after, parts, operation)
    return after


def _apply_one(before: Any, path: list[str], operation: dict[str, Any]) -> Any:
    op, last = operation["op"], len(path) == 1
    here = int(path[0]) if isinstance(before, list) and path[0] != "-" else path[0]
    exists = here in before if isinstance(before, dict) else here != "-" and here < len(before)
    if not exists and not (last and op == "add"):
        raise InvalidError(422, "Invalid", f"{DOES_NOT_APPLY}: there is no {operation['path']}")
    after = before.copy()
    if not last:
        after[here] = _apply_one(before[here], path[1:], operation)
    elif op == "remove":
        del after[here]
    elif op == "test":
        if before[here] != operation["value"]:
            raise InvalidError(422, "Invalid", f"{DOES_NOT_APPLY}: {operation['path']} is another")
    elif here == "-":
        after.append(operation["value"])
    else:
        after[here] = operation["value"]
    return after


def matches(selector: str | None, item: dict[str, Any] | None) -> bool:
    """Whether an object exists and its labels meet a selector of equalities and keys.

    Examples
    --------
    >>> matches("a,b=c", {"metadata": {"labels": {"a": "", "b": "c"}}})
    True
    """
    if item is None:
        return False
    if not selector:
        return True
    labels = item["metadata"].get("labels") or {}
    for requirement in selector.split(","):
        key, has_value, value = requirement.partition("=")
        if key not in labels or (has_value and labels[key] != value):
            return False
    return True
