"""What a Pod's status means: what the Pod counts as, and what ails it, in words to act on.

Guarantees that every Pod counts as exactly one thing. Refuses to guess: where Kubernetes gives a
message, that message is passed on.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from ..resources.names import RETIRING_ANNOTATION
from ..resources.times import parse_time

Pod = dict[str, Any]
Standing = Literal["leaving", "retiring", "ended", "pending", "running", "ready"]

_IMAGE_REASONS = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}
_START_REASONS = {
    "StartError",
    "RunContainerError",
    "ContainerCannotRun",
    "CreateContainerError",
    "CreateContainerConfigError",
}
_NO_COMMAND = ("executable file not found", "no such file or directory", "command not found")
# Gone from distributed 2026.6.0 on.
_OLD_COMMANDS = {"dask-scheduler": "dask scheduler", "dask-worker": "dask worker"}
# What a shell and the init programs of images exit with.
_COMMAND_NOT_FOUND = 127
_LONGEST_MESSAGE = 200


@dataclass(frozen=True)
class Trouble:
    """What keeps a Pod from working.

    Parameters
    ----------
    reason
        One word, as in conditions and Events.
    message
        A sentence, without the Pod's name.
    is_lasting
        Whether waiting alone will not help.
    """

    reason: str
    message: str
    is_lasting: bool

    @property
    def is_image(self) -> bool:
        """Whether it is about the container image."""
        return self.reason in _IMAGE_REASONS


def standing(pod: Pod) -> Standing:
    """What a Pod counts as.

    ``leaving`` is being deleted; ``retiring`` is meant to go; ``ended`` has run to its end, well
    or not.

    Examples
    --------
    >>> standing({"metadata": {}, "status": {"phase": "Pending"}})
    'pending'
    """
    metadata, status = pod["metadata"], pod.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return "leaving"
    phase = status.get("phase", "Pending")
    if phase in ("Failed", "Succeeded"):
        return "ended"
    if is_retiring(pod):
        return "retiring"
    if phase != "Running":
        return "pending"
    return "ready" if is_ready(pod) else "running"


def is_ready(pod: Pod) -> bool:
    """Whether Kubernetes calls the Pod ready."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def is_retiring(pod: Pod) -> bool:
    """Whether the Pod was marked to go, by this operator or by the one before it."""
    return RETIRING_ANNOTATION in (pod["metadata"].get("annotations") or {})


def has_started(pod: Pod) -> bool:
    """Whether a container of the Pod runs now, so that work may be lost with it."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return any("running" in (status.get("state") or {}) for status in statuses)


def created_s(pod: Pod) -> float:
    """When the Pod was made, in seconds since the epoch; an unseen one is the youngest."""
    return parse_time(pod["metadata"].get("creationTimestamp")) or float("inf")


def ended_s(pod: Pod) -> float | None:
    """When the last container of an ended Pod ended, None if nothing says so."""
    ends = [
        parse_time(((status.get("state") or {}).get("terminated") or {}).get("finishedAt"))
        for status in _container_statuses(pod)
    ]
    return max((end for end in ends if end is not None), default=None)


def explain_pod(pod: Pod) -> Trouble | None:
    """Say what keeps a Pod from working, None when nothing does (or it merely starts)."""
    status = pod.get("status") or {}
    phase = status.get("phase")
    if phase == "Succeeded":
        return Trouble("PodEnded", "it ended, although it ought to run on", True)
    # Why the node ended a Pod says more than that its containers were killed by that.
    if phase == "Failed" and status.get("reason"):
        return _explain_failure(status)
    for container in _container_statuses(pod):
        trouble = _explain_container(pod, container)
        if trouble:
            return trouble
    if phase == "Failed":
        return _explain_failure(status)
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Trouble("Unschedulable", _explain_placement(condition.get("message", "")), False)
    return None


def _explain_failure(status: dict[str, Any]) -> Trouble:
    reason = status.get("reason") or "PodFailed"
    return Trouble(reason, _shorten(status.get("message") or "it failed"), True)


def summarize_troubles(troubles: Iterable[tuple[Pod, Trouble]], noun: str) -> Trouble | None:
    """Put what ails several Pods into one sentence: the lasting kind first, then the commonest."""
    by_reason: dict[str, list[tuple[Pod, Trouble]]] = defaultdict(list)
    for pod, trouble in troubles:
        by_reason[trouble.reason].append((pod, trouble))
    if not by_reason:
        return None
    group = max(by_reason.values(), key=lambda g: (g[0][1].is_lasting, len(g)))
    pod, trouble = group[0]
    if trouble.reason == "Unschedulable":
        what = "1 Pod does not fit" if len(group) == 1 else f"{len(group)} Pods do not fit"
        return Trouble(trouble.reason, f"{what}: {trouble.message}", False)
    who = f"{noun} {pod['metadata']['name']}" if len(group) == 1 else f"{len(group)} {noun}s"
    message = f"{who}: {trouble.reason}: {trouble.message}"
    return Trouble(trouble.reason, message, trouble.is_lasting)


def _container_statuses(pod: Pod) -> Iterator[dict[str, Any]]:
    status = pod.get("status") or {}
    yield from status.get("initContainerStatuses") or []
    yield from status.get("containerStatuses") or []


def _explain_container(pod: Pod, status: dict[str, Any]) -> Trouble | None:
    state = status.get("state") or {}
    waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
    reason = waiting.get("reason", "")
    if reason in _IMAGE_REASONS:
        said = waiting.get("message") or "the registry gives no reason"
        return Trouble(reason, _shorten(f"image {status.get('image', '')!r}: {said}"), True)
    if reason in _START_REASONS:
        return _explain_start(pod, reason, waiting.get("message") or "")
    if reason == "CrashLoopBackOff":
        last = (status.get("lastState") or {}).get("terminated") or {}
        return _explain_end(pod, last, "CrashLoopBackOff")
    if ended and ended.get("exitCode", 0) != 0:
        return _explain_end(pod, ended, "ContainerError")
    return None


def _explain_end(pod: Pod, ended: dict[str, Any], reason: str) -> Trouble:
    message, why = ended.get("message") or "", ended.get("reason") or ""
    if why in _START_REASONS:
        return _explain_start(pod, reason, message)
    if why == "OOMKilled":
        return Trouble("OOMKilled", "it used more memory than its limit", True)
    code = ended.get("exitCode", "unknown")
    if code == _COMMAND_NOT_FOUND:
        return _explain_command(_commands(pod), message or f"exit code {code}: no such command")
    # Of a traceback, the last line says what happened.
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    last_words = f": {lines[-1]}" if lines else ""
    return Trouble(reason, _shorten(f"exit code {code}{last_words}"), True)


def _explain_start(pod: Pod, reason: str, message: str) -> Trouble:
    if not any(text in message for text in _NO_COMMAND):
        return Trouble(reason, _shorten(message or "it cannot be started"), True)
    return _explain_command(set(re.findall(r"""["']([^"']+)["']""", message)), message)


def _explain_command(words: set[str], message: str) -> Trouble:
    for old, new in _OLD_COMMANDS.items():
        if old in words:
            hint = (
                f"the image has no command {old!r}: distributed 2026.6.0 removed it, "
                f"write {new!r} (two words) in the container's args"
            )
            return Trouble("CommandNotFound", hint, True)
    # The container runtime tells its whole way down to the exec that failed.
    failed = message.find("exec: ")
    return Trouble("CommandNotFound", _shorten(message[max(failed, 0) :]), True)


def _commands(pod: Pod) -> set[str]:
    containers = (pod.get("spec") or {}).get("containers") or []
    return {
        word
        for container in containers
        for word in [*(container.get("command") or []), *(container.get("args") or [])]
    }


def _explain_placement(message: str) -> str:
    # What follows the first sentence is about preemption, and says the same once more.
    return _shorten(message.split(". ")[0].rstrip(".") or "no node takes it")


def _shorten(message: str) -> str:
    message = " ".join(message.split())
    return message if len(message) <= _LONGEST_MESSAGE else message[: _LONGEST_MESSAGE - 1] + "…"
