"""Joins our handlers to a Jupyter server.

Guarantees that kernels of this server know its base URL (``DASK_K8S_JUPYTER_BASE_URL``), whatever
started it. Refuses to connect to Kubernetes before somebody asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join

from dask_k8s_jupyter.config import BASE_URL_VARIABLE

from .base import HUB_SETTING
from .dashboard import TUNNELS_SETTING, DashboardHandler
from .handlers import HANDLERS, NAME
from .hub import StoreHub
from .stream import StreamHandler
from .tunnels import Tunnels


def build_handlers(base_url: str) -> list[tuple[str, type[Any]]]:
    """Build the routes of the extension.

    Examples
    --------
    >>> build_handlers("/notebook/default/demo/")[0][0]
    '/notebook/default/demo/dask-k8s/api/context'
    """
    api = url_path_join(base_url, "dask-k8s", "api")
    dashboard = url_path_join(base_url, "dask-k8s", "dashboard")
    return [
        *((url_path_join(api, path), handler) for path, handler in HANDLERS),
        (url_path_join(api, "stream"), StreamHandler),
        (rf"{dashboard}/{NAME}/{NAME}/(.*)", DashboardHandler),
    ]


def load_extension(server: ServerApp) -> None:
    """Add our routes to a server that is about to start."""
    settings = server.web_app.settings
    hub = settings[HUB_SETTING] = StoreHub()
    settings[TUNNELS_SETTING] = Tunnels(hub)
    # Kernels inherit the server's environment; the panel in a notebook makes its links with it.
    os.environ[BASE_URL_VARIABLE] = settings["base_url"]
    add_handlers: Callable[..., None] = server.web_app.add_handlers
    add_handlers(".*$", build_handlers(settings["base_url"]))
    server.log.info("Dask clusters on Kubernetes: the sidebar's API is at dask-k8s/api/")


async def close_extension(server: ServerApp) -> None:
    """Close what the handlers opened, when the server stops."""
    settings = server.web_app.settings
    await settings[TUNNELS_SETTING].close()
    await settings[HUB_SETTING].close()
