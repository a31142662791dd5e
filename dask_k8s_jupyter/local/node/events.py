"""Events about Pods, as the scheduler and the kubelet write them.

Guarantees that the same thing said again raises a count in place of a new Event, and that a Pod
never waits for its Events. Refuses to fail: an Event that cannot be written is dropped, with a log
line.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from datetime import datetime, timezone
from typing import Any

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError
from dask_k8s_operator.resources.kinds import EVENTS

_LOG = logging.getLogger(__name__)
_REMEMBERED = 2048


def now_text() -> str:
    """The present time as the API writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class EventRecorder:
    """Writes Events in the background.

    Parameters
    ----------
    client
        Connection to the API.
    component, host
        Who says it: ``default-scheduler`` or ``kubelet``, and on which node.
    """

    def __init__(self, client: KubeClient, component: str, host: str = "") -> None:
        self._client = client
        self._source = {"component": component} | ({"host": host} if host else {})
        self._queue: asyncio.Queue[tuple[dict[str, Any], str, str, str, str]] = asyncio.Queue()
        self._known: dict[tuple[str, ...], tuple[str, int]] = {}

    def record(
        self, pod: dict[str, Any], type_: str, reason: str, message: str, container: str = ""
    ) -> None:
        """Say something about a Pod, or about one of its containers."""
        self._queue.put_nowait((pod, type_, reason, message, container))

    async def run(self) -> None:
        """Write what was recorded, until cancelled."""
        while True:
            recorded = await self._queue.get()
            try:
                await self._write(*recorded)
            except KubeError as error:
                _LOG.debug("an Event was dropped: %s", error)

    async def _write(
        self, pod: dict[str, Any], type_: str, reason: str, message: str, container: str
    ) -> None:
        metadata = pod["metadata"]
        key = (metadata["uid"], type_, reason, message, container)
        now = now_text()
        if key in self._known:
            name, count = self._known[key]
            body = {"count": count + 1, "lastTimestamp": now}
            await self._client.patch(EVENTS, name, body, metadata["namespace"])
            self._known[key] = (name, count + 1)
            return
        name = f"{metadata['name']}.{secrets.token_hex(8)}"
        event = self._build(metadata, type_, reason, message, container, now)
        event["metadata"] = {"name": name, "namespace": metadata["namespace"]}
        await self._client.create(EVENTS, event, metadata["namespace"])
        self._known[key] = (name, 1)
        if len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]

    def _build(
        self,
        metadata: dict[str, Any],
        type_: str,
        reason: str,
        message: str,
        container: str,
        now: str,
    ) -> dict[str, Any]:
        involved = {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        if container:
            involved["fieldPath"] = f"spec.containers{{{container}}}"
        return {
            "involvedObject": involved,
            "type": type_,
            "reason": reason,
            "message": message,
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source.get("host", ""),
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
