"""Serves ``/healthz`` and ``/readyz``.

Guarantees that an operator whose watches have gone silent is called unhealthy, so that Kubernetes
starts it again; that it is called ready when it has seen everything once and is connected. Refuses
to judge anything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from aiohttp import web


class Watched(Protocol):
    """What health looks at: an informer."""

    last_progress: float

    @property
    def is_synced(self) -> bool:
        """Whether it has seen everything once."""

    @property
    def error(self) -> Exception | None:
        """Why it is not connected, None when it is."""


def explain_ill(
    informers: Sequence[Watched], monotonic_s: float, watch_timeout_s: float
) -> str | None:
    """Say why the operator is ill, None when it is well.

    An API server that is away is not an illness: a restart would not bring it back. Silence
    without an error is.
    """
    for informer in informers:
        silent_s = monotonic_s - informer.last_progress
        if informer.error is None and silent_s > watch_timeout_s:
            return f"a watch has been silent for {silent_s:.0f} s"
    return None


def explain_unready(informers: Sequence[Watched]) -> str | None:
    """Say why the operator is not ready, None when it is."""
    for informer in informers:
        if informer.error is not None:
            return f"not connected: {informer.error}"
        if not informer.is_synced:
            return "still reading what there is"
    return None


class HealthServer:
    """The HTTP server of the two; ``port`` 0 picks one, for tests.

    Parameters
    ----------
    is_ill, is_unready
        Called at each request: None for well, else the reason.
    """

    def __init__(
        self, is_ill: Callable[[], str | None], is_unready: Callable[[], str | None]
    ) -> None:
        self._application = web.Application()
        self._application.router.add_get("/healthz", _answer(is_ill))
        self._application.router.add_get("/readyz", _answer(is_unready))
        self._runner = web.AppRunner(self._application, access_log=None)

    async def start(self, host: str, port: int) -> int:
        """Begin to serve; returns the port."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop serving."""
        await self._runner.cleanup()


def _answer(
    explain: Callable[[], str | None],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handler(_: web.Request) -> web.StreamResponse:
        problem = explain()
        return web.Response(text=problem or "ok", status=503 if problem else 200)

    return handler
