"""HelmCluster: a Dask cluster that a Helm release of the Dask chart runs, as a cluster manager.

Guarantees that it only ever connects: close() leaves the release as it is; that no helm and no
kubectl is needed; that workers which leave hand over what they hold before their Pods go; that it
waits on watches. Refuses to adapt, and to install or upgrade releases: that is helm's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator, Iterable
from typing import Any, NoReturn

from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.utils import Log, Logs

from dask_k8s_jupyter import config
from dask_k8s_jupyter.errors import DaskKubernetesError, InvalidSpecError, explain
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ApiError, KubeError
from dask_k8s_operator.resources.kinds import DEPLOYMENTS, PODS
from dask_k8s_operator.resources.names import COMM_PORT, DASHBOARD_PORT, MAX_NAME_LENGTH

from .auth import Auth, ClusterAuth, connect
from .checks import (
    check_count,
    check_name,
    check_namespace,
    check_port,
    check_text,
    is_subdomain,
)
from .helmrelease import Manifest, Release, find_release
from .helmscale import retire_before_scaling_down
from .joining import JoiningWorkers
from .observed import ObservedWorkers
from .podwatch import PodWatch
from .reach import Address
from .servicereach import Wish, build_proxied_link, reach_service, wants_local_dashboard
from .signal import Signal
from .workers import subscribe_once_there


class HelmCluster(JoiningWorkers, ObservedWorkers, Cluster):  # type: ignore[misc]
    """Connect to the Dask cluster that a Helm release runs.

    The release is found by what Helm leaves in Kubernetes; no helm program is needed. Closing it
    leaves the release as it is.

    Parameters
    ----------
    release_name
        Name of the release.
    auth
        Ways to find Kubernetes, in order; None for the usual places.
    namespace
        Where; None for the namespace of the kubeconfig's context or of the Pod.
    port_forward_cluster_ip
        True, or a local port, forwards a port through the API; False decides by where this process
        runs and by the type of the Service.
    scheduler_name, worker_name
        What the chart's Deployments are called after the release.
    node_host, node_port
        A node's address and port for a Service of type NodePort; None for any node and the
        Service's own port.
    name
        What the cluster is called; None for ``{release_name}.{namespace}``.
    **kwargs
        ``loop``, ``asynchronous`` and ``quiet``, as for every cluster manager of distributed.

    Raises
    ------
    ClusterNotFoundError
        When there is no such release, or it holds no Dask cluster.
    ClusterStartError
        When its scheduler cannot start.
    InvalidSpecError
        When an argument is not valid (a ValueError); the message begins with its name.

    Examples
    --------
    >>> from dask_k8s_jupyter import HelmCluster
    >>> with HelmCluster(release_name="myrelease") as cluster:  # doctest: +SKIP
    ...     cluster.scale(10)
    ...     client = cluster.get_client()
    """

    _watch_worker_status_task: asyncio.Task[None] | None

    def __init__(
        self,
        release_name: str | None = None,
        auth: Auth = ClusterAuth.DEFAULT,
        namespace: str | None = None,
        port_forward_cluster_ip: bool | int = False,
        scheduler_name: str = "scheduler",
        worker_name: str = "worker",
        node_host: str | None = None,
        node_port: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.release_name = _check_release_name(release_name)
        self.scheduler_name = check_name("scheduler_name", scheduler_name, MAX_NAME_LENGTH)
        self.worker_name = check_name("worker_name", worker_name, MAX_NAME_LENGTH)
        self.namespace = check_namespace(config.get("namespace", namespace)) or ""
        self.auth = auth
        self._named = None if name is None else check_text("name", name)
        self._wish = _build_wish(port_forward_cluster_ip, node_host, node_port)
        self._dashboard_address: Address | None = None
        self._client: KubeClient | None = None
        self._release: Release | None = None
        self._ways = contextlib.AsyncExitStack()
        self._workers_signal = Signal()
        super().__init__(name=name or release_name, **kwargs)
        if not self.called_from_running_loop:
            self._start_in_thread()

    @classmethod
    def from_name(cls, name: str, **kwargs: Any) -> HelmCluster:
        """Connect to a release by its name, or by ``{release}.{namespace}``.

        Examples
        --------
        >>> cluster = HelmCluster.from_name("myrelease.team-a")  # doctest: +SKIP
        """
        release_name, _, namespace = check_text("name", name).partition(".")
        if namespace:
            kwargs.setdefault("namespace", namespace)
        return cls(release_name=release_name, name=name, **kwargs)

    def scale(self, n_workers: int, worker_group: str | None = None) -> Any:
        """Ask for a number of workers; those that leave hand over what they hold first.

        Parameters
        ----------
        n_workers
            How many workers.
        worker_group
            One of the chart's ``additional_worker_groups``; None for the chart's own workers.

        Raises
        ------
        WorkerGroupNotFoundError
            When the release has no such group.

        Examples
        --------
        >>> cluster.scale(5, worker_group="high-mem-workers")  # doctest: +SKIP
        """
        check_count("n_workers", n_workers)
        return self.sync(self._scale, n_workers, worker_group)

    def adapt(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: a release's Deployments are scaled by hand, with ``scale``.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            f"Helm release {self.namespace}/{self.release_name} cannot be scaled by its load. Use "
            "cluster.scale(n), or dask_k8s_jupyter.KubeCluster, whose operator adapts any group"
        )

    def get_logs(self) -> Any:
        """Get the logs of the scheduler and of all workers by Pod.

        Examples
        --------
        >>> for pod, log in cluster.get_logs().items():  # doctest: +SKIP
        ...     print(pod, len(log))
        """
        return self.sync(self._get_logs)

    def close(self, timeout: float | None = None) -> Any:
        """Close the connection; the release stays.

        Parameters
        ----------
        timeout
            Seconds to wait for that.
        """
        closing = super().close(timeout)
        if not self.asynchronous:
            self._loop_runner.stop()
        return closing

    @property
    def dashboard_link(self) -> str:
        """Where this user's browser finds the dashboard."""
        return build_proxied_link(self._dashboard_address)

    def __await__(self) -> Generator[Any, Any, HelmCluster]:
        async def started() -> HelmCluster:
            if self.status == Status.created:
                await self._start()
            return self

        return started().__await__()

    def _start_in_thread(self) -> None:
        self._loop_runner.start()
        try:
            self.sync(self._start)
        except BaseException:
            self._loop_runner.stop()
            raise

    async def _start(self) -> None:
        self.status = Status.starting
        try:
            await self._connect()
            await super()._start()
        except BaseException as error:
            await self._let_go()
            if isinstance(error, KubeError):
                raise explain(error) from error
            raise

    async def _connect(self) -> None:
        """Find the release, wait for its scheduler, and lay the ways to it."""
        self._client = client = await connect(self.auth)
        self.namespace = self.namespace or client.namespace
        self.name = self._named or f"{self.release_name}.{self.namespace}"
        self._release = await self._find_release()
        await self._wait_scheduler(self._release)
        host, port = await self._reach(COMM_PORT, self._wish)
        dashboard = self._wish
        if wants_local_dashboard() or dashboard.local_port:
            dashboard = Wish(port_forward=True)
        self._dashboard_address = await self._reach(DASHBOARD_PORT, dashboard)
        self.scheduler_comm = rpc(f"tcp://{host}:{port}")

    async def _find_release(self) -> Release:
        return await find_release(
            self._connection,
            self.namespace,
            self.release_name,
            self.scheduler_name,
            self.worker_name,
        )

    async def _wait_scheduler(self, release: Release) -> None:
        selector = _selector_of(release.scheduler)
        what = f"The scheduler of Helm release {self.namespace}/{self.release_name}"
        async with PodWatch(self._connection, self.namespace, selector) as watch:
            await watch.wait_any_ready(what, float(config.get("resource-timeout")))

    async def _reach(self, port: int, wish: Wish) -> Address:
        if self._release is None:
            raise DaskKubernetesError(f"cluster {self.name} is closed")
        way = reach_service(self._connection, self._release.service, port, wish)
        return await self._ways.enter_async_context(way)

    async def _close(self) -> None:
        if self.status in (Status.closing, Status.closed):
            return
        watching, self._watch_worker_status_task = self._watch_worker_status_task, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        try:
            await super()._close()
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        if self.scheduler_comm is not None:
            await self.scheduler_comm.close_rpc()
        await self._ways.aclose()
        if self._client is not None:
            await self._client.close()
        self._client = self._release = None
        self.status = Status.closed

    @property
    def _connection(self) -> KubeClient:
        if self._client is None:
            raise DaskKubernetesError(f"cluster {self.name} is closed")
        return self._client

    async def _scale(self, n_workers: int, worker_group: str | None = None) -> None:
        release = await self._find_release()
        deployment = release.find_workers(worker_group)
        try:
            await retire_before_scaling_down(
                self._connection, self.scheduler_comm, deployment, n_workers
            )
            patch = {"spec": {"replicas": n_workers}}
            name = deployment["metadata"]["name"]
            await self._connection.patch(
                DEPLOYMENTS, name, patch, self.namespace, subresource="scale"
            )
        except KubeError as error:
            raise explain(error) from error

    async def _wait_for_workers(self, n_workers: int = 0, timeout: float | None = None) -> None:
        """Wait until enough have joined; workers that cannot start end the wait with the reason."""
        release = await self._find_release()
        what = f"Helm release {self.namespace}/{self.release_name}"
        selector = _common_selector(release.workers.values() or (release.scheduler,))
        async with PodWatch(self._connection, self.namespace, selector) as watch:
            await self._wait_joined(watch, what, n_workers, timeout)

    async def _watch_worker_status(self, comm: Any) -> None:
        """Follow the workers, anew when the connection breaks or the scheduler is replaced."""
        while True:
            await super()._watch_worker_status(comm)
            comm, self.scheduler_info = await subscribe_once_there(self.scheduler_comm)
            self._watch_worker_status_comm = comm
            self._workers_signal.tell()

    async def _get_logs(self) -> Logs:
        release = await self._find_release()
        client = self._connection
        selectors = {_selector_of(each) for each in (release.scheduler, *release.workers.values())}
        try:
            lists = await asyncio.gather(
                *(client.list(PODS, self.namespace, label_selector=each) for each in selectors)
            )
        except KubeError as error:
            raise explain(error) from error
        pods = sorted({pod["metadata"]["name"] for found in lists for pod in found.items})
        texts = await asyncio.gather(*(_read_log(client, self.namespace, pod) for pod in pods))
        return Logs({pod: Log(text) for pod, text in zip(pods, texts, strict=True)})


def _check_release_name(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise InvalidSpecError(f"release_name: the name of a Helm release is needed, not {name!r}")
    if not is_subdomain(name):
        raise InvalidSpecError(
            f"release_name: {name!r} is not a valid name: use lower-case letters, digits, '-', '.'"
        )
    return name


def _build_wish(port_forward: bool | int, node_host: str | None, node_port: int | None) -> Wish:
    if port_forward is not None and not isinstance(port_forward, bool):
        check_port("port_forward_cluster_ip", port_forward)
    if node_host is not None:
        check_text("node_host", node_host)
    if node_port is not None:
        check_port("node_port", node_port)
    is_port = isinstance(port_forward, int) and not isinstance(port_forward, bool) and port_forward
    return Wish(
        port_forward=True if port_forward else None,
        local_port=int(port_forward) if is_port else None,
        node_host=node_host,
        node_port=node_port,
    )


def _selector_of(deployment: Any) -> str:
    labels = deployment["spec"]["selector"]["matchLabels"]
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def _common_selector(deployments: Iterable[Manifest]) -> str:
    """What selects the Pods of all of some Deployments, or else at least those of the first."""
    labels = [dict(each["spec"]["selector"]["matchLabels"]) for each in deployments]
    common = set.intersection(*(set(each.items()) for each in labels))
    return ",".join(f"{key}={value}" for key, value in sorted(common or labels[0].items()))


async def _read_log(client: KubeClient, namespace: str, pod: str) -> str:
    try:
        return await client.logs(pod, namespace)
    except ApiError as error:
        return error.message
