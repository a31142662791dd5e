"""Whether a Pod fits on the node, and the scheduler's sentence when it does not. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from .quantities import parse_quantity

Pod = dict[str, Any]
Resources = dict[str, float]

# A sum of binary fractions may miss a whole number by a hair.
_TOLERANCE = 1e-9


def sum_requests(pod: Pod) -> Resources:
    """What a Pod requests: what runs together, or its greediest init container.

    Examples
    --------
    >>> container = {"resources": {"requests": {"cpu": "500m"}}}
    >>> sum_requests({"spec": {"containers": [container, container]}})
    {'cpu': 1.0, 'pods': 1.0}
    """
    total: Resources = defaultdict(float)
    greediest: Resources = {}
    for container in pod["spec"].get("initContainers") or ():
        requests = _read_requests(container)
        is_sidecar = container.get("restartPolicy") == "Always"
        for name, amount in requests.items():
            # An init container runs beside the sidecars that came before it.
            greediest[name] = max(greediest.get(name, 0.0), total[name] + amount)
            total[name] += amount if is_sidecar else 0.0
    for container in pod["spec"].get("containers") or ():
        for name, amount in _read_requests(container).items():
            total[name] += amount
    total.update({name: max(total[name], amount) for name, amount in greediest.items()})
    return {**total, "pods": 1.0}


def _read_requests(container: dict[str, Any]) -> Resources:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: parse_quantity(amount) for name, amount in asked.items()}


def holds_resources(pod: Pod) -> bool:
    """Whether a Pod on the node still takes room there."""
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


def sum_used(pods: Iterable[Pod]) -> Resources:
    """What the Pods on the node request in sum."""
    total: Resources = defaultdict(float)
    for pod in pods:
        if holds_resources(pod):
            for name, amount in sum_requests(pod).items():
                total[name] += amount
    return dict(total)


def explain_misfit(
    pod: Pod, used: Mapping[str, float], capacity: Mapping[str, float], labels: Mapping[str, str]
) -> str | None:
    """Say why a Pod does not fit, in the words of kube-scheduler, or None when it fits.

    Examples
    --------
    >>> pod = {"spec": {"containers": [{"resources": {"requests": {"memory": "2Gi"}}}]}}
    >>> explain_misfit(pod, {}, {"memory": 1e9, "pods": 10}, {})[:49]
    '0/1 nodes are available: 1 Insufficient memory. p'
    """
    selector = pod["spec"].get("nodeSelector") or {}
    if not selector.items() <= labels.items():
        reasons = ["1 node(s) didn't match Pod's node affinity/selector"]
        return _build_message(reasons, "Preemption is not helpful for scheduling")
    reasons = []
    can_ever_fit = True
    for name, amount in sorted(sum_requests(pod).items()):
        room = capacity.get(name, 0.0)
        if amount and amount > room - used.get(name, 0.0) + _TOLERANCE:
            reasons.append("1 Too many pods" if name == "pods" else f"1 Insufficient {name}")
            can_ever_fit = can_ever_fit and amount <= room
    if not reasons:
        return None
    why = "No preemption victims found for incoming pod"
    return _build_message(
        reasons, why if can_ever_fit else "Preemption is not helpful for scheduling"
    )


def _build_message(reasons: list[str], preemption: str) -> str:
    return (
        f"0/1 nodes are available: {', '.join(reasons)}. preemption: 0/1 nodes are available: "
        f"1 {preemption}."
    )
