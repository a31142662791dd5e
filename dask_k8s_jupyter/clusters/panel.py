"""Shows a KubeCluster as a live panel where there is a notebook.

Guarantees that a missing or failing widget never stands in the way of the cluster. Refuses to draw:
that is the widget's.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from dask_k8s_jupyter.state import ClusterStore

from .logs import read_cluster_logs

if TYPE_CHECKING:
    from .kubecluster import KubeCluster

logger = logging.getLogger(__name__)
PANEL_LOG_LINES = 200


def is_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and getattr(shell, "kernel", None) is not None


class Panel:
    """The panel of one cluster, made when it is first looked at.

    Parameters
    ----------
    cluster
        Whose.
    """

    def __init__(self, cluster: KubeCluster) -> None:
        self._cluster = cluster
        self._store: ClusterStore | None = None
        self._starting: asyncio.Task[None] | None = None
        self._widget: Any = None

    def show(self) -> None:
        """Show the panel in the cell that runs, if one does."""
        if self._cluster.quiet or not is_notebook():
            return
        widget = self.widget()
        if widget is not None:
            from IPython.display import display

            display(widget)  # type: ignore[no-untyped-call]

    @property
    def is_shown(self) -> bool:
        """Whether the panel tells how the start goes."""
        return self._widget is not None

    def widget(self) -> Any:
        """The ipywidget, or None where there are none."""
        if self._widget is None:
            try:
                self._widget = self._build()
            except ImportError:
                logger.info("ipywidgets cannot be imported: the cluster shows itself as text")
        return self._widget

    def note(self, words: str) -> None:
        """Say something that stays, where the panel is shown."""
        if self._widget is not None:
            self._widget.note(words)

    async def close(self, state: str) -> None:
        """Stop following; the panel stays, and says that it is over."""
        if self._widget is not None:
            self._widget.freeze(state)
        if self._store is not None:
            await self._store.close()
            self._store = None

    def _build(self) -> Any:
        from dask_k8s_jupyter.widget import PanelActions, build_panel

        cluster = self._cluster
        self._store = ClusterStore(cluster.session.client, cluster.namespace)
        self._in_loop(self._store.start())
        return build_panel(
            self._store,
            namespace=cluster.namespace,
            name=cluster.name,
            actions=PanelActions(
                scale=lambda n: self._in_loop(cluster._scale(n)),
                adapt=lambda low, high: self._in_loop(cluster._adapt(low, high)),
                close=lambda: self._in_loop(cluster._close()),
                logs=lambda: self._in_loop(self._read_logs()),
                close_deletes=cluster.session.deletes_on_close,
            ),
            dashboard_link=cluster.dashboard_link or None,
        )

    async def _read_logs(self) -> str:
        cluster = self._cluster
        logs = await read_cluster_logs(
            cluster.session.client, cluster.namespace, cluster.name, PANEL_LOG_LINES
        )
        return "\n\n".join(f"{pod}\n{text}" for pod, text in logs.items())

    def _in_loop(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(work, self._cluster.loop.asyncio_loop)
