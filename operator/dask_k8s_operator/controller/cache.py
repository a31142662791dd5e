"""What the operator knows: what the watches brought, and what it wrote itself since.

Guarantees that a decision never overlooks a write of ours because its watch event is still on the
way: a created Pod is there at once, a marked one is marked, a deleted one is going. Such a memory
ends when the watch has caught up; where it goes on for a while without a word of it, when somebody
has asked. Refuses to ask or write anything.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_KINDS,
    DASK_WORKER_GROUPS,
    PODS,
    SERVICES,
    Kind,
)
from ..resources.names import WORKER_GROUP_LABEL
from ..resources.versions import version_of

Manifest = dict[str, Any]
Key = tuple[str, str]
# Kind, namespace and name of one object.
Place = tuple[Kind, str, str]
OnChange = Callable[[Kind, "Manifest | None", "Manifest | None", bool], None]

WATCHED_KINDS = (*DASK_KINDS, PODS, SERVICES)

# A write that the watch has not shown although it went on for so long may not have happened, or be
# undone. Or the watch was interrupted, and tells of old times first: only the API knows.
MEMORY_S = 30.0


@dataclass
class _Written:
    """One write of ours that the watch has not shown yet; ``version`` None when its fate is
    unknown."""

    version: int | None
    uid: str | None
    is_gone: bool
    at_s: float


class Cache:
    """Objects by kind, namespace and name, with the indexes that decisions need.

    Parameters
    ----------
    on_change
        Called after each change of the picture with kind, old object, new object, and whether it is
        what a write of ours has made.
    progress_s
        When the watches of a kind last brought something, on ``clock``.
    clock
        Seconds that never go backwards.

    Examples
    --------
    >>> cache = Cache()
    >>> cache.informed(PODS, None, {"metadata": {"namespace": "a", "name": "x"}})
    >>> cache.get(PODS, "a", "x")["metadata"]["name"]
    'x'
    """

    def __init__(
        self,
        on_change: OnChange | None = None,
        *,
        progress_s: Callable[[Kind], float] = lambda _: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_change = on_change
        self._progress_s = progress_s
        self._clock = clock
        self._objects: dict[str, dict[Key, Manifest]] = defaultdict(dict)
        self._children: dict[str, dict[Key, dict[str, Manifest]]] = defaultdict(dict)
        self._written: dict[tuple[Kind, Key], _Written] = {}
        # Uid of the last object of that name that the watch saw go, and when.
        self._gone: dict[tuple[Kind, Key], tuple[str | None, float]] = {}

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """Look one object up."""
        return self._objects[kind.plural].get((namespace, name))

    def count_children(self, kind: Kind, namespace: str, parent: str) -> int:
        """How many there are, at no cost."""
        return len(self._children[kind.plural].get((namespace, parent), ()))

    def children(self, kind: Kind, namespace: str, parent: str) -> tuple[Manifest, ...]:
        """Worker Pods of a group; groups or autoscalers of a cluster."""
        return tuple(self._children[kind.plural].get((namespace, parent), {}).values())

    def informed(self, kind: Kind, old: Manifest | None, new: Manifest | None) -> None:
        """Take in what a watch brought."""
        item = new if new is not None else old
        if item is None:
            return
        item["metadata"].pop("managedFields", None)  # a third of an object, of no use here
        key = _key(item)
        if new is None:
            self._gone[(kind, key)] = (item["metadata"].get("uid"), self._clock())
        written = self._written.get((kind, key))
        if written is not None:
            if _is_stale(item, written, is_deletion=new is None):
                return
            del self._written[(kind, key)]
        self._put(kind, key, new)

    def remember(self, kind: Kind, item: Manifest) -> None:
        """Take in what the API answered to a write of ours."""
        if kind not in WATCHED_KINDS:
            return  # no watch would ever end the memory
        item["metadata"].pop("managedFields", None)
        key = _key(item)
        uid, seen = item["metadata"].get("uid"), self.get(kind, *key)
        if seen is not None and (version_of(seen) or 0) >= (version_of(item) or 0):
            return
        if self._gone.get((kind, key), (None,))[0] == uid and uid:
            return  # the watch was faster than the answer
        self._note(kind, key, version_of(item), uid)
        self._put(kind, key, item, is_ours=True)

    def remember_uncertain(self, kind: Kind, item: Manifest) -> None:
        """Take in a worker Pod that may or may not have been made: its answer got lost.

        Only worker Pods have names that are drawn anew with every try; of anything else, a second
        try is told that the first one succeeded.
        """
        key = _key(item)
        is_news = self.get(kind, *key) is None and (kind, key) not in self._gone
        if kind == PODS and _parent(kind, item) and is_news:
            self._note(kind, key, None, None)
            self._put(kind, key, item, is_ours=True)

    def remember_deleted(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Take in that an object is gone."""
        key = (namespace, name)
        seen = self.get(kind, *key)
        # One that was never certain to be there has no uid.
        if seen is not None and seen["metadata"].get("uid", "") == uid:
            self._note(kind, key, version_of(seen), uid, is_gone=True)
            self._put(kind, key, None, is_ours=True)

    def overdue(self) -> list[Place]:
        """What the watches ought to have shown by now: ask the API for it, and ``settle`` it."""
        # No answer takes as long.
        longest_s = self._clock() - 10 * MEMORY_S
        self._gone = {place: gone for place, gone in self._gone.items() if gone[1] > longest_s}
        return [
            (kind, *key)
            for (kind, key), written in self._written.items()
            if self._progress_s(kind) - written.at_s > MEMORY_S
        ]

    def settle(self, kind: Kind, namespace: str, name: str, there: Manifest | None) -> None:
        """Take in what the API says of something that was overdue, None for nothing."""
        key = (namespace, name)
        written = self._written.get((kind, key))
        if written is None or self._clock() - written.at_s <= MEMORY_S:
            return  # the watch, or another write of ours, was faster
        if there is not None and version_of(there) is not None:
            there["metadata"].pop("managedFields", None)
            self._note(kind, key, version_of(there), there["metadata"].get("uid"))
        elif there is None and written.uid and not written.is_gone:
            # A watch that is behind may still tell every state up to its last.
            self._note(kind, key, written.version, written.uid, is_gone=True)
        else:
            del self._written[(kind, key)]
        self._put(kind, key, there, is_ours=True)

    def _note(
        self, kind: Kind, key: Key, version: int | None, uid: str | None, *, is_gone: bool = False
    ) -> None:
        self._written[(kind, key)] = _Written(version, uid, is_gone, self._clock())

    def _put(self, kind: Kind, key: Key, new: Manifest | None, *, is_ours: bool = False) -> None:
        objects = self._objects[kind.plural]
        old = objects.pop(key, None)
        if old is None and new is None:
            return
        self._unindex(kind, key, old)
        if new is not None:
            objects[key] = new
            self._index(kind, key, new)
        if self._on_change is not None and not _is_same(old, new):
            self._on_change(kind, old, new, is_ours)

    def _index(self, kind: Kind, key: Key, item: Manifest) -> None:
        parent = _parent(kind, item)
        if parent:
            self._children[kind.plural].setdefault((key[0], parent), {})[key[1]] = item

    def _unindex(self, kind: Kind, key: Key, item: Manifest | None) -> None:
        parent = _parent(kind, item) if item is not None else None
        if not parent:
            return
        siblings = self._children[kind.plural].get((key[0], parent), {})
        siblings.pop(key[1], None)
        if not siblings:
            self._children[kind.plural].pop((key[0], parent), None)


def _parent(kind: Kind, item: Manifest) -> str | None:
    if kind == PODS:
        return (item["metadata"].get("labels") or {}).get(WORKER_GROUP_LABEL)
    if kind in (DASK_WORKER_GROUPS, DASK_AUTOSCALERS):
        return (item.get("spec") or {}).get("cluster")
    return None


def _is_stale(item: Manifest, written: _Written, *, is_deletion: bool) -> bool:
    """Whether a watch event tells of a time before our write."""
    if written.version is None:
        return False
    if is_deletion:
        # The end of a namesake before the object that we made.
        return bool(written.uid != item["metadata"].get("uid"))
    version = version_of(item)
    if version is None:
        return False
    # Of an object that we saw gone, the watch may still tell every state up to its last.
    is_gone_one = bool(written.is_gone and item["metadata"].get("uid") == written.uid)
    return is_gone_one or bool(version < written.version)


def _is_same(old: Manifest | None, new: Manifest | None) -> bool:
    """Whether nothing is new: the watch brings what the answer to a write has said already."""
    if old is None or new is None or old["metadata"].get("uid") != new["metadata"].get("uid"):
        return False
    version = version_of(old)
    return version is not None and version == version_of(new)


def _key(item: Manifest) -> Key:
    metadata = item["metadata"]
    return (metadata.get("namespace", ""), metadata["name"])
