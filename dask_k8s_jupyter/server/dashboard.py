"""The dashboards of schedulers, through the notebook server's own URL.

``{base_url}dask-k8s/dashboard/{namespace}/{name}/{path}``, pages and websockets. Guarantees: only
clusters that Kubernetes knows, and of them only the dashboard (see ``routes``), are shown;
nothing that identifies a person (cookies, Authorization, the token in a URL) reaches a scheduler,
and no cookie of a scheduler's reaches the browser; a dashboard that does not answer is a page that
says why; a refused websocket is refused in the handshake. Refuses anything but reading.

A picture that redraws itself is no sign of life: websockets count as no activity, opening a page
does.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast
from urllib.parse import unquote

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from jupyter_server_proxy.handlers import ProxyHandler, RewritableResponse
from jupyter_server_proxy.websocket import pingable_ws_connect
from tornado import httpclient, web
from tornado.websocket import WebSocketClosedError

from dask_k8s_jupyter.errors import (
    ClusterNotFoundError,
    DashboardUnavailableError,
    DaskKubernetesError,
    explain,
)
from dask_k8s_operator.kube.errors import KubeError

from .base import HUB_SETTING
from .headers import keep_query, keep_request_headers, keep_response_headers
from .hub import StoreHub
from .origin_check import OriginCheckMixin
from .pages import build_unavailable_page
from .routes import is_dashboard_path
from .tunnels import Tunnels
from .validate import InvalidRequestError, check_name, check_namespace

TUNNELS_SETTING = "dask_k8s_tunnels"
CONNECT_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 60.0


class DashboardHandler(OriginCheckMixin, ProxyHandler):  # type: ignore[misc]  # it has no types
    """Passes on what a browser reads of one scheduler's dashboard."""

    SUPPORTED_METHODS = ("GET",)
    auth_resource = "dask-k8s"
    # The base class leaves this to what it proxies; a scheduler knows nothing of it.
    check_xsrf_cookie = JupyterHandler.check_xsrf_cookie

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # What may be reached is decided by the tunnels, not by the name of a host.
        super().__init__(
            *args,
            **kwargs,
            host_allowlist=lambda handler, host: True,
            rewrite_response=lambda response: self._rewrite(response),
        )
        self._relay: asyncio.Task[None] | None = None

    @authorized
    async def get(self, namespace: str, name: str, path: str) -> None:
        """Show a page, or open a websocket."""
        tunnels = cast(Tunnels, self.settings[TUNNELS_SETTING])
        if not path:
            self.redirect("status")
            return
        try:
            check_namespace(namespace)
            check_name(name)
            self.proxy_base = f"dask-k8s/dashboard/{namespace}/{name}"
            target = self._read_target()
            async with tunnels.use(namespace, name) as (host, port):
                if self._is_websocket():
                    await self._connect(host, port, target)
                try:
                    await ProxyHandler.get(self, host, port, target)
                finally:
                    # Also of a handshake that the browser did wrong, which opens nothing.
                    if self._is_websocket():
                        self.ws.close()
        except InvalidRequestError as error:
            self._show(404, DaskKubernetesError(str(error)))
        except ClusterNotFoundError as error:
            self._show(404, error)
        except DashboardUnavailableError as error:
            view = cast(StoreHub, self.settings[HUB_SETTING]).find_view(namespace, name)
            reason = f"{namespace}/{name}: {view.reason}" if view and view.reason else None
            self._show(503, DashboardUnavailableError(reason) if reason else error)
        except (KubeError, DaskKubernetesError, OSError) as error:
            self._show(502, explain(error))

    async def http_get(self, host: str, port: int, target: str) -> None:
        """Pass on a page."""
        # The base class streams these with every header that the scheduler sends.
        if self.request.headers.get("Accept") == "text/event-stream":
            del self.request.headers["Accept"]
        try:
            await self.proxy(host, port, target)
        except (OSError, httpclient.HTTPError, web.HTTPError) as error:
            raise DashboardUnavailableError(f"The scheduler says nothing: {error}") from error

    async def open(self, host: str, port: int, target: str) -> None:
        """Pass on what the scheduler says, from the first message on."""
        self._relay = asyncio.ensure_future(self._relay_messages())

    def on_message(self, message: str | bytes) -> None:
        """Pass on what the browser says, unless the scheduler has just gone."""
        with contextlib.suppress(WebSocketClosedError):
            super().on_message(message)

    def on_ping(self, data: bytes) -> None:
        """Leave the browser's pings to this server, which has answered already."""

    def on_close(self) -> None:
        """Close the scheduler's end too."""
        if self._relay is not None:
            self._relay.cancel()
        super().on_close()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say what the server itself refuses; also where it refused before it knew who asks."""
        error = kwargs.get("exc_info", (None, None))[1]
        said = (error.log_message if isinstance(error, web.HTTPError) else None) or self._reason
        self._show(status_code, DaskKubernetesError(f"The notebook server says: {said}"))

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        """Choose what the scheduler has chosen."""
        chosen: str | None = self.ws.selected_subprotocol
        return chosen if chosen in subprotocols else None

    def get_client_uri(self, protocol: str, host: str, port: int, proxied_path: str) -> str:
        """Build the URL at the scheduler, spelt as the browser did, without what is private."""
        query = keep_query(self.request.query)
        return f"{protocol}://{host}:{port}/{proxied_path}" + (f"?{query}" if query else "")

    def proxy_request_headers(self) -> Any:
        """Build the headers for the scheduler."""
        return keep_request_headers(self.request.headers)

    def proxy_request_options(self) -> dict[str, Any]:
        """Bound how long a page may take."""
        return {
            "follow_redirects": False,
            "connect_timeout": CONNECT_TIMEOUT_S,
            "request_timeout": REQUEST_TIMEOUT_S,
        }

    def _record_activity(self) -> None:
        if not self._is_websocket() and self.get_argument("no_track_activity", None) is None:
            super()._record_activity()

    def _is_websocket(self) -> bool:
        return self.request.headers.get("Upgrade", "").lower() == "websocket"

    def _read_target(self) -> str:
        """Read the path at the scheduler, refusing what is not the dashboard's."""
        base_path = url_path_join(self.base_url, self.proxy_base) + "/"
        if not self.request.path.startswith(base_path):
            raise InvalidRequestError(None, "This is not the address of a dashboard")
        target: str = self.request.path[len(base_path) :]
        if not is_dashboard_path(unquote(target)):
            raise InvalidRequestError(None, f"/{unquote(target)} is not a page of the dashboard")
        return target

    async def _connect(self, host: str, port: int, target: str) -> None:
        """Connect to the scheduler before the browser's handshake, which can still be refused."""
        if not self.check_origin():
            raise web.HTTPError(403, "This page may not open a dashboard's websocket")
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        request = httpclient.HTTPRequest(
            self.get_client_uri("ws", host, port, target),
            headers=self.proxy_request_headers(),
            connect_timeout=CONNECT_TIMEOUT_S,
        )
        try:
            self.ws = await pingable_ws_connect(
                request,
                on_ping_callback=self._pass_ping,
                subprotocols=[protocol.strip() for protocol in offered.split(",") if offered],
            )
        except (OSError, httpclient.HTTPError, WebSocketClosedError) as error:
            raise DashboardUnavailableError(f"The scheduler says nothing: {error}") from error

    def _pass_ping(self, data: bytes) -> None:
        # A proxy in front of us closes what is silent for a minute.
        with contextlib.suppress(WebSocketClosedError):
            self.ping(data)

    async def _relay_messages(self) -> None:
        try:
            while (message := await self.ws.read_message()) is not None:
                await self.write_message(message, binary=isinstance(message, bytes))
        except WebSocketClosedError:
            pass  # the browser went away
        finally:
            self.close()

    def _rewrite(self, response: RewritableResponse) -> None:
        response.headers = keep_response_headers(response.headers, self.content_security_policy)

    def _show(self, status: int, error: DaskKubernetesError) -> None:
        page = build_unavailable_page(
            error.title, error.message, error.fix, looks_again=status != 404
        )
        self.set_status(status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(page)
