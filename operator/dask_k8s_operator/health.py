"""Serves ``/healthz``, ``/readyz`` and ``/metrics``.

Guarantees that an operator whose watches make no progress is called unhealthy, so that Kubernetes
starts it again, unless a permission or a definition is missing; that it is called ready when it has
seen everything once and is connected, or waits for its turn; that ``/readyz`` says in detail how
everything stands, plugins too. Refuses to judge anything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from aiohttp import web

from .kube.errors import ForbiddenError, NotFoundError

_NOT_GRANTED = (ForbiddenError, NotFoundError)


class Watched(Protocol):
    """What health looks at: an informer."""

    last_progress: float

    @property
    def is_synced(self) -> bool:
        """Whether it has seen everything once."""

    @property
    def error(self) -> Exception | None:
        """Why it is not connected, None when it is."""


class Told(Protocol):
    """Whom the server asks: the operator."""

    def explain_ill(self) -> str | None:
        """Why it should be started again, None when it is well."""

    def explain_unready(self) -> str | None:
        """Why it is not ready, None when it is."""

    def describe(self) -> list[str]:
        """How everything stands, a line each."""

    def write_metrics(self) -> bytes:
        """The numbers for Prometheus."""


def explain_ill(
    informers: Sequence[Watched], monotonic_s: float, watch_timeout_s: float
) -> str | None:
    """Say why the operator is ill, None when it is well.

    A lack of permissions or of definitions is no illness: a restart would not bring them, and who
    starts anew serves nobody before all is read. An API that is away takes the lease first, and who
    waits for its turn has no watches.
    """
    for informer in informers:
        stuck_s = monotonic_s - informer.last_progress
        if stuck_s > watch_timeout_s and not isinstance(informer.error, _NOT_GRANTED):
            why = f": {informer.error}" if informer.error else ""
            return f"a watch has made no progress for {stuck_s:.0f} s{why}"
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
    """The HTTP server of the three.

    Parameters
    ----------
    told
        Whom to ask, at each request.
    """

    def __init__(self, told: Told) -> None:
        self._application = web.Application()
        self._application.router.add_get("/healthz", _answer(told.explain_ill, list))
        self._application.router.add_get("/readyz", _answer(told.explain_unready, told.describe))
        self._application.router.add_get("/metrics", _answer_numbers(told.write_metrics))
        self._runner = web.AppRunner(self._application, access_log=None)

    async def start(self, host: str, port: int) -> int:
        """Begin to serve; returns the port, which ``port`` 0 lets the system pick."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        """Stop serving."""
        await self._runner.cleanup()


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _answer(explain: Callable[[], str | None], describe: Callable[[], list[str]]) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        problem = explain()
        text = "\n".join([problem or "ok", *describe()])
        return web.Response(text=f"{text}\n", status=503 if problem else 200)

    return handler


def _answer_numbers(write: Callable[[], bytes]) -> Handler:
    async def handler(_: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=write(), headers=headers)

    return handler
