"""Reads endless answers of the API: watch events and log lines.

Guarantees that a line may be of any length, and that what the API reports inside a watch is
raised like any other failure. Refuses to resume: that is the informer's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from .errors import Target, build_api_error


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
    response: aiohttp.ClientResponse, target: Target
) -> AsyncIterator[WatchEvent]:
    """Yield the events of a watch; an ERROR event is raised as the failure that it carries."""
    async for line in iterate_lines(response):
        if not line:
            continue
        event = orjson.loads(line)
        if event["type"] == "ERROR":
            status = event["object"]
            raise build_api_error(int(status.get("code") or 500), orjson.dumps(status), target)
        yield WatchEvent(event["type"], event["object"])
