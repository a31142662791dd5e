"""The verbs of the API on stored objects, without HTTP.

Guarantees: every method either does all of its work or raises ``StatusError`` and does nothing; an
update that changes nothing keeps its resource version; metadata that belongs to the system cannot
be written by a client. Refuses what the kinds' strategies refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import orjson

from . import names, reading, scale, statuses, versions
from .apply import apply_configuration, track_update
from .garbage import Collector
from .kinds import Context, Strategies
from .reading import APPLY_PATCH, WriteOptions
from .resources import Registry, Resource
from .store import Object, Record, Store

Change = Callable[[Object], Object]

PLAIN = WriteOptions()
_SYSTEM_METADATA = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "namespace",
    "name",
)


class Backend:
    """Create, read, change and delete objects."""

    def __init__(self, service_network: IPv4Network) -> None:
        self.registry = Registry()
        self.store = Store()
        self.collector = Collector(self)
        context = Context(
            self.registry,
            self.store,
            service_network,
            create=lambda resource, namespace, value: self.create(resource, namespace, value),
            remove_all=self.collector.remove_all,
        )
        self.strategies = Strategies(context)

    # -- reading ---------------------------------------------------------------------------------

    def get(self, resource: Resource, namespace: str, name: str) -> Record:
        """One object, or 404."""
        record = self.store.get(resource.storage_key, namespace, name)
        if record is None:
            raise statuses.not_found(resource.plural, resource.group, name)
        return record

    # -- creating --------------------------------------------------------------------------------

    def create(
        self,
        resource: Resource,
        namespace: str,
        value: Object,
        options: WriteOptions = PLAIN,
    ) -> Record:
        """Create an object; the backend owns ``value`` from here on."""
        reading.check_envelope(resource, value)
        reading.decode(resource, value, options)
        metadata = self._prepare_metadata(resource, namespace, value)
        strategy = self.strategies.find(resource)
        strategy.default(resource, value)
        name = metadata["name"]
        if strategy.has_status(resource):
            value.pop("status", None)
        strategy.prepare_create(resource, value)
        causes = names.check_metadata(resource, metadata)
        causes += strategy.validate(resource, value, None)
        if causes:
            raise statuses.invalid(resource.kind, resource.group, name, causes)
        if self.store.get(resource.storage_key, metadata.get("namespace", ""), name) is not None:
            raise statuses.already_exists(resource.plural, resource.group, name)
        if strategy.has_generation:
            metadata["generation"] = 1
        strategy.admit(resource, value)
        if options.is_dry_run:
            return Record(value, self.store.version)
        return self._write(resource, value, None)

    def _prepare_metadata(self, resource: Resource, namespace: str, value: Object) -> Object:
        metadata: Object = value["metadata"]
        prefix = metadata.get("generateName")
        if not metadata.get("name"):
            if not prefix:
                cause = statuses.required(
                    "metadata.name", "Required value: name or generateName is required"
                )
                causes = self.strategies.find(resource).add_unchecked(resource, [cause])
                raise statuses.invalid(resource.kind, resource.group, "", causes)
            metadata["name"] = names.generate_name(prefix)
        if metadata.get("resourceVersion"):
            message = "resourceVersion should not be set on objects to be created"
            raise statuses.StatusError(500, "", message)
        if resource.namespaced:
            self._check_namespace(resource, namespace, metadata)
        else:
            metadata.pop("namespace", None)
        for key in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            metadata.pop(key, None)
        metadata["uid"] = names.new_uid()
        metadata["creationTimestamp"] = names.now_text()
        return metadata

    def _check_namespace(self, resource: Resource, namespace: str, metadata: Object) -> None:
        given = metadata.setdefault("namespace", namespace)
        if given != namespace:
            raise statuses.bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        record = self.store.get(("", "namespaces"), "", namespace)
        if record is None:
            raise statuses.not_found("namespaces", "", namespace)
        if "deletionTimestamp" in record.object["metadata"]:
            why = (
                f"unable to create new content in namespace {namespace} because it is being "
                "terminated"
            )
            error = statuses.forbidden(resource.plural, resource.group, metadata["name"], why)
            cause = {"reason": "NamespaceTerminating", "field": "metadata.namespace"}
            message = f"namespace {namespace} is being terminated"
            error.details = {**(error.details or {}), "causes": [cause | {"message": message}]}
            raise error

    # -- changing --------------------------------------------------------------------------------

    def replace(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        value: Object,
        subresource: str = "",
        options: WriteOptions = PLAIN,
    ) -> Record:
        """Write an object as the client has it (PUT)."""
        if subresource == "scale":
            return self._change(
                resource, namespace, name, scale.build_change(resource, value), options
            )
        reading.check_envelope(resource, value)
        if value["metadata"].get("name") != name:
            raise statuses.bad_request(
                f"the name of the object ({value['metadata'].get('name')}) does not match the name "
                f"on the URL ({name})"
            )
        reading.decode(resource, value, options)
        is_there = self.store.get(resource.storage_key, namespace, name) is not None
        if not is_there and not subresource and self.strategies.find(resource).is_created_by_update:
            value["metadata"].pop("resourceVersion", None)
            return self.create(resource, namespace, value, options)
        needs_version = self.strategies.find(resource).needs_version and is_there
        if needs_version and not value["metadata"].get("resourceVersion"):
            cause = statuses.invalid_value(
                "metadata.resourceVersion", 0, "must be specified for an update"
            )
            raise statuses.invalid(resource.plural, resource.group, name, [cause])
        return self._change(resource, namespace, name, lambda _: value, options, subresource)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        media_type: str,
        body: Any,
        subresource: str = "",
        options: WriteOptions = PLAIN,
    ) -> Record:
        """Change an object by a patch of one of the four types."""
        if media_type == APPLY_PATCH:
            return self._apply(resource, namespace, name, body, subresource, options)
        patch = reading.find_patch(resource, media_type)
        reading.check_patch(media_type, body)
        if subresource == "scale":
            record = self.get(resource, namespace, name)
            patched = patch(scale.build_scale(resource, record.object), body)
            rescale = scale.build_change(resource, patched)
            return self._change(resource, namespace, name, rescale, options)

        def change(old: Object) -> Object:
            uid = old["metadata"]["uid"]
            new: Object = patch(old, body)
            if (new.get("metadata") or {}).get("uid", uid) != uid:
                cause = statuses.invalid_value("metadata.uid", uid, "field is immutable")
                raise statuses.invalid(resource.kind, resource.group, name, [cause])
            reading.check_envelope(resource, new)
            reading.decode(resource, new, options)
            return new

        return self._change(resource, namespace, name, change, options, subresource)

    def _apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        body: Object,
        subresource: str,
        options: WriteOptions,
    ) -> Record:
        if subresource == "scale":
            raise statuses.not_implemented("server-side apply of the scale subresource")
        if options.manager == "unknown":
            raise statuses.invalid(
                "PatchOptions",
                "meta.k8s.io",
                "",
                [statuses.required("fieldManager", "Required value: is required for apply patch")],
            )
        if not isinstance(body, dict) or not body.get("kind") or not body.get("apiVersion"):
            given = body if isinstance(body, dict) else {}
            text = f"{given.get('apiVersion', '')}/, Kind={given.get('kind', '')}"
            raise statuses.bad_request(f"invalid object type: {text}")
        reading.check_envelope(resource, body)
        given = body["metadata"].setdefault("name", name)
        if given != name:
            raise statuses.bad_request(f"the name of the object ({given}) does not match {name}")
        if unknown := reading.decode(resource, body, options):
            place = f"{body['metadata'].get('namespace', '')}/{name}"
            message = (
                f"failed to create typed patch object ({place}; {resource.api_version}, "
                f"Kind={resource.kind}): .{unknown[0]}: field not declared in schema"
            )
            raise statuses.StatusError(500, "", message)
        if self.store.get(resource.storage_key, namespace, name) is None:
            if subresource:
                raise statuses.not_found(resource.plural, resource.group, name)
            empty: Object = {"metadata": {}}
            merged = apply_configuration(resource, empty, body, options, subresource)
            return self.create(resource, namespace, merged, options)
        change = lambda old: apply_configuration(resource, old, body, options, subresource)  # noqa: E731
        return self._change(resource, namespace, name, change, options, subresource, is_apply=True)

    def bind(self, resource: Resource, namespace: str, name: str, binding: Object) -> Record:
        """Assign a Pod to the node that a ``Binding`` names."""
        record = self.get(resource, namespace, name)
        node = (binding.get("target") or {}).get("name")
        pod = record.thaw()
        if not node:
            raise statuses.StatusError(500, "", "target.name: Required value")
        if pod["spec"].get("nodeName"):
            why = f"pod {name} is already assigned to node {pod['spec']['nodeName']!r}"
            raise statuses.conflict("pods/binding", "", name, why)
        if "deletionTimestamp" in pod["metadata"]:
            raise statuses.conflict(
                "pods/binding",
                "",
                name,
                f"pod {name} is being deleted, cannot be assigned to a host",
            )
        pod["spec"]["nodeName"] = node
        condition = {
            "type": "PodScheduled",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": names.now_text(),
        }
        others = [c for c in pod["status"].get("conditions") or () if c["type"] != "PodScheduled"]
        pod["status"]["conditions"] = [*others, condition]
        return self._write(resource, pod, record)

    def _change(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Change,
        options: WriteOptions,
        subresource: str = "",
        is_apply: bool = False,
    ) -> Record:
        record = self.get(resource, namespace, name)
        old = versions.show(resource, record).object
        new = change(versions.convert(resource, record.thaw()))
        self._check_identity(resource, new, old)
        self._keep_system_fields(resource, new, old, subresource)
        strategy = self.strategies.find(resource)
        strategy.default(resource, new)
        if not subresource:
            strategy.prepare_update(resource, new, old)
        causes = names.check_metadata(resource, new["metadata"])
        causes += _check_finalizers(new, old)
        causes += strategy.validate(resource, new, old)
        if causes:
            raise statuses.invalid(resource.kind, resource.group, name, causes)
        if strategy.has_generation and strategy.is_desired_changed(new, old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 1) + 1
        if not is_apply:
            track_update(resource, new, old, options.manager, subresource)
        if orjson.dumps(_comparable(new)) == orjson.dumps(_comparable(old)) or new == old:
            return record
        if options.is_dry_run:
            return Record(new, self.store.version)
        written = self._write(resource, new, record)
        return self.collector.finish_deletion(resource, written)

    def _check_identity(self, resource: Resource, new: Object, old: Object) -> None:
        metadata, before = new["metadata"], old["metadata"]
        name = before["name"]
        if metadata.get("name", name) != name:
            raise statuses.bad_request(f"the name of {resource.plural} {name!r} cannot be changed")
        if metadata.get("namespace", before.get("namespace")) != before.get("namespace"):
            raise statuses.bad_request(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        if metadata.get("uid") not in (None, "", before["uid"]):
            why = (
                f"Precondition failed: UID in precondition: {metadata['uid']}, "
                f"UID in object meta: {before['uid']}"
            )
            raise statuses.conflict(resource.plural, resource.group, name, why)
        if metadata.get("resourceVersion") not in (None, "", before["resourceVersion"]):
            raise statuses.modified(resource.plural, resource.group, name)

    def _keep_system_fields(
        self, resource: Resource, new: Object, old: Object, subresource: str
    ) -> None:
        managed = new["metadata"].get("managedFields")
        if subresource == "status":
            status = new.get("status")
            new.clear()
            new |= orjson.loads(orjson.dumps(old))
            if managed is not None:
                new["metadata"]["managedFields"] = managed
            new.pop("status", None)
            if status is not None:
                new["status"] = status
        elif self.strategies.find(resource).has_status(resource):
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        metadata, before = new["metadata"], old["metadata"]
        for key in _SYSTEM_METADATA:
            metadata.pop(key, None)
            if key in before:
                metadata[key] = before[key]
        metadata["resourceVersion"] = before["resourceVersion"]

    def _write(self, resource: Resource, value: Object, old: Record | None) -> Record:
        if resource.storage_version:
            versions.convert(self.registry.find_stored(resource.storage_key), value)
        record = self.store.put(resource.storage_key, value)
        before = old.object if old else None
        self.collector.note_written(resource, value, before)
        self.strategies.find(resource).on_written(resource, value, before)
        return record


def _comparable(value: Object) -> Object:
    """What makes a write a change: all but the times at which managers wrote."""
    metadata = value["metadata"]
    entries = metadata.get("managedFields") or []
    managed = [{key: entry[key] for key in entry if key != "time"} for entry in entries]
    return {**value, "metadata": {**metadata, "managedFields": managed}}


def _check_finalizers(new: Object, old: Object) -> list[statuses.Cause]:
    if "deletionTimestamp" not in old["metadata"]:
        return []
    before = old["metadata"].get("finalizers") or ()
    added = [f for f in new["metadata"].get("finalizers") or () if f not in before]
    if not added:
        return []
    text = (
        "Forbidden: no new finalizers can be added if the object is being deleted, "
        f"found new finalizers {added}"
    )
    return [statuses.Cause("metadata.finalizers", text, "FieldValueForbidden")]
