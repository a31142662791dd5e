"""What the operator takes for its connection to Kubernetes.

Guarantees the interface and the errors of ``kube.KubeClient``, for the simulated API server, with
whatever the weather does to requests; that a dead operator's requests have no effect and no
answer. Refuses what the operator does not use.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from dask_k8s_operator.kube.client import ObjectList
from dask_k8s_operator.kube.errors import (
    ApiError,
    ApiUnreachableError,
    ConflictError,
    ForbiddenError,
    KubeError,
    TooManyRequestsError,
)
from dask_k8s_operator.kube.stream import WatchEvent
from dask_k8s_operator.resources.kinds import Kind

from .api import ApiServer, Manifest
from .patches import matches
from .watches import WatchHub
from .weather import Weather

WRITES = ("create", "patch", "delete")


class SimulatedClient:
    """The connection of one operator process.

    Parameters
    ----------
    name
        Who writes, for the books.
    writes_to_live
        The operator dies around its write with this number, and ``on_death`` is called; None: it
        lives on.
    """

    namespace = "default"
    host = "simulated"
    source = "the simulation"

    def __init__(
        self,
        api: ApiServer,
        hub: WatchHub,
        weather: Weather,
        name: str,
        writes_to_live: int | None = None,
    ) -> None:
        self.name = name
        self.on_death: Callable[[], None] = lambda: None
        self.is_dead = False
        self.writes = 0
        self._api = api
        self._hub = hub
        self._weather = weather
        self._writes_to_live = writes_to_live

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> Manifest:
        return await self._ask("get", lambda: self._api.get(kind, namespace or "", name))

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> ObjectList:
        def read() -> ObjectList:
            items = [
                item
                for item in self._api.all(kind)
                if namespace in (None, item["metadata"]["namespace"])
                and matches(label_selector, item)
            ]
            return ObjectList(items, str(self._api.revision))

        return await self._ask("list", read)

    async def create(
        self, kind: Kind, body: Manifest, namespace: str | None = None, **_: Any
    ) -> Manifest:
        return await self._ask("create", lambda: self._api.create(kind, body, self.name))

    async def patch(
        self,
        kind: Kind,
        name: str,
        body: Any,
        namespace: str | None = None,
        *,
        patch_type: str = "merge",
        subresource: str | None = None,
        **_: Any,
    ) -> Manifest:
        return await self._ask(
            "patch",
            lambda: self._api.patch(
                kind,
                namespace or "",
                name,
                body,
                self.name,
                patch_type=patch_type,
                subresource=subresource,
            ),
        )

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_s: int | None = None,
        **_: Any,
    ) -> Manifest:
        return await self._ask(
            "delete",
            lambda: self._api.delete(
                kind,
                namespace or "",
                name,
                self.name,
                uid=uid,
                resource_version=resource_version,
                grace_period_s=grace_period_s,
            ),
        )

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        on_open: Callable[[], None] | None = None,
        **_: Any,
    ) -> AsyncIterator[WatchEvent]:
        def tell() -> None:
            if on_open:
                on_open()

        watch = await self._ask(
            "watch", lambda: self._hub.open(kind, resource_version, label_selector, tell)
        )
        try:
            async for event in watch:
                if self.is_dead:
                    await asyncio.get_running_loop().create_future()
                if namespace in (None, event.object["metadata"].get("namespace", namespace)):
                    yield event
        finally:
            watch.close()

    def die(self) -> None:
        """Have no effect from now on."""
        self.is_dead = True

    def live_for(self, writes: int) -> None:
        """Die around the write with this number from now."""
        self._writes_to_live = self.writes + writes

    def live_on(self) -> None:
        """Die around no write any more."""
        self._writes_to_live = None

    async def _ask(self, verb: str, effect: Callable[[], Any]) -> Any:
        weather, loop = self._weather, self._api.loop
        await asyncio.sleep(weather.draw_latency_s())
        is_last = self._is_last_write(verb)
        if self.is_dead or (is_last and weather.rng.random() < 0.5):
            await self._fall_silent(is_last)
        fault = weather.befall_request(loop.time(), verb)
        if fault is not None and fault not in ("500-after", "lost"):
            raise _build_fault(fault)
        answer = effect()
        if is_last:
            await self._fall_silent(is_last)
        if fault is not None or (not weather.is_calm and weather.rng.random() < 0.3):
            # The watch may bring the change before the answer is here.
            await asyncio.sleep(weather.draw_latency_s())
        if self.is_dead:
            await self._fall_silent(False)
        if fault is not None:
            raise _build_fault(fault)
        return answer

    def _is_last_write(self, verb: str) -> bool:
        if verb not in WRITES or self.is_dead:
            return False
        self.writes += 1
        return self._writes_to_live is not None and self.writes >= self._writes_to_live

    async def _fall_silent(self, dies: bool) -> None:
        if dies:
            self.die()
            self.on_death()
        await asyncio.get_running_loop().create_future()


def _build_fault(fault: str) -> KubeError:
    if fault in ("500", "500-after"):
        return ApiError(500, "InternalError", "etcdserver: request timed out")
    if fault == "429":
        error = TooManyRequestsError(429, "TooManyRequests", "too many requests")
        error.retry_after_s = 1.0
        return error
    if fault == "409":
        return ConflictError(409, "Conflict", "the object has been modified")
    if fault == "forbidden":
        return ForbiddenError(403, "Forbidden", "exceeded quota: pods")
    return ApiUnreachableError("simulated", "no answer in time")
