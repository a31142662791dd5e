"""A simulated API server: objects with versions, optimistic locks, owners, graceful deletion.

Guarantees what controllers rely on: every change has a new resource version, a patch that carries
an old one is refused, an object whose owners are all gone goes too, a Pod that is deleted stays
until its node has let go of it, status and the rest are written apart. Objects are never changed
in place: what was handed out stays as it was. Refuses to know who asks or whether the answer
arrives: that is the client's part.
"""

from __future__ import annotations

import base64
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from dask_k8s_operator.kube.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidError,
    NotFoundError,
)
from dask_k8s_operator.resources.kinds import (
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_KINDS,
    DASK_WORKER_GROUPS,
    PODS,
    SECRETS,
    Kind,
)
from dask_k8s_operator.resources.times import format_time

from .loop import VirtualLoop
from .patches import apply_operations, merge

Manifest = dict[str, Any]
Key = tuple[str, str]
# Who changed what: kind, before, after, by whom, which subresource.
Observer = Callable[[Kind, "Manifest | None", "Manifest | None", str, "str | None"], None]

EPOCH = 1_700_000_000
# Kubernetes collects what nobody owns within moments, as a rule.
COLLECT_S = (0.05, 3.0)


class ApiServer:
    """All objects of one simulated Kubernetes.

    Parameters
    ----------
    loop
        Whose time it is.
    rng
        Draws how long the garbage collector takes.
    """

    def __init__(self, loop: VirtualLoop, rng: random.Random) -> None:
        self.loop = loop
        self.objects: dict[str, dict[Key, Manifest]] = defaultdict(dict)
        self.observers: list[Observer] = []
        self.revision = 100
        self._rng = rng
        self._kinds: dict[str, Kind] = {}
        self._uids: dict[str, tuple[str, Key]] = {}
        self._children: dict[str, dict[str, None]] = defaultdict(dict)
        self._log: dict[str, list[tuple[int, Manifest | None, Manifest | None]]] = defaultdict(list)
        self._forgotten: dict[str, int] = {}

    def now(self) -> str:
        """Current time as Kubernetes writes it."""
        return format_time(EPOCH + self.loop.time())

    def find(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """Look one object up."""
        return self.objects[kind.plural].get((namespace, name))

    def all(self, kind: Kind) -> list[Manifest]:
        """All objects of a kind."""
        return list(self.objects[kind.plural].values())

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """Read one object or say that there is none."""
        item = self.find(kind, namespace, name)
        if item is None:
            message = f'{kind.plural} "{name}" not found'
            raise NotFoundError(404, "NotFound", message, {"name": name})
        return item

    def has_uid(self, uid: str) -> bool:
        """Whether the object with this uid lives."""
        return uid in self._uids

    def find_uid(self, uid: str) -> Manifest | None:
        """Look one object up by its uid."""
        if uid not in self._uids:
            return None
        plural, key = self._uids[uid]
        return self.objects[plural][key]

    def create(self, kind: Kind, body: Manifest, by: str) -> Manifest:
        """Make an object."""
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if key in self.objects[kind.plural]:
            message = f'{kind.plural} "{key[1]}" already exists'
            raise AlreadyExistsError(409, "AlreadyExists", message, {"name": key[1]})
        metadata = {
            **metadata,
            "uid": f"uid-{self.revision + 1}",
            "creationTimestamp": self.now(),
            "generation": 1,
        }
        item = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            **_with_defaults(kind, body),
            "metadata": metadata,
        }
        item.pop("status", None)
        return self.commit(kind, key, None, item, by, None)

    def patch(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        body: Any,
        by: str,
        *,
        patch_type: str = "merge",
        subresource: str | None = None,
    ) -> Manifest:
        """Change an object, or its status."""
        before = self.get(kind, namespace, name)
        if patch_type == "json":
            patched = apply_operations(before, body)
        elif patch_type in ("merge", "strategic"):
            patched = merge(before, body)
        else:
            raise NotImplementedError(f"patches of type {patch_type}")
        if patched["metadata"].get("resourceVersion") != before["metadata"]["resourceVersion"] and (
            patched["metadata"].get("resourceVersion") is not None
        ):
            message = f'{kind.plural} "{name}": the object has been modified'
            raise ConflictError(409, "Conflict", message, {"name": name})
        after = _settle(kind, before, patched, subresource)
        if after == before:
            return before
        return self.commit(kind, (namespace, name), before, after, by, subresource)

    def delete(
        self,
        kind: Kind,
        namespace: str,
        name: str,
        by: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_s: int | None = None,
    ) -> Manifest:
        """Delete an object; a Pod that has a node goes when that has ended it, if need be."""
        item = self.get(kind, namespace, name)
        metadata = item["metadata"]
        wanted = {"uid": uid, "resourceVersion": resource_version}
        if any(value and metadata[field] != value for field, value in wanted.items()):
            message = f'{kind.plural} "{name}": the precondition is not met'
            raise ConflictError(409, "Conflict", message, {"name": name})
        if kind != PODS or not item["spec"].get("nodeName") or grace_period_s == 0:
            self.remove(kind, namespace, name, metadata["uid"], by)
            return {"kind": "Status", "status": "Success", "metadata": {}}
        if metadata.get("deletionTimestamp"):
            return item
        going = {"deletionTimestamp": self.now(), "deletionGracePeriodSeconds": 30}
        after = {**item, "metadata": {**metadata, **going}}
        return self.commit(kind, (namespace, name), item, after, by, None)

    def remove(self, kind: Kind, namespace: str, name: str, uid: str, by: str) -> None:
        """Take an object away, if it is still this one."""
        item = self.find(kind, namespace, name)
        if item is None or item["metadata"]["uid"] != uid:
            return
        self.commit(kind, (namespace, name), item, None, by, None)
        for child in list(self._children.pop(uid, ())):
            self._collect_later(child)

    def changes_since(
        self, kind: Kind, revision: int
    ) -> list[tuple[int, Manifest | None, Manifest | None]] | None:
        """What happened to a kind after a revision; None when that is forgotten."""
        if revision < self._forgotten.get(kind.plural, 0):
            return None
        log = self._log[kind.plural]
        return log[bisect_right(log, revision, key=lambda entry: entry[0]) :]

    def forget(self, kind: Kind) -> None:
        """Forget the past of a kind, as etcd's compaction does."""
        self._forgotten[kind.plural] = self.revision
        self._log[kind.plural].clear()

    def commit(
        self,
        kind: Kind,
        key: Key,
        before: Manifest | None,
        after: Manifest | None,
        by: str,
        subresource: str | None,
    ) -> Manifest:
        """Make a change, whatever it is: for those who stand above the rules, such as nodes."""
        self.revision += 1
        last = after if after is not None else before
        if last is None:
            raise ValueError("nothing changes")
        stamped = {**last, "metadata": {**last["metadata"], "resourceVersion": str(self.revision)}}
        objects, uid = self.objects[kind.plural], stamped["metadata"]["uid"]
        self._kinds[kind.plural] = kind
        if after is None:
            del objects[key]
            self._uids.pop(uid, None)
        else:
            objects[key] = stamped
            self._uids[uid] = (kind.plural, key)
            self._note_owners(uid, before, stamped)
        new = None if after is None else stamped
        self._log[kind.plural].append((self.revision, before if new else stamped, new))
        for observer in self.observers:
            observer(kind, before if new else stamped, new, by, subresource)
        return stamped

    def _note_owners(self, uid: str, before: Manifest | None, after: Manifest) -> None:
        owners = after["metadata"].get("ownerReferences")
        if not owners or (before and before["metadata"].get("ownerReferences") == owners):
            return
        for owner in owners:
            self._children[owner["uid"]][uid] = None
        if not any(owner["uid"] in self._uids for owner in owners):
            self._collect_later(uid)

    def _collect_later(self, uid: str) -> None:
        self.loop.call_later(self._rng.uniform(*COLLECT_S), self._collect, uid)

    def _collect(self, uid: str) -> None:
        if uid not in self._uids:
            return
        plural, key = self._uids[uid]
        owners = self.objects[plural][key]["metadata"].get("ownerReferences") or []
        if owners and not any(owner["uid"] in self._uids for owner in owners):
            self.delete(self._kinds[plural], *key, by="collector", uid=uid)


def owns(owner: Manifest, item: Manifest) -> bool:
    """Whether ``owner`` is one of the owners of an object."""
    references = item["metadata"].get("ownerReferences") or []
    return any(reference["uid"] == owner["metadata"]["uid"] for reference in references)


def _with_defaults(kind: Kind, body: Manifest) -> Manifest:
    """What the schemas fill in."""
    if kind == SECRETS and "stringData" in body:
        text = {k: base64.b64encode(v.encode()).decode() for k, v in body["stringData"].items()}
        return {**{k: v for k, v in body.items() if k != "stringData"}, "data": text}
    if kind in (DASK_CLUSTERS, DASK_WORKER_GROUPS):
        return {**body, "spec": _with_replicas(body["spec"])}
    if kind == DASK_JOBS:
        section = body["spec"]["cluster"]
        section = {**section, "spec": _with_replicas(section["spec"])}
        return {**body, "spec": {**body["spec"], "cluster": section}}
    return body


def _with_replicas(spec: Manifest) -> Manifest:
    return {**spec, "worker": {"replicas": 1, **spec["worker"]}}


def _is_deadline_only(before: Manifest, after: Manifest) -> bool:
    # Of a Pod's spec that is there, a person may change this and images.
    return after["spec"] == {
        **before["spec"],
        "activeDeadlineSeconds": after["spec"].get("activeDeadlineSeconds"),
    }


def _settle(kind: Kind, before: Manifest, patched: Manifest, subresource: str | None) -> Manifest:
    """What of a patched object the API server takes over."""
    if subresource == "status":
        return {**before, "status": patched.get("status") or {}}
    old = before["metadata"]
    kept = ("uid", "name", "namespace", "creationTimestamp", "generation", "deletionTimestamp")
    metadata = {**patched["metadata"], "resourceVersion": old["resourceVersion"]}
    for field in kept:
        if field in old:
            metadata[field] = old[field]
        else:
            metadata.pop(field, None)
    after = {**patched, "metadata": metadata}
    if "status" in before:
        after["status"] = before["status"]
    else:
        after.pop("status", None)
    if after.get("spec") != before.get("spec"):
        if kind == PODS and not _is_deadline_only(before, after):
            raise InvalidError(422, "Invalid", f"Pod {old['name']}: spec is immutable")
        if kind in DASK_KINDS:
            metadata["generation"] = old["generation"] + 1
    return after
