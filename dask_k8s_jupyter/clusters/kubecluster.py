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
import os
from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any

from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.security import Security

from dask_k8s_jupyter.errors import explain
from dask_k8s_operator.kube.errors import KubeError

from .checks import Command, Env, Resources, check_flag
from .dashboard import build_dashboard_link
from .display import StartDisplay
from .exits import close_at_exit, forget
from .following import FollowedWorkers
from .observed import ObservedWorkers, SchedulerJupyter
from .panel import Panel
from .session import Session
from .settings import CreateMode, resolve_settings
from .signal import Signal
from .steering import Steering
from .undisturbed import finish
from .versions import VersionCheck

logger = logging.getLogger(__name__)

# The arguments of KubeCluster that say what the cluster is; the others say how it is reached.
_OF_THE_CLUSTER = (
    *("name", "namespace", "create_mode", "shutdown_on_close", "keep_on_failure"),
    *("image", "scheduler_image", "worker_image", "n_workers", "worker_command"),
    *("resources", "scheduler_resources", "worker_resources"),
    *("env", "scheduler_env", "worker_env"),
    *("port_forward_cluster_ip", "scheduler_forward_port", "scheduler_service_type"),
    *("idle_timeout", "resource_timeout", "custom_cluster_spec", "jupyter", "tls"),
)


class KubeCluster(Steering, FollowedWorkers, ObservedWorkers, SchedulerJupyter, Cluster):  # type: ignore[misc]
    """Launch a Dask cluster on Kubernetes, or connect to one.

    Every argument that is None takes its value from the ``kubernetes`` section of Dask's
    configuration.

    Parameters
    ----------
    name
        Name of the cluster; ignored where one is created from ``custom_cluster_spec``.
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
        A whole DaskCluster (a dict, the path of a YAML file, or YAML text) in place of the
        arguments that would say the same.
    scheduler_forward_port
        Local port for the dashboard; None for any free one.
    jupyter
        Also run a Jupyter server in the scheduler.
    quiet
        Say nothing while starting.
    scheduler_image, worker_image, scheduler_resources, worker_resources
        Of the scheduler or of the workers alone, in place of ``image`` and ``resources``.
    scheduler_env, worker_env
        Added to ``env``, for the scheduler or the workers alone.
    tls
        Encrypt all of Dask's traffic, with certificates of the cluster's own.
    keep_on_failure
        Whether what was created stays when the start fails, to be looked at.
    kubeconfig, context
        Which Kubernetes; None for the Pod's service account, KUBECONFIG or ``~/.kube/config``.
    loop, asynchronous, **kwargs
        As for every cluster manager of distributed.

    Raises
    ------
    DaskKubernetesError
        When it cannot start; see ``dask_k8s_jupyter.errors`` for the tree.
    InvalidSpecError
        When an argument is not valid (a ValueError); nothing has been created then.

    Examples
    --------
    >>> from dask_k8s_jupyter import KubeCluster  # doctest: +SKIP
    >>> with KubeCluster(name="demo", n_workers=2) as cluster:  # doctest: +SKIP
    ...     client = cluster.get_client()
    """

    _watch_worker_status_task: asyncio.Task[None] | None
    _version_check: VersionCheck | None = None

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
        custom_cluster_spec: str | os.PathLike[str] | Mapping[str, Any] | None = None,
        scheduler_forward_port: int | None = None,
        jupyter: bool | None = None,
        loop: Any = None,
        asynchronous: bool = False,
        quiet: bool = False,
        kubeconfig: str | None = None,
        context: str | None = None,
        scheduler_image: str | None = None,
        worker_image: str | None = None,
        scheduler_resources: Resources = None,
        worker_resources: Resources = None,
        scheduler_env: Env = None,
        worker_env: Env = None,
        keep_on_failure: bool = False,
        tls: bool | None = None,
        **kwargs: Any,
    ) -> None:
        given = locals()
        settings = resolve_settings(**{key: given[key] for key in _OF_THE_CLUSTER})
        check_flag("quiet", quiet)
        self.session = Session(settings, kubeconfig, context)
        self._workers_signal = Signal()
        self._ending = asyncio.Lock()
        self._step: asyncio.Task[Any] | None = None
        super().__init__(
            name=settings.name, loop=loop, asynchronous=asynchronous, quiet=quiet, **kwargs
        )
        self._panel = Panel(self)
        self._display = StartDisplay(lambda: self.quiet or self._panel.is_shown)
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

    def generate_rich_output(self) -> Any:
        """Get what the display shows, as a renderable of rich: each step, and what is waited for.

        Examples
        --------
        >>> rich.print(cluster.generate_rich_output())  # doctest: +SKIP
        """
        from rich.text import Text

        waits_for = self._display.waits_for
        lines = [*self._display.lines, *([Text(f"… {waits_for}")] if waits_for else [])]
        return Text("\n").join(lines)

    @property
    def security(self) -> Security | None:
        """What a bare ``Client`` needs to connect to an encrypted cluster; None for a plain one.

        Examples
        --------
        >>> Client(cluster.scheduler_address, security=cluster.security)  # doctest: +SKIP
        """
        return self.session.security

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
        except BaseException as error:
            try:
                self.sync(self._end_step, error)
            finally:
                self._loop_runner.stop()
            raise

    async def _end_step(self, error: BaseException) -> None:
        """After Ctrl-C the step goes on in its loop: end it, and only then all that it made."""
        if self._step is not None and not self._step.done():
            self._step.cancel()
            await asyncio.wait({self._step})
        await self._undo(error)

    async def _start(self) -> None:
        await self._guarded(self._begin)
        self._panel.show()
        await self._guarded(self._finish)

    async def _guarded(self, step: Any) -> None:
        """Take a step of the start; when it fails, nothing of the whole start stays."""
        self._step = asyncio.current_task()
        try:
            await step()
        except BaseException as error:
            await finish(self._undo(error))
            if isinstance(error, KubeError):
                raise explain(error) from error
            raise
        finally:
            self._step = None

    async def _undo(self, error: BaseException) -> None:
        """Let go of a start that failed; what cannot be let go is told beside why it failed."""
        try:
            await self._end("failed", delete=self._takes_back(error))
        except Exception:
            place = f"{self.namespace}/{self.name}"
            command = f"dask-k8s delete {self.name} --namespace {self.namespace}"
            logger.exception("DaskCluster %s may still be there: `%s` deletes it", place, command)

    def _takes_back(self, error: BaseException) -> bool:
        """Whether what was created goes when the start ends like this."""
        if not self.session.is_new:
            return False
        keeps = self.session.settings.keep_on_failure and isinstance(error, Exception)
        if keeps and self.status != Status.closed:
            where = f"{self.namespace}/{self.name}"
            self._log_note(f"DaskCluster {where} stays: `dask-k8s delete {self.name}` deletes it")
        return not keeps

    async def _begin(self) -> None:
        self.status = Status.starting
        self._display.begin("Connecting to Kubernetes")
        await self.session.open()

    async def _finish(self) -> None:
        verb = "Created" if self.session.is_new else "Found"
        self._log(f"{verb} DaskCluster {self.namespace}/{self.name}")
        self._display.begin("Waiting for the scheduler")
        host, port = await self.session.wait_started(self._log_wait)
        if self.security is None:
            self.scheduler_comm = rpc(f"tcp://{host}:{port}")
        else:
            shown = self.security.get_connection_args("client")
            self.scheduler_comm = rpc(f"tls://{host}:{port}", connection_args=shown)
        self._version_check = VersionCheck(f"{self.namespace}/{self.name}", self._log_note)
        await super()._start()
        await self._version_check.check(self.scheduler_comm, self.scheduler_info["workers"])
        close_at_exit(self)
        self._log(f"The scheduler of {self.namespace}/{self.name} is ready: {self.dashboard_link}")
        self._display.close()

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
            self._display.close()
            if self._version_check is not None:
                await self._version_check.close()
            if self.scheduler_comm is not None:
                await self.scheduler_comm.close_rpc()
            await self._panel.close(state)
            await self.session.close(delete=delete)
            self.status = Status.closed

    def _log(self, log: str) -> None:
        """Note a step that is done; distributed calls this as well."""
        self._cluster_manager_logs.append((datetime.now(), log))
        self._display.done(log)

    def _log_wait(self, reason: str) -> None:
        self._cluster_manager_logs.append((datetime.now(), reason))
        self._display.wait(reason)

    def _log_note(self, words: str) -> None:
        self._cluster_manager_logs.append((datetime.now(), words))
        self._display.note(words)
        self._panel.note(words)

    def _widget(self) -> Any:
        return self._panel.widget()
