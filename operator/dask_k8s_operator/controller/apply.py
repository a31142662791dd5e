"""Writes plans to the API.

Guarantees: writes of a step run side by side, under the client's one limit; what was done already
is no failure; what the API refuses for good comes back as words for the status; everything else is
raised, to be tried again. Refuses to decide anything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..kube import KubeClient
from ..kube.client import DEFAULT_CONCURRENCY
from ..kube.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    KubeError,
    NotFoundError,
)
from ..reconcile.plan import (
    Create,
    Delete,
    Manifest,
    Notice,
    Patch,
    Plan,
    Refusal,
    Write,
    format_pointer,
)
from ..resources.kinds import Kind
from ..resources.names import WORKER_GROUP_LABEL
from .cache import Cache, Place
from .doubts import Doubts, leaves_open
from .tell import Teller

logger = logging.getLogger(__name__)

_REFUSALS = (InvalidError, ForbiddenError, NotFoundError)
# As many as the client has under way unless --concurrency says otherwise. Fewer than a step may
# have: what is refused first keeps the rest unsent.
WRITES_AT_ONCE = DEFAULT_CONCURRENCY
# What the API says of a JSON patch whose test fails, or which changes what is not there.
_DOES_NOT_APPLY = "rejected our request due to an error in our request"


class Applier:
    """Applies plans; remembers in ``cache`` what it wrote.

    Parameters
    ----------
    client, cache
        Where to write, and what to tell of it.
    doubts
        Keeps what was written without an answer.
    clock
        Seconds since the epoch, for Events.
    random_hex
        So many random bytes as hexadecimal digits, for the names of Events.
    """

    def __init__(
        self,
        client: KubeClient,
        cache: Cache,
        doubts: Doubts,
        *,
        clock: Callable[[], float],
        random_hex: Callable[[int], str],
    ) -> None:
        self._client = client
        self._cache = cache
        self._doubts = doubts
        self._teller = Teller(client, clock=clock, random_hex=random_hex)

    async def apply(self, kind: Kind, item: Manifest, plan: Plan) -> tuple[Refusal, ...]:
        """Write a plan about ``item``; the status is written even when something else fails."""
        refusals: list[Refusal] = []
        failures: list[BaseException] = []
        done: list[Write] = []
        for step in plan.steps:
            refused: dict[Kind, Refusal] = {}
            turns = asyncio.Semaphore(WRITES_AT_ONCE)
            outcomes = await asyncio.gather(
                *(self._write(write, refused, done, turns) for write in step),
                return_exceptions=True,
            )
            failures += [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
            self._doubts.note(_place_of(kind, item), zip(step, outcomes, strict=True))
            # In the order of the plan, whichever answer came first: a status that named another
            # one each time would be written for ever.
            refusals = [refused[kind] for kind in _kinds_of(step) if kind in refused]
            if refusals or failures:
                break
        try:
            await self._write_status(kind, item, _keep_unproven(plan, item.get("status"), done))
        except KubeError as error:
            failures.append(error)  # after what kept the rest from being done
        await self._teller.tell(kind, item, _true_notices(plan, done, refusals or failures))
        if failures:
            raise min(failures, key=_is_conflict)
        return tuple(refusals)

    async def tell_refusals(self, kind: Kind, item: Manifest, refusals: Iterable[Refusal]) -> None:
        """Say by Events what the API refuses."""
        notices = (Notice("Blocked", str(refusal), "Warning") for refusal in refusals)
        await self._teller.tell(kind, item, tuple(notices))

    async def _write(
        self,
        write: Write,
        refused: dict[Kind, Refusal],
        done: list[Write],
        turns: asyncio.Semaphore,
    ) -> None:
        async with turns:
            # What refuses one of a thousand Pods (a quota, say) refuses the others too.
            if write.kind in refused:
                return
            is_there = True
            try:
                if isinstance(write, Create):
                    await self._create(write)
                elif isinstance(write, Patch):
                    is_there = await self._patch(write)
                else:
                    await self._delete(write)
                if is_there:
                    done.append(write)
            except _REFUSALS as error:
                refused.setdefault(write.kind, _refuse(write, error))

    async def _create(self, write: Create) -> None:
        try:
            created = await self._client.create(write.kind, write.body)
        except AlreadyExistsError:
            await self._settle_existing(write)
        except KubeError as error:
            if leaves_open(error):
                self._cache.remember_uncertain(write.kind, write.body)
            raise
        else:
            self._cache.remember(write.kind, created)

    async def _settle_existing(self, write: Create) -> None:
        metadata = write.body["metadata"]
        try:
            there = await self._client.get(write.kind, metadata["name"], metadata["namespace"])
        except NotFoundError as error:
            raise _LeftOverError(f"{error}; it was there a moment ago") from error
        if _owners(there) & _owners(write.body):
            # Ours: the answer to an earlier try was lost, or the watch is late.
            self._cache.remember(write.kind, there)
            if write.if_exists == "decide":
                name = f"{write.kind.kind} {metadata['namespace']}/{metadata['name']}"
                raise ConflictError(409, "Conflict", f"{name} was made meanwhile")
            if write.if_exists == "merge":
                parts = {k: v for k, v in write.body.items() if k not in ("apiVersion", "kind")}
                # A namesake's may have taken its place since.
                version = there["metadata"].get("resourceVersion")
                parts["metadata"] = {**metadata, "resourceVersion": version}
                await self._patch(Patch(write.kind, metadata["namespace"], metadata["name"], parts))
            return
        if _kinds_of_owners(there) & _kinds_of_owners(write.body):
            raise _LeftOverError(
                f"{write.kind.kind} {metadata['namespace']}/{metadata['name']} is left over from "
                "an earlier owner of the same name and about to go"
            )
        taken = f"{metadata['namespace']}/{metadata['name']} belongs to something else"
        raise InvalidError(409, "NameTaken", f"{taken}; that has to go first")

    async def _patch(self, write: Patch) -> bool:
        """Change what is there; False when it is not any more."""
        patch_type: Any = "json" if isinstance(write.body, list) else "merge"
        try:
            changed = await self._client.patch(
                write.kind, write.name, write.body, write.namespace, patch_type=patch_type
            )
        except NotFoundError:
            return False  # deleted meanwhile; the watch will say so
        self._cache.remember(write.kind, changed)
        return True

    async def _delete(self, write: Delete) -> None:
        place = (write.kind, write.namespace, write.name, write.uid)
        force: dict[str, Any] = {"grace_period_s": 0} if write.is_forced else {}
        try:
            # Background also where the API's own default is to orphan.
            answer = await self._client.delete(
                write.kind,
                write.name,
                write.namespace,
                uid=write.uid,
                resource_version=write.resource_version,
                propagation="Background",
                **force,
            )
        except NotFoundError:
            self._cache.remember_deleted(*place)
        except ConflictError:
            if write.resource_version:
                raise  # it is not what it was when this was decided
            # A namesake lives there now.
        else:
            if (answer.get("metadata") or {}).get("deletionTimestamp"):
                self._cache.remember(write.kind, answer)
            else:
                self._cache.remember_deleted(*place)

    async def _write_status(self, kind: Kind, item: Manifest, status: Manifest | None) -> None:
        metadata, before = item["metadata"], item.get("status")
        changes = diff_status(before, status)
        if not changes:
            return
        # A merge patch would not do: the uid in one is not looked at beside a status.
        is_still_there = {"op": "test", "path": "/metadata/uid", "value": metadata["uid"]}
        try:
            changed = await self._client.patch(
                kind,
                metadata["name"],
                [is_still_there, *changes],
                metadata["namespace"],
                patch_type="json",
                subresource="status",
            )
        except NotFoundError:
            return  # deleted meanwhile
        except InvalidError as error:
            if error.status != 422 or _DOES_NOT_APPLY not in error.message:
                raise
            raise ConflictError(409, "Conflict", "it is another now", None, error.target) from error
        self._cache.remember(kind, changed)


def _true_notices(plan: Plan, done: list[Write], troubles: Sequence[object]) -> tuple[Notice, ...]:
    """Choose what is to be said: all if nothing has failed, else of what is done."""
    if not troubles:
        return plan.notices
    deeds = set(map(id, done))
    told = []
    for notice in plan.notices:
        number, of_all = sum(id(write) in deeds for write in notice.of), len(notice.of)
        if number:
            part = f" ({number} of {of_all} so far)" if number < of_all else ""
            told.append(replace(notice, message=notice.message + part))
    return tuple(told)


def _keep_unproven(plan: Plan, before: Manifest | None, done: list[Write]) -> Manifest | None:
    """Leave out of a plan's status what would be true only if all had been written."""
    if plan.status is None:
        return None
    status, before = dict(plan.status), before or {}
    for proof, fields in plan.proofs:
        if not any(write is proof for write in done):
            kept = {field: before[field] for field in fields if field in before}
            status = {k: v for k, v in status.items() if k not in fields} | kept
    return status


def diff_status(before: Manifest | None, after: Manifest | None) -> list[Manifest]:
    """Build the operations of a JSON patch that make one status of another.

    Examples
    --------
    >>> diff_status({"phase": "Pending", "message": "starts"}, {"phase": "Running"})
    [{'op': 'add', 'path': '/status/phase', 'value': 'Running'}, \
{'op': 'remove', 'path': '/status/message'}]
    """
    if after is None or after == (before or {}):
        return []
    if not before:
        return [{"op": "add", "path": "/status", "value": after}]
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    gone = [key for key in before if key not in after]
    return [
        *(
            {"op": "add", "path": format_pointer("status", key), "value": changed[key]}
            for key in changed
        ),
        *({"op": "remove", "path": format_pointer("status", key)} for key in gone),
    ]


def _is_conflict(failure: BaseException) -> bool:
    """Whether a failure is one that is only tried again; any other is to be told of first."""
    return isinstance(failure, ConflictError)


def _place_of(kind: Kind, item: Manifest) -> Place:
    return kind, item["metadata"]["namespace"], item["metadata"]["name"]


def _kinds_of(step: tuple[Write, ...]) -> list[Kind]:
    return list(dict.fromkeys(write.kind for write in step))


def _describe(write: Write) -> str:
    if isinstance(write, Create):
        metadata = write.body["metadata"]
        return f"creation of {write.kind.kind} {metadata['namespace']}/{metadata['name']}"
    verb = "change" if isinstance(write, Patch) else "deletion"
    return f"{verb} of {write.kind.kind} {write.namespace}/{write.name}"


def _refuse(write: Write, error: ApiError) -> Refusal:
    if isinstance(write, Create) and WORKER_GROUP_LABEL in write.body["metadata"].get("labels", {}):
        # The next try has another random name; the same refusal must read the same.
        metadata = write.body["metadata"]
        group = f"{metadata['namespace']}/{metadata['labels'][WORKER_GROUP_LABEL]}"
        message = error.message.replace(f'"{metadata["name"]}" ', "")
        message = message.replace(metadata["name"], "(new worker)")
        return Refusal(f"creation of a worker Pod of {group}", message)
    return Refusal(_describe(write), error.message)


class _LeftOverError(KubeError):
    """A namesake's child is in the way until Kubernetes has collected it."""


def _kinds_of_owners(item: Manifest) -> set[str]:
    return {owner["kind"] for owner in item["metadata"].get("ownerReferences") or []}


def _owners(item: Manifest) -> set[str]:
    return {owner["uid"] for owner in item["metadata"].get("ownerReferences") or []}
