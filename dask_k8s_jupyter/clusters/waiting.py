"""Waits until a cluster is as asked for, on watches.

Guarantees that what waiting will not mend ends the wait with the reason, not with a time-out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dask_k8s_jupyter.errors import StartTimeoutError, explain
from dask_k8s_operator.kube.errors import KubeError
from dask_k8s_operator.resources.kinds import DASK_WORKER_GROUPS

from .fitting import RoomPatience
from .session import Session
from .signal import Signal, wait_any
from .startup import (
    build_start_error,
    condition,
    find_worker_misfit,
    is_true,
    raise_if_misfit,
    said,
)

Resource = dict[str, Any]


async def wait_ready(
    session: Session,
    count_joined: Callable[[], int],
    joined: Signal,
    timeout_s: float | None,
    say: Callable[[str], None] = lambda said: None,
) -> None:
    """Wait until the scheduler and every worker that is asked for are ready.

    Of a cluster that is to be suspended: until its last Pod has gone.

    Parameters
    ----------
    session
        The cluster.
    count_joined
        How many workers have joined the scheduler: a Pod may be ready a moment before.
    joined
        Told when workers come or go.
    timeout_s
        How long; None for as long as it takes.
    say
        Told which workers do not fit, while there may yet be room for them.

    Raises
    ------
    ClusterStartError
        When a Pod cannot start.
    StartTimeoutError
        When time is up.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    watched = session.watched
    room = RoomPatience(say)
    while True:
        changes = (watched.changes.next(), joined.next())
        cluster = watched.resource
        if cluster is None:
            raise await build_start_error(session.client, watched, "Deleted", "it was deleted")
        wanted = await _count_wanted(session)
        is_joined = count_joined() >= wanted or cluster["spec"].get("suspend")
        if is_joined and is_as_wanted(cluster, wanted):
            return
        degraded = condition(cluster, "Degraded")
        if degraded.get("status") == "True":
            reason = degraded.get("reason", "")
            raise await build_start_error(session.client, watched, reason, said(cluster))
        room_s = room.left_s(find_worker_misfit(cluster))
        if room_s == 0:
            await raise_if_misfit(session.client, watched, wanted)
        left_s = None if deadline is None else deadline - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise _build_timeout(session, cluster, wanted, timeout_s)
        waits = [each for each in (left_s, room_s) if each is not None]
        await wait_any(*changes, timeout_s=min(waits, default=None))


def _build_timeout(
    session: Session, cluster: Resource, wanted: int, timeout_s: float | None
) -> StartTimeoutError:
    ready = (cluster.get("status") or {}).get("workers", {}).get("ready", 0)
    where = f"DaskCluster {session.namespace}/{session.name}"
    sentence = f"{where}: {ready} of {wanted} workers are ready after {timeout_s:g} s"
    return StartTimeoutError(
        f"{sentence}; {said(cluster)}" if said(cluster) else sentence,
        fix="Wait longer with `timeout=`, or ask for fewer workers",
    )


def is_as_wanted(cluster: Resource, wanted: int) -> bool:
    """Whether a cluster's status says that it is ready with this many workers, or suspended.

    Examples
    --------
    >>> is_as_wanted({"status": {"workers": {"desired": 2}}}, 2)
    False
    """
    if (cluster.get("spec") or {}).get("suspend"):
        return condition(cluster, "Suspended").get("reason") == "Suspended"
    workers = (cluster.get("status") or {}).get("workers") or {}
    # A status from before the last scaling is ready too, with another number.
    return is_true(cluster, "Ready") and workers.get("desired") == wanted


async def wait_seen(session: Session, *, suspend: bool) -> None:
    """Wait until we see ourselves that the cluster is to be suspended, or resumed."""
    watched = session.watched
    while True:
        change = watched.changes.next()
        spec = (watched.resource or {}).get("spec") or {}
        if watched.resource is None or bool(spec.get("suspend")) == suspend:
            return
        await wait_any(change)


async def _count_wanted(session: Session) -> int:
    """Workers that all groups together are to have."""
    try:
        groups = await session.client.list(DASK_WORKER_GROUPS, session.namespace)
    except KubeError as error:
        raise explain(error) from error
    own = [group["spec"] for group in groups.items if group["spec"].get("cluster") == session.name]
    if not own:  # the operator has yet to make the first one
        cluster = session.watched.resource or {}
        own = [cluster.get("spec") or {}]
    return sum(int(spec.get("worker", {}).get("replicas") or 0) for spec in own)
