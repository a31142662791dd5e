"""Reads endless answers of the API: watch events and log lines.

Guarantees that a line may be of any length, and that what the API reports inside a watch, or what
is no event at all, is raised like any other failure. Refuses to resume: that is the informer's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from .errors import Target, build_api_error, build_not_kubernetes_error

if TYPE_CHECKING:
    import aiohttp


@dataclass(frozen=True)
class WatchEvent:
    """One change: ``type`` is ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: dict[str, Any]

    @property
    def resource_version(self) -> str:
        """Resource version from which a later watch goes on."""
        return str(self.object["metadata"]["resourceVersion"])


async def iterate_lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the answer's lines without their ends, however long; a last one without an end too."""
    parts: list[bytes] = []
    async for chunk in response.content.iter_any():
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            parts.append(line)
            yield b"".join(parts)
            parts.clear()
        if rest:
            parts.append(rest)
    if parts:
        yield b"".join(parts)


async def iterate_watch_events(
    response: aiohttp.ClientResponse, target: Target, host: str
) -> AsyncIterator[WatchEvent]:
    """Yield the events of a watch; an ERROR event is raised as the failure that it carries."""
    async for line in iterate_lines(response):
        if not line:
            continue
        event = _read_event(line, host)
        if event.type == "ERROR":
            status = event.object
            raise build_api_error(int(status.get("code") or 500), orjson.dumps(status), target)
        yield event


def _read_event(line: bytes, host: str) -> WatchEvent:
    try:
        event = orjson.loads(line)
        kind, resource = event["type"], event["object"]
        if kind != "ERROR":
            str(resource["metadata"]["resourceVersion"])
        elif not isinstance(resource, dict):
            raise TypeError(f"a Status is needed, not {type(resource).__name__}")
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise build_not_kubernetes_error(host) from error
    return WatchEvent(kind, resource)
