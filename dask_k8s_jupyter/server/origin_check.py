"""Applies ``origin`` to a handler of the Jupyter server."""

from __future__ import annotations

from jupyter_server.base.handlers import JupyterHandler

from .origin import is_allowed_origin


class OriginCheckMixin(JupyterHandler):
    """Lets our own page open a websocket, and no other, whatever ``allow_origin`` is."""

    def check_origin(self, origin_to_satisfy_tornado: str = "") -> bool:
        """Say whether the page that asks is ours; see ``origin`` for what that means."""
        headers = self.request.headers
        return bool(self.token_authenticated) or is_allowed_origin(
            self.get_origin(),
            (headers.get("Host"), headers.get("X-Forwarded-Host")),
            self.allow_origin,
            self.allow_origin_pat,
        )
