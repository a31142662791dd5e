"""Waits until a cluster has started, and says early and exactly why it will not.

``judge_start`` decides (pure: state and ages in, verdict out), ``wait_started`` looks and waits.
The words are the operator's; added is what it cannot say: that it is silent, and that time is up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dask_k8s_jupyter.errors import (
    ClusterNotFoundError,
    ClusterStartError,
    ClusterSuspendedError,
    CommandNotFoundError,
    DaskKubernetesError,
    ImageNotFoundError,
    OperatorSilentError,
    PodCrashedError,
    PodDoesNotFitError,
    RefusedError,
    StartTimeoutError,
    explain,
)
from dask_k8s_jupyter.state.view import NOT_SEEN_REASON, OPERATOR_SILENT_AFTER_S
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError
from dask_k8s_operator.resources.kinds import PODS
from dask_k8s_operator.resources.names import (
    CLUSTER_NAME_LABEL,
    COMPONENT_LABEL,
    WORKER,
    scheduler_name,
)

from . import fitting
from .fitting import UNSCHEDULABLE, explain_misfit, is_node_coming
from .logs import read_failing_log
from .signal import wait_any
from .watched import WatchedCluster

Resource = Mapping[str, Any]

# The first worker starts beside the scheduler: its failure is usually known by then.
WORKER_GRACE_S = 3.0
# An operator at work answers well within this: no reason to speak of it.
UNSEEN_QUIET_S = 1.0

DELETED = "Deleted"
OPERATOR_SILENT = "OperatorSilent"
SUSPENDED = "Suspended"
TIME_OUT = "TimeOut"

_ERRORS: dict[str, type[ClusterStartError]] = {
    "CrashLoopBackOff": PodCrashedError,
    "PodFailed": PodCrashedError,
    "ContainerError": PodCrashedError,
    "CommandNotFound": CommandNotFoundError,
    "ImagePullBackOff": ImageNotFoundError,
    "ErrImagePull": ImageNotFoundError,
    "InvalidImageName": ImageNotFoundError,
    UNSCHEDULABLE: PodDoesNotFitError,
    SUSPENDED: ClusterSuspendedError,
    TIME_OUT: StartTimeoutError,
}
_SIMPLE_ERRORS: dict[str, type[DaskKubernetesError]] = {
    DELETED: ClusterNotFoundError,
    OPERATOR_SILENT: OperatorSilentError,
    "CreateRefused": RefusedError,
}


@dataclass(frozen=True)
class Ages:
    """How long things last, in seconds.

    Parameters
    ----------
    start_s
        The start as a whole.
    unschedulable_s
        The scheduler not fitting anywhere; 0 while it does.
    ready_s
        The scheduler being ready; 0 while it is not.
    workers_unschedulable_s
        Workers not fitting anywhere; 0 while they do.
    """

    start_s: float = 0.0
    unschedulable_s: float = 0.0
    ready_s: float = 0.0
    workers_unschedulable_s: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """What to make of a cluster that starts, and when to judge anew though nothing changed."""

    outcome: Literal["started", "waiting", "failed"]
    reason: str = ""
    message: str = ""
    again_in_s: float | None = None


def judge_start(
    cluster: Resource | None, ages: Ages, timeout_s: float, *, workers_too: bool = True
) -> Verdict:
    """Judge a cluster that starts.

    Parameters
    ----------
    cluster
        The DaskCluster; None when it is gone.
    ages
        How long things last.
    timeout_s
        How long the start may take.
    workers_too
        Whether workers that cannot start make the start fail, as they do for a new cluster.

    Examples
    --------
    >>> judge_start({"metadata": {}, "spec": {}}, Ages(start_s=2), 60).message
    'The operator has yet to see it'
    >>> judge_start(None, Ages(), 60).reason
    'Deleted'
    """
    if cluster is None or "deletionTimestamp" in cluster["metadata"]:
        return Verdict("failed", DELETED, "it was deleted meanwhile")
    status = cluster.get("status") or {}
    left_s = max(0.0, timeout_s - ages.start_s)
    if status.get("observedGeneration") is None:
        silence_left_s = min(OPERATOR_SILENT_AFTER_S, timeout_s) - ages.start_s
        if silence_left_s <= 0:
            return Verdict("failed", OPERATOR_SILENT, "nobody has acted on it")
        if ages.start_s < UNSEEN_QUIET_S:
            return Verdict("waiting", "", "", UNSEEN_QUIET_S - ages.start_s)
        return Verdict("waiting", "", NOT_SEEN_REASON, silence_left_s)
    if cluster["spec"].get("suspend") and is_true(cluster, SUSPENDED):
        return Verdict("failed", SUSPENDED, said(cluster))
    if is_true(cluster, "SchedulerReady"):
        return _judge_workers(cluster, ages) if workers_too else Verdict("started")
    degraded = condition(cluster, "Degraded")
    if degraded.get("status") == "True":
        return Verdict("failed", degraded.get("reason", ""), said(cluster))
    scheduler_reason = condition(cluster, "SchedulerReady").get("reason", "")
    if scheduler_reason == UNSCHEDULABLE:
        if ages.unschedulable_s >= fitting.ROOM_PATIENCE_S:
            return Verdict("failed", UNSCHEDULABLE, said(cluster))
        left_s = min(left_s, fitting.ROOM_PATIENCE_S - ages.unschedulable_s)
    if ages.start_s >= timeout_s:
        return Verdict("failed", TIME_OUT, said(cluster))
    return Verdict("waiting", scheduler_reason, said(cluster), left_s)


def _judge_workers(cluster: Resource, ages: Ages) -> Verdict:
    """The scheduler is ready: the first worker gets a moment to show what is wrong with it."""
    workers = (cluster.get("status") or {}).get("workers") or {}
    wanted = (cluster.get("spec") or {}).get("worker", {}).get("replicas", 1)
    if not wanted or workers.get("running"):
        return Verdict("started")
    degraded = condition(cluster, "Degraded")
    if degraded.get("status") == "True":
        return Verdict("failed", degraded.get("reason", ""), said(cluster))
    misfit = find_worker_misfit(cluster)
    if misfit is not None:
        left_s = fitting.ROOM_PATIENCE_S - ages.workers_unschedulable_s
        if left_s <= 0:
            return Verdict("failed", UNSCHEDULABLE, misfit)
        return Verdict("waiting", "", misfit, left_s)
    if ages.ready_s >= WORKER_GRACE_S:
        return Verdict("started", "", said(cluster))
    return Verdict("waiting", "", said(cluster), WORKER_GRACE_S - ages.ready_s)


async def wait_started(
    client: KubeClient,
    watched: WatchedCluster,
    timeout_s: float,
    say: Callable[[str], None],
    *,
    workers_too: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until the cluster has started.

    Parameters
    ----------
    client
        Connection to the API.
    watched
        The cluster, already followed.
    timeout_s
        How long that may take.
    say
        Told the reason of each wait, once each.
    workers_too
        Whether workers that cannot start make the start fail.
    clock
        Seconds that never go backwards.

    Raises
    ------
    ClusterStartError
        When a Pod cannot start, or time is up.
    OperatorSilentError
        When nobody acts on the cluster.
    """
    stopwatch = _Stopwatch(clock)
    said_last = None
    grows = False
    while True:
        change = watched.changes.next()
        ages = stopwatch.read(watched.resource, grows)
        verdict = judge_start(watched.resource, ages, timeout_s, workers_too=workers_too)
        if verdict.outcome == "failed":
            if verdict.reason == UNSCHEDULABLE:
                if watched.resource is not None and is_true(watched.resource, "SchedulerReady"):
                    await raise_if_misfit(client, watched, 1)
                    return
                pod = scheduler_name(watched.name)
                if await is_node_coming(client, watched.namespace, {pod}):
                    grows = True
                    continue
            raise await build_start_error(client, watched, verdict.reason, verdict.message)
        if verdict.message and verdict.message != said_last:
            say(verdict.message)
            said_last = verdict.message
        if verdict.outcome == "started":
            return
        await wait_any(change, timeout_s=verdict.again_in_s)


def is_true(cluster: Resource, kind: str) -> bool:
    """Whether a condition is there and true."""
    return condition(cluster, kind).get("status") == "True"


def condition(cluster: Resource, kind: str) -> dict[str, str]:
    """One condition of the status; empty when it is not there."""
    conditions = (cluster.get("status") or {}).get("conditions") or []
    return next((dict(found) for found in conditions if found.get("type") == kind), {})


def said(cluster: Resource) -> str:
    """The one sentence that the operator says of a cluster; empty when all is well."""
    return str((cluster.get("status") or {}).get("message") or "")


def find_worker_misfit(cluster: Resource | None) -> str | None:
    """What the operator says of workers that fit on no node; None when they are not the trouble.

    Examples
    --------
    >>> find_worker_misfit({"status": {"conditions": []}}) is None
    True
    """
    workers = condition(cluster or {}, "WorkersReady")
    if workers.get("status") == "True" or workers.get("reason") != UNSCHEDULABLE:
        return None
    return workers.get("message") or "workers do not fit"


async def raise_if_misfit(client: KubeClient, watched: WatchedCluster, wanted: int) -> None:
    """Raise when fewer than ``wanted`` workers fit, and waiting brings no room for the others.

    Raises
    ------
    PodDoesNotFitError
        With the Pods that do not fit and the reason.
    """
    selector = f"{CLUSTER_NAME_LABEL}={watched.name},{COMPONENT_LABEL}={WORKER}"
    try:
        found = await client.list(PODS, watched.namespace, label_selector=selector)
    except KubeError as error:
        raise explain(error) from error
    staying = [pod for pod in found.items if "deletionTimestamp" not in pod["metadata"]]
    stuck = await explain_misfit(client, watched.namespace, staying, wanted)
    # What was said when it began may be over by now.
    misfit = find_worker_misfit(watched.resource)
    if stuck is not None and misfit is not None:
        raise await build_start_error(client, watched, UNSCHEDULABLE, f"{misfit} ({stuck})")


class _Stopwatch:
    """Reads the ages of things that it sees begin."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._since: dict[str, float] = {}

    def read(self, cluster: Resource | None, grows: bool) -> Ages:
        now = self._clock()
        scheduler = condition(cluster, "SchedulerReady") if cluster else {}
        # While the cluster grows by a node for us, not fitting is no failure.
        unschedulable = scheduler.get("reason") == UNSCHEDULABLE and not grows
        return Ages(
            start_s=now - self._began,
            unschedulable_s=self._age("unschedulable", unschedulable, now),
            ready_s=self._age("ready", scheduler.get("status") == "True", now),
            workers_unschedulable_s=self._age(
                "workers", find_worker_misfit(cluster) is not None, now
            ),
        )

    def _age(self, what: str, holds: bool, now: float) -> float:
        if not holds:
            self._since.pop(what, None)
            return 0.0
        return now - self._since.setdefault(what, now)


async def build_start_error(
    client: KubeClient, watched: WatchedCluster, reason: str, message: str
) -> DaskKubernetesError:
    """Build the exception for one of the operator's reasons, with the last log lines."""
    where = f"DaskCluster {watched.namespace}/{watched.name}"
    if watched.error is not None:
        return explain(watched.error)
    sentence = f"{where} cannot start: {message or reason}"
    if reason in _SIMPLE_ERRORS:
        return _SIMPLE_ERRORS[reason](sentence)
    error_type = _ERRORS.get(reason, ClusterStartError)
    return error_type(sentence, log=await read_failing_log(client, watched.namespace, watched.name))
