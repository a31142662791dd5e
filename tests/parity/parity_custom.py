"""The custom resource that the table defines for itself."""

from __future__ import annotations

from typing import Any

from parity_step import Step

CUSTOM = "things.{ns}.example.org"
_THING = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 0, "maximum": 10},
                "mode": {"type": "string", "enum": ["fast", "slow"], "default": "fast"},
                "name": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"},
                "replicas": {"type": "integer", "default": 1},
                "minimum": {"type": "integer"},
                "maximum": {"type": "integer"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "ports": {
                    "type": "array",
                    "maxItems": 3,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port"],
                    "items": {
                        "type": "object",
                        "required": ["port"],
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": {"type": "string", "default": "TCP"},
                        },
                    },
                },
                "either": {"x-kubernetes-int-or-string": True},
                "fixed": {
                    "type": "string",
                    "x-kubernetes-validations": [
                        {"rule": "self == oldSelf", "message": "fixed cannot change"}
                    ],
                },
            },
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.minimum) || !has(self.maximum) "
                    "|| self.minimum <= self.maximum",
                    "message": "minimum must not exceed maximum",
                }
            ],
        },
        "status": {
            "type": "object",
            "properties": {
                "replicas": {"type": "integer"},
                "selector": {"type": "string"},
                "phase": {"type": "string"},
            },
        },
    },
}


def definition(**version: Any) -> dict[str, Any]:
    """A definition with everything that we promise."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CUSTOM},
        "spec": {
            "group": "{ns}.example.org",
            "scope": "Namespaced",
            "names": {
                "plural": "things",
                "kind": "Thing",
                "shortNames": ["th"],
                "categories": ["parity"],
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _THING},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                        {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
                    ],
                }
                | version
            ],
        },
    }


def definition_step() -> Step:
    """Install the definition."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    return Step("define", "POST", path, definition())
