"""Deletes, when the process ends, the clusters that it created and never closed.

Kubernetes would keep them for ever. Guarantees that clusters which are only connected to stay.
"""

from __future__ import annotations

import atexit
import contextlib
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .kubecluster import KubeCluster

EXIT_TIMEOUT_S = 10.0

_open_clusters: weakref.WeakSet[KubeCluster] = weakref.WeakSet()


def close_at_exit(cluster: KubeCluster) -> None:
    """Remember a cluster that should be closed when the process ends."""
    _open_clusters.add(cluster)


def forget(cluster: KubeCluster) -> None:
    """Forget a cluster that was closed."""
    _open_clusters.discard(cluster)


@atexit.register
def _close_open_clusters() -> None:
    for cluster in list(_open_clusters):
        # An asynchronous cluster's event loop has ended before this runs.
        if cluster.session.deletes_on_close and not cluster.asynchronous:
            with contextlib.suppress(Exception):
                cluster.close(timeout=EXIT_TIMEOUT_S)
