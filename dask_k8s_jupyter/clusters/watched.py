"""Follows one DaskCluster by watch, so that waiting for it costs nothing until something changes.

Refuses to poll, and to know what is waited for.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dask_k8s_operator.kube import Informer, KubeClient
from dask_k8s_operator.kube.errors import KubeError
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS

from .signal import Signal, wait_any

Resource = dict[str, Any]


class WatchedCluster:
    """The live state of one DaskCluster.

    Parameters
    ----------
    client
        Connection to the API.
    namespace, name
        The cluster.

    Examples
    --------
    >>> async def wait_until_gone(watched):
    ...     while True:
    ...         change = watched.changes.next()
    ...         if watched.resource is None:
    ...             return
    ...         await wait_any(change)
    """

    def __init__(self, client: KubeClient, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self.changes = Signal()
        self._task: asyncio.Task[None] | None = None
        self._informer = Informer(
            client,
            DASK_CLUSTERS,
            namespace,
            field_selector=f"metadata.name={name}",
            on_change=lambda old, new: self.changes.tell(),
            on_error=lambda error: self.changes.tell(),
        )

    @property
    def resource(self) -> Resource | None:
        """The DaskCluster as last seen; None when there is none."""
        return self._informer.objects.get((self.namespace, self.name))

    @property
    def error(self) -> KubeError | None:
        """What stands between us and the API; None when all is well."""
        return self._informer.error

    async def start(self) -> None:
        """Begin to follow; returns when the cluster has been looked up, or could not be."""
        self._task = asyncio.ensure_future(self._informer.run())
        synced = asyncio.ensure_future(self._informer.wait_synced())
        synced.add_done_callback(lambda _: self.changes.tell())
        try:
            while not synced.done() and self.error is None:
                await wait_any(self.changes.next())
        finally:
            synced.cancel()

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
