"""What the stories share: paths, and objects that they are about."""

from __future__ import annotations

from typing import Any

from parity_custom import CUSTOM

NS = "/api/v1/namespaces/{ns}"
APPS = "/apis/apps/v1/namespaces/{ns}"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}"
THINGS = "/apis/{ns}.example.org/v1/namespaces/{ns}/things"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REVIEWS = "/apis/authorization.k8s.io/v1"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
REMOVE_DEFINITION = (f"{CRDS}/{CUSTOM}",)


def named(name: str, /, **content: Any) -> dict[str, Any]:
    """An object with a name."""
    return {"metadata": {"name": name}, **content}


def owned(name: str, kind: str, step: str, **more: Any) -> dict[str, Any]:
    """A ConfigMap that belongs to the object of an earlier step."""
    owner = {"apiVersion": "v1", "kind": kind, "name": step, "uid": f"${{{step}.metadata.uid}}"}
    return {"metadata": {"name": name, "ownerReferences": [owner | more]}}


def thing(name: str, /, **spec: Any) -> dict[str, Any]:
    """A custom object."""
    head = {"apiVersion": "{ns}.example.org/v1", "kind": "Thing"}
    return head | named(name, spec={"size": 1} | spec)


PODS_AT = f"{NS}/pods"
MAPS_AT = f"{NS}/configmaps"
