"""Watches of the simulated API server, with everything that can happen to their events.

Guarantees that events of one watch come in order, however late, and that an event which was
dropped is followed by the end of that watch with 410, as by a real API server that could not keep
up; that what a new watch has missed comes at once. Refuses to invent changes: a doubled or repeated
event is one that happened.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from dask_k8s_operator.kube.errors import ApiError, ApiUnreachableError, GoneError, KubeError
from dask_k8s_operator.kube.stream import WatchEvent
from dask_k8s_operator.resources.kinds import Kind

from .api import ApiServer, Manifest
from .patches import matches
from .weather import COMES_TO_LIGHT_S, Weather

BOOKMARK_S = 60.0


class WatchEnded(Exception):
    """The API closed the connection in good order."""


class Watch:
    """One open watch: an asynchronous iterator of events."""

    def __init__(self, hub: WatchHub, kind: Kind, selector: str | None) -> None:
        self.kind = kind
        self.selector = selector
        self._hub = hub
        self._loop = hub.api.loop
        self._pending: deque[tuple[float, WatchEvent | Exception]] = deque()
        self._recent: deque[WatchEvent] = deque(maxlen=3)
        self._last_due = 0.0
        self._lag_s = hub.weather.draw_lag_s()
        self._waiter: asyncio.Future[None] | None = None
        self._bookmark_at = self._loop.time() + BOOKMARK_S
        self.is_closed = False

    def take(self, before: Manifest | None, after: Manifest | None) -> None:
        """Tell of a change, if it concerns this watch."""
        event = self._build_event(before, after)
        if event is not None:
            self._befall(event)

    def catch_up(self, before: Manifest | None, after: Manifest | None) -> None:
        """Tell of a change from before the watch: the server has those at hand.

        Were each in danger again, a watch could stay behind for longer than anybody may be.
        """
        event = self._build_event(before, after)
        if event is not None:
            self._pending.append((self._loop.time(), event))
            self._recent.append(event)

    def _build_event(self, before: Manifest | None, after: Manifest | None) -> WatchEvent | None:
        was, is_ = matches(self.selector, before), matches(self.selector, after)
        if not was and not is_:
            return None
        item = after if after is not None else before
        return WatchEvent("MODIFIED" if was and is_ else "ADDED" if is_ else "DELETED", item or {})

    def end(self, why: Exception, delay_s: float = 0.0) -> None:
        """End the watch after what is on its way."""
        self._push(why, delay_s)

    def _befall(self, event: WatchEvent) -> None:
        fault = self._hub.weather.befall_event()
        if fault == "drop":
            self.end(_gone(), self._hub.weather.rng.uniform(0.0, COMES_TO_LIGHT_S))
            return
        if fault == "close":
            self.end(WatchEnded())
            return
        if fault == "gone":
            self.end(_gone())
            return
        if fault == "error":
            self.end(ApiError(500, "InternalError", "the watch broke"))
            return
        self._push(event)
        if fault == "double":
            self._push(event)
        elif fault == "replay":
            for past in self._recent:
                self._push(past)
            self._push(event)
        self._recent.append(event)

    def _push(self, what: WatchEvent | Exception, delay_s: float = 0.0) -> None:
        weather = self._hub.weather
        if weather.is_calm:
            self._lag_s = 0.01
        elif weather.longest_lag_s > 0.1 and weather.rng.random() < 0.05:
            self._lag_s = weather.draw_lag_s()
        self._last_due = max(self._last_due, self._loop.time() + self._lag_s + delay_s)
        self._pending.append((self._last_due, what))
        if self._waiter is not None and len(self._pending) == 1:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> WatchEvent:
        while True:
            due = self._pending[0][0] if self._pending else self._bookmark_at
            if self._hub.weather.is_away(self._loop.time()):
                self.close()
                raise ApiUnreachableError("simulated", "it went away")
            if due > self._loop.time():
                await self._wait_until(due)
                continue
            if not self._pending:
                return self._bookmark()
            _, what = self._pending.popleft()
            if isinstance(what, WatchEvent):
                return what
            self.close()
            if isinstance(what, WatchEnded):
                raise StopAsyncIteration
            raise what

    async def _wait_until(self, due: float) -> None:
        self._waiter = self._loop.create_future()
        timer = self._loop.call_at(due, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _bookmark(self) -> WatchEvent:
        self._bookmark_at = self._loop.time() + BOOKMARK_S
        version = {"resourceVersion": str(self._hub.api.revision)}
        return WatchEvent("BOOKMARK", {"metadata": version})

    def close(self) -> None:
        """Hear no more."""
        self.is_closed = True
        self._hub.forget(self)


class WatchHub:
    """Hands the changes of an API server to the watches that are open."""

    def __init__(self, api: ApiServer, weather: Weather) -> None:
        self.api = api
        self.weather = weather
        self._open: dict[str, list[Watch]] = defaultdict(list)
        api.observers.append(self._tell)

    def open(
        self, kind: Kind, resource_version: str, selector: str | None, on_open: Callable[[], None]
    ) -> Watch:
        """Open a watch from a resource version on; ``GoneError`` when that is forgotten."""
        changes = self.api.changes_since(kind, int(resource_version))
        if changes is None:
            raise _gone()
        on_open()
        watch = Watch(self, kind, selector)
        for _, before, after in changes:
            watch.catch_up(before, after)
        self._open[kind.plural].append(watch)
        return watch

    def forget(self, watch: Watch) -> None:
        """Let go of a watch."""
        if watch in self._open[watch.kind.plural]:
            self._open[watch.kind.plural].remove(watch)

    def interrupt(self, why: Callable[[], Exception]) -> None:
        """End all open watches, as when the API server goes away."""
        for watches in self._open.values():
            for watch in list(watches):
                watch.end(why())
                self.forget(watch)

    def _tell(self, kind: Kind, before: Any, after: Any, by: str, subresource: str | None) -> None:
        for watch in list(self._open[kind.plural]):
            watch.take(before, after)


def _gone() -> KubeError:
    return GoneError(410, "Expired", "too old resource version")
