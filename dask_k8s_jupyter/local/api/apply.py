"""Server-side apply: merging by ownership of fields. Pure.

An object that was ever applied carries ``managedFields`` entries, each with the set of fields that
a manager owns, in the API's own ``fieldsV1`` form. Lists are merged by the keys that their schema
(or, for built-in kinds, the strategic merge patch) names; other lists are one value.

Guarantees: what a manager applied before and leaves out now goes, unless another owns it; a value
that another manager set is a conflict (409), or taken over when forced. Objects that were never
applied have no entries: their fields belong to ``before-first-apply``.
"""

from __future__ import annotations

import copy
from typing import Any

import orjson

from . import builtin, names, statuses
from .resources import Resource

Object = dict[str, Any]
Path = tuple[str, ...]
FieldSet = set[Path]

_UNOWNED = ("apiVersion", "kind")
_UNOWNED_METADATA = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)
FIRST_MANAGER = "before-first-apply"


def list_keys(items: list[Any], schema: Any) -> list[str] | None:
    """Fields that identify the items of a list, none of a set; None where the list is one value."""
    if not isinstance(schema, dict):
        return None
    type_ = schema.get("x-kubernetes-list-type")
    if type_ == "set" or (type_ is None and builtin.find_merge_key(schema) == ""):
        return []
    if not all(isinstance(item, dict) for item in items):
        return None
    if type_ == "map":
        return list(schema.get("x-kubernetes-list-map-keys") or ())
    found = builtin.find_merge_key(schema) if type_ is None else None
    return [found] if found else None


def _item_step(item: Any, keys: list[str]) -> str:
    if not keys:
        return "v:" + orjson.dumps(item).decode()
    identity = {key: item.get(key, "TCP" if key == "protocol" else None) for key in sorted(keys)}
    return "k:" + orjson.dumps(identity).decode()


def _part(schema: Any, key: str) -> Any:
    return builtin.find_part(schema, key)


def read_path(value: Any, path: Path) -> Any:
    """Value at a path of a field set; None when there is none."""
    for step in path:
        if step == ".":
            return True if value is not None else None
        if step.startswith("f:"):
            value = value.get(step[2:]) if isinstance(value, dict) else None
        elif isinstance(value, list):
            keys = _step_keys(step)
            value = next((item for item in value if _item_step(item, keys) == step), None)
        else:
            return None
    return value


def _step_keys(step: str) -> list[str]:
    return list(orjson.loads(step[2:])) if step.startswith("k:") else []


class _Walker:
    """Reads and merges values of one resource, whose lists it knows."""

    def __init__(self, resource: Resource) -> None:
        self.schema = resource.schema
        if resource.is_custom:
            metadata = builtin.find_metadata_schema()
            properties = {**(self.schema or {}).get("properties", {}), "metadata": metadata}
            self.schema = {**(self.schema or {}), "properties": properties}
        else:
            self.schema = builtin.find_schema(resource.group, resource.kind)

    def fields(self, value: Any, schema: Any, at: Path = ()) -> FieldSet:
        """The set of fields that a value has."""
        if isinstance(value, dict) and value and not _is_atomic(schema):
            owned: FieldSet = set()
            for key, item in value.items():
                if (at == () and key in _UNOWNED) or (
                    at == ("f:metadata",) and key in _UNOWNED_METADATA
                ):
                    continue
                owned |= self.fields(item, _part(schema, key), (*at, f"f:{key}"))
            return owned
        if isinstance(value, list) and value:
            keys = list_keys(value, schema)
            if keys is not None:
                owned = set()
                inner = schema.get("items") if isinstance(schema, dict) else None
                for item in value:
                    step = (*at, _item_step(item, keys))
                    owned |= {(*step, ".")}
                    if keys:
                        owned |= self.fields(item, inner, step)
                return owned
        return {at} if at else set()

    def merge(self, live: Any, applied: Any, schema: Any) -> Any:
        """Lay an applied value over the live one."""
        if isinstance(applied, dict) and isinstance(live, dict) and not _is_atomic(schema):
            merged = dict(live)
            for key, item in applied.items():
                if item is None:
                    merged.pop(key, None)
                else:
                    merged[key] = self.merge(live.get(key), item, _part(schema, key))
            return merged
        if isinstance(applied, list) and isinstance(live, list):
            keys = list_keys([*live, *applied], schema)
            if keys is not None:
                return self._merge_items(live, applied, schema, keys)
        return copy.deepcopy(applied)

    def _merge_items(
        self, live: list[Any], applied: list[Any], schema: Any, keys: list[str]
    ) -> Any:
        inner = schema.get("items") if isinstance(schema, dict) else None
        merged = {_item_step(item, keys): item for item in live}
        for item in applied:
            step = _item_step(item, keys)
            merged[step] = self.merge(merged[step], item, inner) if step in merged else item
        return list(merged.values())

    def remove(self, value: Any, path: Path) -> None:
        """Remove what a path leads to, and nothing else."""
        *parents, last = path
        if last == ".":
            if not parents:
                return
            holder, step = read_path(value, tuple(parents[:-1])), parents[-1]
            keys = _step_keys(step)
            if isinstance(holder, list):
                holder[:] = [item for item in holder if _item_step(item, keys) != step]
            return
        holder = read_path(value, tuple(parents))
        if isinstance(holder, dict):
            holder.pop(last[2:], None)
            if not holder and parents and parents[-1].startswith("f:"):
                outer = read_path(value, tuple(parents[:-1]))
                if isinstance(outer, dict) and len(parents) > 1:
                    outer.pop(parents[-1][2:], None)


def _is_atomic(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    return "atomic" in (
        schema.get("x-kubernetes-map-type"),
        builtin.resolve(schema).get("x-kubernetes-map-type"),
    )


def encode_fields(owned: FieldSet) -> Object:
    """Write a field set in the form of ``fieldsV1``."""
    root: Object = {}
    for path in sorted(owned):
        node = root
        for step in path:
            node = node.setdefault(step, {})
    return root


def decode_fields(node: Object, at: Path = ()) -> FieldSet:
    """Read a field set from ``fieldsV1``."""
    if not node:
        return {at} if at else set()
    return {path for step, inner in node.items() for path in decode_fields(inner, (*at, step))}


def _entry(
    resource_version: str, manager: str, operation: str, subresource: str, owned: FieldSet
) -> Object:
    entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": resource_version,
        "time": names.now_text(),
        "fieldsType": "FieldsV1",
        "fieldsV1": encode_fields(owned),
    }
    return entry | ({"subresource": subresource} if subresource else {})


def apply_configuration(
    resource: Resource, live: Object, applied: Object, options: Any, subresource: str
) -> Object:
    """Merge an applied configuration into the live object, or raise 409 with the conflicts."""
    walker = _Walker(resource)
    applied = copy.deepcopy(applied)
    applied["metadata"].pop("managedFields", None)
    owned = walker.fields(applied, walker.schema)
    if not subresource and "status" in resource.subresources:
        owned = {path for path in owned if path[0] != "f:status"}
    entries = live["metadata"].get("managedFields")
    if entries is None:
        everything = walker.fields(live, walker.schema)
        entries = [_entry(resource.api_version, FIRST_MANAGER, "Update", "", everything)]
        entries = entries if everything else []
    mine, others = _split(entries, options.manager, subresource)
    others = _settle_conflicts(walker, live, applied, owned, others, options)
    merged: Object = walker.merge(live, applied, walker.schema)
    held = set().union(*(decode_fields(entry["fieldsV1"]) for entry in others))
    for path in _order_removals(mine - owned - held, owned | held):
        walker.remove(merged, path)
    entry = _entry(resource.api_version, options.manager, "Apply", subresource, owned)
    unchanged = mine == owned and len(others) + 1 == len(entries)
    merged["metadata"]["managedFields"] = entries if unchanged else [*others, entry]
    return merged


def _order_removals(gone: FieldSet, kept: FieldSet) -> list[Path]:
    """Whole items first, where nobody holds a part of them: what was defaulted goes along."""
    items = {path for path in gone if path[-1] == "."}
    items = {item for item in items if not any(path[: len(item) - 1] == item[:-1] for path in kept)}
    leaves = {path for path in gone if path[-1] != "."}
    return [*sorted(items, key=len), *sorted(leaves, key=len, reverse=True)]


def _split(entries: list[Object], manager: str, subresource: str) -> tuple[FieldSet, list[Object]]:
    mine: FieldSet = set()
    others = []
    for entry in entries:
        is_mine = entry["manager"] == manager and entry["operation"] == "Apply"
        if is_mine and entry.get("subresource", "") == subresource:
            mine |= decode_fields(entry["fieldsV1"])
        else:
            others.append(entry)
    return mine, others


def _settle_conflicts(
    walker: _Walker,
    live: Object,
    applied: Object,
    owned: FieldSet,
    others: list[Object],
    options: Any,
) -> list[Object]:
    changed = {path for path in owned if read_path(live, path) != read_path(applied, path)}
    kept, conflicts = [], []
    for entry in others:
        theirs = decode_fields(entry["fieldsV1"])
        clash = theirs & changed
        conflicts += [(entry["manager"], path) for path in sorted(clash)]
        if theirs - clash:
            rest = entry if not clash else entry | {"fieldsV1": encode_fields(theirs - clash)}
            kept.append(rest)
    if conflicts and not options.is_forced:
        raise _build_conflict(conflicts)
    return kept


def show_path(path: Path) -> str:
    """Show a path as conflicts do.

    Examples
    --------
    >>> show_path(("f:spec", "f:containers", 'k:{"name":"a"}', "f:image"))
    '.spec.containers[name="a"].image'
    """
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        elif step.startswith("v:"):
            text += f"[={step[2:]}]"
        elif step.startswith("k:"):
            pairs = orjson.loads(step[2:]).items()
            text += "[" + ",".join(f"{key}={orjson.dumps(v).decode()}" for key, v in pairs) + "]"
    return text


def _build_conflict(conflicts: list[tuple[str, Path]]) -> statuses.StatusError:
    lines = [f'conflict with "{manager}": {show_path(path)}' for manager, path in conflicts]
    count = f"{len(lines)} conflict" + ("s" if len(lines) > 1 else "")
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f'conflict with "{manager}"',
            "field": show_path(path),
        }
        for manager, path in conflicts
    ]
    message = f"Apply failed with {count}: {'; '.join(lines)}"
    return statuses.StatusError(409, "Conflict", message, {"causes": causes})


def track_update(
    resource: Resource, new: Object, old: Object, manager: str, subresource: str
) -> None:
    """After a plain write to an object that was applied once, pass on what it changed."""
    entries, sent = old["metadata"].get("managedFields"), new["metadata"].get("managedFields")
    if entries is None:
        new["metadata"].pop("managedFields", None)
        return
    if sent == []:
        return
    # Whoever sends others hands fields over, as kubectl does when it goes over to apply.
    entries = entries if sent is None else sent
    changed = _changed_paths(_Walker(resource), entries, new, old)
    kept = []
    for entry in entries:
        theirs = decode_fields(entry["fieldsV1"])
        rest = theirs - changed
        if rest:
            kept.append(entry if rest == theirs else entry | {"fieldsV1": encode_fields(rest)})
    taken = {path for path in changed if read_path(new, path) is not None}
    if taken:
        mine = next(
            (e for e in kept if e["manager"] == manager and e["operation"] == "Update"), None
        )
        if mine is not None:
            kept.remove(mine)
            taken |= decode_fields(mine["fieldsV1"])
        kept.append(_entry(new["apiVersion"], manager, "Update", subresource, taken))
    new["metadata"]["managedFields"] = kept


def _changed_paths(walker: _Walker, entries: list[Object], new: Object, old: Object) -> FieldSet:
    every = walker.fields(new, walker.schema)
    every |= set().union(*(decode_fields(entry["fieldsV1"]) for entry in entries))
    return {path for path in every if read_path(new, path) != read_path(old, path)}
