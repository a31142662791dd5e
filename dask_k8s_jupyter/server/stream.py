"""The stream: what a namespace's clusters look like, told to a browser as it changes.

A snapshot first, then changes; ``dask_k8s_jupyter.server.outbox`` bounds what waits for a slow
browser. Guarantees: nobody without a login and no stranger's page gets in (see ``origin``), and a
stream that nobody watches does not keep an idle notebook server from being culled: it counts as no
activity, with or without ``no_track_activity``. Refuses to listen: what a browser sends is ignored.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast

import orjson
from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado import web
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from dask_k8s_operator.kube.errors import KubeError

from .base import HUB_SETTING
from .hub import SharedStore, StoreHub
from .origin_check import OriginCheckMixin
from .outbox import Outbox
from .validate import InvalidRequestError, choose_namespace


class StreamHandler(OriginCheckMixin, WebSocketMixin, WebSocketHandler, JupyterHandler):
    """Tells the clusters of one namespace."""

    auth_resource = "dask-k8s"
    _store: SharedStore | None = None
    _unsubscribe: Any = None
    _teller: asyncio.Task[None] | None = None

    @property
    def hub(self) -> StoreHub:
        """The server's connections."""
        return cast(StoreHub, self.settings[HUB_SETTING])

    @ws_authenticated
    @authorized
    async def get(self, *args: Any, **kwargs: Any) -> None:
        """Check before the handshake, so that a refusal is an answer and not a dead connection."""
        try:
            self._namespace = await self._choose_namespace()
        except InvalidRequestError as error:
            raise web.HTTPError(400, str(error)) from error
        await super().get(*args, **kwargs)

    async def open(self, *args: Any, **kwargs: Any) -> None:
        """Begin to tell."""
        super().open(*args, **kwargs)
        self._store = self.hub.borrow(self._namespace)
        outbox = Outbox()
        self._unsubscribe = self._store.subscribe(outbox.put)
        self._teller = asyncio.ensure_future(self._tell(self._store, outbox))

    def on_message(self, message: str | bytes) -> None:
        """Ignore what the browser says."""

    def on_close(self) -> None:
        """Stop telling; the store lives on for a while."""
        if self._teller is not None:
            self._teller.cancel()
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._store is not None:
            self.hub.give_back(self._store)
            self._store = None

    async def _choose_namespace(self) -> str:
        asked = self.get_query_argument("namespace", "")
        if asked:
            return choose_namespace(asked)
        with contextlib.suppress(KubeError):  # the stream itself tells what is in the way
            return choose_namespace("", await self.hub.client())
        return choose_namespace("")

    async def _tell(self, store: SharedStore, outbox: Outbox) -> None:
        try:
            await store.answered.wait()
            outbox.take()  # the snapshot holds it already
            await self._send(store.build_snapshot())
            while True:
                await outbox.wait()
                for message in outbox.take():
                    await self._send(message)
        except WebSocketClosedError:
            pass  # on_close tidies up

    async def _send(self, message: dict[str, Any]) -> None:
        # Waits until the message is on its way: what comes meanwhile replaces what waits.
        await self.write_message(orjson.dumps(message))
