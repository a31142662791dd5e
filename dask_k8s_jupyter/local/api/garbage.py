"""Deletion: grace, finalizers, propagation to dependents, and the end of namespaces.

Guarantees that an object with an owner goes when its last owner is gone, that one with finalizers
waits for them, and that a Pod on a node waits for its node. Refuses deletions whose preconditions
fail. Dependents are removed by ``drain``, which the server runs after each request.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from . import statuses
from .resources import Resource
from .store import Record

if TYPE_CHECKING:
    from .backend import Backend
    from .store import Object

Place = tuple[tuple[str, str], str, str]
_FOREGROUND = "foregroundDeletion"
_ORPHAN = "orphan"


@dataclass(frozen=True)
class DeleteOptions:
    """What a client asks of a deletion.

    Parameters
    ----------
    grace_period_s
        Seconds for the processes of a Pod to end; None leaves it to the Pod, 0 is at once.
    propagation
        ``Background``, ``Foreground`` or ``Orphan``; None is what the kind has by itself.
    uid, resource_version
        Preconditions; None asks for nothing.
    """

    grace_period_s: int | None = None
    propagation: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    is_dry_run: bool = False

    @classmethod
    def read(cls, body: Any, query: Any) -> DeleteOptions:
        """Read the options of a request, from its body and its query."""
        given = body if isinstance(body, dict) else {}
        grace = query.get("gracePeriodSeconds", given.get("gracePeriodSeconds"))
        propagation = query.get("propagationPolicy", given.get("propagationPolicy"))
        if given.get("orphanDependents"):
            propagation = "Orphan"
        known = ("Foreground", "Background", "Orphan", "nil")
        if propagation not in (None, *known[:3]):
            raise statuses.bad_option("DeleteOptions", "propagationPolicy", propagation, known)
        dry_run = query.getall("dryRun", []) or given.get("dryRun") or []
        if dry_run not in ([], ["All"]):
            raise statuses.bad_option("DeleteOptions", "dryRun", dry_run, ("All",))
        if grace is not None and not str(grace).lstrip("-").isdigit():
            raise statuses.bad_number(str(grace))
        preconditions = given.get("preconditions") or {}
        return cls(
            None if grace is None else int(grace),
            propagation,
            preconditions.get("uid"),
            preconditions.get("resourceVersion"),
            bool(dry_run),
        )


class Collector:
    """Deletes objects and what depends on them."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._uids: set[str] = set()
        self._dependents: dict[str, set[Place]] = {}
        self._suspects: deque[Place] = deque()
        self._foreground: dict[str, Place] = {}
        self._ending: deque[Place] = deque()

    # -- bookkeeping -----------------------------------------------------------------------------

    def note_written(self, resource: Resource, value: Object, old: Object | None) -> None:
        """Keep the index of owners in step with a write."""
        metadata = value["metadata"]
        place = (resource.storage_key, metadata.get("namespace", ""), metadata["name"])
        if old is None:
            self._uids.add(metadata["uid"])
        owners = metadata.get("ownerReferences") or ()
        if old is not None:
            for owner in old["metadata"].get("ownerReferences") or ():
                self._dependents.get(owner["uid"], set()).discard(place)
        for owner in owners:
            self._dependents.setdefault(owner["uid"], set()).add(place)
        if owners and not self._has_living_owner(owners):
            self._suspects.append(place)

    def _has_living_owner(self, owners: Iterable[Mapping[str, str]]) -> bool:
        """Whether one of the owners stays: what is deleted in the foreground waits to go."""
        return any(o["uid"] in self._uids and o["uid"] not in self._foreground for o in owners)

    @property
    def has_work(self) -> bool:
        """Whether ``drain`` has something to do."""
        return bool(self._suspects or self._ending)

    def drain(self) -> None:
        """Remove what lost its last owner, and end what was asked to end after its answer."""
        while self._suspects or self._ending:
            if self._ending:
                self._finish(self._ending.popleft())
                continue
            key, namespace, name = self._suspects.popleft()
            record = self._backend.store.get(key, namespace, name)
            if record is None:
                continue
            owners = record.object["metadata"].get("ownerReferences") or ()
            if owners and not self._has_living_owner(owners):
                resource = self._backend.registry.find_stored(key)
                is_foreground = any(o["uid"] in self._foreground for o in owners)
                policy = "Foreground" if is_foreground else "Background"
                self.delete(resource, namespace, name, DeleteOptions(propagation=policy))

    # -- deleting --------------------------------------------------------------------------------

    def delete(
        self, resource: Resource, namespace: str, name: str, options: DeleteOptions
    ) -> tuple[Record, bool]:
        """Delete an object; returns what the answer shows of it, and whether it is gone."""
        record = self._backend.get(resource, namespace, name)
        self._check_preconditions(resource, record, options)
        strategy = self._backend.strategies.find(resource)
        options = replace(options, propagation=options.propagation or strategy.propagation)
        if resource.storage_key == ("", "namespaces"):
            return self._delete_namespace(resource, record, options)
        metadata = record.object["metadata"]
        grace = self._find_grace(resource, record.object, options)
        finalizers = self._find_finalizers(record.object, options)
        if not grace and not finalizers:
            shown = self._build_removed(resource, record)
            if not options.is_dry_run:
                self._remove(resource, record)
            return shown, True
        before = metadata.get("deletionGracePeriodSeconds")
        is_marked = "deletionTimestamp" in metadata
        is_same = finalizers == (metadata.get("finalizers") or [])
        if is_marked and (before or 0) <= grace and is_same:
            return record, False
        marked = record.thaw()
        _mark_deleted(marked, grace if strategy.has_grace else None, finalizers, before)
        if options.is_dry_run:
            return Record(marked, record.version), False
        written = self._backend.store.put(resource.storage_key, marked)
        if _FOREGROUND in finalizers:
            self._begin_foreground(resource, written)
        if finalizers and finalizers[-1] in (_FOREGROUND, _ORPHAN):
            self._ending.append((resource.storage_key, namespace, name))
        return written, False

    def _build_removed(self, resource: Resource, record: Record) -> Record:
        """What the answer shows of an object that goes at once."""
        if resource.storage_key != ("", "pods"):
            return record
        marked = record.thaw()
        _mark_deleted(marked, 0, [], marked["metadata"].get("deletionGracePeriodSeconds"))
        return Record(marked, record.version)

    def _finish(self, place: Place) -> None:
        """End what an answer has already promised: orphaning, foreground, a namespace."""
        record = self._backend.store.get(*place)
        if record is None:
            return
        metadata = record.object["metadata"]
        if place[0] == ("", "namespaces"):
            self._finish_namespace(metadata["name"])
            return
        finalizers = metadata.get("finalizers") or []
        if _ORPHAN in finalizers:
            self._orphan(metadata["uid"])
            self._remove_finalizer(place, _ORPHAN)
        elif _FOREGROUND in finalizers:
            self._finish_foreground(metadata["uid"])

    def _remove_finalizer(self, place: Place, finalizer: str) -> None:
        record = self._backend.store.get(*place)
        if record is None:
            return
        value = record.thaw()
        left = [f for f in value["metadata"].get("finalizers") or () if f != finalizer]
        value["metadata"]["finalizers"] = left
        if not left:
            del value["metadata"]["finalizers"]
        resource = self._backend.registry.find_stored(place[0])
        self.finish_deletion(resource, self._backend.store.put(place[0], value))

    def _check_preconditions(
        self, resource: Resource, record: Record, options: DeleteOptions
    ) -> None:
        metadata = record.object["metadata"]
        pairs = (
            ("UID", options.uid, metadata["uid"]),
            ("ResourceVersion", options.resource_version, metadata["resourceVersion"]),
        )
        strategy = self._backend.strategies.find(resource)
        for field, wanted, found in pairs:
            if wanted is not None and wanted != found and not strategy.has_grace:
                why = (
                    f"Precondition failed: {field} in precondition: {wanted}, "
                    f"{field} in object meta: {found}"
                )
                raise statuses.conflict(resource.plural, resource.group, metadata["name"], why)
            if wanted is not None and wanted != found:
                raise statuses.precondition_failed(
                    resource.kind, resource.group, metadata["name"], field, (wanted, found)
                )

    def _find_grace(self, resource: Resource, value: Object, options: DeleteOptions) -> int:
        if resource.storage_key != ("", "pods"):
            return 0
        phase = (value.get("status") or {}).get("phase")
        if not value["spec"].get("nodeName") or phase in ("Succeeded", "Failed"):
            return 0
        if options.grace_period_s is not None:
            return max(0, options.grace_period_s)
        return int(value["spec"].get("terminationGracePeriodSeconds", 30))

    def _find_finalizers(self, value: Object, options: DeleteOptions) -> list[str]:
        finalizers = list(value["metadata"].get("finalizers") or [])
        for policy, finalizer in (("Foreground", _FOREGROUND), ("Orphan", _ORPHAN)):
            if options.propagation == policy and finalizer not in finalizers:
                finalizers.append(finalizer)
        return finalizers

    def finish_deletion(self, resource: Resource, record: Record) -> Record:
        """Remove an object that is marked as deleted and has nothing left to wait for."""
        metadata = record.object["metadata"]
        if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
            return record
        if resource.storage_key == ("", "namespaces"):
            self._ending.append((resource.storage_key, "", metadata["name"]))
            return record
        if metadata.get("deletionGracePeriodSeconds"):
            return record
        return self._remove(resource, record)

    def _remove(self, resource: Resource, record: Record) -> Record:
        metadata = record.object["metadata"]
        namespace, name, uid = metadata.get("namespace", ""), metadata["name"], metadata["uid"]
        last = self._backend.store.remove(resource.storage_key, namespace, name)
        self._uids.discard(uid)
        self._foreground.pop(uid, None)
        place = (resource.storage_key, namespace, name)
        for owner in metadata.get("ownerReferences") or ():
            self._dependents.get(owner["uid"], set()).discard(place)
            self._finish_foreground(owner["uid"])
        self._suspects.extend(sorted(self._dependents.pop(uid, ())))
        self._backend.strategies.find(resource).on_removed(resource, record.object)
        if namespace:
            self._finish_namespace(namespace)
        return last

    def remove_all(self, key: tuple[str, str]) -> None:
        """Remove every object of a resource, whatever it waits for."""
        resource = self._backend.registry.find_stored(key)
        for record in list(self._backend.store.collection(key).records.values()):
            self._remove(resource, record)

    # -- dependents ------------------------------------------------------------------------------

    def _orphan(self, uid: str) -> None:
        for key, namespace, name in sorted(self._dependents.pop(uid, ())):
            record = self._backend.store.get(key, namespace, name)
            if record is not None:
                child = record.thaw()
                owners = child["metadata"]["ownerReferences"]
                child["metadata"]["ownerReferences"] = [o for o in owners if o["uid"] != uid]
                if not child["metadata"]["ownerReferences"]:
                    del child["metadata"]["ownerReferences"]
                self._backend.store.put(key, child)

    def _blockers(self, uid: str) -> list[Place]:
        found = []
        for place in self._dependents.get(uid, ()):
            record = self._backend.store.get(*place)
            owners = record.object["metadata"].get("ownerReferences") or () if record else ()
            if any(o["uid"] == uid and o.get("blockOwnerDeletion") for o in owners):
                found.append(place)
        return found

    def _begin_foreground(self, resource: Resource, record: Record) -> None:
        metadata = record.object["metadata"]
        place = (resource.storage_key, metadata.get("namespace", ""), metadata["name"])
        self._foreground[metadata["uid"]] = place
        self._suspects.extend(sorted(self._dependents.get(metadata["uid"], ())))

    def _finish_foreground(self, uid: str) -> None:
        place = self._foreground.get(uid)
        if place is None or self._blockers(uid):
            return
        del self._foreground[uid]
        self._remove_finalizer(place, _FOREGROUND)

    # -- namespaces ------------------------------------------------------------------------------

    def _delete_namespace(
        self, resource: Resource, record: Record, options: DeleteOptions
    ) -> tuple[Record, bool]:
        name = record.object["metadata"]["name"]
        if "deletionTimestamp" not in record.object["metadata"]:
            marked = record.thaw()
            _mark_deleted(marked, None, marked["metadata"].get("finalizers") or [], None)
            marked["status"] = {"phase": "Terminating"}
            if options.is_dry_run:
                return Record(marked, record.version), False
            record = self._backend.store.put(resource.storage_key, marked)
        for key, collection in self._backend.store.collections():
            for place in sorted(collection.by_namespace.get(name, ())):
                if place in collection.records:
                    child = self._backend.registry.find_stored(key)
                    self.delete(child, *place, DeleteOptions(propagation="Background"))
        self._ending.append((resource.storage_key, "", name))
        return record, False

    def _finish_namespace(self, name: str) -> None:
        record = self._backend.store.get(("", "namespaces"), "", name)
        if record is None or "deletionTimestamp" not in record.object["metadata"]:
            return
        if record.object["metadata"].get("finalizers"):
            return
        if any(c.by_namespace.get(name) for _, c in self._backend.store.collections()):
            return
        resource = self._backend.registry.find_stored(("", "namespaces"))
        self._remove(resource, record)


def _mark_deleted(
    value: Object, grace: int | None, finalizers: list[str], before: int | None
) -> None:
    metadata = value["metadata"]
    if "deletionTimestamp" not in metadata or (before or 0) > (grace or 0):
        moment = datetime.now(timezone.utc) + timedelta(seconds=grace or 0)
        metadata["deletionTimestamp"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
        if grace is not None:
            metadata["deletionGracePeriodSeconds"] = grace
    if finalizers:
        metadata["finalizers"] = finalizers
    if "generation" in metadata and grace is not None:
        metadata["generation"] += 1
