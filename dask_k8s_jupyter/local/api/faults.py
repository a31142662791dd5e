"""Failures that an API server shows on request, so that its clients can be tested with them.

Guarantees that a fault is shown as a real API server shows it (a ``Status`` with its reason, a
connection that breaks, a version that is too old), that each one asked for comes once, and that it
may be asked for from any thread. Nothing here can be reached over the network.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import statuses
from .access import Tokens

if TYPE_CHECKING:
    from .requests import Target
    from .store import Store

_BUILDERS: dict[int, Callable[[Target, float | None], statuses.StatusError]] = {
    409: lambda target, _: statuses.modified(
        target.resource.plural, target.resource.group, target.name
    ),
    429: lambda _, retry_after_s: statuses.too_many_requests(retry_after_s),
    500: lambda *_: statuses.internal_error("a fault that was asked for"),
    503: lambda *_: statuses.StatusError(503, "ServiceUnavailable", "a fault that was asked for"),
}


@dataclass
class _Refusal:
    code: int
    times: int
    verb: str
    plural: str
    retry_after_s: float | None

    def is_about(self, target: Target) -> bool:
        is_verb = self.verb in ("", target.verb)
        return is_verb and self.plural in ("", target.resource.plural)


class Faults:
    """Switches for the failures of one API server.

    Attributes
    ----------
    latency_s
        Seconds that every answer is held back; 0 for none.

    Examples
    --------
    >>> with LocalKubernetes.in_thread(operator=False) as kube:  # doctest: +SKIP
    ...     kube.faults.refuse(429, times=3, verb="create", plural="pods", retry_after_s=1)
    ...     kube.faults.drop_watches()
    """

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self.latency_s = 0.0
        self._store = store
        self._tokens = tokens
        self._lock = threading.Lock()
        self._refusals: list[_Refusal] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note the loop in which the server runs."""
        self._loop = loop

    # -- asked for -------------------------------------------------------------------------------

    def refuse(
        self,
        code: int,
        *,
        times: int = 1,
        verb: str = "",
        plural: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        """Refuse the next requests instead of carrying them out.

        Parameters
        ----------
        code
            409, 429, 500 or 503.
        times
            How many requests to refuse.
        verb, plural
            Which ones, such as ``create`` and ``pods``; "" for any.
        retry_after_s
            What a 429 says about when to come again, in seconds; None says nothing.

        Raises
        ------
        ValueError
            When the code is none of these.
        """
        if code not in _BUILDERS:
            raise ValueError(f"cannot refuse with {code}: one of {sorted(_BUILDERS)} can be")
        with self._lock:
            self._refusals.append(_Refusal(code, times, verb, plural, retry_after_s))

    def drop_watches(self) -> None:
        """Break the connection of every watch, as a network does: without a last word."""
        self._call(self._store.drop_watches)

    def compact(self) -> None:
        """Forget all history: who resumes from a version of before is answered with 410."""
        self._call(self._store.compact)

    def expire_token(self, token: str) -> None:
        """Refuse a token from now on, with 401."""
        self._call(lambda: self._tokens.revoke(token))

    def clear(self) -> None:
        """Show no failure any more that was asked for and has not been shown."""
        with self._lock:
            self._refusals.clear()
        self.latency_s = 0.0

    def _call(self, action: Callable[[], None]) -> None:
        """Act in the server's own thread; back when it is done, or raises what that raised."""
        if self._loop is None:
            raise RuntimeError("the API server has not been started")
        if self._loop is _running_loop():
            action()
            return
        done: Future[None] = Future()

        def act() -> None:
            try:
                action()
            except BaseException as error:  # noqa: BLE001  (the caller's, who waits for it)
                done.set_exception(error)
            else:
                done.set_result(None)

        self._loop.call_soon_threadsafe(act)
        done.result()

    # -- shown -----------------------------------------------------------------------------------

    async def hold_back(self) -> None:
        """Wait for as long as every answer is to take."""
        if self.latency_s:
            await asyncio.sleep(self.latency_s)

    def check(self, target: Target) -> None:
        """Raise the refusal that a request is to have."""
        if not self._refusals:
            return
        with self._lock:
            found = next((each for each in self._refusals if each.is_about(target)), None)
            if found is None:
                return
            found.times -= 1
            if found.times <= 0:
                self._refusals.remove(found)
        raise _BUILDERS[found.code](target, found.retry_after_s)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
