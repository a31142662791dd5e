"""Kubeconfigs with one context. Pure."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

CONTEXT_NAME = "dask-k8s-local"


def build_kubeconfig(
    url: str, authority: bytes, token: str, namespace: str = "default"
) -> dict[str, Any]:
    """Build a kubeconfig for a server, the PEM of its authority and a bearer token.

    Examples
    --------
    >>> build_kubeconfig("https://127.64.0.1:6443", b"", "secret")["current-context"]
    'dask-k8s-local'
    """
    name = CONTEXT_NAME
    cluster = {"server": url, "certificate-authority-data": b64encode(authority).decode()}
    context = {"cluster": name, "user": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
