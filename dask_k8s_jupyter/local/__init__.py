"""A Kubernetes for one person on one machine: an API server and a node that runs Pods as processes.

Exists so that ``dask-k8s up``, the tests and a demo run the real operator, the real client, the
real kubectl and real Dask processes with nothing but Python packages. It is for development: one
node, nothing kept after a stop, no isolation between Pods. Its two parts, ``api`` and ``node``,
know each other only through the Kubernetes API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kubernetes import LocalKubernetes

__all__ = ["LocalKubernetes"]


def __getattr__(name: str) -> Any:
    # The API server needs cryptography and aiohttp; `import dask_k8s_jupyter.local` alone does not.
    if name == "LocalKubernetes":
        from .kubernetes import LocalKubernetes

        return LocalKubernetes
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
