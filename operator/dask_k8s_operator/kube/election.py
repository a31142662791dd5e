"""Leader election by a Lease: of several operators with one lease, one works and the others wait.

Guarantees
----------
- A leader that cannot renew its lease is told so ``renew_deadline_s`` after its last renewal,
  well before anybody else may take the lease, and its work is cancelled.
- A lease that was not renewed for ``lease_s`` on this machine's own clock is taken over: clocks
  need not agree between machines. With the defaults a killed leader is followed within 13 s.
- A leader that ends lets go of the lease, and the next one takes it at its next look.
- The work's own failure ends the leadership and is raised, also where it fails only while it ends:
  no lease is renewed for dead work. Work that could not be ended keeps the lease until it runs out.

Refuses to promise more: a leader whose whole process hangs cannot know that it was followed, as
with every lease. The work has to survive that as it survives being killed between two writes.

kubernetes_asyncio has such a class too. It is not used: importing any of it imports all of it (two
seconds, 75 MB), a connection error escapes its loop, a request that hangs outlives its deadline,
it goes on renewing for work that has failed, and it never lets go of the lease.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from dask_k8s_operator.resources.kinds import LEASES

from .client import KubeClient
from .errors import AlreadyExistsError, ConflictError, KubeError, NotFoundError

logger = logging.getLogger(__name__)

LEASE_S = 10
RENEW_DEADLINE_S = 7.0
RETRY_S = 2.0


class StillWorkingError(Exception):
    """Some of the work goes on although it was told to end: nobody may follow yet."""


@dataclass(frozen=True)
class Pace:
    """How often a lease is looked at, and how long it holds.

    Parameters
    ----------
    lease_s
        Seconds without renewal after which another one may take the lease.
    renew_deadline_s
        Seconds without renewal after which the leader stops; less than ``lease_s``.
    retry_s
        Seconds between two looks, and between two renewals.
    """

    lease_s: int = LEASE_S
    renew_deadline_s: float = RENEW_DEADLINE_S
    retry_s: float = RETRY_S


class LeaderElection:
    """A candidate for one Lease.

    Parameters
    ----------
    client
        Connection of its own: renewals must not queue behind a thousand other writes.
    namespace, name
        The Lease, made if it is not there.
    identity
        What tells this candidate from all others.
    pace
        Times; see ``Pace``.
    clock, wall_clock, sleep
        Monotonic seconds, seconds since the epoch (only written, never compared), and waiting.

    Examples
    --------
    >>> async def operate(client, work):
    ...     await LeaderElection(client, "dask-operator", "dask-operator", "me").lead(work)
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.identity = identity
        self.holder: str | None = None
        self.is_leading = False
        self._client = client
        self._namespace, self._name, self._place = namespace, name, f"{namespace}/{name}"
        self._pace = pace or Pace()
        self._clock, self._wall_clock, self._sleep = clock, wall_clock, sleep
        # The lease as last seen, and since when it has been like that.
        self._lease: dict[str, Any] | None = None
        self._seen_s = 0.0
        self._renewed_s = 0.0

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """Wait for the lease, then run ``work`` until it ends or the lease is lost.

        Returns when the lease was lost or the work ended; raises what the work raised, in place of
        a cancellation too.
        """
        await self._acquire()
        logger.info("%s leads: it holds lease %s", self.identity, self._place)
        self.is_leading = True
        working = asyncio.ensure_future(work())
        renewing = asyncio.ensure_future(self._keep())
        try:
            await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.is_leading = not renewing.done()
            working.cancel()
            await asyncio.wait((working,))
            renewing.cancel()
            failure = None if working.cancelled() else working.exception()
            if self.is_leading and not isinstance(failure, StillWorkingError):
                await self._attempt(self._release, self._pace.retry_s)
            self.is_leading = False
            if failure is not None:
                raise failure

    async def _acquire(self) -> None:
        tries = 0
        while not await self._attempt(self._take, self._pace.retry_s):
            # Told once a minute: a wait is no news every two seconds.
            if tries % 30 == 0:
                logger.info("waiting for lease %s, held by %s", self._place, self.holder)
            tries += 1
            await self._sleep(min(self._pace.retry_s, self._held_for_s() or self._pace.retry_s))

    async def _keep(self) -> None:
        """Renew until that has failed for too long, or somebody else has the lease."""
        while True:
            left_s = self._renewed_s + self._pace.renew_deadline_s - self._clock()
            await self._sleep(max(0.0, min(self._pace.retry_s, left_s)))
            left_s = self._renewed_s + self._pace.renew_deadline_s - self._clock()
            if left_s <= 0:
                logger.warning("lease %s could not be renewed in time: work stops", self._place)
                return
            await self._attempt(self._take, min(self._pace.retry_s, left_s))
            if self.holder != self.identity:
                logger.warning("lease %s was taken by %s: work stops", self._place, self.holder)
                return

    async def _attempt(self, action: Callable[[], Awaitable[bool]], time_limit_s: float) -> bool:
        try:
            return await asyncio.wait_for(action(), time_limit_s)
        except asyncio.TimeoutError:  # the builtin one only from Python 3.11
            logger.warning("lease %s: no answer within %.1f s", self._place, time_limit_s)
        except KubeError as error:
            logger.warning("lease %s: %s", self._place, error)
        return False

    async def _take(self) -> bool:
        """Take or renew the lease where we may: one request while nobody interferes."""
        began = self._clock()
        if self.holder != self.identity:
            await self._look()
        for _ in range(2):
            if self.holder not in (None, self.identity) and self._held_for_s() > 0:
                return False
            try:
                self._see(await self._write())
            except (ConflictError, AlreadyExistsError, NotFoundError):
                # Somebody was faster; or it was we, and the answer got lost.
                await self._look()
            else:
                # Since the request left: whoever reads the lease counts from later.
                self._renewed_s = began
                return True
        return False

    async def _look(self) -> None:
        try:
            self._see(await self._client.get(LEASES, self._name, self._namespace))
        except NotFoundError:
            self._lease, self.holder = None, None

    def _see(self, lease: dict[str, Any]) -> None:
        before, self._lease = self._lease, lease
        self.holder = (lease.get("spec") or {}).get("holderIdentity") or None
        if before is None or _version(before) != _version(lease):
            self._seen_s = self._clock()

    def _held_for_s(self) -> float:
        """How long the lease still holds, as far as we have seen; 0 when nobody has it."""
        if self._lease is None or self.holder is None:
            return 0.0
        lease_s = self._lease["spec"].get("leaseDurationSeconds") or self._pace.lease_s
        return max(0.0, self._seen_s + float(lease_s) - self._clock())

    async def _write(self) -> dict[str, Any]:
        now = format_micro_time(self._wall_clock())
        spec: dict[str, Any] = {"holderIdentity": self.identity, "renewTime": now}
        spec["leaseDurationSeconds"] = self._pace.lease_s
        if self._lease is None:
            first = {"metadata": {"name": self._name}, "spec": {**spec, "acquireTime": now}}
            return await self._client.create(LEASES, first, self._namespace)
        if self.holder != self.identity:
            before = self._lease.get("spec") or {}
            spec["acquireTime"] = now
            spec["leaseTransitions"] = (before.get("leaseTransitions") or 0) + 1
        return await self._patch(spec)

    async def _patch(self, spec: dict[str, Any]) -> dict[str, Any]:
        # The version makes it a conflict when somebody else wrote meanwhile.
        version = (self._lease or {})["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "spec": spec}
        return await self._client.patch(LEASES, self._name, body, self._namespace)

    async def _release(self) -> bool:
        """Let go of the lease, so that nobody waits for its end."""
        await self._look()  # a renewal may have been on its way when it was cancelled
        if self.holder == self.identity:
            await self._patch({"holderIdentity": "", "leaseDurationSeconds": 1})
        return True


def format_micro_time(seconds: float) -> str:
    """Write seconds since the epoch as a Lease wants them, to the microsecond.

    Examples
    --------
    >>> format_micro_time(0.5)
    '1970-01-01T00:00:00.500000Z'
    """
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _version(lease: dict[str, Any]) -> tuple[str, str]:
    metadata = lease["metadata"]
    return metadata.get("uid", ""), metadata.get("resourceVersion", "")
