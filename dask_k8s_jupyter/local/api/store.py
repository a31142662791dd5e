"""Objects with resource versions, and the history that watches read.

Guarantees: an object in the store is never changed in place; every write has its own resource
version; a change is encoded once, whoever watches; a watcher that does not read is cut off at a
bound rather than kept in memory. Refuses to start a watch from before its history (410).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import count
from typing import Any

import orjson

from . import statuses
from .selectors import Predicate

Key = tuple[str, str]
Object = dict[str, Any]

# Changes kept per resource. A client that was away for longer lists again.
HISTORY = 4096
# Events that wait for one slow watcher before its connection is closed.
WATCH_BUFFER = 8192
# Snapshots of lists that are being paged through.
SNAPSHOTS = 16


class Record:
    """One version of one object, with its JSON."""

    __slots__ = ("encoded", "head_length", "object", "version")

    def __init__(self, value: Object, version: int) -> None:
        head = {"kind": value.get("kind"), "apiVersion": value.get("apiVersion")}
        self.object: Object = head | value
        self.version = version
        self.encoded = orjson.dumps(self.object)
        self.head_length = len(orjson.dumps(head))

    @property
    def encoded_item(self) -> bytes:
        """JSON as an item of a list of a built-in kind, which says the kind once for all."""
        return b"{" + self.encoded[self.head_length :]

    def thaw(self) -> Object:
        """Return a copy that may be changed."""
        copy: Object = orjson.loads(self.encoded)
        return copy


class Change:
    """One step in the history of a resource."""

    __slots__ = ("lines", "previous", "record", "type", "version")

    def __init__(self, type_: str, record: Record, previous: Record | None) -> None:
        self.type = type_
        self.record = record
        self.previous = previous
        self.version = record.version
        self.lines: dict[Any, bytes] = {}

    def type_for(self, selected: Predicate | None) -> str | None:
        """Type of the event for a watcher of a selection; None when it does not concern it."""
        if selected is None:
            return self.type
        is_in = self.type != "DELETED" and selected(self.record.object)
        was_in = self.previous is not None and selected(self.previous.object)
        if is_in:
            return "MODIFIED" if was_in else "ADDED"
        return "DELETED" if was_in else None

    def shown(self, type_: str) -> Record:
        """What an event shows: of an object that left a selection, how it was when it was in."""
        if type_ != "DELETED" or self.type == "DELETED" or self.previous is None:
            return self.record
        last = self.previous.thaw()
        last["metadata"]["resourceVersion"] = str(self.version)
        return Record(last, self.version)

    def encode(self, type_: str) -> bytes:
        """Encode the event, once for all its watchers."""
        line = self.lines.get(type_)
        if line is None:
            line = b'{"type":"%s","object":%s}\n' % (type_.encode(), self.shown(type_).encoded)
            self.lines[type_] = line
        return line


class Watcher:
    """The changes that wait to be written to one watch connection."""

    def __init__(self, namespace: str | None, selected: Predicate | None) -> None:
        self.namespace = namespace
        self.selected = selected
        self.pending: deque[tuple[str, Change]] = deque()
        self.is_overrun = False
        self.is_closed = False
        self.is_dropped = False
        self.seen_version = 0
        self._wake = asyncio.Event()

    def offer(self, change: Change, namespace: str) -> None:
        """Note a change if it is of this watcher's selection."""
        if self.namespace is not None and namespace != self.namespace:
            return
        self.seen_version = change.version
        type_ = change.type_for(self.selected)
        if type_ is None:
            return
        if len(self.pending) >= WATCH_BUFFER:
            self.is_overrun = True
        else:
            self.pending.append((type_, change))
        self._wake.set()

    def close(self) -> None:
        """End the watch from the server's side."""
        self.is_closed = True
        self._wake.set()

    async def take(self, timeout_s: float) -> list[tuple[str, Change]]:
        """Wait for changes and take them all; an empty list when none came in time."""
        if not self.pending and not self.is_closed:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), timeout_s)
            except asyncio.TimeoutError:
                return []
        taken = list(self.pending)
        self.pending.clear()
        return taken


class Collection:
    """The objects of one resource."""

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.by_namespace: dict[str, set[Key]] = {}
        self.history: deque[tuple[str, Change]] = deque()
        self.compacted_version = 0
        self.watchers: set[Watcher] = set()

    def publish(self, change: Change, namespace: str) -> None:
        """Append to the history and offer to every watcher."""
        self.history.append((namespace, change))
        if len(self.history) > HISTORY:
            self.compacted_version = self.history.popleft()[1].version
        for watcher in self.watchers:
            watcher.offer(change, namespace)

    def compact(self, version: int) -> None:
        """Forget the history; watches from before a version are answered with 410."""
        self.compacted_version = version
        self.history.clear()

    def select(self, namespace: str | None, selected: Predicate | None) -> list[Record]:
        """Records of a selection in the order of the API: by namespace and name."""
        keys = self.records.keys() if namespace is None else self.by_namespace.get(namespace, ())
        records = (self.records[key] for key in sorted(keys))
        return [r for r in records if selected is None or selected(r.object)]


class Store:
    """All objects of the cluster."""

    def __init__(self) -> None:
        self.version = 1
        self._collections: dict[Key, Collection] = {}
        self._snapshots: OrderedDict[str, tuple[int, list[Record]]] = OrderedDict()
        self._snapshot_ids = count(1)

    def collection(self, key: Key) -> Collection:
        """The objects of one resource, by (group, plural)."""
        found = self._collections.get(key)
        if found is None:
            found = self._collections[key] = Collection()
        return found

    def collections(self) -> Iterator[tuple[Key, Collection]]:
        """Every resource that has had an object."""
        return iter(list(self._collections.items()))

    def get(self, key: Key, namespace: str, name: str) -> Record | None:
        """One object's record, or None."""
        return self.collection(key).records.get((namespace, name))

    def put(self, key: Key, value: Object) -> Record:
        """Write an object; the store owns ``value`` from here on."""
        self.version += 1
        metadata = value["metadata"]
        metadata["resourceVersion"] = str(self.version)
        namespace = metadata.get("namespace", "")
        place = (namespace, metadata["name"])
        collection = self.collection(key)
        record = Record(value, self.version)
        previous = collection.records.get(place)
        collection.records[place] = record
        collection.by_namespace.setdefault(namespace, set()).add(place)
        type_ = "ADDED" if previous is None else "MODIFIED"
        collection.publish(Change(type_, record, previous), namespace)
        return record

    def remove(self, key: Key, namespace: str, name: str) -> Record:
        """Take an object out; its last state gets the version of the removal."""
        collection = self.collection(key)
        previous = collection.records.pop((namespace, name))
        collection.by_namespace[namespace].discard((namespace, name))
        self.version += 1
        last = previous.thaw()
        last["metadata"]["resourceVersion"] = str(self.version)
        record = Record(last, self.version)
        collection.publish(Change("DELETED", record, previous), namespace)
        return record

    def watch(
        self, key: Key, namespace: str | None, selected: Predicate | None, version: int | None
    ) -> Watcher:
        """Start a watch after ``version``; None begins with what is there now, as ADDED events."""
        collection = self.collection(key)
        watcher = Watcher(namespace, selected)
        if version is None:
            for record in collection.select(namespace, selected):
                watcher.pending.append(("ADDED", Change("ADDED", record, None)))
        elif version < collection.compacted_version:
            raise statuses.expired(
                f"too old resource version: {version} ({collection.compacted_version})"
            )
        else:
            for change_namespace, change in collection.history:
                if change.version > version:
                    watcher.offer(change, change_namespace)
        watcher.seen_version = self.version
        collection.watchers.add(watcher)
        return watcher

    def unwatch(self, key: Key, watcher: Watcher) -> None:
        """Forget a watcher."""
        self.collection(key).watchers.discard(watcher)

    def close_watches(self) -> None:
        """End every watch, before the server stops."""
        for _, collection in self.collections():
            for watcher in collection.watchers:
                watcher.close()

    def drop_watches(self) -> None:
        """Break the connection of every watch."""
        for _, collection in self.collections():
            for watcher in collection.watchers:
                watcher.is_dropped = True
                watcher.close()

    def compact(self) -> None:
        """Forget the history of everything, and the rest of every list that is being paged."""
        # A version on which nothing was written: whatever a client has seen is older.
        self.version += 1
        for _, collection in self.collections():
            collection.compact(self.version)
        self._snapshots.clear()

    def keep_snapshot(self, version: int, rest: list[Record]) -> str:
        """Keep what a paged list has not sent yet; returns the continue token."""
        token = f"{version}-{next(self._snapshot_ids)}"
        self._snapshots[token] = (version, rest)
        while len(self._snapshots) > SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return token

    def take_snapshot(self, token: str) -> tuple[int, list[Record]]:
        """What a continue token stands for; 410 when it has been dropped."""
        try:
            return self._snapshots[token]
        except KeyError:
            if not token.replace("-", "").isdigit():
                raise statuses.bad_request("continue key is not valid: " + token) from None
            raise statuses.expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You must start a new list without the continue parameter."
            ) from None
