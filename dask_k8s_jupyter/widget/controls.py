"""The panel's controls: how many workers, logs, close.

Guarantees that nothing happens before a person presses a button that says what will, and that
closing, which cannot be taken back, is asked about once. Refuses to overwrite what is being typed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import ipywidgets

from dask_k8s_jupyter.config import MAX_WORKERS
from dask_k8s_jupyter.state import ClusterView

FIXED, ADAPTIVE = "Fixed", "Adaptive"


Wish = tuple[str, int] | tuple[str, int, int]


class Controls:
    """The row of controls.

    Parameters
    ----------
    scale, adapt, close, logs
        Called when a person asks for it.
    close_deletes
        Whether closing deletes the cluster, and so is asked about, or only lets go of it.
    lock
        Held while widgets change.
    """

    def __init__(
        self,
        *,
        scale: Callable[[int], None],
        adapt: Callable[[int, int], None],
        close: Callable[[], None],
        logs: Callable[[], None],
        close_deletes: bool,
        lock: AbstractContextManager[Any],
    ) -> None:
        self._scale, self._adapt, self._close, self._logs = scale, adapt, close, logs
        self._close_deletes = close_deletes
        self._lock = lock
        self._truth: Wish | None = None
        self._asked: Wish | None = None
        self._build()
        self._connect()
        self._arrange()

    def follow(self, view: ClusterView) -> None:
        """Show what is true now, where nobody is typing something else."""
        with self._lock:
            group = next((group for group in view.groups if group.is_default), None)
            count = group.workers.desired if group else view.workers.desired
            bounds = view.adaptive
            before, shown = self._truth, self._read()
            self._truth = (ADAPTIVE, bounds.minimum, bounds.maximum) if bounds else (FIXED, count)
            if self._truth != before:
                is_untouched = before is None or shown in (before, self._asked)
                self._asked = None
                if is_untouched:
                    self._write(self._truth)
            self._arrange()

    def take_back(self) -> None:
        """Offer the wish again: nothing came of it."""
        with self._lock:
            self._asked = None
            self._arrange()

    def disable(self) -> None:
        """Offer nothing more."""
        with self._lock:
            for number in (self._mode, self._count, self._minimum, self._maximum):
                number.disabled = True
            for button in (self._apply, self._log, self._stop):
                button.disabled = True
            self._apply.button_style = ""
            self.box.children = (self._row,)

    def _build(self) -> None:
        self._mode = ipywidgets.ToggleButtons(
            options=[FIXED, ADAPTIVE],
            tooltips=["A fixed number of workers", "As many workers as the work needs"],
            style={"button_width": "84px"},
            layout={"width": "auto"},
        )
        self._count = _build_number("Workers", 0)
        self._minimum = _build_number("From", 0)
        self._maximum = _build_number("to", 1)
        self._apply = _build_button("Scale", "Ask for this number of workers")
        self._log = _build_button("Logs", "Show what the scheduler wrote")
        closes = "Delete this cluster" if self._close_deletes else "Let go of this cluster"
        self._stop = _build_button("Close", closes)
        self._really = _build_button("Delete", "Delete this cluster and what its workers hold")
        self._really.button_style = "danger"
        self._keep = _build_button("Keep", "Keep this cluster")
        self._row = ipywidgets.HBox(layout={"flex_flow": "row wrap", "align_items": "center"})
        question = ipywidgets.Label("Delete the cluster, with what its workers hold?")
        wrapped = {"flex_flow": "row wrap", "align_items": "center"}
        self._question = ipywidgets.HBox([question, self._really, self._keep], layout=wrapped)
        self.box = ipywidgets.VBox([self._row])

    def _connect(self) -> None:
        for control in (self._mode, self._count, self._minimum, self._maximum):
            control.observe(lambda change: self._arrange(), names="value")
        self._apply.on_click(lambda button: self._ask_for_workers())
        self._log.on_click(lambda button: self._logs())
        self._stop.on_click(lambda button: self._ask_to_close())
        self._keep.on_click(lambda button: self._show_question(False))
        self._really.on_click(lambda button: self._delete())

    def _arrange(self) -> None:
        with self._lock:
            is_fixed = self._mode.value == FIXED
            numbers = (self._count,) if is_fixed else (self._minimum, self._maximum)
            wanted = (self._mode, *numbers, self._apply, self._log, self._stop)
            if self._row.children != wanted:
                self._row.children = wanted
            is_wish = self._truth is not None and self._read() not in (self._truth, self._asked)
            self._apply.description = "Scale" if is_fixed else "Adapt"
            self._apply.disabled = not is_wish
            # The one filled button in view, and only where it is the thing to do next.
            is_asking = self._question in self.box.children
            self._apply.button_style = "primary" if is_wish and not is_asking else ""

    def _read(self) -> Wish:
        if self._mode.value == FIXED:
            return FIXED, self._count.value
        return ADAPTIVE, self._minimum.value, self._maximum.value

    def _write(self, truth: Wish) -> None:
        mode, *numbers = truth
        self._mode.value = mode
        if mode == FIXED:
            (self._count.value,) = numbers
            self._maximum.value = max(self._maximum.value, *numbers)
        else:
            self._minimum.value, self._maximum.value = numbers

    def _ask_for_workers(self) -> None:
        with self._lock:
            self._asked = self._read()
            mode, *numbers = self._asked
            self._arrange()
        if mode == FIXED:
            self._scale(*numbers)
        else:
            self._adapt(*numbers)

    def _ask_to_close(self) -> None:
        if self._close_deletes:
            self._show_question(True)
        else:
            self._close()

    def _show_question(self, is_asking: bool) -> None:
        with self._lock:
            self.box.children = (self._row, self._question) if is_asking else (self._row,)
            self._arrange()

    def _delete(self) -> None:
        self._show_question(False)
        self._close()


def _build_number(label: str, minimum: int) -> Any:
    return ipywidgets.BoundedIntText(
        value=minimum,
        min=minimum,
        max=MAX_WORKERS,
        description=label,
        layout={"width": "auto"},
        style={"description_width": "initial"},
    )


def _build_button(label: str, tooltip: str) -> Any:
    return ipywidgets.Button(description=label, tooltip=tooltip, layout={"width": "auto"})
