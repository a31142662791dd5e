"""Tells a history to people: one short line for each thing that happened.

Guarantees nothing about completeness: the fingerprint of a history is taken of everything, the
story only of what one needs to follow it.
"""

from __future__ import annotations

from typing import Any

LONGEST_LINE = 200


def tell_line(line: tuple[Any, ...]) -> str:
    """Write one entry of a history.

    Examples
    --------
    >>> tell_line((1.5, "user", "creates", "DaskCluster", "a", "x", {"worker": {"replicas": 2}}))
    '     1.500 user creates DaskCluster a x worker.replicas=2'
    """
    time, *rest = line
    words = [_tell_detail(part) if isinstance(part, dict) else str(part) for part in rest]
    text = f"{time:10.3f} " + " ".join(word for word in words if word)
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"


def _tell_detail(detail: dict[str, Any]) -> str:
    told = [f"{key}={detail[key]}" for key in _PLAIN if key in detail]
    if "replicas" in (detail.get("worker") or {}):
        told.append(f"worker.replicas={detail['worker']['replicas']}")
    for condition in detail.get("conditions") or []:
        if condition["type"] in ("Ready", "Retiring", "Active", "AgentReady"):
            told.append(f"{condition['type']}={condition['status']}")
    if detail.get("deletionTimestamp"):
        told.append("leaving")
    if detail.get("annotations"):
        told.append(f"annotations={detail['annotations']}")
    return " ".join(told)


_PLAIN = (
    "phase",
    "podIP",
    "nodeName",
    "jobStatus",
    "ready",
    "message",
    "replicas",
    "minimum",
    "maximum",
    "idleTimeout",
)
