"""The steps of an object's life that a kind can take part in."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from ..resources import Registry, Resource
from ..statuses import Cause
from ..store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

Object = dict[str, Any]


@dataclass
class Context:
    """What strategies may see and use.

    Parameters
    ----------
    registry, store
        The served resources and the objects.
    service_network
        Addresses for Services.
    create
        Create a further object, such as a namespace's default ServiceAccount.
    remove_all
        Remove every object of a resource that is no longer served.
    """

    registry: Registry
    store: Store
    service_network: IPv4Network
    create: Callable[[Resource, str, Object], Any] = field(repr=False)
    remove_all: Callable[[tuple[str, str]], None] = field(repr=False)


class Strategy:
    """A kind without particulars. Methods change the object that they are given."""

    has_generation = False
    # Whether a deletion answers with the object that is gone, and not with a Status.
    returns_deleted = False
    # Whether a deletion that has to wait writes a grace period.
    has_grace = True
    # What happens to dependents when a deletion does not say.
    propagation = "Background"
    # Whether PUT has to name the version that it replaces.
    needs_version = False
    # Whether PUT creates what is not there.
    is_created_by_update = False

    def __init__(self, context: Context) -> None:
        self.context = context

    def is_desired_changed(self, new: Object, old: Object) -> bool:
        """Whether a write changes what is desired, so that the generation goes up."""
        ignored = ("metadata", "status")
        return {k: v for k, v in new.items() if k not in ignored} != {
            k: v for k, v in old.items() if k not in ignored
        }

    def add_unchecked(self, resource: Resource, causes: list[Cause]) -> list[Cause]:
        """Say what could not be checked any more because of these causes."""
        return causes

    def has_status(self, resource: Resource) -> bool:
        """Whether status is written through its subresource only."""
        return "status" in resource.subresources

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in what the client left out."""

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Last changes and refusals before a new object is checked."""

    def prepare_update(self, resource: Resource, value: Object, old: Object) -> None:
        """Last changes and refusals before a changed object is checked."""

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Find what is wrong with an object; ``old`` is None for a new one."""
        return []

    def admit(self, resource: Resource, value: Object) -> None:
        """Refuse a new object that is right in itself: what is used up, what is missing."""

    def on_written(self, resource: Resource, value: Object, old: Object | None) -> None:
        """Effects of a write, after it."""

    def on_removed(self, resource: Resource, value: Object) -> None:
        """Effects of a removal, after it."""
