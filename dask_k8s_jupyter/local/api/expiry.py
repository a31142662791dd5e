"""Events do not stay: an hour after it was last written an Event goes, as on a real API server.

Guarantees that there are never more than so many, whatever an hour brings. Refuses nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

from .store import Store

# As kube-apiserver's --event-ttl.
EVENT_LIFETIME_S = 3600.0
# A real one has no such bound, and a disk.
MOST_EVENTS = 20_000
_LOOK_S = 60.0
_EVENTS = ("", "events")


class EventExpiry:
    """Removes Events whose time is over.

    Parameters
    ----------
    store
        Where Events are kept.
    clock
        Tells the time, in seconds.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        # The one that was written longest ago first.
        self._written: OrderedDict[tuple[str, str], float] = OrderedDict()

    def note_written(self, namespace: str, name: str) -> None:
        """Let an Event live on from now, and let go of the oldest when there are too many."""
        place = (namespace, name)
        self._written.pop(place, None)
        self._written[place] = self._clock()
        if len(self._written) > MOST_EVENTS:
            self._remove_first()

    def note_removed(self, namespace: str, name: str) -> None:
        """Forget an Event that has gone."""
        self._written.pop((namespace, name), None)

    def remove_old(self) -> None:
        """Remove the Events whose time is over."""
        oldest = self._clock() - EVENT_LIFETIME_S
        while self._written and next(iter(self._written.values())) <= oldest:
            self._remove_first()

    def _remove_first(self) -> None:
        (namespace, name), _ = self._written.popitem(last=False)
        if self._store.get(_EVENTS, namespace, name) is not None:
            self._store.remove(_EVENTS, namespace, name)

    async def run(self) -> None:
        """Remove what is old from time to time, until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.remove_old()
