"""The classic KubeCluster: scheduler and workers as bare Pods, on SpecCluster.

Guarantees that no operator, no custom resource and no permission beyond Pods is needed; that
workers end when their scheduler is gone (death time-out, and Kubernetes' own owner references);
that a start that fails raises what a person understands, and leaves nothing behind. Refuses to
bring lost workers back by itself for a process that has gone: that is what the operator is for.
"""

from __future__ import annotations

import asyncio
import json
import logging
import weakref
from collections.abc import Mapping
from typing import Any

from distributed.core import Status
from distributed.deploy.cluster import Cluster
from distributed.deploy.spec import SpecCluster
from distributed.scheduler import Scheduler
from distributed.utils import Log, Logs

from dask_k8s_jupyter.clusters.auth import Auth, ClusterAuth, connect
from dask_k8s_jupyter.clusters.joining import JoiningWorkers
from dask_k8s_jupyter.clusters.podwatch import PodWatch
from dask_k8s_jupyter.clusters.servicereach import build_proxied_link
from dask_k8s_jupyter.clusters.signal import Signal
from dask_k8s_jupyter.clusters.undisturbed import finish
from dask_k8s_jupyter.errors import ClusterNotFoundError, DaskKubernetesError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ApiError, NotFoundError
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import PODS

from .build import TEMPLATE_ANNOTATION, WORKER_NAME_ANNOTATION, describe_worker
from .podtemplate import PodTemplate, read_pod_template
from .processes import SchedulerPod, WorkerPod, Workshop, find_cause, find_own_pod
from .settings import resolve_classic_settings
from .sizing import Sizing

logger = logging.getLogger(__name__)


class KubeCluster(Sizing, JoiningWorkers, SpecCluster):  # type: ignore[misc]
    """Launch a Dask cluster of bare Pods, without an operator.

    This is the way in a namespace where one may create Pods and nothing else. Where the Dask
    operator is installed, ``dask_k8s_jupyter.KubeCluster`` is the better one: its clusters outlive
    this process, are seen in JupyterLab's sidebar and with kubectl, have worker groups, and lost
    workers come back. ``to_cluster_spec`` turns a Pod template into such a cluster.

    What it needs in the namespace: to create, get, list, watch and delete Pods, and from outside
    Kubernetes to create ``pods/portforward``. With ``pods/log`` it shows logs; with Services and
    PodDisruptionBudgets it makes one of each, and does without where it may not.

    Workers end by themselves when they have not seen their scheduler for the death time-out (60 s
    unless the template says otherwise), and Kubernetes removes them with the scheduler's Pod. The
    scheduler's Pod ends with close(), after ``idle_timeout``, with the Pod this process runs in,
    and when no cluster manager spoke and no client was connected for ``kubernetes.owner-timeout``
    (5 minutes), as when this process was killed; not with ``shutdown_on_close=False``.

    Every argument that is None takes its value from the ``kubernetes`` section of Dask's
    configuration.

    Parameters
    ----------
    pod_template
        Pod of a worker: a dict as in a manifest, the path of a YAML file, what ``make_pod_spec``
        makes, or a client's ``V1Pod``.
    name
        Name of the cluster; ``{user}``, ``{uuid}`` and environment variables are filled in.
    namespace
        Where; None for the namespace of the kubeconfig's context or of the Pod.
    n_workers
        Workers to begin with.
    host, port, interface, dashboard_address
        Where a scheduler in this process listens (``deploy_mode="local"``).
    env
        Environment of the scheduler and the workers.
    auth
        Ways to find Kubernetes, in order; None for the usual places.
    idle_timeout
        How long without work until the scheduler ends; seconds, or text such as ``"30 minutes"``.
    deploy_mode
        ``"remote"``: the scheduler is a Pod. ``"local"``: it runs in this process, and workers
        have to be able to reach it.
    protocol
        ``"tcp://"`` or ``"tls://"``; with the latter the templates bring the certificates.
    security
        What the connection to the scheduler uses.
    scheduler_service_wait_timeout
        Seconds that the scheduler may take to start; 0: any time.
    scheduler_service_name_resolution_retries
        Taken for the sake of code that passes it; nothing waits for a name to resolve.
    scheduler_pod_template
        Pod of the scheduler; None for that of the workers.
    apply_default_affinity
        ``"required"``, ``"preferred"`` or ``"none"``: for nodes labelled
        ``k8s.dask.org/node-purpose``.
    **kwargs
        As for distributed's SpecCluster.

    Raises
    ------
    DaskKubernetesError
        When it cannot start; see ``dask_k8s_jupyter.errors`` for the tree.
    InvalidSpecError
        When an argument is not valid (a ValueError); nothing has been created then.

    Examples
    --------
    >>> from dask_k8s_jupyter.classic import KubeCluster, make_pod_spec
    >>> pod = make_pod_spec("ghcr.io/dask/dask:latest", memory_limit="4G", cpu_limit=1)
    >>> with KubeCluster(pod, n_workers=2) as cluster:  # doctest: +SKIP
    ...     cluster.scale(10)
    ...     client = cluster.get_client()
    """

    status: Any
    quiet: bool

    def __init__(
        self,
        pod_template: Any = None,
        name: str | None = None,
        namespace: str | None = None,
        n_workers: int | None = None,
        host: str | None = None,
        port: int | None = None,
        env: Mapping[str, Any] | None = None,
        auth: Auth = ClusterAuth.DEFAULT,
        idle_timeout: Any = None,
        deploy_mode: str | None = None,
        interface: str | None = None,
        protocol: str | None = None,
        dashboard_address: str | None = None,
        security: Any = None,
        scheduler_service_wait_timeout: float | None = None,
        scheduler_service_name_resolution_retries: int | None = None,
        scheduler_pod_template: Any = None,
        apply_default_affinity: str = "preferred",
        **kwargs: Any,
    ) -> None:
        self._connects = bool(kwargs.pop("_connects", False))
        self.settings = resolve_classic_settings(
            pod_template=pod_template,
            scheduler_pod_template=scheduler_pod_template,
            name=name,
            namespace=namespace,
            n_workers=n_workers,
            env=env,
            host=host,
            port=port,
            interface=interface,
            protocol=protocol,
            dashboard_address=dashboard_address,
            idle_timeout=idle_timeout,
            deploy_mode=deploy_mode,
            scheduler_service_wait_timeout=scheduler_service_wait_timeout,
            scheduler_service_name_resolution_retries=scheduler_service_name_resolution_retries,
            apply_default_affinity=apply_default_affinity,
            connects=self._connects,
            ends_with_owner=bool(kwargs.get("shutdown_on_close", True)),
        )
        self.auth = auth
        self.namespace = self.settings.namespace or ""
        self._client: KubeClient | None = None
        self._workshop: Workshop | None = None
        self._workers_signal = Signal()
        self._starting: asyncio.Task[Any] | None = None
        kwargs.pop("quiet", None)
        try:
            super().__init__(name=self.settings.name, security=security, **kwargs)
        except BaseException:
            if hasattr(self, "_loop_runner"):
                self._take_back_in_thread()
            raise
        self._name = type(self).__name__

    @classmethod
    def from_dict(cls, pod_spec: Mapping[str, Any], **kwargs: Any) -> KubeCluster:
        """Launch a cluster from a template as a dict; the same as ``KubeCluster(pod_spec)``."""
        return cls(pod_spec, **kwargs)

    @classmethod
    def from_yaml(cls, yaml_path: str, **kwargs: Any) -> KubeCluster:
        """Launch a cluster from a YAML file; the same as ``KubeCluster(yaml_path)``."""
        return cls(yaml_path, **kwargs)

    @classmethod
    def from_name(cls, name: str, **kwargs: Any) -> KubeCluster:
        """Connect to a cluster with a scheduler Pod; close() leaves it unless told otherwise.

        ``shutdown_on_close=True`` lets close() delete it.

        Raises
        ------
        ClusterNotFoundError
            When there is none of this name.

        Examples
        --------
        >>> cluster = KubeCluster.from_name("demo", namespace="team-a")  # doctest: +SKIP
        """
        kwargs.setdefault("shutdown_on_close", False)
        return cls(name=name, deploy_mode="remote", _connects=True, **kwargs)

    def logs(self, *args: Any, **kwargs: Any) -> Any:
        """Get the logs; the older name of ``get_logs``."""
        return self.get_logs(*args, **kwargs)

    @property
    def dashboard_link(self) -> str:
        """Where this user's browser finds the dashboard."""
        if isinstance(self.scheduler, SchedulerPod):
            return build_proxied_link(self.scheduler.dashboard_address)
        return str(super().dashboard_link)

    async def _start(self) -> None:
        if self.status != Status.created:
            await super()._start()
            return
        self._starting = asyncio.current_task()
        try:
            self._client = client = await connect(self.auth)
            self.namespace = self.settings.namespace or client.namespace
            await (self._prepare_found() if self._connects else self._prepare_new())
            await super()._start()
        except BaseException as error:
            await finish(self._take_back())
            cause = find_cause(error)
            if cause is error:
                raise
            raise cause from cause.__cause__

    def _take_back_in_thread(self) -> None:
        """After Ctrl-C the start goes on in its loop: end it, and delete what it has made."""

        async def end() -> None:
            if self._starting is not None and not self._starting.done():
                self._starting.cancel()
                await asyncio.gather(self._starting, return_exceptions=True)
            await self._close()

        try:
            if self._loop_runner.is_started() and not self.called_from_running_loop:
                self.sync(end)
        finally:
            self._loop_runner.stop()

    async def _take_back(self) -> None:
        """Delete the scheduler's Pod, and with it all the others, of a start that failed."""
        try:
            if isinstance(self.scheduler, SchedulerPod) and not self._connects:
                await self.scheduler.close()
        finally:
            await self._let_go()
            self.status = Status.closed

    async def _prepare_new(self) -> None:
        settings = self.settings
        template = settings.worker or PodTemplate()
        owner = await find_own_pod(self._connection, self.namespace)
        shop = Workshop(self._connection, self.namespace, settings, template, owner)
        self._employ(shop)
        if settings.deploy_mode == "remote":
            self.scheduler_spec = {"cls": SchedulerPod, "options": {"workshop": shop}}
        else:
            options = {**settings.build_local_options(), "security": self.security}
            self.scheduler_spec = {"cls": Scheduler, "options": options}
        self.worker_spec = dict.fromkeys(range(settings.n_workers), self.new_spec)

    async def _prepare_found(self) -> None:
        """Take over what a cluster consists of: its scheduler, its template, its workers."""
        name = self.settings.name
        try:
            pod = await self._connection.get(PODS, names.scheduler_name(name), self.namespace)
            if "deletionTimestamp" in pod["metadata"]:
                raise KeyError("its scheduler is ending")
            template = json.loads(pod["metadata"]["annotations"][TEMPLATE_ANNOTATION])
        except (NotFoundError, KeyError, ValueError) as error:
            raise ClusterNotFoundError(
                f"There is no classic Dask cluster {self.namespace}/{name}",
                fix=f"See `kubectl get pods -l dask.org/component --namespace={self.namespace}`",
            ) from error
        template = read_pod_template(TEMPLATE_ANNOTATION, template)
        shop = Workshop(self._connection, self.namespace, self.settings, template)
        self._employ(shop)
        self.scheduler = SchedulerPod(shop, pod)
        await self.scheduler
        selector = f"{names.CLUSTER_NAME_LABEL}={name},{names.COMPONENT_LABEL}={names.WORKER}"
        found = await self._connection.list(PODS, self.namespace, label_selector=selector)
        for each in found.items:
            self._adopt(shop, each)

    def _employ(self, shop: Workshop) -> None:
        self._workshop = shop
        described = describe_worker(shop.template)
        self.new_spec = {"cls": WorkerPod, "options": {"workshop": shop, **described}}

    def _adopt(self, shop: Workshop, pod: dict[str, Any]) -> None:
        said = (pod["metadata"].get("annotations") or {}).get(WORKER_NAME_ANNOTATION)
        if said is None or "deletionTimestamp" in pod["metadata"]:
            return
        name = int(said) if said.isdigit() else said
        worker = WorkerPod(self.scheduler.address, name, workshop=shop, pod=pod)
        worker._cluster = weakref.ref(self)
        self._created.add(worker)
        self.workers[name] = worker
        self.worker_spec[name] = self.new_spec

    async def _close(self) -> None:
        if self.status == Status.closed:
            return
        try:
            if self._connects and not self.shutdown_on_close:
                await Cluster._close(self)
            else:
                await self._forget_lost_scheduler()
                await super()._close()
        finally:
            await self._let_go()

    async def _forget_lost_scheduler(self) -> None:
        """A scheduler whose Pod is gone answers no more: do not ask it to retire workers."""
        scheduler = self.scheduler
        if isinstance(scheduler, SchedulerPod) and self.status == Status.running:
            if await scheduler.is_alive():
                return
            scheduler.status = Status.closed
            self.shutdown_scheduler = False
            await scheduler.close()

    async def _let_go(self) -> None:
        if isinstance(self.scheduler, SchedulerPod):
            await self.scheduler.let_go()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _wait_for_workers(self, n_workers: int = 0, timeout: float | None = None) -> None:
        """Wait until enough have joined; workers that cannot start end the wait with the reason."""
        selector = f"{names.CLUSTER_NAME_LABEL}={self.name},{names.COMPONENT_LABEL}={names.WORKER}"
        what = f"Dask cluster {self.namespace}/{self.name}"
        async with PodWatch(self._connection, self.namespace, selector) as watch:
            await self._wait_joined(watch, what, n_workers, timeout)

    async def _get_logs(
        self, cluster: bool = True, scheduler: bool = True, workers: Any = True
    ) -> Logs:
        is_remote = isinstance(self.scheduler, SchedulerPod)
        logs = await super()._get_logs(cluster, scheduler and not is_remote, workers=False)
        if scheduler and is_remote:
            logs["Scheduler"] = Log(await self._read_log(self.scheduler.pod_name))
        if workers:
            wanted = None if workers is True else set(workers)
            pods = [each.pod_name for each in self.workers.values() if each.pod_name]
            pods = [pod for pod in pods if wanted is None or pod in wanted]
            texts = await asyncio.gather(*(self._read_log(pod) for pod in pods))
            logs.update({pod: Log(text) for pod, text in zip(pods, texts, strict=True)})
        return logs

    async def _read_log(self, pod: str) -> str:
        try:
            return await self._connection.logs(pod, self.namespace)
        except ApiError as error:
            return error.message

    @property
    def _connection(self) -> KubeClient:
        if self._client is None:
            raise DaskKubernetesError(f"cluster {self.settings.name} is closed")
        return self._client

    def _note(self, text: str) -> None:
        quiet, self.quiet = self.quiet, True
        self._log(text)
        self.quiet = quiet
        logger.warning("Dask cluster %s/%s: %s", self.namespace, self.name, text)
