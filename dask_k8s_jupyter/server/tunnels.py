"""Ways to the dashboards of schedulers, each kept while somebody looks.

Guarantees: only clusters that Kubernetes knows are reached, one way a cluster however many pages
are open, and a way closes when its cluster goes or nobody has used it for some time. Refuses any
other host or port.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from dask_k8s_jupyter.clusters.reach import reach
from dask_k8s_jupyter.errors import (
    ClusterNotFoundError,
    DashboardUnavailableError,
    DaskKubernetesError,
)
from dask_k8s_jupyter.state import Change, ClusterRemoved
from dask_k8s_operator.kube.errors import KubeError
from dask_k8s_operator.resources.names import DASHBOARD_PORT

from .hub import SharedStore, StoreHub

logger = logging.getLogger(__name__)

# Pages keep a websocket open; this is for the moment between two of them.
IDLE_S = 60.0

Address = tuple[str, int]
Key = tuple[str, str]


class Tunnels:
    """The ways to dashboards; one for the whole server.

    Parameters
    ----------
    hub
        Knows the clusters and the connection.
    idle_s
        How long a way lives on after its last user has gone.
    """

    def __init__(self, hub: StoreHub, *, idle_s: float = IDLE_S) -> None:
        self._hub = hub
        self._idle_s = idle_s
        self._tunnels: dict[Key, _Tunnel] = {}

    @asynccontextmanager
    async def use(self, namespace: str, name: str) -> AsyncIterator[Address]:
        """Give the address of a cluster's dashboard, good until the block ends.

        Raises
        ------
        ClusterNotFoundError
            When there is no such cluster.
        DashboardUnavailableError
            When nobody can tell whether there is one.
        """
        tunnel = self._borrow((namespace, name))
        try:
            # A page that goes away while it waits does not take the others' way with it.
            yield await asyncio.shield(tunnel.address)
        finally:
            tunnel.users -= 1
            if tunnel.users == 0:
                loop = asyncio.get_running_loop()
                tunnel.linger = loop.call_later(self._idle_s, tunnel.end_if_unused)

    async def close(self) -> None:
        """Close all ways."""
        await asyncio.gather(*(tunnel.close() for tunnel in list(self._tunnels.values())))

    def _borrow(self, key: Key) -> _Tunnel:
        tunnel = self._tunnels.get(key)
        if tunnel is None:
            tunnel = self._tunnels[key] = _Tunnel(self._hub, key, self._forget)
        if tunnel.linger is not None:
            tunnel.linger.cancel()
            tunnel.linger = None
        tunnel.users += 1
        return tunnel

    def _forget(self, tunnel: _Tunnel) -> None:
        if self._tunnels.get(tunnel.key) is tunnel:
            del self._tunnels[tunnel.key]


class _Tunnel:
    """One way, from when it is wanted until its cluster goes or nobody wants it any more."""

    def __init__(self, hub: StoreHub, key: Key, on_end: Callable[[_Tunnel], None]) -> None:
        self.key = key
        self.users = 0
        self.linger: asyncio.TimerHandle | None = None
        self.address: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        self._hub = hub
        self._ended = asyncio.Event()
        self._on_end = on_end
        self._task = asyncio.ensure_future(self._run())

    def end_if_unused(self) -> None:
        """End, unless somebody has come back."""
        if self.users == 0:
            self._end()

    async def close(self) -> None:
        """End at once, whatever it waits for."""
        self._end()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _end(self) -> None:
        # Whoever comes from now on gets another one.
        self._on_end(self)
        self._ended.set()
        if self.linger is not None:
            self.linger.cancel()

    async def _run(self) -> None:
        store = self._hub.borrow(self.key[0])
        unsubscribe = store.subscribe(self._on_change)
        try:
            await self._check_known(store)
            async with reach(await self._hub.client(), *self.key, DASHBOARD_PORT) as address:
                self.address.set_result(address)
                await self._ended.wait()
        except Exception as error:  # the edge of a task that others wait for
            if not isinstance(error, (KubeError, DaskKubernetesError, OSError)):
                logger.exception("The way to the dashboard of %s/%s failed", *self.key)
            self._refuse(error)
        finally:
            self._refuse(DashboardUnavailableError(f"{'/'.join(self.key)}: the server stops"))
            self._end()
            unsubscribe()
            self._hub.give_back(store)

    def _refuse(self, error: Exception) -> None:
        if not self.address.done():
            self.address.set_exception(error)
            self.address.exception()  # the one who waited may have gone

    async def _check_known(self, store: SharedStore) -> None:
        await store.answered.wait()
        if self.key in store.views:
            return
        cluster = "/".join(self.key)
        if store.problem is not None:
            # It may well be there: a page that says "not found" would not look again.
            raise DashboardUnavailableError(f"{cluster}: {store.problem.message}")
        raise ClusterNotFoundError(f"There is no DaskCluster {cluster}")

    def _on_change(self, change: Change) -> None:
        if isinstance(change, ClusterRemoved) and (change.namespace, change.name) == self.key:
            self._end()
