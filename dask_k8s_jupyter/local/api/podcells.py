"""The row of a Pod in ``kubectl get pods``. Pure.

Guarantees the words of a real API server for what a Pod waits for: ``Init:1/2`` while its init
containers run, the reason of a container that does not start, ``Terminating`` while it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .ages import show_age

Object = dict[str, Any]


@dataclass
class _Restarts:
    """How often containers were started again, and when the last of their runs ended."""

    count: int = 0
    last: str = ""

    def add(self, container: Object) -> None:
        self.count += container.get("restartCount", 0)
        ended = (container.get("lastState") or {}).get("terminated") or {}
        self.last = max(self.last, ended.get("finishedAt") or "")

    def show(self) -> str:
        if self.count and self.last:
            return f"{self.count} ({show_age(self.last)} ago)"
        return str(self.count)


def find_pod_status(pod: Object) -> tuple[str, str, str]:
    """The ready, status and restarts columns of a Pod.

    Examples
    --------
    >>> spec = {"containers": [{"name": "a"}]}
    >>> find_pod_status({"metadata": {}, "spec": spec, "status": {"phase": "Pending"}})
    ('0/1', 'Pending', '0')
    """
    status, spec = pod.get("status") or {}, pod["spec"]
    sidecars = {c["name"] for c in spec.get("initContainers") or () if _is_sidecar(c)}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    waiting_for, ready, restarts = _find_init_reason(pod, sidecars)
    if waiting_for is None or _condition(status, "Initialized"):
        reason, ready, restarts = _find_reason(status, sidecars, reason, ready)
    else:
        reason = waiting_for
    is_over = status.get("phase") in ("Succeeded", "Failed")
    if "deletionTimestamp" in pod["metadata"]:
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif not is_over:
            reason = "Terminating"
    total = len(spec["containers"]) + len(sidecars)
    return f"{ready}/{total}", reason, restarts.show()


def _is_sidecar(container: Object) -> bool:
    return container.get("restartPolicy") == "Always"


def _condition(status: Object, type_: str) -> bool:
    conditions = status.get("conditions") or ()
    return any(c["type"] == type_ and c["status"] == "True" for c in conditions)


def _find_init_reason(pod: Object, sidecars: set[str]) -> tuple[str | None, int, _Restarts]:
    """What init containers keep the Pod waiting with, how many sidecars are ready, restarts."""
    restarts, ready = _Restarts(), 0
    total = len(pod["spec"].get("initContainers") or ())
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or ()
    for index, container in enumerate(statuses):
        restarts.add(container)
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        if ended and not ended.get("exitCode"):
            continue
        if container["name"] in sidecars and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if ended:
            return f"Init:{ended.get('reason') or _show_end(ended)}", ready, restarts
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}", ready, restarts
        return f"Init:{index}/{total}", ready, restarts
    return None, ready, restarts


def _find_reason(
    status: Object, sidecars: set[str], reason: str, ready: int
) -> tuple[str, int, _Restarts]:
    restarts, is_any_running = _Restarts(), False
    for container in status.get("initContainerStatuses") or ():
        if container["name"] in sidecars:
            restarts.add(container)
    for container in reversed(status.get("containerStatuses") or ()):
        restarts.add(container)
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended:
            reason = ended.get("reason") or _show_end(ended)
        elif container.get("ready") and "running" in state:
            is_any_running = True
            ready += 1
    if reason == "Completed" and is_any_running:
        reason = "Running" if _condition(status, "Ready") else "NotReady"
    return reason, ready, restarts


def _show_end(ended: Object) -> str:
    signal, code = ended.get("signal"), ended.get("exitCode", 0)
    return f"Signal:{signal}" if signal else f"ExitCode:{code}"
