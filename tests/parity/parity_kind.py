"""What a kind of the table is, and how its objects are built."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}
CONTROLLED = ("deployments", "replicasets", "jobs", "resourcequotas", "nodes")
CONTROLLED += ("customresourcedefinitions",)
# Where a table shows them, or a later step would meet them half-written.
FIRST_WORDS = {
    "deployments": '"observedGeneration"',
    "replicasets": '"observedGeneration"',
    "jobs": '"Suspended"',
    "resourcequotas": '"used"',
    "customresourcedefinitions": '"Established"',
}


def container(**more: Any) -> dict[str, Any]:
    """A container that never runs: the Pods here have a scheduler that does not exist."""
    return {"name": "main", "image": "registry.invalid/parity:1"} | more


def pod_spec(**more: Any) -> dict[str, Any]:
    """A Pod's spec."""
    return {"schedulerName": "parity", "containers": [container()]} | more


def workload(**more: Any) -> dict[str, Any]:
    """A spec with a template, as Deployments and ReplicaSets have."""
    labels = {"app": "parity"}
    template = {"metadata": {"labels": labels}, "spec": pod_spec()}
    return {"replicas": 0, "selector": {"matchLabels": labels}, "template": template} | more


@dataclass(frozen=True)
class Kind:
    """A kind of the table.

    Parameters
    ----------
    base
        Path of its API group version.
    content
        The object without its metadata.
    change
        A merge patch that changes something of its own.
    bad
        Merge patches that make the object wrong, by name.
    """

    plural: str
    kind: str
    base: str
    content: dict[str, Any] = field(default_factory=dict)
    change: dict[str, Any] = field(default_factory=dict)
    bad: dict[str, Any] = field(default_factory=dict)
    namespaced: bool = True
    is_custom: bool = False
    is_full: bool = False
    differs: dict[str, str] = field(default_factory=dict)

    @property
    def pause_s(self) -> float:
        """Time that its controller takes to write its first words."""
        return 0.5 if self.plural in CONTROLLED else 0

    @property
    def first_words(self) -> str:
        """What stands in an object once its controller has written to it."""
        return FIRST_WORDS.get(self.plural, "")

    @property
    def api_version(self) -> str:
        """``apiVersion`` of its objects."""
        return self.base.removeprefix("/api/").removeprefix("/apis/")

    @property
    def path(self) -> str:
        """Path of the collection."""
        where = "/namespaces/{ns}" if self.namespaced else ""
        return f"{self.base}{where}/{self.plural}"

    def name(self, name: str) -> str:
        """Name of an object; cluster-wide ones carry the run's prefix."""
        if self.plural == "customresourcedefinitions":
            return f"{name}s.{{ns}}.example.org"
        return name if self.namespaced else f"{{ns}}-{name}"

    def build(self, name: str, /, **metadata: Any) -> dict[str, Any]:
        """Build an object."""
        content = copy.deepcopy(self.content)
        if self.plural == "customresourcedefinitions":
            content["spec"]["names"] = {"plural": f"{name}s", "kind": name.capitalize()}
        given = {"name": self.name(name), "labels": {"parity": "{ns}"}} | metadata
        head = {"apiVersion": self.api_version, "kind": self.kind, "metadata": given}
        return {**head, **content}


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, on a copy."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def without(value: dict[str, Any], key: str) -> dict[str, Any]:
    """A copy without a field of the metadata."""
    copied = copy.deepcopy(value)
    copied["metadata"].pop(key, None)
    return copied
