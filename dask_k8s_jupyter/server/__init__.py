"""Jupyter server extension: the sidebar's API, the stream, and the way to the dashboards.

Everything lies under ``{base_url}dask-k8s/``. Nothing is imported before a server asks for the
extension.
"""

from __future__ import annotations

from typing import Any


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .app import DaskKubernetesApp

    return [{"module": "dask_k8s_jupyter.server", "app": DaskKubernetesApp}]
