"""The status of a Pod from the states of its containers, as a kubelet writes it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Pod = Mapping[str, Any]
State = dict[str, Any]


@dataclass
class ContainerStatus:
    """What is known of one container.

    Parameters
    ----------
    name, image
        As in the spec.
    state
        ``{"waiting": …}``, ``{"running": …}`` or ``{"terminated": …}``.
    last_state
        How the run before ended; empty when there was none.
    restarts
        How often it was started again.
    is_ready, is_started
        What its probes say; without probes, that it runs.
    is_sidecar
        Whether it is an init container that goes on beside the others.
    """

    name: str
    image: str
    state: State = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: State = field(default_factory=dict)
    restarts: int = 0
    is_ready: bool = False
    is_started: bool = False
    container_id: str = ""
    is_sidecar: bool = False

    @property
    def is_initialized(self) -> bool:
        """Whether an init container keeps the next ones waiting no longer."""
        if self.is_sidecar:
            # One that has run before is restarted beside the others.
            return self.is_started or bool(self.last_state) or "terminated" in self.state
        return _has_succeeded(self)

    def build(self) -> dict[str, Any]:
        """Build the entry of ``containerStatuses``."""
        status: dict[str, Any] = {
            "name": self.name,
            "image": self.image,
            "imageID": f"local://{self.image}" if self.container_id else "",
            "restartCount": self.restarts,
            "ready": self.is_ready,
            "started": self.is_started,
            "state": self.state,
            "lastState": self.last_state,
        }
        if self.container_id:
            status["containerID"] = self.container_id
        return status


def find_phase(
    containers: Sequence[ContainerStatus], init: Sequence[ContainerStatus], restart_policy: str
) -> str:
    """Phase of a Pod, by the kubelet's rules.

    Examples
    --------
    >>> done = ContainerStatus("a", "x", {"terminated": {"exitCode": 0}})
    >>> find_phase([done], [], "OnFailure"), find_phase([done], [], "Always")
    ('Succeeded', 'Running')
    """
    # A Pod has not ended while a sidecar of it is on its way out.
    is_beside = any(c.is_sidecar and "running" in c.state for c in init)
    has_failed = any(_has_failed(c) for c in init if not c.is_sidecar)
    if has_failed and restart_policy == "Never" and not is_beside:
        return "Failed"
    if any(not c.is_initialized for c in init):
        return "Pending"
    running = [c for c in containers if "running" in c.state]
    ended = [c for c in containers if "terminated" in c.state]
    waiting = [c for c in containers if "waiting" in c.state]
    if any(not c.last_state for c in waiting):
        return "Pending"
    if running or waiting or not ended or is_beside:
        return "Running"
    if restart_policy == "Always":
        return "Running"
    if all(_has_succeeded(c) for c in ended):
        return "Succeeded"
    return "Failed" if restart_policy == "Never" else "Running"


def _has_succeeded(container: ContainerStatus) -> bool:
    return "terminated" in container.state and container.state["terminated"]["exitCode"] == 0


def _has_failed(container: ContainerStatus) -> bool:
    return "terminated" in container.state and container.state["terminated"]["exitCode"] != 0


def build_conditions(
    containers: Sequence[ContainerStatus], init: Sequence[ContainerStatus], phase: str
) -> list[dict[str, Any]]:
    """Conditions of a Pod that its node answers for, without their times."""
    lasting = [*(c for c in init if c.is_sidecar), *containers]
    unready = [c.name for c in lasting if not c.is_ready]
    uninitialized = [c.name for c in init if not c.is_initialized]
    has_begun = phase != "Pending" or any(c.container_id for c in (*containers, *init))
    conditions: list[dict[str, Any]] = [
        {"type": "PodReadyToStartContainers", "status": _word(has_begun)},
        _condition("Initialized", uninitialized, "ContainersNotInitialized", "incomplete"),
    ]
    for type_ in ("ContainersReady", "Ready"):
        condition = _condition(type_, unready, "ContainersNotReady", "unready")
        if phase in ("Succeeded", "Failed"):
            reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
            condition = {"type": type_, "status": "False", "reason": reason}
        conditions.append(condition)
    return conditions


def build_pod_status(
    containers: Sequence[ContainerStatus],
    init: Sequence[ContainerStatus],
    phase: str,
    conditions: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Build the status of a Pod.

    Parameters
    ----------
    facts
        What else is known: addresses, times, why it failed.
    """
    status: dict[str, Any] = {"phase": phase, "conditions": conditions, **facts}
    status["containerStatuses"] = [container.build() for container in containers]
    if init:
        status["initContainerStatuses"] = [container.build() for container in init]
    return status


def _condition(type_: str, missing: list[str], reason: str, word: str) -> dict[str, Any]:
    if not missing:
        return {"type": type_, "status": "True"}
    message = f"containers with {word} status: [{' '.join(missing)}]"
    return {"type": type_, "status": "False", "reason": reason, "message": message}


def _word(is_true: bool) -> str:
    return "True" if is_true else "False"


def merge_conditions(
    old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], now: str
) -> list[dict[str, Any]]:
    """Give conditions their times: a transition is a change of status."""
    before = {c["type"]: c for c in old}
    merged = []
    for condition in new:
        known = before.get(condition["type"])
        is_same = known is not None and known["status"] == condition["status"]
        moment = known.get("lastTransitionTime", now) if known is not None and is_same else now
        merged.append({**condition, "lastProbeTime": None, "lastTransitionTime": moment})
    return merged
