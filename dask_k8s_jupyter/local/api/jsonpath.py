"""The JSONPath of printer columns: ``.spec.x``, ``[0]``, ``['a.b']``, ``[*]``,
``[?(@.type=="Ready")]``.

Pure. Guarantees a list of what was found, empty when nothing. Refuses other JSONPath at once.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

_STEP = re.compile(
    r"""\.(?P<name>(?:[A-Za-z0-9_/-]|\\.)+)
    | \[(?P<index>-?\d+)\]
    | \[['"](?P<quoted>[^'"]+)['"]\]
    | (?P<all>\[\*\]|\.\*)
    | \[\?\(\s*@\.(?P<field>[\w.-]+)\s*(?P<op>==|!=)\s*['"]?(?P<value>[^'")]*)['"]?\s*\)\]""",
    re.VERBOSE,
)


@lru_cache(maxsize=512)
def parse(path: str) -> tuple[dict[str, str], ...]:
    """Split a path into its steps; ValueError says what is not understood."""
    at, steps = 0, []
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None:
            raise ValueError(f"cannot read the JSONPath {path!r} at {path[at:]!r}")
        steps.append({key: value for key, value in match.groupdict().items() if value is not None})
        at = match.end()
    return tuple(steps)


def find(path: str, value: Any) -> list[Any]:
    """Find everything a path leads to.

    Examples
    --------
    >>> status = {"conditions": [{"type": "Ready", "status": "True"}]}
    >>> find('.conditions[?(@.type=="Ready")].status', status)
    ['True']
    """
    found = [value]
    for step in parse(path):
        found = [result for item in found for result in _walk(step, item)]
    return found


def _walk(step: dict[str, str], item: Any) -> list[Any]:
    name = step.get("quoted") or step.get("name", "").replace("\\", "")
    if name:
        return [item[name]] if isinstance(item, dict) and name in item else []
    if "all" in step:
        values = item.values() if isinstance(item, dict) else item
        return list(values) if isinstance(item, dict | list) else []
    if not isinstance(item, list):
        return []
    if "index" in step:
        index = int(step["index"])
        return [item[index]] if -len(item) <= index < len(item) else []
    return [entry for entry in item if _passes(step, entry)]


def _passes(step: dict[str, str], entry: Any) -> bool:
    for name in step["field"].split("."):
        entry = entry.get(name) if isinstance(entry, dict) else None
    if isinstance(entry, bool):
        entry = "true" if entry else "false"
    same = str(entry) == step["value"]
    return same if step["op"] == "==" else not same
