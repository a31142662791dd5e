"""Reads the Protocol Buffers that kubectl writes for a few kinds. Pure.

kubectl 1.33 and later sends the objects of ``create namespace``, ``create token``, ``auth can-i``
and their like in this form, whatever a server says it speaks. Guarantees the same object as its
JSON. Refuses (415) kinds whose messages are not described here, and every other use of the format.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from . import statuses

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"

# A message: field number -> (name, type). A type is a scalar's name, a message, or either in a list
# (repeated). From the generated.proto files of k8s.io/api and k8s.io/apimachinery.
Message = dict[int, tuple[str, Any]]

_TIME: Message = {1: ("seconds", "int"), 2: ("nanos", "int")}
_OWNER: Message = {
    1: ("kind", "str"),
    3: ("name", "str"),
    4: ("uid", "str"),
    5: ("apiVersion", "str"),
    6: ("controller", "bool"),
    7: ("blockOwnerDeletion", "bool"),
}
_METADATA: Message = {
    1: ("name", "str"),
    2: ("generateName", "str"),
    3: ("namespace", "str"),
    5: ("uid", "str"),
    6: ("resourceVersion", "str"),
    7: ("generation", "int"),
    8: ("creationTimestamp", "time"),
    9: ("deletionTimestamp", "time"),
    10: ("deletionGracePeriodSeconds", "int"),
    11: ("labels", "map"),
    12: ("annotations", "map"),
    13: ("ownerReferences", [_OWNER]),
    14: ("finalizers", ["str"]),
}
_META: tuple[str, Any] = ("metadata", _METADATA)
_RULE: Message = {
    1: ("verbs", ["str"]),
    2: ("apiGroups", ["str"]),
    3: ("resources", ["str"]),
    4: ("resourceNames", ["str"]),
    5: ("nonResourceURLs", ["str"]),
}
_SUBJECT: Message = {
    1: ("kind", "str"),
    2: ("apiGroup", "str"),
    3: ("name", "str"),
    4: ("namespace", "str"),
}
_ROLE_REF: Message = {1: ("apiGroup", "str"), 2: ("kind", "str"), 3: ("name", "str")}
_BINDING: Message = {1: _META, 2: ("subjects", [_SUBJECT]), 3: ("roleRef", _ROLE_REF)}
_ROLE: Message = {1: _META, 2: ("rules", [_RULE])}
_RESOURCE_ATTRIBUTES: Message = {
    1: ("namespace", "str"),
    2: ("verb", "str"),
    3: ("group", "str"),
    4: ("version", "str"),
    5: ("resource", "str"),
    6: ("subresource", "str"),
    7: ("name", "str"),
}
_ACCESS: Message = {
    1: ("resourceAttributes", _RESOURCE_ATTRIBUTES),
    2: ("nonResourceAttributes", {1: ("path", "str"), 2: ("verb", "str")}),
}
_SERVICE_PORT: Message = {
    1: ("name", "str"),
    2: ("protocol", "str"),
    3: ("port", "int"),
    4: ("targetPort", "int-or-string"),
    5: ("nodePort", "int"),
}
_SERVICE: Message = {
    1: ("ports", [_SERVICE_PORT]),
    2: ("selector", "map"),
    3: ("clusterIP", "str"),
    4: ("type", "str"),
    5: ("externalIPs", ["str"]),
    7: ("sessionAffinity", "str"),
    10: ("externalName", "str"),
}
_REFERENCE: Message = {
    1: ("kind", "str"),
    2: ("namespace", "str"),
    3: ("name", "str"),
    4: ("uid", "str"),
    5: ("apiVersion", "str"),
    6: ("resourceVersion", "str"),
    7: ("fieldPath", "str"),
}
_DELETE_OPTIONS: Message = {
    1: ("gracePeriodSeconds", "int"),
    2: ("preconditions", {1: ("uid", "str"), 2: ("resourceVersion", "str")}),
    3: ("orphanDependents", "bool"),
    4: ("propagationPolicy", "str"),
    5: ("dryRun", ["str"]),
}
_QUANTITY: Message = {1: ("string", "str")}
_RESOURCES: Message = {
    1: ("limits", "map-of-quantities"),
    2: ("requests", "map-of-quantities"),
}
# A message in which a field that is not described here is refused, and not dropped.
_WHOLE = ("", "whole")
_CONTAINER: Message = {
    0: _WHOLE,
    1: ("name", "str"),
    2: ("image", "str"),
    3: ("command", ["str"]),
    4: ("args", ["str"]),
    5: ("workingDir", "str"),
    6: (
        "ports",
        [
            {
                1: ("name", "str"),
                2: ("hostPort", "int"),
                3: ("containerPort", "int"),
                4: ("protocol", "str"),
            }
        ],
    ),
    7: ("env", [{1: ("name", "str"), 2: ("value", "str")}]),
    8: ("resources", _RESOURCES),
    14: ("imagePullPolicy", "str"),
}
_POD_SPEC: Message = {
    0: _WHOLE,
    2: ("containers", [_CONTAINER]),
    3: ("restartPolicy", "str"),
    4: ("terminationGracePeriodSeconds", "int"),
    5: ("activeDeadlineSeconds", "int"),
    6: ("dnsPolicy", "str"),
    7: ("nodeSelector", "map"),
    8: ("serviceAccountName", "str"),
}
_TEMPLATE: Message = {1: _META, 2: ("spec", _POD_SPEC)}
_SELECTOR: Message = {1: ("matchLabels", "map")}
_STATUS: tuple[str, Any] = ("status", "ignored")
_DEPLOYMENT: Message = {
    0: _WHOLE,
    1: ("replicas", "int"),
    2: ("selector", _SELECTOR),
    3: ("template", _TEMPLATE),
    4: ("strategy", {1: ("type", "str")}),
    5: ("minReadySeconds", "int"),
    6: ("revisionHistoryLimit", "int"),
    7: ("paused", "bool"),
}
_JOB: Message = {
    0: _WHOLE,
    1: ("parallelism", "int"),
    2: ("completions", "int"),
    3: ("activeDeadlineSeconds", "int"),
    4: ("selector", _SELECTOR),
    5: ("manualSelector", "bool"),
    6: ("template", _TEMPLATE),
    7: ("backoffLimit", "int"),
    8: ("ttlSecondsAfterFinished", "int"),
    10: ("suspend", "bool"),
}
_KINDS: dict[str, Message] = {
    "Deployment": {1: _META, 2: ("spec", _DEPLOYMENT), 3: _STATUS},
    "Job": {1: _META, 2: ("spec", _JOB), 3: _STATUS},
    "ResourceQuota": {
        1: _META,
        2: ("spec", {1: ("hard", "map-of-quantities"), 2: ("scopes", ["str"])}),
        3: _STATUS,
    },
    "SelfSubjectRulesReview": {1: _META, 2: ("spec", {1: ("namespace", "str")}), 3: _STATUS},
    "SubjectAccessReview": {
        1: _META,
        2: ("spec", _ACCESS | {3: ("user", "str"), 4: ("groups", ["str"])}),
        3: _STATUS,
    },
    "LocalSubjectAccessReview": {
        1: _META,
        2: ("spec", _ACCESS | {3: ("user", "str"), 4: ("groups", ["str"])}),
        3: _STATUS,
    },
    "Eviction": {1: _META, 2: ("deleteOptions", _DELETE_OPTIONS)},
    "Namespace": {1: _META},
    "ServiceAccount": {1: _META},
    "ConfigMap": {1: _META, 2: ("data", "map"), 3: ("binaryData", "map-of-bytes")},
    "Secret": {1: _META, 2: ("data", "map-of-bytes"), 3: ("type", "str"), 4: ("stringData", "map")},
    "Service": {1: _META, 2: ("spec", _SERVICE)},
    "Role": _ROLE,
    "ClusterRole": _ROLE,
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "SelfSubjectAccessReview": {1: _META, 2: ("spec", _ACCESS)},
    "SelfSubjectReview": {1: _META},
    "TokenRequest": {
        1: _META,
        2: ("spec", {1: ("audiences", ["str"]), 4: ("expirationSeconds", "int")}),
    },
    "Binding": {1: _META, 2: ("target", _REFERENCE)},
    "DeleteOptions": _DELETE_OPTIONS,
}
_ENVELOPE: Message = {
    1: ("typeMeta", {1: ("apiVersion", "str"), 2: ("kind", "str")}),
    2: ("raw", "bytes"),
}


_ENTRIES: dict[str, Any] = {"map": "str", "map-of-bytes": "base64", "map-of-quantities": _QUANTITY}


def decode(body: bytes) -> dict[str, Any]:
    """Decode the body of a request into the object that its JSON would be."""
    if not body.startswith(_MAGIC):
        raise statuses.bad_request("the body is not in the Protocol Buffers form of Kubernetes")
    try:
        envelope = _read_message(body[len(_MAGIC) :], _ENVELOPE)
        head = envelope.get("typeMeta") or {}
        message = _KINDS.get(head.get("kind", ""))
        if message is None:
            raise statuses.unsupported_media_type(
                f"{MEDIA_TYPE} of a {head.get('kind')}", "application/json, application/yaml"
            )
        content = _read_message(envelope.get("raw", b""), message)
    except (IndexError, UnicodeDecodeError) as error:
        raise statuses.bad_request(f"the Protocol Buffers are cut short: {error}") from error
    return {**head, **content}


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _iterate_fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(raw):
        tag, at = _read_varint(raw, at)
        wire = tag & 7
        if wire == 0:
            value, at = _read_varint(raw, at)
            yield tag >> 3, value
            continue
        if wire == 2:
            length, at = _read_varint(raw, at)
        else:
            length = {1: 8, 5: 4}[wire]
        if at + length > len(raw):
            raise IndexError("a field is longer than the message")
        yield tag >> 3, raw[at : at + length]
        at += length


def _read_message(raw: bytes, message: Message) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, value in _iterate_fields(raw):
        if number not in message:
            if message.get(0) == _WHOLE and value:
                raise statuses.unsupported_media_type(
                    f"{MEDIA_TYPE} with field {number} that is not known here", "application/json"
                )
            continue
        name, type_ = message[number]
        if isinstance(type_, list):
            found.setdefault(name, []).append(_read_value(value, type_[0]))
        elif type_ == "ignored":
            continue
        elif isinstance(type_, str) and type_ in _ENTRIES:
            found.setdefault(name, {}).update(_read_entry(value, type_))
        else:
            read = _read_value(value, type_)
            # Go writes every scalar of proto2; an empty one is an absent one.
            if read not in ("", None):
                found[name] = read
    return found


def _read_entry(raw: Any, type_: str) -> dict[str, str]:
    entry = _read_message(raw, {1: ("key", "str"), 2: ("value", _ENTRIES[type_])})
    value = entry.get("value", "")
    return {entry["key"]: value["string"] if isinstance(value, dict) else value}


def _read_value(value: Any, type_: Any) -> Any:
    if isinstance(type_, dict):
        return _read_message(value, type_)
    if type_ == "str":
        return value.decode()
    if type_ == "base64":
        return base64.b64encode(value).decode()
    if type_ == "bool":
        return bool(value)
    if type_ == "int":
        return value - (1 << 64) if value >= 1 << 63 else value
    if type_ == "time":
        seconds = _read_message(value, _TIME).get("seconds")
        moment = datetime.fromtimestamp(seconds, timezone.utc) if seconds else None
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
    if type_ == "int-or-string":
        parts = _read_message(value, {1: ("type", "int"), 2: ("int", "int"), 3: ("str", "str")})
        return parts.get("str") if parts.get("type") else parts.get("int", 0)
    return value


def encode_field(number: int, content: bytes) -> bytes:
    """Encode a field of text, bytes or a message that is shorter than 128 bytes.

    Examples
    --------
    >>> encode_field(1, b"2.0")
    b'\\n\\x032.0'
    """
    return bytes([number << 3 | 2, len(content)]) + content
