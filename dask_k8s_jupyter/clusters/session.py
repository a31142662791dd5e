"""What a KubeCluster holds while it is open: connection, DaskCluster, ways to its scheduler.

Guarantees that what ``open`` created is deleted by ``close(delete=True)``, that one and no
successor of its name, and that ``close`` may be called at any time. Refuses to speak to Dask.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from distributed.security import Security

from dask_k8s_jupyter.errors import (
    ClusterNotFoundError,
    DaskKubernetesError,
    NameTakenError,
)
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.names import DASHBOARD_PORT
from dask_k8s_operator.resources.tls import is_encrypted

from . import actions
from .reach import Address, reach
from .schedulerway import reach_scheduler
from .security import read_security
from .settings import CreateMode, Settings
from .startup import wait_started
from .undisturbed import finish
from .watched import WatchedCluster


class Session:
    """One cluster, created or found.

    Parameters
    ----------
    settings
        What was asked for.
    kubeconfig, context
        Which Kubernetes; None for the usual places.
    """

    def __init__(self, settings: Settings, kubeconfig: str | None, context: str | None) -> None:
        self.settings = settings
        self.name = settings.name
        self.namespace = settings.namespace or ""
        self.is_new = False
        self.dashboard_address: Address | None = None
        self.security: Security | None = None
        self._kubeconfig = kubeconfig
        self._context = context
        self._client: KubeClient | None = None
        self._watched: WatchedCluster | None = None
        self._uid: str | None = None
        self._tunnels = contextlib.AsyncExitStack()

    @property
    def client(self) -> KubeClient:
        """The connection; raises when the session is not open."""
        if self._client is None:
            raise DaskKubernetesError(f"cluster {self.name} is closed")
        return self._client

    @property
    def watched(self) -> WatchedCluster:
        """The live DaskCluster; raises when the session is not open."""
        if self._watched is None:
            raise DaskKubernetesError(f"cluster {self.name} is closed")
        return self._watched

    @property
    def deletes_on_close(self) -> bool:
        """Whether closing deletes the cluster, as far as was said."""
        settings = self.settings
        return settings.delete_created if self.is_new else settings.delete_connected

    async def open(self) -> None:
        """Connect to Kubernetes, make sure that we may, create or find the cluster, follow it."""
        self._client = await KubeClient.connect(self._kubeconfig, self._context)
        self.namespace = self.settings.namespace or self._client.namespace
        connects = self.settings.create_mode is CreateMode.CONNECT_ONLY
        needs = actions.NEEDED_TO_CONNECT if connects else actions.NEEDED_TO_CREATE
        await actions.preflight(self._client, self.namespace, needs)
        await (self._find() if connects else finish(self._create()))
        self._watched = WatchedCluster(self._client, self.namespace, self.name)
        await self._watched.start()
        # A tunnel may be open before there is anything at its other end.
        way = reach(
            self._client,
            self.namespace,
            self.name,
            DASHBOARD_PORT,
            port_forward=self.settings.port_forward,
            local_port=self.settings.forward_port,
        )
        self.dashboard_address = await self._tunnels.enter_async_context(way)

    async def wait_started(self, say: Callable[[str], None]) -> Address:
        """Wait until the scheduler is there; returns where to reach it."""
        await self.wait_ready(say, workers_too=self.is_new)
        if is_encrypted(self.watched.resource):
            self.security = await read_security(self.client, self.namespace, self.name)
        scheduler = (self.watched.resource or {}).get("spec", {}).get("scheduler") or {}
        way = reach_scheduler(
            self.client,
            self.namespace,
            self.name,
            service_type=(scheduler.get("service") or {}).get("type") or "ClusterIP",
            port_forward=self.settings.port_forward,
        )
        return await self._tunnels.enter_async_context(way)

    async def wait_ready(self, say: Callable[[str], None], *, workers_too: bool = False) -> None:
        """Wait until the scheduler is ready."""
        timeout_s = self.settings.resource_timeout_s
        await wait_started(self.client, self.watched, timeout_s, say, workers_too=workers_too)

    async def close(self, *, delete: bool) -> None:
        """Let go of everything, and delete the cluster if told so; one that is gone is fine."""
        try:
            if delete and self._client is not None and self._uid is not None:
                with contextlib.suppress(ClusterNotFoundError):
                    await actions.delete_cluster(
                        self._client, self.namespace, self.name, uid=self._uid
                    )
        finally:
            await self._tunnels.aclose()
            if self._watched is not None:
                await self._watched.close()
            if self._client is not None:
                await self._client.close()
            self._client = self._watched = None

    async def _create(self) -> None:
        try:
            resource = await actions.create_cluster(self.client, self.settings.spec, self.namespace)
        except NameTakenError:
            if self.settings.create_mode is CreateMode.CREATE_ONLY:
                raise
            await self._find()
        else:
            self.is_new, self._uid = True, resource["metadata"]["uid"]

    async def _find(self) -> None:
        resource = await actions.get_cluster(self.client, self.namespace, self.name)
        self._uid = resource["metadata"]["uid"]
