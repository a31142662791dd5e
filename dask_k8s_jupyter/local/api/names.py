"""Rules for names, labels and annotations, and the API's sentences when they are broken. Pure."""

from __future__ import annotations

import re
import secrets
import time
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

from .resources import Resource
from .statuses import Cause, invalid_value

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_PATH_SEGMENT_FORBIDS = re.compile(r"[/%]")

# The alphabet of generateName: no vowels, no digits that look like letters.
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_DNS_1035_KINDS = {"services"}
_DNS_LABEL_KINDS = {"namespaces"}
_PATH_SEGMENT_KINDS = {"roles", "rolebindings", "clusterroles", "clusterrolebindings"}


def now_text() -> str:
    """The present time as metadata writes it."""
    return _show_second(int(time.time()))


@lru_cache(maxsize=1)
def _show_second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_uid() -> str:
    """Make a uid: a random UUID, without the cost of the object."""
    bits = secrets.randbits(128) & ~(0xF000 << 64) & ~(0xC000 << 48)
    text = f"{bits | (0x4000 << 64) | (0x8000 << 48):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_time(text: str) -> datetime:
    """Read a time of the API, with or without fractions of a second."""
    # Python 3.10 reads three or six digits of a second's fraction only.
    whole, dot, rest = text.replace("Z", "+00:00").partition(".")
    if dot:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        whole += f".{rest[:digits][:6]:0<6}{rest[digits:]}"
    return datetime.fromisoformat(whole)


def generate_name(prefix: str) -> str:
    """Make a name from ``generateName``: the prefix, cut to fit, and five characters."""
    suffix = "".join(secrets.choice(_SUFFIX_ALPHABET) for _ in range(5))
    return prefix[: 63 - 5] + suffix


def explain_subdomain(name: str) -> str | None:
    """Say what is wrong with a DNS-1123 subdomain, or None."""
    if len(name) > 253:
        return "must be no more than 253 characters"
    if _SUBDOMAIN.fullmatch(name):
        return None
    return (
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
        "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex "
        r"used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    )


def explain_label(name: str) -> str | None:
    """Say what is wrong with a DNS-1123 label, or None."""
    if len(name) > 63:
        return "must be no more than 63 characters"
    if _DNS_LABEL.fullmatch(name):
        return None
    return (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
        "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex "
        "used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
    )


def explain_service_name(name: str) -> str | None:
    """Say what is wrong with a DNS-1035 label, or None."""
    if len(name) > 63:
        return "must be no more than 63 characters"
    if _DNS_1035.fullmatch(name):
        return None
    return (
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
        "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
        "'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
    )


def explain_name(plural: str, name: str) -> str | None:
    """Say what is wrong with the name of an object, by the rule of its kind, or None."""
    if plural in _DNS_1035_KINDS:
        return explain_service_name(name)
    if plural in _DNS_LABEL_KINDS:
        return explain_label(name)
    if plural in _PATH_SEGMENT_KINDS:
        bad = _PATH_SEGMENT_FORBIDS.search(name)
        return f"may not contain '{bad.group()}'" if bad else None
    return explain_subdomain(name)


@lru_cache(maxsize=4096)
def explain_qualified(key: str) -> str | None:
    """Say what is wrong with a label or annotation key, or None."""
    prefix, slash, name = key.rpartition("/")
    if slash and (not prefix or explain_subdomain(prefix)):
        return f"prefix part {explain_subdomain(prefix) or 'must be non-empty'}"
    if not name:
        return "name part must be non-empty"
    if len(name) > 63:
        return "name part must be no more than 63 characters"
    if _QUALIFIED.fullmatch(name):
        return None
    return (
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and "
        "end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex "
        "used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
    )


@lru_cache(maxsize=4096)
def explain_label_value(value: str) -> str | None:
    """Say what is wrong with the value of a label, or None."""
    if len(value) > 63:
        return "must be no more than 63 characters"
    if not value or _QUALIFIED.fullmatch(value):
        return None
    return (
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
        "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
        "'my_value',  or '12345', regex used for validation is "
        "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    )


def check_labels(labels: Any, path: str) -> list[Cause]:
    """Find what is wrong with a map of labels."""
    if labels is None:
        return []
    if not isinstance(labels, dict):
        return [invalid_value(path, labels, "must be a map of strings")]
    causes = []
    for key, value in labels.items():
        if why := explain_qualified(key):
            causes.append(invalid_value(path, key, why))
        if not isinstance(value, str):
            causes.append(invalid_value(path, value, "must be a string"))
        elif why := explain_label_value(value):
            causes.append(invalid_value(path, value, why))
    return causes


def check_metadata(resource: Resource, metadata: dict[str, Any]) -> list[Cause]:
    """Find what is wrong with an object's metadata."""
    plural = resource.plural
    causes = []
    name = metadata["name"]
    if why := explain_name(plural, name):
        causes.append(invalid_value("metadata.name", name, why))
    causes += check_labels(metadata.get("labels"), "metadata.labels")
    annotations = metadata.get("annotations") or {}
    for key, value in annotations.items():
        if why := explain_qualified(key.lower()):
            causes.append(invalid_value("metadata.annotations", key, why))
        if not isinstance(value, str):
            causes.append(invalid_value(f"metadata.annotations.{key}", value, "must be a string"))
    for owner in metadata.get("ownerReferences") or ():
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                path = f"metadata.ownerReferences.{field}"
                causes.append(invalid_value(path, owner.get(field, ""), "must not be empty"))
    owners = [owner for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
    if len(owners) > 1:
        why = "Only one reference can have Controller set to true"
        causes.append(invalid_value("metadata.ownerReferences", owners, why))
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        if resource.is_custom:
            break
        if finalizer not in _FINALIZERS and ("/" not in finalizer or explain_qualified(finalizer)):
            why = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(invalid_value(f"metadata.finalizers[{index}]", finalizer, why))
    return causes
