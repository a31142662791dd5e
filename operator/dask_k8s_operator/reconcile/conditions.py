"""Conditions as Kubernetes has them.

Guarantees that a condition's transition time changes only with its status, so that a status which
says the same twice is equal twice. Refuses to lose a condition that is not spoken of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..resources.times import format_time

Manifest = dict[str, Any]

# Of a cluster's condition SchedulerReady: nobody can say yet that there will be a scheduler.
SCHEDULER_MISSING_REASONS = ("SchedulerMissing", "NameTaken")


@dataclass(frozen=True)
class Condition:
    """One statement about an object: whether it holds, why in one word, and a sentence for
    people."""

    type: str
    holds: bool
    reason: str
    message: str = ""


def build_conditions(
    status: Manifest | None, statements: Iterable[Condition], generation: int, now: float
) -> list[Manifest]:
    """Build a status' list of conditions from the one before and what holds now."""
    conditions = {c["type"]: c for c in (status or {}).get("conditions") or []}
    for statement in statements:
        before = conditions.get(statement.type, {})
        value = "True" if statement.holds else "False"
        has_changed = before.get("status") != value
        since = format_time(now) if has_changed else before.get("lastTransitionTime")
        conditions[statement.type] = {
            "type": statement.type,
            "status": value,
            "reason": statement.reason,
            "message": statement.message,
            "lastTransitionTime": since or format_time(now),
            "observedGeneration": generation,
        }
    return list(conditions.values())


def find_condition(status: Manifest | None, type_: str) -> Manifest | None:
    """Find a condition by its type."""
    conditions = (status or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == type_), None)


def is_condition_true(status: Manifest | None, type_: str) -> bool:
    """Whether a condition is there and holds.

    Examples
    --------
    >>> is_condition_true({"conditions": [{"type": "Ready", "status": "True"}]}, "Ready")
    True
    """
    return (find_condition(status, type_) or {}).get("status") == "True"
