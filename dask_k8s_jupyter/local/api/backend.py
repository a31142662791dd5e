"""The verbs of the API on stored objects, without HTTP.

Guarantees: every method either does all of its work or raises ``StatusError`` and does nothing; an
update that changes nothing keeps its resource version; metadata that belongs to the system cannot
be written by a client. Refuses what the kinds' strategies refuse.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import orjson

from . import builtin, names, patches, scale, schemas, statuses
from .apply import apply_configuration, track_update
from .garbage import Collector
from .kinds import Context, Strategies
from .resources import Registry, Resource
from .store import Object, Record, Store

Change = Callable[[Object], Object]

_SYSTEM_METADATA = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "namespace",
    "name",
)
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


@dataclass(frozen=True)
class WriteOptions:
    """How a write is to be done.

    Parameters
    ----------
    manager
        Who writes, for the ownership of fields.
    is_dry_run
        Check everything and keep nothing.
    is_strict
        Refuse fields that the schema does not know, instead of pruning them.
    is_forced
        An apply takes fields over from other managers.
    is_apply
        The write is a server-side apply.
    """

    manager: str = "unknown"
    is_dry_run: bool = False
    is_strict: bool = False
    is_forced: bool = False
    is_apply: bool = False


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
        options: WriteOptions = WriteOptions(),
    ) -> Record:
        """Create an object; the backend owns ``value`` from here on."""
        self._check_envelope(resource, value)
        self._decode(resource, value, options)
        metadata = self._prepare_metadata(resource, namespace, value)
        strategy = self.strategies.find(resource)
        strategy.default(resource, value)
        name = metadata["name"]
        if self.store.get(resource.storage_key, namespace, name) is not None:
            raise statuses.already_exists(resource.plural, resource.group, name)
        if strategy.has_status(resource):
            value.pop("status", None)
        strategy.prepare_create(resource, value)
        causes = names.check_metadata(resource, metadata)
        causes += strategy.validate(resource, value, None)
        if causes:
            raise statuses.invalid(resource.kind, resource.group, name, causes)
        if strategy.has_generation:
            metadata["generation"] = 1
        strategy.admit(resource, value)
        if options.is_dry_run:
            return Record(value, self.store.version)
        return self._write(resource, value, None)

    def _check_envelope(self, resource: Resource, value: Object) -> None:
        if not isinstance(value, dict):
            raise statuses.bad_request("the body must be one object")
        if resource.is_custom and not value.get("kind"):
            raise statuses.bad_request(
                f"the object provided is unrecognized (must be of type {resource.kind}): "
                "Object 'Kind' is missing"
            )
        given = (
            value.get("apiVersion") or resource.api_version,
            value.get("kind") or resource.kind,
        )
        if resource.is_custom and given[0] == resource.api_version and given[1] != resource.kind:
            cause = statuses.invalid_value("kind", given[1], f"must be {resource.kind}")
            name = str((value.get("metadata") or {}).get("name", ""))
            raise statuses.invalid(str(given[1]), resource.group, name, [cause])
        if given != (resource.api_version, resource.kind):
            raise statuses.bad_request(
                f"{given[1]} in version {given[0]!r} cannot be handled as a {resource.kind}: "
                f"the API expects {resource.kind} of {resource.api_version}"
            )
        value["apiVersion"], value["kind"] = given
        if not isinstance(value.setdefault("metadata", {}), dict):
            raise statuses.bad_request("metadata must be an object")

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
        metadata["uid"] = str(uuid.uuid4())
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
            raise statuses.forbidden(resource.plural, resource.group, metadata["name"], why)

    def _decode(self, resource: Resource, value: Object, options: WriteOptions) -> list[str]:
        """Read the fields as their types say, drop unknown ones; refuse them when asked to."""
        if resource.schema is None:
            unknown = builtin.decode(resource.group, resource.kind, value)
        else:
            unknown = builtin.decode_metadata(resource.kind, value["metadata"])
            if options.is_strict or options.is_apply:
                unknown += schemas.find_unknown(value, resource.schema)
        if options.is_strict and unknown:
            listed = ", ".join(f'unknown field "{path}"' for path in unknown)
            version = statuses.show(resource.version)
            raise statuses.bad_request(
                f"{resource.kind} in version {version} cannot be handled as a {resource.kind}: "
                f"strict decoding error: {listed}"
            )
        return unknown

    # -- changing --------------------------------------------------------------------------------

    def replace(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        value: Object,
        subresource: str = "",
        options: WriteOptions = WriteOptions(),
    ) -> Record:
        """Write an object as the client has it (PUT)."""
        if subresource == "scale":
            return self._change(
                resource, namespace, name, scale.build_change(resource, value), options
            )
        self._check_envelope(resource, value)
        if value["metadata"].get("name") != name:
            raise statuses.bad_request(
                f"the name of the object ({value['metadata'].get('name')}) does not match the name "
                f"on the URL ({name})"
            )
        self._decode(resource, value, options)
        if resource.is_custom and not value["metadata"].get("resourceVersion"):
            cause = statuses.invalid_value(
                "metadata.resourceVersion", 0, "must be specified for an update"
            )
            raise statuses.invalid(resource.kind, resource.group, name, [cause])
        is_there = self.store.get(resource.storage_key, namespace, name) is not None
        if not is_there and not subresource and self.strategies.find(resource).is_created_by_update:
            value["metadata"].pop("resourceVersion", None)
            return self.create(resource, namespace, value, options)
        return self._change(resource, namespace, name, lambda _: value, options, subresource)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        media_type: str,
        body: Any,
        subresource: str = "",
        options: WriteOptions = WriteOptions(),
    ) -> Record:
        """Change an object by a patch of one of the four types."""
        if media_type == APPLY_PATCH:
            return self._apply(resource, namespace, name, body, subresource, options)
        patch = self._find_patch(resource, media_type)
        self._check_patch(media_type, body)
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
            self._check_envelope(resource, new)
            self._decode(resource, new, options)
            return new

        return self._change(resource, namespace, name, change, options, subresource)

    def _check_patch(self, media_type: str, body: Any) -> None:
        wanted = list if media_type == JSON_PATCH else dict
        if isinstance(body, wanted):
            return
        found = "array" if isinstance(body, list) else "object"
        type_ = "[]handlers.jsonPatchOp" if wanted is list else "map[string]interface {}"
        raise statuses.bad_request(
            f"error decoding patch: json: cannot unmarshal {found} into Go value of type {type_}"
        )

    def _find_patch(self, resource: Resource, media_type: str) -> Callable[[Any, Any], Any]:
        known = {JSON_PATCH: patches.apply_json_patch, MERGE_PATCH: patches.apply_merge_patch}
        if not resource.is_custom:
            known[STRATEGIC_PATCH] = patches.apply_strategic_patch
        if media_type not in known:
            accepted = ", ".join([*known, APPLY_PATCH])
            raise statuses.unsupported_media_type(media_type, accepted)
        return known[media_type]

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
        self._check_envelope(resource, body)
        given = body["metadata"].setdefault("name", name)
        if given != name:
            raise statuses.bad_request(f"the name of the object ({given}) does not match {name}")
        if unknown := self._decode(resource, body, options):
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
            raise statuses.bad_request("a Binding needs a target with the name of a node")
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
        old = record.object
        new = change(record.thaw())
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
            track_update(new, old, options.manager, subresource)
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
        record = self.store.put(resource.storage_key, value)
        before = old.object if old else None
        self.collector.note_written(resource, value, before)
        self.strategies.find(resource).on_written(resource, value, before)
        return record


def _comparable(value: Object) -> Object:
    metadata = {k: v for k, v in value["metadata"].items() if k != "managedFields"}
    return {**value, "metadata": metadata}


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
