"""Namespaces and ServiceAccounts: what they begin with and how they end."""

from __future__ import annotations

from ..resources import Resource
from .strategy import Object, Strategy


class NamespaceStrategy(Strategy):
    """A namespace ends only when it is empty, and begins with a ServiceAccount."""

    returns_deleted = True
    has_grace = False

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

    returns_deleted = True

    def on_removed(self, resource: Resource, value: Object) -> None:
        """Bring the default account back in a namespace that goes on living."""
        namespace = value["metadata"]["namespace"]
        record = self.context.store.get(("", "namespaces"), "", namespace)
        is_alive = record is not None and "deletionTimestamp" not in record.object["metadata"]
        if value["metadata"]["name"] == "default" and is_alive:
            self.context.create(resource, namespace, {"metadata": {"name": "default"}})
