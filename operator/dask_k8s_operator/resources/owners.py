"""Who owns what: references by which Kubernetes deletes children with their parents.

Guarantees that an owner is told from a namesake of before by its uid. Refuses to take a child away
from somebody who controls it already.
"""

from __future__ import annotations

from typing import Any

from .kinds import Kind

Manifest = dict[str, Any]


def owner_reference(kind: Kind, owner: Manifest) -> Manifest:
    """Reference that lets Kubernetes delete the child with its owner, operator or no operator."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_owned_by(child: Manifest, owner: Manifest) -> bool:
    """Whether ``owner`` itself, not a namesake of before, owns ``child``."""
    uid = owner["metadata"]["uid"]
    references = child["metadata"].get("ownerReferences") or []
    return any(reference.get("uid") == uid for reference in references)


def is_of_namesake(child: Manifest, kind: Kind, owner: Manifest) -> bool:
    """Whether an earlier owner of the same kind has the child: it goes with that one."""
    references = child["metadata"].get("ownerReferences") or []
    return not is_owned_by(child, owner) and any(
        reference.get("kind") == kind.kind and reference.get("apiVersion") == kind.api_version
        for reference in references
    )


def adopting_references(child: Manifest, kind: Kind, owner: Manifest) -> list[Manifest]:
    """Owner references of a child that was made by hand, with its owner among them."""
    references = list(child["metadata"].get("ownerReferences") or [])
    is_controlled = any(reference.get("controller") for reference in references)
    return [*references, {**owner_reference(kind, owner), "controller": not is_controlled}]
