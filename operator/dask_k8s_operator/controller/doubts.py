"""Asks the API what a write of ours has come to, where neither its answer nor a watch says so.

Guarantees that only the API's own word settles a doubt, and that few questions are under way at
once, however many doubts an outage leaves. Refuses to decide or write anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from ..kube import KubeClient
from ..kube.errors import (
    ApiError,
    KubeError,
    NotFoundError,
    TooManyRequestsError,
    UnsupportedKindError,
)
from ..reconcile.plan import Create, Manifest, Write
from ..resources.kinds import Kind
from .cache import WATCHED_KINDS, Cache, Place

logger = logging.getLogger(__name__)

# So that what is open after an outage takes few of the client's turns.
LOOK_UPS_AT_ONCE = 10


async def get_if_there(
    client: KubeClient, kind: Kind, namespace: str, name: str
) -> Manifest | None:
    """Read one object, None only where the API knows its kind and says that it is not there.

    Raises
    ------
    KubeError
        If there is no answer, or one that says nothing about the object.
    """
    try:
        return await client.get(kind, name, namespace)
    except UnsupportedKindError:
        raise  # a page that was not found, as behind some proxies, is not an object
    except NotFoundError:
        return None


def leaves_open(failure: BaseException | None) -> bool:
    """Whether a write that failed so may have been done all the same."""
    if isinstance(failure, ApiError):
        return failure.status >= 500 and not isinstance(failure, TooManyRequestsError)
    return isinstance(failure, KubeError)  # the connection broke


class Doubts:
    """What was written without an answer.

    Parameters
    ----------
    client
        Whom to ask.
    cache
        What to tell of the answers.
    """

    def __init__(self, client: KubeClient, cache: Cache) -> None:
        self._client = client
        self._cache = cache
        self._turns = asyncio.Semaphore(LOOK_UPS_AT_ONCE)
        # By the object whose plan it was, in the order of the plan: a history is told again only if
        # nothing is asked in an order of chance.
        self._open: dict[Place, dict[Place, None]] = {}

    def note(self, owner: Place, outcomes: Iterable[tuple[Write, BaseException | None]]) -> None:
        """Keep the changes and deletions whose outcome is unknown; the cache has the creations."""
        for write, outcome in outcomes:
            if isinstance(write, Create) or write.kind not in WATCHED_KINDS:
                continue
            if leaves_open(outcome):
                place = (write.kind, write.namespace, write.name)
                self._open.setdefault(owner, {})[place] = None

    async def settle(self, owner: Place) -> None:
        """Look at what the last plan of an object may have done.

        Raises
        ------
        KubeError
            If the API does not say: then nothing is to be decided either.
        """
        doubts, failures = self._open.get(owner, {}), list[KubeError]()

        async def look(place: Place) -> None:
            seen = self._cache.get(*place)
            async with self._turns:
                if failures:
                    return  # whoever does not answer one question answers no other
                try:
                    there = await get_if_there(self._client, *place)
                except KubeError as error:
                    failures.append(error)
                    return
            if there is not None:
                self._cache.remember(place[0], there)
            elif seen is not None:
                self._cache.remember_deleted(*place, seen["metadata"].get("uid", ""))
            doubts.pop(place, None)

        await asyncio.gather(*map(look, list(doubts)))
        if failures:
            raise failures[0]
        self._open.pop(owner, None)

    def forget(self, owner: Place) -> None:
        """Drop the doubts about the plans of an object that is gone."""
        self._open.pop(owner, None)

    async def look_up(self, places: Iterable[Place]) -> None:
        """Ask whether things are there that no watch has shown; later again, if nobody answers."""

        async def look(place: Place) -> None:
            try:
                async with self._turns:
                    there = await get_if_there(self._client, *place)
                self._cache.settle(*place, there)
            except KubeError as error:
                logger.debug("%s %s/%s: %s", place[0].kind, *place[1:], error)
            except Exception:
                logger.exception("%s %s/%s: cannot be looked up", place[0].kind, *place[1:])

        await asyncio.gather(*map(look, places))
