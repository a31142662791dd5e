"""Says what is waited for: one live line in a terminal, a line for each reason elsewhere.

Goes to stderr, so that an answer on stdout stays clean.
"""

from __future__ import annotations

from types import TracebackType

from rich.status import Status
from rich.text import Text

from .output import build_console


class Progress:
    """Shows the reason of a wait while it lasts.

    Parameters
    ----------
    doing
        What is done, such as ``"Starting demo"``.

    Examples
    --------
    >>> with Progress("Starting demo") as progress:  # doctest: +SKIP
    ...     progress.say("scheduler: ErrImagePull: no such image")
    """

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._console = build_console(stderr=True)
        self._status: Status | None = None
        self._last = ""

    def __enter__(self) -> Progress:
        self._show(f"{self._doing} …")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.pause()

    def say(self, reason: str) -> None:
        """Say why it takes longer; the same reason again is not said again."""
        if not reason or reason == self._last:
            return
        self._last = reason
        if self._console.is_terminal:
            self._show(f"{self._doing}: {reason}")
        else:
            self._console.print(Text(f"{self._doing}: {reason}"))

    def pause(self) -> None:
        """Take the live line away, as before something else is printed; ``say`` brings it back."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _show(self, text: str) -> None:
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status(Text(text))
            self._status.start()
        else:
            self._status.update(Text(text))
