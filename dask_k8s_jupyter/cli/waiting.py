"""Waits until a cluster is as asked for, with the reason of each wait.

Guarantees that what waiting will not mend ends the wait, with the words of the sidebar and the last
lines of a Pod that fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import click

from dask_k8s_jupyter.clusters.logs import read_failing_log
from dask_k8s_jupyter.clusters.startup import wait_started
from dask_k8s_jupyter.clusters.watched import WatchedCluster
from dask_k8s_jupyter.errors import (
    ClusterNotFoundError,
    ClusterStartError,
    DaskKubernetesError,
    OperatorSilentError,
    StartTimeoutError,
)
from dask_k8s_jupyter.state import ClusterStore, ClusterView
from dask_k8s_operator.kube import KubeClient

from .progress import Progress

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_TIMEOUT_S = 300.0
# Codes of problems that waiting will not mend.
HOPELESS = ("forbidden", "unauthorized", "crds-missing")
WAIT_LONGER = "Wait longer with --timeout SECONDS, or not at all with --no-wait"


def wait_options(command: Command) -> Command:
    """Add ``--wait/--no-wait`` and ``--timeout``."""
    for option in (
        click.option(
            "--timeout",
            "timeout_s",
            type=click.FloatRange(min=0, min_open=True),
            default=DEFAULT_TIMEOUT_S,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait.",
        ),
        click.option("--wait/--no-wait", default=True, help="Wait until it is so (the default)."),
    ):
        command = option(command)
    return command


async def wait_created(client: KubeClient, namespace: str, name: str, timeout_s: float) -> None:
    """Wait until a new cluster has its scheduler and all its workers.

    Raises
    ------
    DaskKubernetesError
        When something is in the way that waiting will not mend, or time is up.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout_s
    doing = f"Starting {namespace}/{name}"
    watched = WatchedCluster(client, namespace, name)
    try:
        with Progress(doing) as progress:
            await watched.start()
            await wait_started(client, watched, timeout_s, progress.say)
    finally:
        await watched.close()
    left_s = max(0.1, ends - loop.time())
    await wait_view(client, namespace, name, has_all_workers, doing, left_s)


async def wait_view(
    client: KubeClient,
    namespace: str,
    name: str,
    is_reached: Callable[[ClusterView], bool],
    doing: str,
    timeout_s: float,
) -> ClusterView:
    """Wait until a cluster looks as wished.

    Parameters
    ----------
    client, namespace, name
        The cluster.
    is_reached
        Whether a view is as wished.
    doing
        What is done, for the display.
    timeout_s
        How long that may take.
    """
    store = ClusterStore(client, namespace)
    changes: asyncio.Queue[object] = asyncio.Queue()
    store.subscribe(changes.put_nowait)
    await store.start()
    try:
        with Progress(doing) as progress:
            following = _follow(client, store, (namespace, name), changes, is_reached, progress)
            return await asyncio.wait_for(following, timeout_s)
    except asyncio.TimeoutError:
        view = store.views.get((namespace, name))
        why = (view and view.reason) or "the operator is still at it"
        raise StartTimeoutError(
            f"DaskCluster {namespace}/{name} is not as asked for after {timeout_s:.0f} s: {why}",
            fix=WAIT_LONGER,
        ) from None
    finally:
        await store.close()


async def _follow(
    client: KubeClient,
    store: ClusterStore,
    key: tuple[str, str],
    changes: asyncio.Queue[object],
    is_reached: Callable[[ClusterView], bool],
    progress: Progress,
) -> ClusterView:
    await _wait_synced(store, changes)
    while True:
        view = store.views.get(key)
        if view is None or view.state == "deleting":
            raise ClusterNotFoundError(f"DaskCluster {key[0]}/{key[1]} is gone")
        if is_reached(view):
            return view
        if view.operator_silent:
            raise OperatorSilentError(f"DaskCluster {key[0]}/{key[1]}: {view.reason}")
        if view.state == "failing":
            log = await read_failing_log(client, *key)
            raise ClusterStartError(f"DaskCluster {key[0]}/{key[1]}: {view.reason}", log=log)
        progress.say(store.problem.message if store.problem else view.reason or "")
        await changes.get()


async def _wait_synced(store: ClusterStore, changes: asyncio.Queue[object]) -> None:
    """Wait until all has been read once, and no longer where that will not be.

    A change that is taken here is not lost: whoever comes next looks at the store.
    """
    synced = asyncio.ensure_future(store.wait_synced())
    try:
        while not synced.done():
            change = asyncio.ensure_future(changes.get())
            await asyncio.wait((synced, change), return_when=asyncio.FIRST_COMPLETED)
            change.cancel()
            problem = store.problem
            if problem is not None and problem.code in HOPELESS:
                raise DaskKubernetesError(problem.message, fix=problem.fix)
    finally:
        synced.cancel()


def has_all_workers(view: ClusterView) -> bool:
    """Whether as many workers are ready as are desired, and none has still to go.

    Examples
    --------
    >>> from datetime import datetime, timezone
    >>> from dask_k8s_jupyter.state import build_cluster_view
    >>> has_all_workers(build_cluster_view({}, [], None, datetime.now(timezone.utc)))
    False
    """
    workers = view.workers
    going = workers.retiring or workers.ready + workers.pending + workers.failed > workers.desired
    # The operator counts each group before it speaks of the cluster.
    return view.state == "running" and not going and workers.ready == workers.desired
