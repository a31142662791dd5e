"""Lists and watches over HTTP.

Guarantees that a page continues the list as it was when the first page was read, that a watch
sends what happened after its resource version in order, and bookmarks to who asks for them. A
watcher that falls behind by more than the store's bound is disconnected; it resumes from its last
version.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

import orjson
from aiohttp import web

from . import selectors, statuses, tables, versions
from .requests import TRUE, Format, Target
from .resources import Resource
from .selectors import Predicate
from .store import Change, Record, Store, Watcher

# As the API server's --min-request-timeout: a watch ends after one to two times this.
WATCH_LIFETIME_S = 1800
BOOKMARK_INTERVAL_S = 60.0
# A watch that ends sooner sends no bookmark at its end.
SHORT_WATCH_S = 5.0
# How soon a watch notices that its client has gone away without a word.
LIVENESS_INTERVAL_S = 5.0


def build_selection(target: Target, query: Any) -> Predicate | None:
    """Predicate of the selectors in a query; None selects everything."""
    labels = selectors.parse_labels(query.get("labelSelector", ""))
    fields = selectors.parse_fields(query.get("fieldSelector", ""), target.resource.plural)
    name = None
    if target.name:
        name = selectors.parse_fields(f"metadata.name={target.name}", target.resource.plural)
    return selectors.both(selectors.both(labels, fields), name)


def build_list(store: Store, target: Target, query: Any, form: Format) -> bytes:
    """Answer a list request."""
    limit = _read_number(query, "limit")
    version = _read_version(query, 400, "BadRequest")
    if query.get("resourceVersionMatch") and not query.get("resourceVersion"):
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        cause = statuses.forbidden_value("resourceVersionMatch", why)
        raise statuses.invalid("ListOptions", "meta.k8s.io", "", [cause])
    token = query.get("continue")
    if token:
        version, records = store.take_snapshot(token)
    else:
        selected = build_selection(target, query)
        version = store.version
        records = store.collection(target.resource.storage_key).select(target.scope, selected)
    metadata: dict[str, Any] = {"resourceVersion": str(version)}
    if limit and len(records) > limit:
        metadata["continue"] = store.keep_snapshot(version, records[limit:])
        if not query.get("labelSelector") and not query.get("fieldSelector"):
            metadata["remainingItemCount"] = len(records) - limit
        records = records[:limit]
    return _encode_list(target, records, metadata, form)


def _encode_list(
    target: Target, records: list[Record], metadata: dict[str, Any], form: Format
) -> bytes:
    if form.kind == "Table":
        if target.resource.is_custom:
            records = [versions.show(target.resource, record) for record in records]
        values = (record.object for record in records)
        return orjson.dumps(tables.build_table(target.resource, values, metadata, form.include))
    if form.kind == "PartialObjectMetadata":
        partial: dict[str, Any] = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": [tables.build_partial(record.object) for record in records],
        }
        return orjson.dumps(partial)
    return encode_list(target.resource, records, metadata)


def encode_list(resource: Resource, records: list[Record], metadata: dict[str, Any]) -> bytes:
    """Encode objects as the list of their kind."""
    if resource.is_custom:
        metadata.setdefault("continue", "")
        records = [versions.show(resource, record) for record in records]
        encoded = b",".join([record.encoded for record in records])
    else:
        encoded = b",".join([record.encoded_item for record in records])
    head = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata}
    return b'%s,"items":[%s]}' % (orjson.dumps(head)[:-1], encoded)


def _read_number(query: Any, name: str) -> int:
    text = query.get(name) or "0"
    if not text.isdigit():
        raise statuses.bad_number(text)
    return int(text)


def _read_version(query: Any, code: int, reason: str) -> int:
    text = query.get("resourceVersion") or "0"
    if not text.isdigit():
        message = (
            f"resourceVersion: Invalid value: {statuses.show(text)}: "
            f"strconv.ParseUint: parsing {statuses.show(text)}: invalid syntax"
        )
        raise statuses.StatusError(code, reason, message)
    return int(text)


class WatchStream:
    """One watch connection."""

    def __init__(
        self, store: Store, target: Target, request: web.BaseRequest, form: Format
    ) -> None:
        self._store = store
        self._target = target
        self._request = request
        self._form = form
        self._has_header = True
        self._wants_bookmarks = request.query.get("allowWatchBookmarks") in TRUE
        self._wants_initial = request.query.get("sendInitialEvents") in TRUE

    async def run(self) -> web.StreamResponse:
        """Stream events until the client goes, the time is over or the watcher is overrun."""
        query = self._request.query
        self._check_initial(query)
        asked_version = _read_version(query, 500, "")
        lifetime_s = float(_read_number(query, "timeoutSeconds"))
        lifetime_s = lifetime_s or WATCH_LIFETIME_S * (1 + random.random())  # noqa: S311
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        selected = build_selection(self._target, query)
        try:
            watcher = self._open(selected, asked_version)
        except statuses.StatusError as error:
            # A watch that cannot begin says so in its stream, as the real server's cache does.
            await response.prepare(self._request)
            await response.write(_encode_event("ERROR", error.build_status()))
            return response
        try:
            await response.prepare(self._request)
            await self._stream(response, watcher, lifetime_s)
        except ConnectionError:
            pass
        finally:
            self._store.unwatch(self._target.resource.storage_key, watcher)
        return response

    def _check_initial(self, query: Any) -> None:
        match = query.get("resourceVersionMatch")
        if "sendInitialEvents" in query and match != "NotOlderThan":
            why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            cause = statuses.forbidden_value("resourceVersionMatch", why)
            raise statuses.invalid("ListOptions", "meta.k8s.io", "", [cause])

    def _open(self, selected: Predicate | None, asked_version: int) -> Watcher:
        version = None if not asked_version or self._wants_initial else asked_version
        key = self._target.resource.storage_key
        return self._store.watch(key, self._target.scope, selected, version)

    async def _stream(
        self, response: web.StreamResponse, watcher: Watcher, lifetime_s: float
    ) -> None:
        loop = asyncio.get_running_loop()
        ends = loop.time() + lifetime_s
        next_bookmark = loop.time() + BOOKMARK_INTERVAL_S
        while not (watcher.is_closed or watcher.is_overrun):
            left = ends - loop.time()
            transport = self._request.transport
            if left <= 0 or transport is None or transport.is_closing():
                break
            wait = 0 if self._wants_initial else min(left, LIVENESS_INTERVAL_S)
            taken = await watcher.take(wait)
            if taken:
                await response.write(b"".join([self._encode(*item) for item in taken]))
            if self._wants_initial:
                self._wants_initial = False
                await response.write(self._bookmark({"k8s.io/initial-events-end": "true"}))
            elif self._wants_bookmarks and loop.time() > next_bookmark and not watcher.pending:
                next_bookmark = loop.time() + BOOKMARK_INTERVAL_S
                await response.write(self._bookmark())
        if watcher.is_dropped and self._request.transport is not None:
            self._request.transport.abort()
            return
        is_long = lifetime_s > SHORT_WATCH_S
        if self._wants_bookmarks and is_long and not (watcher.pending or watcher.is_overrun):
            await response.write(self._bookmark())

    def _encode(self, type_: str, change: Change) -> bytes:
        resource = self._target.resource
        is_shown = not resource.is_custom or versions.is_shown(resource, change.record)
        if self._form.kind == "Object" and is_shown:
            return change.encode(type_)
        has_header = self._form.kind == "Table" and self._has_header
        self._has_header = False
        key = (type_, self._form, has_header, resource.api_version)
        line = change.lines.get(key)
        if line is None:
            line = _encode_event(type_, self._transform(change.shown(type_), has_header))
            change.lines[key] = line
        return line

    def _transform(self, record: Record, has_header: bool) -> Any:
        if self._target.resource.is_custom:
            record = versions.show(self._target.resource, record)
        if self._form.kind == "Object":
            return record.object
        if self._form.kind == "PartialObjectMetadata":
            return tables.build_partial(record.object)
        metadata = {"resourceVersion": str(record.version)}
        resource, include = self._target.resource, self._form.include
        return tables.build_table(resource, [record.object], metadata, include, has_header)

    def _bookmark(self, annotations: dict[str, str] | None = None) -> bytes:
        resource = self._target.resource
        metadata: dict[str, Any] = {"resourceVersion": str(self._store.version)}
        if annotations:
            metadata["annotations"] = annotations
        mark: dict[str, Any] = {"kind": resource.kind, "apiVersion": resource.api_version}
        mark["metadata"] = metadata
        if self._form.kind == "PartialObjectMetadata":
            mark |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        elif self._form.kind == "Table":
            mark = tables.build_table(resource, [], metadata, has_header=False)
        return _encode_event("BOOKMARK", mark)


def _encode_event(type_: str, value: Any) -> bytes:
    return orjson.dumps({"type": type_, "object": value}) + b"\n"
