"""What one browser has still to be told. No I/O.

Guarantees that a slow browser costs at most one message a cluster: of two pictures of a cluster
only the newer waits. Keeps the order of what waits. Refuses to drop anything that is not
overtaken by something newer.
"""

from __future__ import annotations

import asyncio
from typing import Any

from dask_k8s_jupyter.state import Change, ClusterChanged, ClusterRemoved


class Outbox:
    """Messages that wait, the newest of each cluster.

    Examples
    --------
    >>> from dask_k8s_jupyter.state import ProblemChanged
    >>> outbox = Outbox()
    >>> outbox.put(ProblemChanged(None))
    >>> outbox.take()
    [{'type': 'problem', 'problem': None}]
    """

    def __init__(self) -> None:
        self._waiting: dict[object, Change] = {}
        self._has_some = asyncio.Event()

    def put(self, change: Change) -> None:
        """Leave a message; it takes the place of an older one of the same cluster."""
        self._waiting[_subject(change)] = change
        self._has_some.set()

    def take(self) -> list[dict[str, Any]]:
        """Take all that waits."""
        changes, self._waiting = self._waiting, {}
        self._has_some.clear()
        return [change.to_json() for change in changes.values()]

    async def wait(self) -> None:
        """Wait until there is something to take."""
        await self._has_some.wait()


def _subject(change: Change) -> object:
    # With the uid, so that "removed" and "made again under that name" do not overtake each other.
    if isinstance(change, ClusterChanged):
        return change.view.namespace, change.view.name, change.view.uid
    if isinstance(change, ClusterRemoved):
        return change.namespace, change.name, change.uid
    return "problem"
