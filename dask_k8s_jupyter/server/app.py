"""The extension as jupyter_server sees it: what it loads, and what it stops.

Guarantees that watches, tunnels and the connection to Kubernetes are closed when the server stops;
a server tells that to applications only. Refuses options of its own.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.extension.application import ExtensionApp


class DaskKubernetesApp(ExtensionApp):
    """Joins our handlers to a Jupyter server, and closes what they opened."""

    name = "dask_k8s_jupyter"

    def initialize_handlers(self) -> None:
        """Add our routes."""
        # Not before a server starts: listing the extensions does not need it.
        from .extension import load_extension

        load_extension(self._server())

    async def stop_extension(self) -> None:
        """Close watches, tunnels and the connection."""
        from .extension import close_extension

        await close_extension(self._server())

    def _server(self) -> Any:
        return self.serverapp
