"""Speaks with schedulers: with the agent in them, or with Dask's own HTTP API where there is none.

Guarantees that every question ends within its time-out (the wait for a turn not counted) with an
answer or with the reason why there is none; that a scheduler which does not answer is never
mistaken for one without workers; and that all schedulers together, whatever they send, hold no more
sockets and memory than the limits below allow. Refuses to speak anything but HTTP, so that no
version of Dask is shared with it, and to change a scheduler's state beyond draining the workers it
is told to drain.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from .resources.agent_protocol import (
    ADAPTIVE_PATH,
    DRAIN_PATH,
    IDLE_PATH,
    UNDRAIN_PATH,
    WORKERS_PATH,
    Answer,
    SchedulerReport,
    parse_worker,
)
from .resources.builders import scheduler_container
from .resources.names import DASHBOARD_PORT, DASHBOARD_PORT_NAMES

ASK_TIMEOUT_S = 5.0
# Dask's own retirement answers when the data has moved.
RETIRE_TIMEOUT_S = 60.0

_NO_ROUTES = (
    "the scheduler runs neither the operator's agent nor Dask's /api/v1 routes, "
    "so it cannot be asked which workers can go"
)
_UNKNOWN_TO_AGENT = (
    "the scheduler's agent does not know the operator's token, whose Secret was deleted or "
    "changed: delete the scheduler Pod when nobody needs its results any more"
)


@dataclass(frozen=True)
class SchedulerPlace:
    """Where a scheduler listens, and the token that its agent wants."""

    url: str
    token: str = ""


def scheduler_url(pod: dict[str, Any] | None) -> str | None:
    """Address of the HTTP side of a scheduler Pod that runs, None of one that does not.

    Examples
    --------
    >>> scheduler_url({"spec": {"containers": [{}]}, "status": {"podIP": "10.0.0.5"}})
    'http://10.0.0.5:8787'
    """
    ip = ((pod or {}).get("status") or {}).get("podIP")
    if pod is None or not ip:
        return None
    ports = scheduler_container(pod).get("ports") or []
    named = [p["containerPort"] for p in ports if p.get("name") in DASHBOARD_PORT_NAMES]
    host = f"[{ip}]" if ":" in ip else ip
    return f"http://{host}:{named[0] if named else DASHBOARD_PORT}"


# Five hundred workers take a tenth of a megabyte: room for twenty thousand. Read as JSON, the worst
# answer takes twenty times its size, but only one is read so at a time.
MAX_ANSWER_BYTES = 4 << 20
CHUNK_BYTES = 64 << 10
# Everybody may send so much; for more there are a few turns: 13 MB and 67 MB together.
SMALL_ANSWER_BYTES = 128 << 10
ASKED_AT_ONCE = 100
BIG_ANSWERS_AT_ONCE = 16
_MALFORMED = (AttributeError, KeyError, TypeError, ValueError)


class _Unanswered(Exception):
    """The scheduler did not answer, or not with what was asked for."""

    def __init__(self, why: str, *, status: int | None = None) -> None:
        super().__init__(_UNKNOWN_TO_AGENT if status == 401 else why)
        self.is_missing = status in (404, 405)
        self.is_token_unknown = status == 401


class SchedulerClient:
    """Asks schedulers; one for all clusters.

    Parameters
    ----------
    ask_timeout_s
        How long one question may take.

    Examples
    --------
    >>> async def count_workers(place):
    ...     async with SchedulerClient() as schedulers:
    ...         return len((await schedulers.report(place)).workers)
    """

    def __init__(self, ask_timeout_s: float = ASK_TIMEOUT_S) -> None:
        self._timeout = aiohttp.ClientTimeout(total=ask_timeout_s)
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(ASKED_AT_ONCE)
        self._big_turns = asyncio.Semaphore(BIG_ANSWERS_AT_ONCE)
        # Who was silent the last time waits for others that were, and for nobody else's turn.
        self._silent_turns = asyncio.Semaphore(ASKED_AT_ONCE)
        self._silent: set[str] = set()

    async def report(self, place: SchedulerPlace) -> SchedulerReport:
        """Ask for all workers with what they hold and run."""
        try:
            answer = await self._ask("GET", place, WORKERS_PATH)
            return _read_report(answer, has_agent=True)
        except _Unanswered as error:
            if not error.is_missing:
                return SchedulerReport(problem=str(error), knows_token=not error.is_token_unknown)
        try:
            answer = await self._ask("GET", place, "/api/v1/get_workers")
            return _read_report(answer, has_agent=False)
        except _Unanswered as error:
            if error.is_missing:
                return SchedulerReport(has_agent=False, problem=_NO_ROUTES, may_recover=False)
            return SchedulerReport(has_agent=False, problem=str(error))

    async def drain(
        self, place: SchedulerPlace, addresses: tuple[str, ...], *, has_agent: bool
    ) -> str | None:
        """Ask for workers to be drained (again); returns the problem, None when there is none."""
        body = {"workers": list(addresses)}
        try:
            if has_agent:
                await self._ask("POST", place, DRAIN_PATH, body)
            else:
                timeout = aiohttp.ClientTimeout(total=RETIRE_TIMEOUT_S)
                await self._ask("POST", place, "/api/v1/retire_workers", body, timeout)
        except _Unanswered as error:
            return str(error)
        return None

    async def undrain(self, place: SchedulerPlace, addresses: tuple[str, ...]) -> str | None:
        """Ask for workers to be given work again; returns the problem, None when there is none."""
        try:
            await self._ask("POST", place, UNDRAIN_PATH, {"workers": list(addresses)})
        except _Unanswered as error:
            return str(error)
        return None

    async def idle_s(self, place: SchedulerPlace) -> Answer:
        """Ask how long the scheduler has been without work; only the agent can tell."""
        try:
            answer = await self._ask("GET", place, IDLE_PATH)
            return Answer(float(answer["idle_s"]), tasks=int(answer.get("tasks", 0)))
        except _MALFORMED:
            return Answer(problem="the scheduler's idle time cannot be read")
        except _Unanswered as error:
            # /api/v1/check_idle writes into the scheduler, so it is not asked.
            return Answer(problem=str(error))

    async def adaptive_target(self, place: SchedulerPlace) -> Answer:
        """Ask how many workers the scheduler could use."""
        for path in (ADAPTIVE_PATH, "/api/v1/adaptive_target"):
            try:
                return Answer(float((await self._ask("GET", place, path))["workers"]))
            except _MALFORMED:
                return Answer(problem="the scheduler's target cannot be read")
            except _Unanswered as error:
                problem = Answer(problem=str(error))
                if not error.is_missing:
                    break
        return problem

    async def _ask(
        self,
        method: str,
        place: SchedulerPlace,
        path: str,
        body: dict[str, Any] | None = None,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> dict[str, Any]:
        turns = self._silent_turns if place.url in self._silent else self._turns
        async with turns:
            try:
                answer = await self._exchange(method, place, path, body, timeout or self._timeout)
            except (asyncio.TimeoutError, TimeoutError):
                self._silent.add(place.url)
                raise _Unanswered(f"{place.url}{path} does not answer") from None
        self._silent.discard(place.url)
        return answer

    async def _exchange(
        self,
        method: str,
        place: SchedulerPlace,
        path: str,
        body: dict[str, Any] | None,
        timeout: aiohttp.ClientTimeout,
    ) -> dict[str, Any]:
        url = f"{place.url}{path}"
        # Dask's own API gets no token: whatever answers there is not ours.
        is_agent = path.startswith("/dask-k8s/")
        headers = {"Authorization": f"Bearer {place.token}"} if is_agent else {}
        try:
            async with self._open_session().request(
                method,
                url,
                data=orjson.dumps(body) if body is not None else None,
                headers=headers,
                timeout=timeout,
                # The scheduler is its user's: it does not choose whom the operator talks to.
                allow_redirects=False,
            ) as response:
                return await _read_answer(response, f"{method} {url}", self._big_turns)
        except (asyncio.TimeoutError, TimeoutError):
            raise
        except (aiohttp.ClientError, OSError) as error:
            raise _Unanswered(f"{url} cannot be reached: {error}") from error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Schedulers come and go: a kept connection is often a dead one. Without a limit of its
            # own, which would count against the time of the question: the turns are the limit.
            connector = aiohttp.TCPConnector(force_close=True, limit=0)
            self._session = aiohttp.ClientSession(connector=connector)
        return self._session

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            await self._session.close()

    async def __aenter__(self) -> SchedulerClient:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


async def _read_answer(
    response: aiohttp.ClientResponse, question: str, big_turns: asyncio.Semaphore
) -> dict[str, Any]:
    async with AsyncExitStack() as held:
        text, has_turn = bytearray(), False
        async for chunk in response.content.iter_chunked(CHUNK_BYTES):
            text += chunk
            if len(text) > MAX_ANSWER_BYTES:
                limit = f"{MAX_ANSWER_BYTES >> 20} MiB"
                raise _Unanswered(f"{question} was answered with more than {limit}")
            if len(text) > SMALL_ANSWER_BYTES and not has_turn:
                await held.enter_async_context(big_turns)
                has_turn = True
        if response.status != 200:
            raise _Unanswered(
                f"{question} was answered with {response.status}", status=response.status
            )
        return _read_object(text, question)


def _read_object(text: bytearray, question: str) -> dict[str, Any]:
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _Unanswered(f"{question} was answered with something else than JSON") from error
    if not isinstance(answer, dict):
        raise _Unanswered(f"{question} was answered with something else than a JSON object")
    return answer


def _read_report(answer: dict[str, Any], *, has_agent: bool) -> SchedulerReport:
    try:
        workers = tuple(parse_worker(worker) for worker in answer.get("workers", ()))
    except _MALFORMED as error:
        raise _Unanswered("the scheduler's list of workers cannot be read") from error
    return SchedulerReport(workers=workers, has_agent=has_agent)
