"""ResourceQuotas, enforced for Pods: how many, and what they request and may use.

Guarantees that a Pod beyond a quota is refused (403) with what is asked, used and limited, and
that ``status.used`` counts the Pods that have not ended. A quota on other kinds is kept, and not
enforced.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from .. import quantities, statuses
from ..resources import Resource
from ..statuses import Cause, invalid_value
from ..store import Store
from .strategy import Context, Object, Strategy

_STANDARD = ("cpu", "memory", "ephemeral-storage")
_KNOWN = {"pods", *_STANDARD, "requests.storage", "persistentvolumeclaims", "services", "secrets"}
_KNOWN |= {"configmaps", "replicationcontrollers", "resourcequotas", "services.nodeports"}
_KNOWN |= {f"{side}.{name}" for side in ("requests", "limits") for name in _STANDARD}
_KNOWN |= {"services.loadbalancers"}


def measure(pod: Object) -> dict[str, Fraction]:
    """What a Pod takes of a quota, by the quota's names."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return {}
    used = {"pods": Fraction(1), "count/pods": Fraction(1)}
    for side in ("requests", "limits"):
        for container in pod["spec"].get("containers") or ():
            for name, amount in (container.get("resources") or {}).get(side, {}).items():
                key = f"{side}.{name}"
                used[key] = used.get(key, Fraction(0)) + quantities.parse(amount)
    for name in _STANDARD:
        if f"requests.{name}" in used:
            used[name] = used[f"requests.{name}"]
    return used


def _quotas(store: Store, namespace: str) -> list[Object]:
    records = store.collection(("", "resourcequotas")).select(namespace, None)
    return [record.object for record in records]


def charge(store: Store, pod: Object) -> None:
    """Refuse a Pod that a quota of its namespace has no room for."""
    metadata = pod["metadata"]
    quotas = _quotas(store, metadata["namespace"])
    if not quotas:
        return
    asked = measure(pod)
    for quota in quotas:
        hard = (quota.get("spec") or {}).get("hard") or {}
        used = (quota.get("status") or {}).get("used") or {}
        missing = [name for name in sorted(hard) if _must_be_said(name) and name not in asked]
        name = quota["metadata"]["name"]
        if missing:
            why = f"failed quota: {name}: must specify {_say_missing(pod, missing)}"
            raise statuses.forbidden("pods", "", metadata["name"], why)
        over = [
            key
            for key in sorted(hard)
            if key in asked
            and quantities.parse(used.get(key, "0")) + asked[key] > quantities.parse(hard[key])
        ]
        if over:
            parts = (
                ",".join(f"{key}={_show(asked[key], hard[key])}" for key in over),
                ",".join(f"{key}={used.get(key, '0')}" for key in over),
                ",".join(f"{key}={hard[key]}" for key in over),
            )
            why = "exceeded quota: {}, requested: {}, used: {}, limited: {}".format(name, *parts)
            raise statuses.forbidden("pods", "", metadata["name"], why)


def _must_be_said(name: str) -> bool:
    return name.startswith(("requests.", "limits.")) and name.partition(".")[2] in _STANDARD


def _say_missing(pod: Object, missing: list[str]) -> str:
    names = ",".join(c["name"] for c in pod["spec"].get("containers") or ())
    return "; ".join(f"{key} for: {names}" for key in missing)


def _show(amount: Fraction, like: str) -> str:
    return quantities.show(amount, is_binary=like.endswith("i"))


def recount(context: Context, namespace: str, new: Any, old: Any) -> None:
    """Write what is used into the quotas of a namespace, when a Pod made a difference."""
    quotas = _quotas(context.store, namespace)
    if not quotas or (measure(new) if new else {}) == (measure(old) if old else {}):
        return
    for quota in quotas:
        write_status(context, quota)


def build_status(store: Store, quota: Object) -> Object:
    """Status of a quota from the Pods that are there."""
    hard = (quota.get("spec") or {}).get("hard") or {}
    totals: dict[str, Fraction] = {}
    pods = store.collection(("", "pods")).select(quota["metadata"]["namespace"], None)
    for record in pods:
        for key, amount in measure(record.object).items():
            totals[key] = totals.get(key, Fraction(0)) + amount
    used = {key: _show(totals.get(key, Fraction(0)), hard[key]) for key in hard}
    return {"hard": dict(hard), "used": used}


def write_status(context: Context, quota: Object) -> None:
    """Write the status of a quota if it changed."""
    metadata = quota["metadata"]
    key = ("", "resourcequotas")
    record = context.store.get(key, metadata["namespace"], metadata["name"])
    if record is None:
        return
    status = build_status(context.store, record.object)
    if record.object.get("status") != status:
        changed = record.thaw()
        changed["status"] = status
        context.store.put(key, changed)


class QuotaStrategy(Strategy):
    """Quotas, counted when they are written."""

    returns_deleted = True

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Begin uncounted."""
        value["status"] = {}

    def on_written(self, resource: Resource, value: Object, old: Object | None) -> None:
        """Count at once."""
        write_status(self.context, value)

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check names and amounts."""
        causes = []
        for name, amount in ((value.get("spec") or {}).get("hard") or {}).items():
            path = f"spec.hard[{name}]"
            if name not in _KNOWN and "/" not in name and not name.startswith("count/"):
                why = "must be a standard resource for quota"
                causes.append(invalid_value(path, name, why))
            if quantities.parse(amount) < 0:
                why = "must be greater than or equal to 0"
                causes.append(invalid_value(path, amount, why))
        return causes
