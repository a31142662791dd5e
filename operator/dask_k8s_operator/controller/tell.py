"""Tells people by Kubernetes Events what the operator did and what is in its way.

Guarantees that one object has at most ``BURST`` Events at once and one more a minute, however often
something happens to it; that what is said again is counted in the Event that is there; that all of
it is in the log; that an Event which cannot be written delays nothing else. Refuses to decide what
is worth telling: that is ``reconcile``'s.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from ..kube import KubeClient
from ..kube.errors import KubeError, NotFoundError
from ..reconcile.plan import Manifest, Notice
from ..resources.builders import build_event
from ..resources.kinds import EVENTS, Kind
from ..resources.times import format_time

logger = logging.getLogger("dask_k8s_operator")

BURST = 25
REFILL_S = 60.0
# The API server forgets an Event after an hour.
REPEAT_S = 600.0
REMEMBERED = 4096

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _Recent(OrderedDict[Key, Value], Generic[Key, Value]):
    """The last ``REMEMBERED`` entries."""

    def put(self, key: Key, value: Value) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > REMEMBERED:
            self.popitem(last=False)


@dataclass(frozen=True)
class _Said:
    name: str
    count: int
    at_s: float


class Teller:
    """Writes Events.

    Parameters
    ----------
    client
        Where to.
    clock
        Seconds since the epoch.
    random_hex
        So many random bytes as hexadecimal digits, for names.
    """

    def __init__(
        self, client: KubeClient, *, clock: Callable[[], float], random_hex: Callable[[int], str]
    ) -> None:
        self._client = client
        self._clock = clock
        self._random_hex = random_hex
        # By object: how many Events it may have, and as of when.
        self._allowances: _Recent[str, tuple[float, float]] = _Recent()
        self._said: _Recent[tuple[str, Notice], _Said] = _Recent()

    async def tell(self, kind: Kind, item: Manifest, notices: tuple[Notice, ...]) -> None:
        """Write notices about one object."""
        metadata = item["metadata"]
        place = f"{kind.kind} {metadata['namespace']}/{metadata['name']}"
        for notice in notices:
            logger.info("%s: %s: %s", place, notice.reason, notice.message)
            if not self._may_tell(metadata.get("uid", "")):
                continue
            try:
                await self._write(kind, item, notice)
            except KubeError as error:
                # An Event is a courtesy: the work it tells of is done.
                logger.warning("cannot write an Event about %s: %s", place, error)

    def _may_tell(self, uid: str) -> bool:
        now = self._clock()
        left, as_of = self._allowances.get(uid, (float(BURST), now))
        left = min(float(BURST), left + max(0.0, now - as_of) / REFILL_S)
        self._allowances.put(uid, (left - 1.0 if left >= 1.0 else left, now))
        return left >= 1.0

    async def _write(self, kind: Kind, item: Manifest, notice: Notice) -> None:
        metadata, now = item["metadata"], self._clock()
        # Without its writes, which would be remembered with it: there may be thousands.
        key = (metadata.get("uid", ""), replace(notice, of=()))
        said = self._said.get(key)
        if said is not None and now - said.at_s < REPEAT_S:
            body = {"count": said.count + 1, "lastTimestamp": format_time(now)}
            try:
                await self._client.patch(EVENTS, said.name, body, metadata["namespace"])
            except NotFoundError:
                pass  # somebody cleaned up
            else:
                self._said.put(key, _Said(said.name, said.count + 1, now))
                return
        name = f"{metadata['name']}.{self._random_hex(8)}"
        event = build_event(
            {**item, "apiVersion": kind.api_version, "kind": kind.kind},
            name=name,
            event_type=notice.kind,
            reason=notice.reason,
            message=notice.message,
            time=format_time(now),
        )
        await self._client.create(EVENTS, event)
        self._said.put(key, _Said(name, 1, now))
