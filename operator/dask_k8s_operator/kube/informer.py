"""Keeps a copy of all objects of a kind, by list and watch.

Guarantees: after ``wait_synced``, ``objects`` is what the API held a moment ago, and every
difference is told once to ``on_change(old, new)``, those found by listing again included; it
outlives closed connections, repeated events, forgotten resource versions (410), revoked
permissions and missing CRDs, trying again with growing pauses, and says in ``error`` what is in
the way; it never asks on a clock: an API where nothing happens gets one open watch.

Refuses to copy: the objects are shared, readers leave them as they are.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from dask_k8s_operator.resources.kinds import Kind

from .client import KubeClient
from .errors import GoneError, KubeError, TooManyRequestsError
from .stream import WatchEvent

logger = logging.getLogger(__name__)

KubeObject = dict[str, Any]
ObjectKey = tuple[str, str]
OnChange = Callable[[KubeObject | None, KubeObject | None], None]
OnError = Callable[[KubeError | None], None]

BACKOFF_BASE_S = 0.2
BACKOFF_MAX_S = 30.0
# A watch that the API ends sooner than this was not worth its request.
SHORT_WATCH_S = 1.0


class Informer:
    """A live copy of the objects of one kind.

    Parameters
    ----------
    client
        Connection to the API.
    kind
        What to follow.
    namespace
        Where; None for all namespaces.
    label_selector, field_selector
        Which objects; the API selects, not we.
    on_change
        Called with the old and the new object, None for one that was not there or is gone.
    on_error
        Called with the failure when the connection is lost, and with None when it is well again.
    clock, sleep, random_fraction
        Time and chance, for simulations.

    Examples
    --------
    >>> async def follow_pods(client, kind):
    ...     informer = Informer(client, kind, "default", on_change=print)
    ...     task = asyncio.create_task(informer.run())
    ...     await informer.wait_synced()
    """

    def __init__(
        self,
        client: KubeClient,
        kind: Kind,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        on_change: OnChange | None = None,
        on_error: OnError | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random_fraction: Callable[[], float] = random.random,
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.objects: dict[ObjectKey, KubeObject] = {}
        self.error: KubeError | None = None
        self.last_progress: float = clock()
        self.last_news: float = clock()
        self._client = client
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._on_change = on_change
        self._on_error = on_error
        self._clock = clock
        self._sleep = sleep
        self._random_fraction = random_fraction
        self._synced = asyncio.Event()
        self._resource_version: str | None = None
        self._failures = 0

    @property
    def is_synced(self) -> bool:
        """Whether ``objects`` has been complete once."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until ``objects`` is complete for the first time, however long the API is away."""
        await self._synced.wait()

    async def run(self) -> None:
        """Follow the objects until cancelled."""
        while True:
            try:
                if self._resource_version is None:
                    await self._list()
                await self._watch()
            except GoneError:
                self._resource_version = None
                await self._pause(None)
            except KubeError as error:
                self._set_error(error)
                await self._pause(error)

    async def _list(self) -> None:
        listed = await self._client.list(
            self.kind,
            self.namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        found = {_key(item): item for item in listed.items}
        for key in [key for key in self.objects if key not in found]:
            self._put(key, None)
        for key, item in found.items():
            self._put(key, item)
        self._resource_version = listed.resource_version
        self.last_news = self._clock()
        self._synced.set()
        self._mark_well()

    async def _watch(self) -> None:
        began = self._clock()
        had_events = False
        stream = self._client.watch(
            self.kind,
            self.namespace,
            resource_version=self._resource_version or "",
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            on_open=self._mark_well,
        )
        async for event in stream:
            had_events = True
            self._failures = 0
            self._apply(event)
        if not had_events and self._clock() - began < SHORT_WATCH_S:
            await self._pause(None)

    def _apply(self, event: WatchEvent) -> None:
        self.last_progress = self.last_news = self._clock()
        if _is_repeated(event.resource_version, self._resource_version):
            return
        self._resource_version = event.resource_version
        if event.type == "BOOKMARK":
            return
        item = event.object
        self._put(_key(item), None if event.type == "DELETED" else item, last=item)

    def _put(
        self, key: ObjectKey, new: KubeObject | None, *, last: KubeObject | None = None
    ) -> None:
        old = self.objects.get(key)
        if new is None:
            # The DELETED event carries the object's last state: tell that one.
            old = last if old is not None and last is not None else old
            self.objects.pop(key, None)
        else:
            if old is not None and _version(old) == _version(new):
                return
            self.objects[key] = new
        if self._on_change is None or (old is None and new is None):
            return
        try:
            self._on_change(old, new)
        except Exception:
            logger.exception("on_change failed for %s %s/%s", self.kind.kind, *key)

    def _mark_well(self) -> None:
        self.last_progress = self._clock()
        if self.error is not None:
            self._set_error(None)

    def _set_error(self, error: KubeError | None) -> None:
        if error is not None and self.error is None:
            logger.warning("watch of %s is interrupted: %s", self.kind.plural, error)
        self.error = error
        if self._on_error is not None:
            self._on_error(error)

    async def _pause(self, error: KubeError | None) -> None:
        longest = min(BACKOFF_MAX_S, BACKOFF_BASE_S * 2.0 ** min(self._failures, 16))
        self._failures += 1
        pause_s = longest * (0.5 + 0.5 * self._random_fraction())
        if isinstance(error, TooManyRequestsError):
            pause_s = max(pause_s, error.retry_after_s or 0.0)
        await self._sleep(pause_s)


def _is_repeated(version: str, known: str | None) -> bool:
    """Whether a watch tells again what it told before: its events come in the order of versions."""
    are_numbers = version.isdecimal() and known is not None and known.isdecimal()
    return are_numbers and int(version) <= int(known or 0)


def _key(item: KubeObject) -> ObjectKey:
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _version(item: KubeObject) -> tuple[str, str]:
    metadata = item["metadata"]
    return metadata.get("uid", ""), metadata.get("resourceVersion", "")
