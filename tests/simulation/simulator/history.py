"""One history: a seed, a world, bad days, calm, and the judgement.

Guarantees that the same seed gives the same history to the byte, on every machine and at every
run. Refuses to go on once a rule is broken.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from dataclasses import dataclass, field
from typing import Any

from dask_k8s_operator.resources.kinds import DASK_AUTOSCALERS, DASK_WORKER_GROUPS, EVENTS, Kind

from .api import ApiServer, Manifest
from .dask import Dask
from .loop import VirtualLoop
from .node import Node
from .operators import Operators
from .outcome import find_difference
from .rules import OPERATOR, RuleBroken, Rules
from .telling import tell_line
from .users import Users
from .watches import WatchHub
from .weather import Weather, draw_weather

# The longest that anything takes once it is calm: a replacement after many failures.
SETTLE_S = 900.0
LOOK_S = 5.0
# Longer than any period at which an operator looks again.
QUIET_S = 70.0
KEPT_LINES = 60
# Rule 6: writes are bounded by what happened. A change of a Pod makes its group, its cluster and
# its job say something else, with an Event; a new operator says everything once more. Two operators
# at once contradict each other while it lasts. A step of an autoscaler is a change, too.
WRITES_A_CHANGE = 5
WRITES_A_START = 20


@dataclass
class Outcome:
    """What became of one history."""

    seed: int
    broken: str | None = None
    lines: list[tuple[Any, ...]] = field(default_factory=list)
    virtual_s: float = 0.0
    acts: int = 0
    writes: int = 0
    changes: int = 0
    faults: int = 0
    operators: int = 0

    @property
    def digest(self) -> str:
        """Fingerprint of everything that happened."""
        return hashlib.sha256(repr(self.lines).encode()).hexdigest()

    def describe(self) -> str:
        """Tell the end of a history that broke a rule, and how to see it again."""
        last = "\n".join(tell_line(line) for line in self.lines[-KEPT_LINES:])
        return (
            f"seed {self.seed}: {self.broken}\n{last}\n"
            f"again: python tests/simulation --seed {self.seed}"
        )


class History:
    """One simulated world with its operator.

    Parameters
    ----------
    seed
        Where all lots are drawn from.
    weather
        What goes wrong, in place of what the seed draws.
    """

    def __init__(self, seed: int, weather: Weather | None = None) -> None:
        self.outcome = Outcome(seed)
        self.loop = loop = VirtualLoop(self._see_failure)
        self.weather = weather or draw_weather(
            _lots(seed, "weather"), _lots(seed, "length").uniform(10, 80)
        )
        self.api = ApiServer(loop, _lots(seed, "collector"))
        self.api.observers.append(self._record)
        self.hub = WatchHub(self.api, self.weather)
        self.dask = Dask(self.api, _lots(seed, "dask"))
        self.rules = Rules(self.api, self.dask, self.weather.sight_s, self.weather.haste_s)
        lots = _lots(seed, "node")
        self.node = Node(
            self.api,
            self.dask,
            lots,
            stuck_rate=lots.choice((0.0, 0.0, 0.0, 0.3)),
            slow_rate=lots.choice((0.0, 0.0, 0.2)),
        )
        self.users = Users(self.api, self.node, self.dask, _lots(seed, "users"), self._tell)
        self.operators = Operators(
            self.api,
            self.hub,
            self.dask,
            self.weather,
            self.rules,
            _lots(seed, "operators"),
            self._tell,
        )
        self._lots = _lots(seed, "course")
        self._settled_writes = 0

    def run(self) -> Outcome:
        """Live through it."""
        with _Ears(self._hear):
            try:
                self.loop.run_until_complete(self._live())
            except RuleBroken as broken:
                self.outcome.broken = str(broken)
        outcome = self.outcome
        outcome.virtual_s, outcome.acts = self.loop.time(), self.users.acts
        outcome.faults, outcome.operators = self.weather.met, self.operators.started
        return outcome

    async def _live(self) -> None:
        try:
            self.operators.start()
            self.users.begin()
            await self._bad_days()
            self._calm_down()
            await self._settle()
        finally:
            await self.operators.close()

    async def _bad_days(self) -> None:
        lots = self._lots
        while self.loop.time() < self.weather.duration_s:
            gap_s = lots.choice((0.01, 0.3, 2.0, 6.0, 15.0)) * lots.random()
            await self._pass(gap_s)
            draw = lots.random()
            if draw < 0.03 and self.weather.deaths:
                self.operators.end(in_good_order=draw < 0.01)
            elif draw < 0.08 and self.weather.twins:
                self.operators.start_twin()
            else:
                self.users.act()

    def _calm_down(self) -> None:
        self._tell("it becomes calm")
        self.weather.is_calm = True
        for scheduler in self.dask.schedulers.values():
            scheduler.stalled_until_s = 0.0
        self.node.calm_down()
        self.operators.calm_down()

    async def _settle(self) -> None:
        deadline_s = self.loop.time() + SETTLE_S
        quiet_since_s, seen = self.loop.time(), self.outcome.writes
        difference: str | None = "nobody looked"
        while self.loop.time() < deadline_s:
            await self._pass(LOOK_S)
            self._count_writes()
            difference = find_difference(self.api, self.dask, self.users)
            if difference or self.outcome.writes != seen:
                quiet_since_s, seen = self.loop.time(), self.outcome.writes
            elif self.loop.time() - quiet_since_s >= QUIET_S:
                return
        if difference:
            raise RuleBroken(f"it does not become what was asked for: {difference}")
        raise RuleBroken("it keeps on writing although nothing happens")

    def _count_writes(self) -> None:
        outcome, started = self.outcome, self.operators.started
        twice = 2 if self.weather.twins else 1
        most = twice * (WRITES_A_CHANGE * outcome.changes + WRITES_A_START * started)
        if outcome.writes > most:
            told = f"{outcome.writes} writes after {outcome.changes} changes and {started} starts"
            raise RuleBroken(f"rule 6: {told}, at most {most} are due")

    async def _pass(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self.rules.broken is not None:
            raise self.rules.broken

    def _record(
        self,
        kind: Kind,
        before: Manifest | None,
        after: Manifest | None,
        by: str,
        subresource: str | None,
    ) -> None:
        item = after if after is not None else before
        if item is None:
            return
        if by.startswith(OPERATOR):
            self.outcome.writes += 1
            self.outcome.changes += self._is_step(kind, before, after)
        else:
            self.outcome.changes += 1
        verb = "deletes" if after is None else "creates" if before is None else "changes"
        metadata = item["metadata"]
        what = f"{kind.kind}{'/' + subresource if subresource else ''}"
        part = "reason" if kind == EVENTS else subresource or "spec"
        self._tell(by, verb, what, metadata["namespace"], metadata["name"], item.get(part))
        if not subresource:
            self._tell(metadata)

    def _is_step(self, kind: Kind, before: Manifest | None, after: Manifest | None) -> bool:
        """Whether an autoscaler scales a group: a wish like a user's, written by an operator."""
        if kind != DASK_WORKER_GROUPS or before is None or after is None:
            return False
        wished, wishes = (item["spec"]["worker"].get("replicas") for item in (before, after))
        autoscaled = {item["spec"].get("cluster") for item in self.api.all(DASK_AUTOSCALERS)}
        return wished != wishes and after["spec"].get("cluster") in autoscaled

    def _tell(self, *what: object) -> None:
        self.outcome.lines.append((round(self.loop.time(), 6), *what))

    def _see_failure(self, context: dict[str, Any]) -> None:
        self._hear(f"{context.get('message')}: {context.get('exception')!r}")

    def _hear(self, failure: str) -> None:
        if self.rules.broken is None:
            self.rules.broken = RuleBroken(f"the operator failed: {failure}")


class _Ears(logging.Handler):
    """Hears of failures that the operator logs and survives."""

    def __init__(self, tell: Any) -> None:
        super().__init__(logging.ERROR)
        self._tell = tell
        self._logger = logging.getLogger("dask_k8s_operator")

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(self.format(record))

    def __enter__(self) -> None:
        self._before = (self._logger.level, self._logger.propagate)
        self._logger.setLevel(logging.ERROR)
        self._logger.propagate = False
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.level, self._logger.propagate = self._before
        self._logger.setLevel(self._before[0])


def run_history(seed: int) -> Outcome:
    """Live through the history of a seed."""
    return History(seed).run()


def _lots(seed: int, of: str) -> random.Random:
    # A stream for each part: one part's draws do not shift another's.
    return random.Random(f"{seed}/{of}")  # noqa: S311  the same at every run, on purpose
