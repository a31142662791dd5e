"""KubeCluster: a Dask cluster on Kubernetes, as a cluster manager of distributed.

Guarantees that it is a view: the DaskCluster resource is the only state, so that it may be made,
scaled and deleted elsewhere too; that creating owns (and close() deletes) while connecting does
not; that a start that fails raises, within seconds of Kubernetes knowing, what a person
understands, and leaves nothing behind. It waits on watches and never polls Kubernetes.

Refuses to run Dask's own Adaptive: the operator scales, also while this process is away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any

from dask.utils import parse_timedelta
from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.utils import Log, Logs

from dask_k8s_jupyter.errors import DaskKubernetesError, explain
from dask_k8s_operator.kube.errors import KubeError

from . import actions
from .checks import Command, Env, Resources
from .dashboard import build_dashboard_link
from .exits import close_at_exit, forget
from .logs import read_cluster_logs
from .observed import Adaptivity, ObservedWorkers, SchedulerJupyter
from .panel import Panel
from .session import Session
from .settings import CreateMode, resolve_bounds, resolve_settings
from .signal import Signal
from .spec import vary_worker_spec
from .workers import subscribe_again, wait_for_workers

logger = logging.getLogger(__name__)


class KubeCluster(ObservedWorkers, SchedulerJupyter, Cluster):  # type: ignore[misc]
    """Launch a Dask cluster on Kubernetes, or connect to one.

    Every argument that is None takes its value from the ``kubernetes`` section of Dask's
    configuration.

    Parameters
    ----------
    name
        Name of the cluster; ignored with ``custom_cluster_spec``.
    namespace
        Where; None for the namespace of the kubeconfig's context or of the Pod.
    image
        Image of the scheduler and the workers.
    n_workers
        Workers to begin with.
    resources
        ``{"limits": {"cpu": "2", "memory": "4Gi"}}`` of the scheduler and of every worker.
    env
        Environment of the scheduler and the workers.
    worker_command
        What starts a worker.
    port_forward_cluster_ip
        True forwards a port through the API, False takes the Service's name; None decides by where
        this process runs.
    create_mode
        What to do when a cluster of this name exists already, or does not.
    shutdown_on_close
        Whether close() deletes the cluster; None for yes when we created it, no when we connected.
    idle_timeout
        Seconds without work until the operator deletes the cluster; 0: never.
    resource_timeout
        Seconds that the start may take.
    scheduler_service_type
        ClusterIP, NodePort or LoadBalancer.
    custom_cluster_spec
        A whole DaskCluster (a dict, or the path of a YAML file) in place of the arguments above.
    scheduler_forward_port
        Local port for the dashboard; None for any free one.
    jupyter
        Also run a Jupyter server in the scheduler.
    quiet
        Say nothing while starting.
    kubeconfig, context
        Which Kubernetes; None for the Pod's service account, KUBECONFIG or ``~/.kube/config``.
    loop, asynchronous, **kwargs
        As for every cluster manager of distributed.

    Raises
    ------
    DaskKubernetesError
        When it cannot start; see ``dask_k8s_jupyter.errors`` for the tree.

    Examples
    --------
    >>> from dask_k8s_jupyter import KubeCluster  # doctest: +SKIP
    >>> with KubeCluster(name="demo", n_workers=2) as cluster:  # doctest: +SKIP
    ...     client = cluster.get_client()
    """

    _watch_worker_status_task: asyncio.Task[None] | None

    def __init__(
        self,
        *,
        name: str | None = None,
        namespace: str | None = None,
        image: str | None = None,
        n_workers: int | None = None,
        resources: Resources = None,
        env: Env = None,
        worker_command: Command | None = None,
        port_forward_cluster_ip: bool | None = None,
        create_mode: CreateMode | str | None = None,
        shutdown_on_close: bool | None = None,
        idle_timeout: float | None = None,
        resource_timeout: float | None = None,
        scheduler_service_type: str | None = None,
        custom_cluster_spec: str | Mapping[str, Any] | None = None,
        scheduler_forward_port: int | None = None,
        jupyter: bool | None = None,
        loop: Any = None,
        asynchronous: bool = False,
        quiet: bool = False,
        kubeconfig: str | None = None,
        context: str | None = None,
        **kwargs: Any,
    ) -> None:
        settings = resolve_settings(
            name=name,
            namespace=namespace,
            image=image,
            n_workers=n_workers,
            resources=resources,
            env=env,
            worker_command=worker_command,
            port_forward_cluster_ip=port_forward_cluster_ip,
            create_mode=create_mode,
            shutdown_on_close=shutdown_on_close,
            idle_timeout=idle_timeout,
            resource_timeout=resource_timeout,
            scheduler_service_type=scheduler_service_type,
            custom_cluster_spec=custom_cluster_spec,
            scheduler_forward_port=scheduler_forward_port,
            jupyter=jupyter,
        )
        self.session = Session(settings, kubeconfig, context)
        self._workers_signal = Signal()
        self._ending = asyncio.Lock()
        super().__init__(
            name=settings.name, loop=loop, asynchronous=asynchronous, quiet=quiet, **kwargs
        )
        self._panel = Panel(self)
        if not self.called_from_running_loop:
            self._start_in_thread()

    @classmethod
    def from_name(cls, name: str, **kwargs: Any) -> KubeCluster:
        """Connect to an existing cluster; close() leaves it running unless told otherwise.

        Raises
        ------
        ClusterNotFoundError
            When there is none of this name.

        Examples
        --------
        >>> cluster = KubeCluster.from_name("demo", namespace="team-a")  # doctest: +SKIP
        """
        return cls(name=name, create_mode=CreateMode.CONNECT_ONLY, **kwargs)

    def scale(self, n: int, worker_group: str = actions.DEFAULT_GROUP) -> Any:
        """Ask for a fixed number of workers, and end adaptive scaling of that group.

        Parameters
        ----------
        n
            How many workers.
        worker_group
            Short or full name of a worker group.

        Examples
        --------
        >>> cluster.scale(7, worker_group="highmem")  # doctest: +SKIP
        """
        return self.sync(self._scale, n, worker_group)

    def adapt(self, minimum: int | None = None, maximum: int | None = None) -> Any:
        """Let the scheduler's load choose the number of workers; the operator does it.

        Parameters
        ----------
        minimum
            Workers to keep; None for 0.
        maximum
            Workers to have at most; None for ``kubernetes.count.max``, or else 1000.

        Examples
        --------
        >>> cluster.adapt(minimum=1, maximum=10)  # doctest: +SKIP
        """
        bounds = resolve_bounds(minimum, maximum)
        return Adaptivity(*bounds, self.sync(self._adapt, *bounds))

    def add_worker_group(
        self,
        name: str,
        n_workers: int = 3,
        image: str | None = None,
        resources: Resources = None,
        worker_command: Command | None = None,
        env: Env = None,
        custom_spec: Mapping[str, Any] | None = None,
    ) -> Any:
        """Create a worker group; what is None is as in the cluster's default group.

        Parameters
        ----------
        name
            Short name; the resource is called ``{cluster}-{name}``.
        n_workers, image, resources, worker_command, env
            As of the cluster.
        custom_spec
            A whole ``worker`` section, as ``make_worker_spec`` builds it, in place of these.

        Examples
        --------
        >>> cluster.add_worker_group("highmem", n_workers=2)  # doctest: +SKIP
        """
        varied = (n_workers, image, resources, env, worker_command)
        return self.sync(self._add_worker_group, name, varied, custom_spec)

    def delete_worker_group(self, name: str) -> Any:
        """Delete a worker group by its short or full name."""
        return self.sync(self._delete_worker_group, name)

    def get_logs(self) -> Any:
        """Get the logs of the scheduler and of all workers by Pod.

        Examples
        --------
        >>> print(cluster.get_logs()["demo-scheduler"])  # doctest: +SKIP
        """
        return self.sync(self._get_logs)

    def close(self, timeout: float | None = 3600) -> Any:
        """Close the connection, and delete the cluster if we created it (``shutdown_on_close``).

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
    def namespace(self) -> str:
        """Where the cluster is."""
        return self.session.namespace

    @property
    def dashboard_link(self) -> str:
        """Where this user's browser finds the dashboard."""
        return build_dashboard_link(self.namespace, self.name, self.session.dashboard_address)

    def __await__(self) -> Generator[Any, Any, KubeCluster]:
        async def started() -> KubeCluster:
            if self.status == Status.created:
                await self._start()
            return self

        return started().__await__()

    def _start_in_thread(self) -> None:
        """Start from a thread without a loop of its own, where the panel has to be shown."""
        self._loop_runner.start()
        try:
            self.sync(self._guarded, self._begin)
            self._panel.show()
            self.sync(self._guarded, self._finish)
        except BaseException:
            # After Ctrl-C the step is still cleaning up: wait for it before its loop ends.
            self.sync(self._end, "failed", delete=self.session.is_new)
            self._loop_runner.stop()
            raise

    async def _start(self) -> None:
        await self._guarded(self._begin)
        self._panel.show()
        await self._guarded(self._finish)

    async def _guarded(self, step: Any) -> None:
        """Take a step of the start; when it fails, nothing of the whole start stays."""
        try:
            await step()
        except BaseException as error:
            try:
                await self._end("failed", delete=self.session.is_new)
            except DaskKubernetesError:
                logger.exception("what was created may stay: %s/%s", self.namespace, self.name)
            if isinstance(error, KubeError):
                raise explain(error) from error
            raise

    async def _begin(self) -> None:
        self.status = Status.starting
        await self.session.open()

    async def _finish(self) -> None:
        verb = "Created" if self.session.is_new else "Found"
        self._log(f"{verb} DaskCluster {self.namespace}/{self.name}")
        host, port = await self.session.wait_started(self._log)
        self.scheduler_comm = rpc(f"tcp://{host}:{port}")
        await super()._start()
        close_at_exit(self)
        self._log(f"The scheduler of {self.namespace}/{self.name} is ready: {self.dashboard_link}")

    async def _close(self) -> None:
        if self.status in (Status.closing, Status.closed):
            return
        delete = self.session.deletes_on_close
        watching, self._watch_worker_status_task = self._watch_worker_status_task, None
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        try:
            await super()._close()
        finally:
            await self._end("deleted" if delete else "closed", delete=delete)

    async def _end(self, state: str, *, delete: bool) -> None:
        """Let go of everything; safe to call again, and while it is under way."""
        async with self._ending:
            forget(self)
            if self.scheduler_comm is not None:
                await self.scheduler_comm.close_rpc()
            await self._panel.close(state)
            await self.session.close(delete=delete)
            self.status = Status.closed

    async def _scale(self, n: int, worker_group: str = actions.DEFAULT_GROUP) -> None:
        client = self.session.client
        await actions.scale_cluster(client, self.namespace, self.name, n, worker_group)

    async def _adapt(self, minimum: int, maximum: int) -> None:
        client = self.session.client
        await actions.adapt_cluster(client, self.namespace, self.name, minimum, maximum)

    async def _add_worker_group(
        self, name: str, varied: tuple[Any, ...], custom_spec: Mapping[str, Any] | None
    ) -> None:
        client = self.session.client
        if custom_spec is None:
            cluster = await actions.get_cluster(client, self.namespace, self.name)
            custom_spec = vary_worker_spec(cluster["spec"]["worker"], *varied)
        await actions.add_worker_group(client, self.namespace, self.name, name, custom_spec)

    async def _delete_worker_group(self, name: str) -> None:
        await actions.delete_worker_group(self.session.client, self.namespace, self.name, name)

    async def _get_logs(self) -> Logs:
        logs = await read_cluster_logs(self.session.client, self.namespace, self.name)
        return Logs({pod: Log(text) for pod, text in logs.items()})

    async def _wait_for_workers(self, n_workers: int = 0, timeout: float | None = None) -> None:
        timeout_s = None if timeout is None else float(parse_timedelta(timeout, default="s"))
        self.scheduler_info = await wait_for_workers(
            self.session, self.scheduler_comm, self._workers_signal, n_workers, timeout_s
        )

    async def _watch_worker_status(self, comm: Any) -> None:
        """Follow the workers, anew when the connection breaks or the scheduler is replaced."""
        while True:
            await super()._watch_worker_status(comm)
            comm, self.scheduler_info = await subscribe_again(self.session, self.scheduler_comm)
            self._watch_worker_status_comm = comm
            self._workers_signal.tell()

    def _update_worker_status(self, op: str, msg: Any) -> None:
        if op == "remove":
            # Known to be gone already when we have subscribed anew meanwhile.
            self.scheduler_info["workers"].pop(msg, None)
        else:
            super()._update_worker_status(op, msg)
        self._workers_signal.tell()

    def _log(self, log: str) -> None:
        self._cluster_manager_logs.append((datetime.now(), log))
        if not self.quiet and not self._panel.is_shown:
            print(log)

    def _widget(self) -> Any:
        return self._panel.widget()
