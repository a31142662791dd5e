"""Shows how a start goes: live in a terminal, a line for each step elsewhere, nothing when quiet.

Guarantees that what is done and what is noted stays on the screen, and what is waited for stands
below it with its reason until ``close`` takes it away; a later wait begins anew. Refuses to draw in
a notebook where the panel does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status
    from rich.text import Text


class StartDisplay:
    """The display of one start.

    Parameters
    ----------
    is_hidden
        Whether to show nothing, asked each time.
    console
        Where to write; None for the terminal, or whatever stdout is.
    clock
        Seconds that never go backwards.

    Examples
    --------
    >>> display = StartDisplay(lambda: True, clock=lambda: 0.0)
    >>> display.wait("The scheduler is starting")
    >>> display.done("The scheduler is ready")
    >>> [str(line) for line in display.lines]
    ['✓ The scheduler is ready (0.0 s)']
    """

    def __init__(
        self,
        is_hidden: Callable[[], bool],
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lines: list[Text] = []
        self.waits_for = ""
        self._is_hidden = is_hidden
        self._console = console
        self._status: Status | None = None
        self._clock = clock
        self._began = clock()

    def begin(self, doing: str) -> None:
        """Say what is about to happen, where that can be taken away again."""
        self.waits_for = doing
        if not self._is_hidden() and self._terminal().is_terminal:
            self._spin(doing)

    def wait(self, reason: str) -> None:
        """Say what is waited for, and why; it stands until something else is said."""
        self.waits_for = reason
        if self._is_hidden():
            return
        if self._terminal().is_terminal:
            self._spin(reason)
        else:
            print(reason, flush=True)

    def done(self, step: str) -> None:
        """Say that a step is done."""
        from rich.text import Text

        took_s = self._clock() - self._began
        line = Text.assemble(("✓ ", "green"), step, (f" ({took_s:.1f} s)", "dim"))
        self.lines.append(line)
        self.close()
        if self._is_hidden():
            return
        if self._terminal().is_terminal:
            self._terminal().print(line, soft_wrap=True)
        else:
            print(step, flush=True)

    def note(self, words: str) -> None:
        """Say what is no step and no wait, and stays; at any time."""
        from rich.text import Text

        line = Text.assemble(("! ", "yellow"), words)
        self.lines.append(line)
        if self._is_hidden():
            return
        if self._terminal().is_terminal:
            # Above what is waited for, where there is a wait.
            self._terminal().print(line, soft_wrap=True)
        else:
            print(words, flush=True)

    def close(self) -> None:
        """Take away what was waited for."""
        self.waits_for = ""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _spin(self, text: str) -> None:
        from rich.text import Text

        if self._status is None:
            self._status = self._terminal().status(Text(text))
            self._status.start()
        else:
            self._status.update(Text(text))

    def _terminal(self) -> Console:
        if self._console is None:
            from rich.console import Console

            # In a notebook the panel draws. Its kernels set FORCE_COLOR, which rich takes for a
            # terminal: what counts is whether there is one.
            self._console = Console(
                force_jupyter=False, force_terminal=sys.stdout.isatty(), highlight=False
            )
        return self._console
