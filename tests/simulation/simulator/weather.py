"""What goes wrong between the operator and the API, and when.

Guarantees that a history has its own mixture: some faults often, most not at all, and that
nothing goes wrong any more once it is calm. Refuses to touch the world itself: it only says what
befalls a request or an event.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from dask_k8s_operator.kube.informer import BACKOFF_MAX_S

CALM_LATENCY_S = (0.001, 0.02)
# Beyond this an operator cannot tell a write that is late from one that never happened.
LONGEST_LAG_S = 12.0
# A dropped event comes to light within so long.
COMES_TO_LIGHT_S = 5.0
# A question to a scheduler that stalls takes five seconds.
SIGHT_S = 6.0


@dataclass
class Weather:
    """The faults of one history.

    Parameters
    ----------
    rng
        Draws all of it.
    duration_s
        When it becomes calm.
    """

    rng: random.Random
    duration_s: float
    latency_s: tuple[float, float] = CALM_LATENCY_S
    requests: dict[str, float] = field(default_factory=dict)
    events: dict[str, float] = field(default_factory=dict)
    longest_lag_s: float = 0.05
    away: list[tuple[float, float]] = field(default_factory=list)
    refusing: list[tuple[float, float]] = field(default_factory=list)
    deaths: int = 0
    twins: int = 0
    is_calm: bool = False
    met: int = 0

    def befall_request(self, now: float, verb: str) -> str | None:
        """Say what befalls a request, None for nothing."""
        if self.is_calm:
            return None
        if _is_within(self.away, now):
            return self._meet("away")
        if verb == "create" and _is_within(self.refusing, now):
            return self._meet("forbidden")
        is_write = verb in ("create", "patch", "delete")
        draw = self.rng.random()
        for fault, rate in self.requests.items():
            if draw < rate:
                fits = is_write or fault in ("500", "429", "unreachable")
                return self._meet(fault) if fits and (fault != "409" or verb == "patch") else None
            draw -= rate
        return None

    def befall_event(self) -> str | None:
        """Say what befalls a watch event, None for nothing."""
        if self.is_calm or not self.events:
            return None
        draw = self.rng.random()
        for fault, rate in self.events.items():
            if draw < rate:
                return self._meet(fault)
            draw -= rate
        return None

    def draw_latency_s(self) -> float:
        """Draw how long a request takes, one way."""
        return self.rng.uniform(*(CALM_LATENCY_S if self.is_calm else self.latency_s))

    def draw_lag_s(self) -> float:
        """Draw how late a watch is from now on."""
        if self.is_calm or self.longest_lag_s < 0.1 or self.rng.random() < 0.5:
            return 0.01
        return self.rng.uniform(0.0, self.longest_lag_s)

    @property
    def haste_s(self) -> float:
        """How long it takes to ask a scheduler, decide and write."""
        # A decision about a group has up to four steps, each of a way there and back.
        return SIGHT_S + 8 * self.latency_s[1]

    def sight_s(self, now: float) -> float:
        """How old what an operator acts upon may be: what it saw, decided and then wrote."""
        plain_s = self.haste_s + self.longest_lag_s
        if "drop" in self.events:
            plain_s += COMES_TO_LIGHT_S
        # After a while without the API, the watches pause for up to as long again.
        for begin, end in self.away:
            blind_s = 2 * (end - begin) + (BACKOFF_MAX_S if self.events else 0.0)
            if begin <= now <= begin + blind_s + plain_s:
                return plain_s + blind_s
        return plain_s

    def is_away(self, now: float) -> bool:
        """Whether nobody can reach the API."""
        return not self.is_calm and _is_within(self.away, now)

    def _meet(self, fault: str) -> str:
        self.met += 1
        return fault


def draw_weather(rng: random.Random, duration_s: float) -> Weather:
    """Draw a mixture of faults."""
    weather = Weather(rng, duration_s)
    if rng.random() < 0.1:
        return weather
    if rng.random() < 0.4:
        weather.latency_s = (0.001, rng.choice((0.2, 1.0, 3.0)))
    if rng.random() < 0.5:
        weather.longest_lag_s = rng.choice((0.5, 2.0, LONGEST_LAG_S))
    faults = ("409", "500", "500-after", "429", "unreachable", "lost")
    weather.requests = {f: rng.choice((0.02, 0.1)) for f in faults if rng.random() < 0.3}
    kinds = ("double", "replay", "drop", "close", "gone", "error")
    weather.events = {f: rng.choice((0.01, 0.05)) for f in kinds if rng.random() < 0.3}
    if rng.random() < 0.25:
        weather.away = [_draw_window(rng, duration_s, 25.0)]
    if rng.random() < 0.15:
        weather.refusing = [_draw_window(rng, duration_s, 30.0)]
    if rng.random() < 0.35:
        weather.deaths = rng.choice((1, 1, 2, 5))
    if rng.random() < 0.2:
        weather.twins = 1
    return weather


def _draw_window(rng: random.Random, duration_s: float, longest_s: float) -> tuple[float, float]:
    begin = rng.uniform(1.0, duration_s)
    return begin, begin + rng.uniform(0.5, longest_s)


def _is_within(windows: list[tuple[float, float]], now: float) -> bool:
    return any(begin <= now < end for begin, end in windows)
