"""Who is behind a Service: the one answer for names, addresses, Endpoints and EndpointSlices.

Guarantees Kubernetes' own rules: a Pod that has ended or has no address is behind nothing, and a
target port that is a text is a name, whatever it looks like. Pure; reads no API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]


def selects(service: Object, pod: Object) -> bool:
    """Whether a Service leads to a Pod, were it ready."""
    selector = (service["spec"].get("selector") or {}).items()
    return bool(
        selector
        and service["metadata"]["namespace"] == pod["metadata"]["namespace"]
        and selector <= (pod["metadata"].get("labels") or {}).items()
    )


def has_address(pod: Object | None) -> bool:
    """Whether a Service could lead to a Pod at all, ready or not."""
    status = (pod.get("status") or {}) if pod is not None else {}
    return bool(status.get("podIP")) and status.get("phase") not in ("Succeeded", "Failed")


def gets_connections(service: Object, pod: Object) -> bool:
    """Whether a Pod that a Service leads to is to get connections now."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    is_ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    if service["spec"].get("publishNotReadyAddresses"):
        return True
    return is_ready and "deletionTimestamp" not in pod["metadata"]


def find_target_port(port: Object, pod: Object) -> int | None:
    """Number of the Pod's port that a Service's port leads to; None when it has no such name.

    Examples
    --------
    >>> find_target_port({"port": 80, "targetPort": 8787}, {})
    8787
    """
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int):
        return target
    for container in pod["spec"]["containers"]:
        for known in container.get("ports") or ():
            if known.get("name") == target:
                return int(known["containerPort"])
    return None
