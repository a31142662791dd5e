"""Kinds stored as they come, a few fields checked: configuration, Events, Leases, claims."""

from __future__ import annotations

import base64
import ipaddress
import re
from typing import Any

from ..expiry import EventExpiry
from ..resources import Resource
from ..statuses import Cause, forbidden_value, invalid_value, required, unsupported
from .strategy import Context, Object, Strategy

_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_NEEDED = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_EVENT_DEFAULTS: dict[str, Any] = {
    "eventTime": None,
    "firstTimestamp": None,
    "lastTimestamp": None,
    "reportingComponent": "",
    "reportingInstance": "",
}


def _check_keys(data: Object | None, field: str) -> list[Cause]:
    return [
        invalid_value(f"{field}[{key}]", key, _KEY_TEXT)
        for key in data or ()
        if not _KEY.fullmatch(key)
    ]


class ConfigMapStrategy(Strategy):
    """ConfigMaps."""

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check the keys, and that immutable ones stay."""
        data, binary = value.get("data") or {}, value.get("binaryData") or {}
        causes = _check_keys(data, "data") + _check_keys(binary, "binaryData")
        for key in data.keys() & binary.keys():
            causes.append(
                invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData")
            )
        return causes + _check_immutable(value, old, ("data", "binaryData"))


def _check_immutable(value: Object, old: Object | None, fields: tuple[str, ...]) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    why = "field is immutable when `immutable` is set"
    changed = [field for field in fields if old.get(field) != value.get(field)]
    if not value.get("immutable"):
        changed.append("immutable")
    return [forbidden_value(field, why) for field in changed]


class SecretStrategy(Strategy):
    """Secrets: ``stringData`` is write-only, ``type`` is Opaque."""

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in the type, take ``stringData`` over."""
        plain = value.pop("stringData", None)
        if plain:
            encoded = {k: base64.b64encode(v.encode()).decode() for k, v in plain.items()}
            value["data"] = (value.get("data") or {}) | encoded
        value.setdefault("type", "Opaque")

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check the keys, those of the type, and that the type stays."""
        data = value.get("data") or {}
        causes = _check_keys(data, "data")
        for key in _NEEDED.get(value["type"], ()):
            if key not in data:
                causes.append(required(f"data[{key}]"))
        if old is not None and old.get("type") != value["type"]:
            causes.append(invalid_value("type", value["type"], "field is immutable"))
        return causes + _check_immutable(value, old, ("data", "type"))


class EventStrategy(Strategy):
    """Events."""

    is_created_by_update = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.expiry = EventExpiry(context.store)

    def on_written(self, resource: Resource, value: Object, old: Object | None) -> None:
        """Let it live for an hour from now."""
        self.expiry.note_written(value["metadata"]["namespace"], value["metadata"]["name"])

    def on_removed(self, resource: Resource, value: Object) -> None:
        """Forget when it was written."""
        self.expiry.note_removed(value["metadata"]["namespace"], value["metadata"]["name"])

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in what the API writes though it is empty."""
        for key, default in _EVENT_DEFAULTS.items():
            value.setdefault(key, default)
        value.setdefault("source", {})
        value.setdefault("involvedObject", {})

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """An Event is in the namespace of what it is about."""
        involved = value["involvedObject"].get("namespace", "")
        namespace = value["metadata"]["namespace"]
        if involved != namespace and not (involved == "" and namespace == "default"):
            why = "does not match event.namespace"
            return [invalid_value("involvedObject.namespace", involved, why)]
        return []


class EndpointsStrategy(Strategy):
    """Endpoints."""

    is_created_by_update = True

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in the protocol."""
        for subset in value.get("subsets") or ():
            for port in subset.get("ports") or ():
                port.setdefault("protocol", "TCP")

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check addresses and ports."""
        causes = []
        for index, subset in enumerate(value.get("subsets") or ()):
            path = f"subsets[{index}]"
            for at, address in enumerate(subset.get("addresses") or ()):
                if not is_address(address.get("ip", "")):
                    where = f"{path}.addresses[{at}].ip"
                    causes.append(invalid_value(where, address.get("ip"), ADDRESS_TEXT))
            for at, port in enumerate(subset.get("ports") or ()):
                if not 0 < port.get("port", 0) < 65536:
                    why = "must be between 1 and 65535, inclusive"
                    causes.append(invalid_value(f"{path}.ports[{at}].port", port.get("port"), why))
        return causes


class SliceStrategy(Strategy):
    """EndpointSlices."""

    has_generation = True
    is_created_by_update = True

    def is_desired_changed(self, new: Object, old: Object) -> bool:
        """Its labels say whose slice it is, and count."""
        pair = [value["metadata"].get("labels") or {} for value in (new, old)]
        return pair[0] != pair[1] or super().is_desired_changed(new, old)

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in name and protocol of ports, and what the API writes though it is empty."""
        for port in value.get("ports") or ():
            port.setdefault("name", "")
            port.setdefault("protocol", "TCP")
        for endpoint in value.setdefault("endpoints", []) or ():
            endpoint.setdefault("conditions", {})
        value.setdefault("ports", None)

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check the type of addresses, the addresses, the ports."""
        kind = value.get("addressType")
        if not kind:
            return [required("addressType")]
        if kind not in _ADDRESS_TYPES:
            return [unsupported("addressType", kind, _ADDRESS_TYPES)]
        causes = []
        for index, endpoint in enumerate(value.get("endpoints") or ()):
            for at, address in enumerate(endpoint.get("addresses") or ()):
                if kind != "FQDN" and not is_address(address):
                    where = f"endpoints[{index}].addresses[{at}]"
                    causes.append(invalid_value(where, address, ADDRESS_TEXT))
        if old is not None and old["addressType"] != kind:
            causes.append(invalid_value("addressType", kind, "field is immutable"))
        return causes


_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
ADDRESS_TEXT = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class LeaseStrategy(Strategy):
    """Leases."""

    is_created_by_update = True
    needs_version = True

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """A lease lasts."""
        duration = (value.get("spec") or {}).get("leaseDurationSeconds")
        if duration is not None and duration <= 0:
            return [invalid_value("spec.leaseDurationSeconds", duration, "must be greater than 0")]
        return []


class ClaimStrategy(Strategy):
    """PersistentVolumeClaims: kept, never bound, for no volume is ever made."""

    returns_deleted = True

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in the mode."""
        value.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Begin Pending, and stay so."""
        value["status"] = {"phase": "Pending"}

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check access modes and size."""
        spec = value["spec"]
        modes = spec.get("accessModes") or []
        causes = []
        if not modes:
            why = "Required value: at least 1 access mode is required"
            causes.append(required("spec.accessModes", why))
        for mode in modes:
            if mode not in _ACCESS_MODES:
                causes.append(unsupported("spec.accessModes", mode, _ACCESS_MODES))
        if "storage" not in ((spec.get("resources") or {}).get("requests") or {}):
            causes.append(required("spec.resources[storage]"))
        if old is not None and _without_size(spec) != _without_size(old["spec"]):
            why = "spec is immutable after creation except resources.requests for bound claims"
            causes.append(forbidden_value("spec", why))
        return causes


def _without_size(spec: Object) -> Object:
    return {key: part for key, part in spec.items() if key != "resources"}
