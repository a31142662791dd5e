"""What a person does with a KubeCluster once it is there: scale, adapt, groups, look, wait.

Every method works as the cluster manager does: it blocks, or gives something to await where the
cluster is asynchronous. Guarantees that bad arguments are named before Kubernetes is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from dask.utils import parse_timedelta
from distributed.utils import Log, Logs

from dask_k8s_jupyter.errors import InvalidSpecError, explain
from dask_k8s_operator.kube.errors import KubeError

from . import actions
from .checks import Command, Env, Resources, check_count
from .display import StartDisplay
from .events import observe_events
from .logs import read_cluster_logs
from .observed import Adaptivity
from .session import Session
from .settings import resolve_bounds
from .signal import Signal
from .spec import vary_worker_spec
from .waiting import wait_ready, wait_seen


class Steering:
    """The methods of a KubeCluster that say what the cluster should be, and what it is."""

    session: Session
    sync: Callable[..., Any]
    name: str
    scheduler_info: Any
    _workers_signal: Signal
    _display: StartDisplay
    _log_wait: Callable[[str], None]
    _sync_cluster_info: Callable[[], Any]
    _sync_cluster_info_task: asyncio.Task[None] | None

    @property
    def namespace(self) -> str:
        """Where the cluster is."""
        return self.session.namespace

    def scale(self, n: int, worker_group: str = actions.DEFAULT_GROUP) -> Any:
        """Ask for a fixed number of workers, and end adaptive scaling of that group.

        Parameters
        ----------
        n
            How many workers.
        worker_group
            Short or full name of a worker group.

        Raises
        ------
        InvalidSpecError
            When the number is none.
        WorkerGroupNotFoundError
            When there is no such group.

        Examples
        --------
        >>> cluster.scale(7, worker_group="highmem")  # doctest: +SKIP
        """
        check_count("n", n)
        return self.sync(self._scale, n, _check_group("worker_group", worker_group))

    def adapt(
        self,
        minimum: int | None = None,
        maximum: int | None = None,
        worker_group: str = actions.DEFAULT_GROUP,
    ) -> Any:
        """Let the scheduler's load choose the number of workers of a group; the operator does it.

        The load is that of the whole cluster: every group that adapts follows it within its bounds.

        Parameters
        ----------
        minimum
            Workers to keep; None for 0.
        maximum
            Workers to have at most; None for ``kubernetes.count.max``, or else 1000.
        worker_group
            Short or full name of a worker group.

        Raises
        ------
        WorkerGroupNotFoundError
            When there is no such group.

        Examples
        --------
        >>> cluster.adapt(minimum=1, maximum=10)  # doctest: +SKIP
        >>> cluster.adapt(maximum=4, worker_group="highmem")  # doctest: +SKIP
        """
        bounds = resolve_bounds(minimum, maximum)
        group = _check_group("worker_group", worker_group)
        return Adaptivity(*bounds, self.sync(self._adapt, *bounds, group))

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
        check_count("n_workers", n_workers)
        options = {
            "image": image,
            "resources": resources,
            "worker_command": worker_command,
            "env": env,
        }
        if custom_spec is not None:
            _check_custom(custom_spec, options)
        return self.sync(self._add_worker_group, name, n_workers, options, custom_spec)

    def delete_worker_group(self, name: str) -> Any:
        """Delete a worker group by its short or full name.

        Raises
        ------
        WorkerGroupNotFoundError
            When the cluster has no such group.
        """
        return self.sync(self._delete_worker_group, _check_group("name", name))

    def get_logs(self) -> Any:
        """Get the logs of the scheduler and of all workers by Pod.

        Examples
        --------
        >>> print(cluster.get_logs()["demo-scheduler"])  # doctest: +SKIP
        """
        return self.sync(self._get_logs)

    def events(self) -> Any:
        """Get what Kubernetes says happened to the cluster and its parts, the newest first.

        Each is a dict with ``time``, ``type`` (Normal or Warning), ``object``, ``reason``,
        ``message`` and ``count``.

        Examples
        --------
        >>> cluster.events()[0]["message"]  # doctest: +SKIP
        'scheduler is ready'
        """
        return self.sync(self._events)

    def wait(self, timeout: float | str | None = None) -> Any:
        """Wait until the cluster is as asked for: every worker of every group ready and joined.

        Of a cluster that is to be suspended: until its last Pod has gone.

        Parameters
        ----------
        timeout
            Seconds, or text such as ``"2 minutes"``; None for as long as it takes.

        Raises
        ------
        ClusterStartError
            When a Pod cannot start.
        StartTimeoutError
            When time is up.

        Examples
        --------
        >>> cluster.scale(10)  # doctest: +SKIP
        >>> cluster.wait(timeout=60)  # doctest: +SKIP
        """
        timeout_s = None if timeout is None else float(parse_timedelta(timeout, default="s"))
        return self.sync(self._wait, timeout_s)

    def suspend(self) -> Any:
        """Let all Pods go, workers when they have finished what they run; the cluster stays.

        What workers and scheduler hold in memory is lost. ``wait`` waits until they have gone.

        Examples
        --------
        >>> cluster.suspend()  # doctest: +SKIP
        """
        return self.sync(self._suspend)

    def resume(self) -> Any:
        """Make the Pods of a suspended cluster again, and wait until the scheduler is ready.

        Raises
        ------
        ClusterStartError
            When the scheduler cannot start.

        Examples
        --------
        >>> cluster.resume()  # doctest: +SKIP
        """
        return self.sync(self._resume)

    async def _scale(self, n: int, worker_group: str = actions.DEFAULT_GROUP) -> None:
        client = self.session.client
        await actions.scale_cluster(client, self.namespace, self.name, n, worker_group)

    async def _adapt(
        self, minimum: int, maximum: int, worker_group: str = actions.DEFAULT_GROUP
    ) -> None:
        client, where = self.session.client, (self.namespace, self.name)
        await actions.adapt_cluster(client, *where, minimum, maximum, worker_group)

    async def _add_worker_group(
        self,
        name: str,
        n_workers: int,
        options: Mapping[str, Any],
        custom_spec: Mapping[str, Any] | None,
    ) -> None:
        client = self.session.client
        if custom_spec is None:
            cluster = await actions.get_cluster(client, self.namespace, self.name)
            custom_spec = vary_worker_spec(cluster["spec"]["worker"], n_workers, **options)
        await actions.add_worker_group(client, self.namespace, self.name, name, custom_spec)

    async def _delete_worker_group(self, name: str) -> None:
        await actions.delete_worker_group(self.session.client, self.namespace, self.name, name)

    async def _get_logs(self) -> Logs:
        logs = await read_cluster_logs(self.session.client, self.namespace, self.name)
        return Logs({pod: Log(text) for pod, text in logs.items()})

    async def _events(self) -> list[dict[str, Any]]:
        try:
            return await observe_events(self.session.client, self.namespace, self.name)
        except KubeError as error:
            raise explain(error) from error

    async def _suspend(self) -> None:
        await actions.suspend_cluster(self.session.client, self.namespace, self.name)
        await wait_seen(self.session, suspend=True)
        # Nobody is there to be told, again and again, what this cluster manager notes.
        if self._sync_cluster_info_task is not None:
            self._sync_cluster_info_task.cancel()

    async def _resume(self) -> None:
        client = self.session.client
        await actions.suspend_cluster(client, self.namespace, self.name, suspend=False)
        await wait_seen(self.session, suspend=False)
        try:
            await self.session.wait_ready(self._log_wait)
        finally:
            self._display.close()
        self._sync_cluster_info_task = asyncio.ensure_future(self._sync_cluster_info())

    async def _wait(self, timeout_s: float | None) -> None:
        def count_joined() -> int:
            return len(self.scheduler_info["workers"])

        try:
            await wait_ready(
                self.session, count_joined, self._workers_signal, timeout_s, self._log_wait
            )
        finally:
            self._display.close()


def _check_group(argument: str, group: str) -> str:
    if not isinstance(group, str) or not group:
        raise InvalidSpecError(f"{argument}: the name of a worker group is needed, not {group!r}")
    return group


def _check_custom(custom_spec: object, options: Mapping[str, Any]) -> None:
    if not isinstance(custom_spec, Mapping) or "spec" not in custom_spec:
        raise InvalidSpecError(
            "custom_spec: a worker section is needed",
            fix="`make_worker_spec` makes one that you can change",
        )
    for option, value in options.items():
        if value is not None:
            raise InvalidSpecError(
                f"{option}: cannot be given beside custom_spec", fix="Write it into the spec"
            )
