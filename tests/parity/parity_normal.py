"""Answers without what differs from run to run, so that two can be compared.

Names of the run's namespace, uids, versions, times, addresses and generated names become words.
``IGNORED`` are the fields that only a real cluster has; each stands in the documentation's table.
"""

from __future__ import annotations

import re
from typing import Any

from parity_step import Answer

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_AGE = re.compile(r"(\d+[smhd])+")
_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ADDRESS = re.compile(r"\b(10|127|198|192)\.\d+\.\d+\.\d+(:\d+)?\b")
_NODE_PORT = re.compile(r":3\d{4}/")
_GENERATED = re.compile(r"\bgen-[a-z0-9]{5}\b")
_WORDS = {
    "resourceVersion": "VERSION",
    "continue": "CONTINUE",
    "nodePort": "PORT",
    "token": "TOKEN",
}
_WORDS |= {"healthCheckNodePort": "PORT", "expirationTimestamp": "TIME", "controller-uid": "UID"}

# What is left out of every answer, by name of the difference that the documentation explains.
LEFT_OUT = {
    "managed-fields": "metadata.managedFields of every kind",
    "token-volume": "volumes and mounts kube-api-access-* of a Pod",
    "tolerations": "spec.tolerations of a Pod, which admission adds to",
    "controllers": "status of what a controller counts, and the revision of a Deployment",
    "node-lifecycle": "podCIDR, taints, addresses and ttl of a Node that never was",
    "protection": "finalizer kubernetes.io/pvc-protection of a claim",
    "establishing": "status and clean-up finalizer of a definition",
}
_CONTROLLED = (
    "Deployment",
    "ReplicaSet",
    "Job",
    "ResourceQuota",
    "Node",
    "CustomResourceDefinition",
)
_HIDDEN_FINALIZERS = (
    "kubernetes.io/pvc-protection",
    "customresourcecleanup.apiextensions.k8s.io",
)


def normalize(answer: Answer, namespace: str) -> dict[str, Any]:
    """Bring an answer into the form that is recorded and compared."""
    value = answer.value
    kind = value.get("kind") if isinstance(value, dict) else None
    normal: dict[str, Any] = {"code": answer.code}
    if kind == "Status" and answer.code >= 400:
        normal |= _normalize_status(value, namespace)
    elif isinstance(value, list):
        normal["events"] = _collapse(
            [
                {"type": e.get("type"), "object": _event_object(e, namespace)}
                if isinstance(e, dict)
                else e
                for e in value
            ]
        )
    elif not value:
        normal["text"] = ""
    elif isinstance(value, str):
        normal["text"] = re.sub(r"\s+", " ", value.replace(namespace, "NS"))[:200]
    elif isinstance(value, dict) and set(value) == {"type", "object"}:
        event = {"type": value["type"], "object": _event_object(value, namespace)}
        normal["events"] = _collapse([event])
    else:
        normal["value"] = _normalize_object(value, namespace)
    return normal


def _event_object(event: dict[str, Any], namespace: str) -> Any:
    value = event.get("object")
    if event.get("type") == "ERROR" and isinstance(value, dict):
        return {"code": value.get("code"), "reason": value.get("reason")}
    if event.get("type") == "BOOKMARK" and isinstance(value, dict):
        return {"kind": value.get("kind")}
    return _normalize_object(value, namespace)


def _normalize_status(value: dict[str, Any], namespace: str) -> dict[str, Any]:
    details = value.get("details") or {}
    normal = {
        "reason": value.get("reason"),
        "message": _word("message", value.get("message", ""), namespace),
    }
    if details:
        named = {key: details[key] for key in ("kind", "group", "name") if key in details}
        normal["details"] = {key: _word(key, item, namespace) for key, item in named.items()}
        causes = {
            (_word("field", cause.get("field", ""), namespace), cause.get("reason"))
            for cause in details.get("causes") or ()
        }
        normal["causes"] = sorted([list(cause) for cause in causes], key=str)
    return normal


def _normalize_object(value: Any, namespace: str) -> Any:
    if isinstance(value, dict) and value.get("kind") == "Table":
        return _normalize_table(value, namespace)
    if (
        isinstance(value, dict)
        and isinstance(value.get("items"), list)
        and "List" in str(value.get("kind"))
    ):
        items = [_normalize_object(item, namespace) for item in value["items"]]
        rest = {key: item for key, item in value.items() if key != "items"}
        kind = str(value["kind"]).removesuffix("List")
        for item in items:
            _drop_ignored(item, kind)
        return _walk(rest, namespace) | {"items": items}
    normal = _walk(value, namespace)
    _drop_ignored(normal, normal.get("kind") if isinstance(normal, dict) else None)
    return normal


def _normalize_table(value: dict[str, Any], namespace: str) -> Any:
    columns = [
        [column["name"], column["type"], column["priority"]]
        for column in value.get("columnDefinitions") or ()
    ]
    rows = [[_cell(cell, namespace) for cell in row["cells"]] for row in value.get("rows") or ()]
    objects = {(row.get("object") or {}).get("kind") for row in value.get("rows") or ()}
    return {"kind": "Table", "columns": columns, "rows": rows, "objects": sorted(map(str, objects))}


def _cell(cell: Any, namespace: str) -> Any:
    if isinstance(cell, str):
        if _AGE.fullmatch(cell) or cell == "<unknown>":
            return "AGE"
        return _NODE_PORT.sub(":PORT/", _word("", cell, namespace))
    return cell


def _walk(value: Any, namespace: str, key: str = "") -> Any:
    if isinstance(value, dict):
        prefix = value.get("generateName")
        walked = {
            _word("", name, namespace): _walk(item, namespace, name)
            for name, item in value.items()
            if name != "managedFields"
        }
        if isinstance(prefix, str) and str(value.get("name", "")).startswith(prefix):
            walked["name"] = _word("", f"{prefix}*", namespace)
        return walked
    if isinstance(value, list):
        return [_walk(item, namespace, key) for item in value]
    if key in _WORDS and value not in (None, ""):
        return _WORDS[key]
    return _word(key, value, namespace)


def _word(key: str, value: Any, namespace: str) -> Any:
    if not isinstance(value, str):
        return value
    value = value.replace(namespace, "NS")
    value = _UID.sub("UID", _TIME.sub("TIME", _GENERATED.sub("gen-*", value)))
    return _ADDRESS.sub("ADDRESS", value)


def _drop_ignored(value: Any, kind: str | None) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        return
    if kind in _CONTROLLED:
        value.pop("status", None)
    if kind == "Node":
        value.pop("spec", None)
    metadata = value["metadata"]
    _drop_finalizers(metadata)
    annotations = metadata.get("annotations") or {}
    annotations.pop("deployment.kubernetes.io/revision", None)
    annotations.pop("node.alpha.kubernetes.io/ttl", None)
    if not annotations:
        metadata.pop("annotations", None)
    if kind == "Pod":
        _drop_admitted(value.get("spec") or {})


def _drop_finalizers(metadata: dict[str, Any]) -> None:
    finalizers = metadata.get("finalizers") or []
    kept = [name for name in finalizers if name not in _HIDDEN_FINALIZERS]
    if kept == finalizers:
        return
    if kept:
        metadata["finalizers"] = kept
    else:
        # It is marked only because of what is hidden here.
        for key in ("finalizers", "deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(key, None)


def _drop_admitted(spec: dict[str, Any]) -> None:
    spec.pop("tolerations", None)
    holders = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    for holder, field in ((spec, "volumes"), *((holder, "volumeMounts") for holder in holders)):
        kept = [v for v in holder.get(field) or () if not v["name"].startswith("kube-api-access")]
        holder.pop(field, None)
        if kept:
            holder[field] = kept


def _collapse(events: list[Any]) -> list[Any]:
    """Events of what controllers write too: only the last one is sure. Bookmarks count once."""
    events = [
        event
        for at, event in enumerate(events)
        if not (at and isinstance(event, dict) and event == events[at - 1])
    ]
    kinds = {(event.get("object") or {}).get("kind") for event in events if isinstance(event, dict)}
    if kinds & {*_CONTROLLED, "PersistentVolumeClaim"}:
        events = [e for e in events if e["type"] != "BOOKMARK"][-1:]
        return [event | {"type": "CHANGED"} for event in events]
    return events


def comparable(normal: dict[str, Any] | None) -> dict[str, Any] | None:
    """What two answers are compared by: everything but the wording of a message."""
    return normal and {key: item for key, item in normal.items() if key != "message"}
