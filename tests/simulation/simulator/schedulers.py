"""What the operator takes for its connection to schedulers.

Guarantees the interface and the answers of ``scheduler.SchedulerClient``: a stalled or missing
scheduler is a problem in words after the time-out, a wrong token is refused. Refuses to answer a
dead operator.
"""

from __future__ import annotations

import asyncio

from dask_k8s_operator.resources.agent_protocol import Answer, SchedulerReport, WorkerLoad
from dask_k8s_operator.scheduler import ASK_TIMEOUT_S, SchedulerPlace

from .client import SimulatedClient
from .dask import Dask, Scheduler
from .weather import Weather

# Questions further apart than this do not make one silence.
ONE_SILENCE_S = 30.0
MISSING = "it was answered with 404"


class SimulatedSchedulers:
    """The connections of one operator process to schedulers."""

    def __init__(self, dask: Dask, client: SimulatedClient, weather: Weather) -> None:
        self._dask = dask
        self._client = client
        self._weather = weather

    async def report(self, place: SchedulerPlace) -> SchedulerReport:
        scheduler, problem = await self._reach(place)
        if scheduler is None:
            return SchedulerReport(problem=problem)
        if not scheduler.has_agent:
            known = tuple(WorkerLoad(w.address, name=w.name) for w in scheduler.workers.values())
            await self._travel()
            return SchedulerReport(workers=known, has_agent=False)
        workers = tuple(
            WorkerLoad(
                worker.address,
                len(worker.processing),
                sum(task.duration_s for task in worker.processing),
                100 * len(worker.results),
                scheduler.drains.get(worker.address),
                worker.name,
            )
            for worker in scheduler.workers.values()
        )
        await self._travel()
        return SchedulerReport(workers=workers)

    async def drain(
        self, place: SchedulerPlace, addresses: tuple[str, ...], *, has_agent: bool
    ) -> str | None:
        scheduler, problem = await self._reach(place)
        if scheduler is None:
            return problem
        if not has_agent:
            scheduler.retire(addresses)
        elif scheduler.has_agent:
            scheduler.drain(addresses)
        else:
            return MISSING
        await self._travel()
        return None

    async def undrain(self, place: SchedulerPlace, addresses: tuple[str, ...]) -> str | None:
        scheduler, problem = await self._reach(place)
        if scheduler is None:
            return problem
        if not scheduler.has_agent:
            return MISSING
        scheduler.undrain(addresses)
        await self._travel()
        return None

    async def idle_s(self, place: SchedulerPlace) -> Answer:
        scheduler, problem = await self._reach(place)
        if scheduler is None:
            return Answer(problem=problem)
        if not scheduler.has_agent:
            return Answer(problem=MISSING)
        answer = Answer(scheduler.idle_s(), tasks=scheduler.unfinished + scheduler.held)
        await self._travel()
        return answer

    async def adaptive_target(self, place: SchedulerPlace) -> Answer:
        scheduler, problem = await self._reach(place)
        if scheduler is None:
            return Answer(problem=problem)
        answer = Answer(float(scheduler.target()))
        await self._travel()
        return answer

    async def _reach(self, place: SchedulerPlace) -> tuple[Scheduler | None, str | None]:
        await self._travel()
        now = self._dask.loop.time()
        scheduler = self._dask.scheduler_at(place.url)
        if scheduler is None:
            return None, f"{place.url} cannot be reached: connection refused"
        is_stalled = now < scheduler.stalled_until_s
        if scheduler.silent_since_s is None or now - scheduler.asked_s > ONE_SILENCE_S:
            scheduler.silent_since_s = now
        scheduler.asked_s = now
        if is_stalled:
            began_s = scheduler.silent_since_s
            await asyncio.sleep(ASK_TIMEOUT_S)
            # Whoever else was answered meanwhile: this question was not.
            scheduler.silence_s = (began_s, self._dask.loop.time())
            await self._fall_silent_if_dead()
            return None, f"{place.url} does not answer"
        if scheduler.has_agent and place.token != scheduler.token:
            return None, f"{place.url} was answered with 401"
        scheduler.silent_since_s = None
        return scheduler, None

    async def _travel(self) -> None:
        await asyncio.sleep(self._weather.rng.uniform(0.002, 0.05))
        await self._fall_silent_if_dead()

    async def _fall_silent_if_dead(self) -> None:
        if self._client.is_dead:
            await asyncio.get_running_loop().create_future()
