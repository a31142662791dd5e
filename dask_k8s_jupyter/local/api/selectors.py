"""Label and field selectors: their text, and whether an object matches. Pure.

Guarantees the grammar of the API (``=``, ``==``, ``!=``, ``in``, ``notin``, ``key``, ``!key``).
Refuses a field that the kind cannot be selected by, as the API does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from . import statuses

Predicate = Callable[[dict[str, Any]], bool]

_KEY = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9]?[-A-Za-z0-9_.]*"
_SET = re.compile(rf"(?P<key>{_KEY})\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL = re.compile(rf"(?P<key>{_KEY})\s*(?P<op>==|=|!=)\s*(?P<value>{_VALUE})")
_EXISTS = re.compile(rf"(?P<no>!?)\s*(?P<key>{_KEY})")

_FIELDS_OF_ALL = ("metadata.name", "metadata.namespace")
_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "secrets": ("type",),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "services": ("spec.clusterIP", "spec.type"),
}


def split_requirements(text: str) -> list[str]:
    """Split a selector at the commas that are not inside parentheses.

    Examples
    --------
    >>> split_requirements("a=1,b in (x,y),!c")
    ['a=1', 'b in (x,y)', '!c']
    """
    return [part.strip() for part in re.split(r",(?![^(]*\))", text) if part.strip()]


def parse_labels(text: str) -> Predicate | None:
    """Turn a label selector into a predicate on objects; None selects everything.

    Examples
    --------
    >>> predicate = parse_labels("app=web,tier notin (db)")
    >>> predicate({"metadata": {"labels": {"app": "web"}}})
    True
    """
    if not text.strip():
        return None
    tests = [_parse_requirement(part) for part in split_requirements(text)]

    def matches(candidate: dict[str, Any]) -> bool:
        labels = candidate["metadata"].get("labels") or {}
        return all(test(labels) for test in tests)

    return matches


def _parse_requirement(text: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.fullmatch(text):
        key, values = match["key"], {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if match := _EQUAL.fullmatch(text):
        key, value = match["key"], match["value"]
        if match["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if match := _EXISTS.fullmatch(text):
        key = match["key"]
        if match["no"]:
            return lambda labels: key not in labels
        return lambda labels: key in labels
    raise statuses.bad_request(f"unable to parse requirement: {text!r} is not a label selector")


def parse_label_map(selector: Mapping[str, str]) -> Predicate:
    """Predicate of a plain map of labels, as a Service has."""
    return lambda candidate: selector.items() <= (candidate["metadata"].get("labels") or {}).items()


def parse_fields(text: str, plural: str) -> Predicate | None:
    """Turn a field selector into a predicate on objects of ``plural``; None selects everything.

    Examples
    --------
    >>> predicate = parse_fields("status.phase!=Running", "pods")
    >>> predicate({"status": {"phase": "Pending"}})
    True
    """
    if not text.strip():
        return None
    tests = [_parse_field(part, plural) for part in text.split(",") if part]
    return lambda candidate: all(test(candidate) for test in tests)


def _parse_field(text: str, plural: str) -> Predicate:
    match = re.fullmatch(r"\s*([^=!\s]+)\s*(==|=|!=)\s*(.*?)\s*", text)
    if match is None:
        raise statuses.bad_request(f"invalid selector: {text!r}; can't understand {text!r}")
    path, operator, value = match.groups()
    if path not in _FIELDS_OF_ALL and path not in _FIELDS.get(plural, ()):
        raise statuses.bad_request(f'field label not supported: "{path}"')
    steps = path.split(".")
    if operator == "!=":
        return lambda candidate: _read(candidate, steps) != value
    return lambda candidate: _read(candidate, steps) == value


def _read(candidate: Any, steps: list[str]) -> str:
    found = candidate
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    if steps == ["source"]:
        found = (found or {}).get("component")
    if isinstance(found, bool):
        return "true" if found else "false"
    return "" if found is None else str(found)


def both(left: Predicate | None, right: Predicate | None) -> Predicate | None:
    """Conjunction of two selections, where None selects everything."""
    if left is None or right is None:
        return left or right
    return lambda candidate: left(candidate) and right(candidate)
