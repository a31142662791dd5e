"""The panel: one cluster, live, with what a person does to it.

Guarantees: changes may come from any thread; no click blocks the kernel, because actions return at
once and their outcome is shown when it is there; a number that a person is typing is not
overwritten; after the end the panel says so and offers nothing more. Refuses to act by itself.

Widgets are changed in the thread that brings the change, so that the panel lives while a cell runs:
the kernel's sockets allow that, and a lock keeps the order.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import ipywidgets

from dask_k8s_jupyter.config import BASE_URL_VARIABLE
from dask_k8s_jupyter.state import (
    Change,
    ClusterChanged,
    ClusterRemoved,
    ClusterView,
    Problem,
    ProblemChanged,
)

from .controls import Controls
from .render import (
    STYLE,
    render_details,
    render_head,
    render_log,
    render_note,
    render_progress,
    render_said,
)

Outcome = Any


class ViewSource(Protocol):
    """Where pictures come from; a ClusterStore is one."""

    @property
    def views(self) -> Mapping[tuple[str, str], ClusterView]:
        """Newest picture of each cluster."""

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call back with every change, in any thread, until the returned function is called."""


@dataclass(frozen=True)
class PanelActions:
    """What a person can do; each returns at once, with a value, None or a concurrent Future.

    ``close_deletes`` says whether closing deletes the cluster; then the panel asks first.
    """

    scale: Callable[[int], Outcome]
    adapt: Callable[[int, int], Outcome]
    close: Callable[[], Outcome]
    logs: Callable[[], Outcome]
    close_deletes: bool = True


def build_panel(
    source: ViewSource,
    *,
    namespace: str,
    name: str,
    actions: PanelActions,
    dashboard_link: str | None = None,
) -> ClusterPanel:
    """Build the live panel of a cluster.

    Parameters
    ----------
    source
        Tells the pictures.
    namespace, name
        The cluster.
    actions
        What the buttons do.
    dashboard_link
        URL of the dashboard; None for the way through the Jupyter server, where there is one.

    Examples
    --------
    >>> actions = PanelActions(print, print, print, print)
    >>> build_panel(store, namespace="default", name="demo", actions=actions)  # doctest: +SKIP
    """
    return ClusterPanel(source, (namespace, name), actions, dashboard_link)


class ClusterPanel(ipywidgets.VBox):  # type: ignore[misc]  # it has no types
    """One cluster, live; made by ``build_panel``."""

    def __init__(
        self,
        source: ViewSource,
        key: tuple[str, str],
        actions: PanelActions,
        dashboard_link: str | None = None,
    ) -> None:
        self._key = key
        self._actions = actions
        self._dashboard_link = dashboard_link
        self._lock = threading.RLock()
        self._view: ClusterView | None = None
        self._problem: Problem | None = getattr(source, "problem", None)
        self._failure: str | None = None
        self._over: str | None = None
        self._head, self._details, self._progress, self._said, self._note, self._log = (
            ipywidgets.HTML() for _ in range(6)
        )
        self._note.layout.display = self._log.layout.display = "none"
        self._controls = Controls(
            scale=lambda count: self._act(actions.scale, count),
            adapt=lambda minimum, maximum: self._act(actions.adapt, minimum, maximum),
            close=lambda: self._act(actions.close),
            logs=self._toggle_logs,
            close_deletes=actions.close_deletes,
            lock=self._lock,
        )
        drawn = [self._head, self._details, self._progress, self._said, self._note]
        super().__init__([ipywidgets.HTML(STYLE), *drawn, self._controls.box, self._log])
        self.add_class("dask-k8s-panel")
        self._unsubscribe = source.subscribe(self._on_change)
        # After subscribing, so that no change falls between.
        self._show(source.views.get(key))

    def freeze(self, words: str = "closed") -> None:
        """Say that it is over, and offer nothing more; harmless when it is over already."""
        with self._lock:
            if self._over is not None:
                return
            self._over = words
            self._problem = self._failure = None
            self._controls.disable()
            self._draw()
        self._unsubscribe()

    def note(self, words: str) -> None:
        """Say something that stays, also after the end; the next note takes its place."""
        with self._lock:
            self._note.value = render_note(words)
            self._note.layout.display = ""

    def _on_change(self, change: Change) -> None:
        if isinstance(change, ProblemChanged):
            with self._lock:
                self._problem = change.problem
                self._draw()
        elif isinstance(change, ClusterChanged):
            if (change.view.namespace, change.view.name) == self._key:
                self._show(change.view)
        elif isinstance(change, ClusterRemoved) and (change.namespace, change.name) == self._key:
            self.freeze("deleted")

    def _show(self, view: ClusterView | None) -> None:
        with self._lock:
            if view is not None:
                self._view = view
                self._controls.follow(view)
            self._draw()

    def _draw(self) -> None:
        over, view = self._over, self._view
        self._head.value = render_head(self._key[1], view, over)
        self._details.value = render_details(view, None if over else self._find_dashboard())
        self._progress.value = render_progress(view.workers) if view and not over else ""
        self._said.value = render_said(None if over else view, self._problem, self._failure)

    def _find_dashboard(self) -> str | None:
        if self._dashboard_link is not None:
            return self._dashboard_link
        base_url = os.environ.get(BASE_URL_VARIABLE)
        path = self._view.dashboard_path if self._view else None
        return f"{base_url.rstrip('/')}/{path}" if base_url and path else None

    def _act(self, action: Callable[..., Outcome], *arguments: Any) -> None:
        self._settle(action, *arguments, show=lambda outcome: None)

    def _toggle_logs(self) -> None:
        if self._log.layout.display != "none":
            self._log.layout.display = "none"
        else:
            self._settle(self._actions.logs, show=self._show_log)

    def _show_log(self, text: Outcome) -> None:
        self._log.value = render_log(str(text or ""))
        self._log.layout.display = ""

    def _settle(
        self, action: Callable[..., Outcome], *arguments: Any, show: Callable[[Outcome], None]
    ) -> None:
        """Start an action; show what comes of it once it has come, and its failure in words."""

        def finish(future: Future[Outcome]) -> None:
            failure = "cancelled" if future.cancelled() else future.exception()
            with self._lock:
                self._failure = None if failure is None else str(failure)
                if failure is None:
                    show(future.result())
                else:
                    self._controls.take_back()
                self._draw()

        try:
            outcome = action(*arguments)
        except Exception as error:  # noqa: BLE001  # the edge: what a click meets is said here
            outcome = Future[Outcome]()
            outcome.set_exception(error)
        if not isinstance(outcome, Future):
            value, outcome = outcome, Future[Outcome]()
            outcome.set_result(value)
        outcome.add_done_callback(finish)
