"""Namespaces, ServiceAccounts, and the kinds that are stored as they come."""

from __future__ import annotations

import base64

from ..resources import Resource
from ..statuses import Cause, invalid_value, required
from .strategy import Object, Strategy

# Fields that a kind cannot do without, and those that never change.
_REQUIRED = {
    "rolebindings": ("roleRef",),
    "clusterrolebindings": ("roleRef",),
    "events": ("involvedObject",),
}
_IMMUTABLE = {"rolebindings": "roleRef", "clusterrolebindings": "roleRef", "secrets": "type"}


class PlainStrategy(Strategy):
    """Kinds whose objects only need a few fields checked."""

    def default(self, resource: Resource, value: Object) -> None:
        """Secrets: ``stringData`` is write-only, ``type`` is Opaque; nodes carry their hostname."""
        if resource.plural == "secrets":
            plain = value.pop("stringData", None)
            if plain:
                data = dict(value.get("data") or {})
                data |= {k: base64.b64encode(v.encode()).decode() for k, v in plain.items()}
                value["data"] = data
            value.setdefault("type", "Opaque")
        elif resource.plural == "nodes":
            labels = value["metadata"].setdefault("labels", {})
            labels.setdefault("kubernetes.io/hostname", value["metadata"].get("name", ""))

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check required and immutable fields, and that data is text."""
        plural = resource.plural
        causes = [required(name) for name in _REQUIRED.get(plural, ()) if not value.get(name)]
        frozen = _IMMUTABLE.get(plural)
        if old is not None and frozen and old.get(frozen) != value.get(frozen):
            causes.append(invalid_value(frozen, value.get(frozen), "field is immutable"))
        if old is not None and old.get("immutable") and old.get("data") != value.get("data"):
            causes.append(Cause("data", "Forbidden: field is immutable when `immutable` is set"))
        if plural in ("configmaps", "secrets"):
            causes += _check_texts(value)
        if plural == "events":
            causes += _check_event(value)
        return causes


def _check_texts(value: Object) -> list[Cause]:
    data = value.get("data") or {}
    return [
        invalid_value(f"data.{key}", text, "must be a string")
        for key, text in data.items()
        if not isinstance(text, str)
    ]


def _check_event(value: Object) -> list[Cause]:
    involved = (value.get("involvedObject") or {}).get("namespace", "")
    namespace = value["metadata"]["namespace"]
    if involved != namespace and not (involved == "" and namespace == "default"):
        return [
            invalid_value("involvedObject.namespace", involved, "does not match event.namespace")
        ]
    return []


class NamespaceStrategy(Strategy):
    """A namespace ends only when it is empty, and begins with a ServiceAccount."""

    def default(self, resource: Resource, value: Object) -> None:
        """Give it the label with its name."""
        metadata = value["metadata"]
        labels = metadata.get("labels") or {}
        metadata["labels"] = labels | {"kubernetes.io/metadata.name": metadata.get("name", "")}

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Begin active, with the finalizer that waits for its objects."""
        value["spec"] = {"finalizers": ["kubernetes"]}
        value["status"] = {"phase": "Active"}

    def on_written(self, resource: Resource, value: Object, old: Object | None) -> None:
        """Create the default ServiceAccount of a new namespace."""
        if old is None:
            self.restore_account(value["metadata"]["name"])

    def restore_account(self, namespace: str) -> None:
        """Create the default ServiceAccount unless it is there."""
        accounts = self.context.registry.find("", "v1", "serviceaccounts")
        if accounts and self.context.store.get(accounts.storage_key, namespace, "default") is None:
            self.context.create(accounts, namespace, {"metadata": {"name": "default"}})


class ServiceAccountStrategy(Strategy):
    """ServiceAccounts; the default one comes back when it is deleted."""

    def on_removed(self, resource: Resource, value: Object) -> None:
        """Bring the default account back in a namespace that goes on living."""
        namespace = value["metadata"]["namespace"]
        record = self.context.store.get(("", "namespaces"), "", namespace)
        is_alive = record is not None and "deletionTimestamp" not in record.object["metadata"]
        if value["metadata"]["name"] == "default" and is_alive:
            self.context.create(resource, namespace, {"metadata": {"name": "default"}})
