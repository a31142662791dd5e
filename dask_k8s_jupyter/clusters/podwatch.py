"""Waits for Pods that no operator speaks for, and says early and exactly why they will not start.

``judge_pod`` decides (pure: a Pod in, a verdict out), ``PodWatch`` follows by watch and raises what
a person understands. Used where a release of Helm or a bare Pod runs the scheduler; what belongs to
a DaskCluster is the operator's to judge.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from dask_k8s_jupyter.errors import (
    ClusterStartError,
    CommandNotFoundError,
    DaskKubernetesError,
    ImageNotFoundError,
    PodCrashedError,
    PodDoesNotFitError,
    StartTimeoutError,
    explain,
)
from dask_k8s_operator.kube import Informer, KubeClient
from dask_k8s_operator.resources.kinds import PODS

from . import fitting
from .fitting import (
    RoomPatience,
    explain_misfit,
    find_misfit,
    is_node_coming,
)
from .logs import FAILING_LOG_LINES, read_crash
from .signal import Signal, wait_any

Pod = Mapping[str, Any]

_WAITING_ERRORS: dict[str, type[ClusterStartError]] = {
    "ErrImagePull": ImageNotFoundError,
    "ImagePullBackOff": ImageNotFoundError,
    "ErrImageNeverPull": ImageNotFoundError,
    "InvalidImageName": ImageNotFoundError,
    "CrashLoopBackOff": PodCrashedError,
    "CreateContainerConfigError": ClusterStartError,
    "CreateContainerError": ClusterStartError,
    "RunContainerError": ClusterStartError,
}
# The runtime's words: kubelet gives one as the reason while it waits, the other once it gave up.
_NEVER_BEGAN = {"RunContainerError", "CreateContainerError", "StartError", "ContainerCannotRun"}
_NO_SUCH_COMMAND = ("executable file not found", "no such file or directory")


@dataclass(frozen=True)
class PodVerdict:
    """What to make of a Pod that starts.

    Parameters
    ----------
    outcome
        ``"unschedulable"`` is a wait that turns into a failure when it lasts.
    message
        Why it waits or fails; empty when nothing is to be said.
    error
        The exception that a failure becomes.
    container
        Status of the container that fails, None where none does.
    """

    outcome: Literal["ready", "waiting", "unschedulable", "failed"]
    message: str = ""
    error: type[ClusterStartError] = ClusterStartError
    container: Mapping[str, Any] | None = None


def judge_pod(pod: Pod) -> PodVerdict:
    """Judge a Pod by its status.

    Examples
    --------
    >>> judge_pod({"metadata": {}, "status": {"phase": "Pending"}}).outcome
    'waiting'
    """
    status = pod.get("status") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    if (conditions.get("Ready") or {}).get("status") == "True":
        return PodVerdict("ready")
    restarts = (pod.get("spec") or {}).get("restartPolicy", "Always") != "Never"
    for container in (
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ):
        verdict = _judge_container(container, restarts)
        if verdict is not None:
            return verdict
    misfit = find_misfit(pod)
    if misfit is not None:
        return PodVerdict("unschedulable", misfit, PodDoesNotFitError)
    if status.get("phase") in ("Failed", "Succeeded"):
        message = status.get("message") or status.get("reason") or "it ended"
        return PodVerdict("failed", message, PodCrashedError)
    return PodVerdict("waiting", f"not ready, in phase {status.get('phase', 'unknown')}")


def _judge_container(container: Mapping[str, Any], restarts: bool) -> PodVerdict | None:
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
    message = str(waiting.get("message") or ended.get("message") or "")
    never_began = {waiting.get("reason"), ended.get("reason")} & _NEVER_BEGAN
    if never_began and any(sign in message for sign in _NO_SUCH_COMMAND):
        return PodVerdict("failed", message, CommandNotFoundError, container)
    reason = waiting.get("reason", "")
    if reason in _WAITING_ERRORS:
        said = f"{reason}: {message}" if message else reason
        return PodVerdict("failed", said, _WAITING_ERRORS[reason], container)
    # One that is started again gets its chance: CrashLoopBackOff tells when it has had it.
    if ended.get("exitCode") and not restarts:
        said = f"its program ended with exit code {ended['exitCode']}"
        if ended.get("reason") == "OOMKilled":
            said = "it used more memory than its limit (OOMKilled)"
        return PodVerdict("failed", said, PodCrashedError, container)
    return None


class PodWatch:
    """Follows some Pods of a namespace.

    Parameters
    ----------
    client
        Connection to the API.
    namespace
        Where.
    label_selector
        Which Pods.

    Examples
    --------
    >>> async def wait_ready(client):
    ...     async with PodWatch(client, "default", "app=dask,component=scheduler") as watch:
    ...         return await watch.wait_any_ready("Deployment default/dask-scheduler", 60)
    """

    def __init__(self, client: KubeClient, namespace: str, label_selector: str) -> None:
        self._client = client
        self._namespace = namespace
        self.changes = Signal()
        self.room_left_s: float | None = None
        self._room = RoomPatience(lambda said: None)
        self._task: asyncio.Task[None] | None = None
        self._informer = Informer(
            client,
            PODS,
            namespace,
            label_selector=label_selector,
            on_change=lambda old, new: self.changes.tell(),
            on_error=lambda error: self.changes.tell(),
        )

    async def __aenter__(self) -> PodWatch:
        self._task = asyncio.ensure_future(self._informer.run())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def pods(self) -> list[dict[str, Any]]:
        """The Pods that are there to stay, youngest first."""
        staying = [
            pod
            for pod in self._informer.objects.values()
            if "deletionTimestamp" not in pod["metadata"]
        ]
        return sorted(staying, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))[::-1]

    async def wait_any_ready(self, what: str, timeout_s: float) -> dict[str, Any]:
        """Wait until one of the Pods is ready, and return it.

        Parameters
        ----------
        what
            Whose Pods these are, for messages.
        timeout_s
            Seconds to wait.

        Raises
        ------
        ClusterStartError
            When none can start, or time is up.
        """
        deadline = time.monotonic() + timeout_s
        unschedulable_since: float | None = None
        grows = False
        while True:
            change = self.changes.next()
            self._raise_if_unreachable()
            verdicts = [(pod, judge_pod(pod)) for pod in self.pods]
            for pod, verdict in verdicts:
                if verdict.outcome == "ready":
                    return pod
            failed = [(pod, verdict) for pod, verdict in verdicts if verdict.outcome == "failed"]
            if failed:
                raise await self._build_error(what, *failed[0])
            stuck = next((each for each in verdicts if each[1].outcome == "unschedulable"), None)
            now = time.monotonic()
            unschedulable_since = (unschedulable_since or now) if stuck else None
            left_s = deadline - now
            if stuck is not None and unschedulable_since is not None and not grows:
                patience_left_s = unschedulable_since + fitting.ROOM_PATIENCE_S - now
                if patience_left_s > 0:
                    left_s = min(left_s, patience_left_s)
                else:
                    name = _name(stuck[0])
                    is_coming = await is_node_coming(self._client, self._namespace, {name})
                    grows = is_coming is True
                    if not grows:
                        raise await self._build_error(what, *stuck)
            if deadline <= now:
                seen = ", ".join(f"{_name(pod)}: {each.message}" for pod, each in verdicts)
                raise StartTimeoutError(
                    f"{what} has no Pod that is ready after {timeout_s:g} s ({seen or 'no Pod'})"
                )
            await wait_any(change, timeout_s=left_s)

    async def find_failed(self, what: str, n_wanted: int) -> DaskKubernetesError | None:
        """Say why one of the Pods cannot start; None when none has failed.

        Ask again after ``room_left_s`` seconds, where that is not None: by then a Pod that does
        not fit has had its time to find room.

        Parameters
        ----------
        what
            Whose Pods these are, for messages.
        n_wanted
            How many are to run: those that do not fit are a failure where the others are too few.
        """
        verdicts = [(pod, judge_pod(pod)) for pod in self.pods]
        for pod, verdict in verdicts:
            if verdict.outcome == "failed":
                return await self._build_error(what, pod, verdict)
        stuck = [each for each in verdicts if each[1].outcome == "unschedulable"]
        said = "; ".join(sorted(f"{_name(pod)}: {verdict.message}" for pod, verdict in stuck))
        self.room_left_s = self._room.left_s(said or None)
        pods = [pod for pod, _ in verdicts]
        if self.room_left_s == 0 and await explain_misfit(
            self._client, self._namespace, pods, n_wanted
        ):
            return await self._build_error(what, *stuck[0])
        return None

    def _raise_if_unreachable(self) -> None:
        if self._informer.error is not None:
            raise explain(self._informer.error) from self._informer.error

    async def _build_error(self, what: str, pod: Pod, verdict: PodVerdict) -> ClusterStartError:
        name = _name(pod)
        sentence = f"{what} cannot start: Pod {self._namespace}/{name}: {verdict.message}"
        log = ""
        if verdict.container is not None and verdict.error is PodCrashedError:
            log = await read_crash(self._client, self._namespace, name, verdict.container)
        return verdict.error(sentence, log="\n".join(log.splitlines()[-FAILING_LOG_LINES:]))


def _name(pod: Pod) -> str:
    return str(pod["metadata"]["name"])
