"""Operator processes: started, stopped in good order, killed in the middle of a write, doubled.

Guarantees that every one is the real controller with clock, sleep and lots of this history, and
that at least one lives again a while after each death. Refuses to tell one anything of another:
they meet in the API only.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any, cast

from dask_k8s_operator.controller.loop import Controller, Surroundings
from dask_k8s_operator.resources.tls import AUTHORITY_CERTIFICATE_KEY as AUTHORITY
from dask_k8s_operator.resources.tls import CERTIFICATE_KEY, RENEW_BEFORE_S, Certificates

from .api import EPOCH, ApiServer
from .client import SimulatedClient
from .dask import Dask
from .rules import OPERATOR, Rules
from .schedulers import SimulatedSchedulers
from .watches import WatchHub
from .weather import Weather

# Kubernetes starts a dead operator again within moments, a lease is taken over within 15 s.
RESTART_S = (0.2, 15.0)
TWIN_S = (1.0, 20.0)


class Operators:
    """All operator processes of one history."""

    def __init__(
        self,
        api: ApiServer,
        hub: WatchHub,
        dask: Dask,
        weather: Weather,
        rules: Rules,
        rng: random.Random,
        tell: Callable[..., None],
    ) -> None:
        self._api = api
        self._hub = hub
        self._dask = dask
        self._weather = weather
        self._rules = rules
        self._rng = rng
        self._tell = tell
        self._running: dict[SimulatedClient, asyncio.Future[None]] = {}
        self._ending: list[asyncio.Future[None]] = []
        # Of those, the ones that still finish what they do: a dead one has no effect any more.
        self._finishing: list[asyncio.Future[None]] = []
        self._deaths_left = weather.deaths
        self.started = 0

    @property
    def alive(self) -> int:
        """How many operators are at work."""
        return len(self._running)

    def start(self) -> None:
        """Start an operator with empty hands."""
        self.started += 1
        client = SimulatedClient(
            self._api,
            self._hub,
            self._weather,
            f"{OPERATOR}-{self.started}",
            writes_to_live=self._draw_writes_to_live(),
        )
        client.on_death = lambda: self._bury(client)
        controller = Controller(
            cast(Any, client),
            cast(Any, SimulatedSchedulers(self._dask, client, self._weather)),
            surroundings=self._surround(),
        )
        self._running[client] = asyncio.ensure_future(controller.run())
        self._running[client].add_done_callback(self._see_end)
        self._note("starts", client)

    def doom(self, writes: int) -> None:
        """Have those at work die around their write with this number, counted from now."""
        for client in self._running:
            client.live_for(writes)

    def end(self, *, in_good_order: bool) -> None:
        """End the oldest operator, and start one anew when none is left."""
        if not self._running:
            return
        client = next(iter(self._running))
        if in_good_order:
            self._note("is told to stop", client)
            self._ending.append(self._running.pop(client))
            self._ending[-1].cancel()
            self._finishing.append(self._ending[-1])
            self._start_later()
        else:
            client.die()
            self._bury(client)

    def start_twin(self) -> None:
        """Let two operators be at work for a while, as when a lease is lost unnoticed."""
        if self.alive == 1:
            self.start()
            delay_s = self._rng.uniform(*TWIN_S)
            self._api.loop.call_later(delay_s, self._end_twin)

    def calm_down(self) -> None:
        """Have exactly one operator, which lives on."""
        self._deaths_left = 0
        for client in self._running:
            client.live_on()
        while self.alive > 1:
            self.end(in_good_order=True)
        if not self.alive:
            self.start()

    async def close(self) -> None:
        """Stop everything."""
        ending = [*self._ending, *self._running.values()]
        for client in self._running:
            client.die()
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    def _surround(self) -> Surroundings:
        loop, lots = self._api.loop, random.Random(self._rng.random())  # noqa: S311

        def draw_hex(count: int) -> str:
            return f"{lots.getrandbits(8 * count):0{2 * count}x}"

        def issue(name: str, present: Mapping[str, str] | None, now: float) -> Certificates:
            until = now + 2 * RENEW_BEFORE_S
            if present is not None:
                return Certificates(dict(present), until)
            texts = {key: f"{key} of {name}: {draw_hex(8)}" for key in (AUTHORITY, CERTIFICATE_KEY)}
            return Certificates(texts, until, is_new=True)

        return Surroundings(
            clock=lambda: EPOCH + loop.time(),
            monotonic=loop.time,
            sleep=asyncio.sleep,
            random_hex=draw_hex,
            random_fraction=lots.random,
            issue_certificates=issue,
        )

    def _draw_writes_to_live(self) -> int | None:
        if self._deaths_left <= 0 or self._weather.is_calm:
            return None
        self._deaths_left -= 1
        return self._rng.choice((1, 2, 3, 5, 8, 13, 21, 34, 55))

    def _end_twin(self) -> None:
        if self.alive > 1:
            self.end(in_good_order=self._rng.random() < 0.3)

    def _bury(self, client: SimulatedClient) -> None:
        task = self._running.pop(client, None)
        if task is not None:
            self._note("dies", client)
            self._ending.append(task)
            task.cancel()
            self._start_later()

    def _start_later(self) -> None:
        if not self.alive:
            delay_s = 0.5 if self._weather.is_calm else self._rng.uniform(*RESTART_S)
            self._api.loop.call_later(delay_s, self._start_if_none)

    def _start_if_none(self) -> None:
        if not self.alive:
            self.start()

    def _note(self, what: str, client: SimulatedClient) -> None:
        self._tell(client.name, what)
        at_work = self.alive + sum(not task.done() for task in self._finishing)
        self._rules.operators.append((self._api.loop.time(), max(1, at_work)))

    def _see_end(self, task: asyncio.Future[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._tell("an operator fell:", repr(task.exception()))
            self._rules.fell(task.exception())
