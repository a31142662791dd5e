"""Jupyter server extension: the sidebar's API, the stream, and the way to the dashboards.

Everything lies under ``{base_url}dask-k8s/``. Nothing is imported before the server loads the
extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "dask_k8s_jupyter.server"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    from .extension import load_extension

    load_extension(server)
