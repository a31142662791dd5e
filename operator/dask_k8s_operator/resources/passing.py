"""What parents pass on to their children: labels, annotations, and the trace of a spec.

Guarantees the order of precedence (top level < section < reserved), that a key which the parent
drops is dropped by the child too, and that what somebody else wrote on the child stays. Refuses to
pass on bookkeeping about the parent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from . import names

Manifest = dict[str, Any]

# About the object that carries it, and never its children.
_OWN_BOOKKEEPING = (
    names.AGREED_REPLICAS_ANNOTATION,
    names.APPLIED_SPEC_ANNOTATION,
    names.AS_OF_ANNOTATION,
    names.PASSED_ON_ANNOTATION,
    names.RETIRING_ANNOTATION,
    names.SPEC_HASH_ANNOTATION,
)
_PRIVATE = ("kopf.zalando.org", "kubectl.kubernetes.io", *_OWN_BOOKKEEPING)


def passed_on_annotations(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Annotations that children get too: all but bookkeeping about the parent.

    Examples
    --------
    >>> passed_on_annotations({"annotations": {"team": "a", "kopf.zalando.org/x": "y"}})
    {'team': 'a'}
    """
    annotations = metadata.get("annotations") or {}
    return {k: v for k, v in annotations.items() if not k.startswith(_PRIVATE)}


def build_passed_on(
    top: Mapping[str, Any], own: Mapping[str, Any], reserved: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Build the labels and annotations of a child.

    Parameters
    ----------
    top
        Metadata of the parent.
    own
        Metadata that the parent's spec has for this kind of child.
    reserved
        Labels that nobody may change.

    Examples
    --------
    >>> build_passed_on({"labels": {"a": "1"}}, {}, {"b": "2"})["labels"]
    {'a': '1', 'b': '2'}
    """
    labels = {**(top.get("labels") or {}), **(own.get("labels") or {}), **reserved}
    annotations = {**passed_on_annotations(top), **passed_on_annotations(own)}
    passed_on = {
        "annotations": sorted(annotations),
        "labels": sorted(key for key in labels if key not in reserved),
    }
    if any(passed_on.values()):
        annotations[names.PASSED_ON_ANNOTATION] = _dump(passed_on)
    return {"labels": labels, "annotations": annotations}


def find_metadata_changes(child: Manifest, wanted: Mapping[str, Mapping[str, str]]) -> Manifest:
    """Find what has to change in a child's labels and annotations, as a merge patch of metadata.

    Parameters
    ----------
    child
        The object as it is.
    wanted
        What :func:`build_passed_on` says now.
    """
    metadata, changes = child["metadata"], {}
    before = _read_passed_on(metadata)
    for part in ("labels", "annotations"):
        has, wants = metadata.get(part) or {}, wanted[part]
        changed: dict[str, str | None] = {k: v for k, v in wants.items() if has.get(k) != v}
        changed.update({k: None for k in before[part] if k in has and k not in wants})
        if changed:
            changes[part] = changed
    return changes


def _read_passed_on(metadata: Mapping[str, Any]) -> dict[str, list[str]]:
    text = (metadata.get("annotations") or {}).get(names.PASSED_ON_ANNOTATION)
    try:
        read = json.loads(text) if text else {}
    except ValueError:
        read = {}
    if not isinstance(read, dict):
        read = {}
    keys = {part: [str(key) for key in read.get(part) or ()] for part in ("labels", "annotations")}
    if text:
        keys["annotations"].append(names.PASSED_ON_ANNOTATION)
    return keys


def hash_spec(spec: Any) -> str:
    """Hash a spec, to tell whether a Pod was made from it.

    Examples
    --------
    >>> hash_spec({"a": 1, "b": 2}) == hash_spec({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(_dump(spec).encode()).hexdigest()[:16]


def is_outdated(pod: Manifest, spec_hash: str) -> bool:
    """Whether a Pod was made from another spec; of one that does not say, nothing is known."""
    made_from = (pod["metadata"].get("annotations") or {}).get(names.SPEC_HASH_ANNOTATION)
    return made_from is not None and made_from != spec_hash


def find_spec_changes(before: Any, after: Any) -> Any:
    """Build the merge patch that turns ``before`` into ``after``, None when they are equal.

    Examples
    --------
    >>> find_spec_changes({"type": "NodePort", "x": {"a": 1}}, {"x": {"a": 2}})
    {'x': {'a': 2}, 'type': None}
    """
    if before == after:
        return None
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    changes = {k: find_spec_changes(before.get(k), v) for k, v in after.items()}
    changes = {k: v for k, v in changes.items() if before.get(k) != after[k]}
    return {**changes, **{k: None for k in before if k not in after}}


def dump_applied_spec(spec: Any) -> str:
    """Write a spec for the annotation that remembers it."""
    return _dump(spec)


def read_applied_spec(item: Manifest) -> Manifest | None:
    """Read the spec last applied to an object, None when it does not say."""
    text = (item["metadata"].get("annotations") or {}).get(names.APPLIED_SPEC_ANNOTATION)
    try:
        spec = json.loads(text) if text else None
    except ValueError:
        return None
    return spec if isinstance(spec, dict) else None


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
