"""A scheduler and a worker for a moment, to see whether an image and the way to it work.

Guarantees that what was started is deleted again, by idle time-out if this process dies. Refuses to
be more than small.
"""

from __future__ import annotations

import asyncio
import platform
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from importlib import metadata
from typing import Any

import aiohttp

from dask_k8s_jupyter import config
from dask_k8s_jupyter.errors import (
    ClusterNotFoundError,
    DaskKubernetesError,
    KubernetesUnreachableError,
    StartTimeoutError,
)
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ApiError
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS
from dask_k8s_operator.resources.names import COMM_PORT, DASHBOARD_PORT, WORKER

from .actions import create_cluster, delete_cluster, get_cluster
from .reach import reach
from .signal import wait_any
from .spec import make_cluster_spec
from .startup import build_start_error, condition, is_true, said, wait_started
from .undisturbed import finish
from .watched import WatchedCluster

Say = Callable[[str], None]

IDLE_TIMEOUT_S = 300
ANSWER_S = 15.0
# What a namespace with a quota wants to be told, and enough for both.
SMALL = {
    "requests": {"cpu": "50m", "memory": "256Mi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}
COMPARED = ("dask", "distributed")


@asynccontextmanager
async def try_cluster(
    client: KubeClient, namespace: str, image: str, timeout_s: float, say: Say
) -> AsyncIterator[str]:
    """Run a scheduler and a worker; gives the cluster's name, and deletes it at the end.

    Raises
    ------
    DaskKubernetesError
        When it does not start, with the reason.
    """
    name = f"doctor-{uuid.uuid4().hex[:6]}"
    spec = make_cluster_spec(
        name,
        image,
        n_workers=1,
        resources=config.get("resources") or SMALL,
        env=config.get("env"),
        worker_command=config.get("worker-command"),
        idle_timeout=IDLE_TIMEOUT_S,
        tls=config.get("tls"),
    )
    may_be_there = True

    async def make() -> None:
        nonlocal may_be_there
        try:
            await create_cluster(client, spec, namespace)
        except DaskKubernetesError as error:
            may_be_there = not _is_refusal(error.__cause__)
            raise

    try:
        await finish(make())
        watched = WatchedCluster(client, namespace, name)
        try:
            await watched.start()
            await wait_started(client, watched, timeout_s, say)
            await _wait_worker(client, watched, timeout_s, say)
        finally:
            await watched.close()
        yield name
    finally:
        if may_be_there:
            with suppress(ClusterNotFoundError):
                await finish(delete_cluster(client, namespace, name))


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the API said no: no answer, and one of an API that is in trouble, say nothing."""
    return isinstance(error, ApiError) and error.status < 500


async def _wait_worker(
    client: KubeClient, watched: WatchedCluster, timeout_s: float, say: Say
) -> None:
    loop = asyncio.get_running_loop()
    ends = loop.time() + timeout_s
    while True:
        change = watched.changes.next()
        cluster = watched.resource or {}
        if is_true(cluster, "WorkersReady"):
            return
        degraded = condition(cluster, "Degraded")
        if degraded.get("status") == "True":
            reason = degraded.get("reason", "")
            raise await build_start_error(client, watched, reason, said(cluster))
        if loop.time() >= ends:
            raise StartTimeoutError(
                f"The worker of DaskCluster {watched.namespace}/{watched.name} has not joined "
                f"after {timeout_s:.0f} s: {said(cluster)}",
                fix="Wait longer with --timeout SECONDS",
            )
        say(said(cluster))
        await wait_any(change, timeout_s=ends - loop.time())


async def find_running(client: KubeClient, namespace: str, image: str) -> str | None:
    """Find a cluster whose scheduler is ready and whose workers run an image."""
    for cluster in (await client.list(DASK_CLUSTERS, namespace)).items:
        if is_true(cluster, "SchedulerReady") and _image(cluster) == image:
            return str(cluster["metadata"]["name"])
    return None


def _image(cluster: Mapping[str, Any]) -> str | None:
    containers = cluster["spec"]["worker"]["spec"]["containers"]
    worker = next((c for c in containers if c.get("name") == WORKER), containers[0])
    image: str | None = worker.get("image")
    return image


def read_versions_here() -> dict[str, str]:
    """Versions in this process."""
    packages = {name: metadata.version(name) for name in COMPARED}
    return {"python": platform.python_version(), **packages}


async def read_versions_there(client: KubeClient, namespace: str, name: str) -> dict[str, str]:
    """Ask a scheduler for its versions, through the way that clients take."""
    from distributed.core import rpc

    from .security import read_security

    cluster = await get_cluster(client, namespace, name)
    scheme, arguments = "tcp", None
    if cluster["spec"].get("tls"):
        security = await read_security(client, namespace, name)
        scheme, arguments = "tls", security.get_connection_args("client")
    async with reach(client, namespace, name, COMM_PORT) as (host, port):
        scheduler = rpc(f"{scheme}://{host}:{port}", connection_args=arguments)
        try:
            answer = await asyncio.wait_for(scheduler.versions(), ANSWER_S)
        except (OSError, asyncio.TimeoutError) as error:
            raise KubernetesUnreachableError(
                f"The scheduler of {namespace}/{name} does not answer at {host}:{port}: {error}",
                fix="Look at its log: `dask-k8s logs NAME`; a NetworkPolicy may be in the way",
            ) from error
        finally:
            await scheduler.close_rpc()
    packages = answer["packages"]
    return {
        key: str(packages[key]) for key in ("python", *COMPARED) if packages.get(key) is not None
    }


async def read_dashboard(
    client: KubeClient, namespace: str, name: str
) -> tuple[int, str, tuple[str, int]]:
    """Ask for a dashboard's first page: HTTP status, text, and where it was asked."""
    async with reach(client, namespace, name, DASHBOARD_PORT) as (host, port):
        timeout = aiohttp.ClientTimeout(ANSWER_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://{host}:{port}/status") as response,
            ):
                return response.status, await response.text(), (host, port)
        except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as error:
            raise KubernetesUnreachableError(
                f"The dashboard of {namespace}/{name} does not answer at {host}:{port}: {error}",
                fix="Look at the scheduler's log: `dask-k8s logs NAME`",
            ) from error
