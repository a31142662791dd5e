"""Sends requests to one Kubernetes API: connections, credentials, patience.

Guarantees: at most ``concurrency`` requests at once, streams apart; a 401 reads the token again
and asks once more; a 429 (or a 503 with Retry-After) waits as long as the API asks, a few times,
and holds its slot meanwhile, so that the others feel it; a connection whose other end vanished is
noticed within a minute. Refuses to send anything twice that may have been carried out.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import aiohttp
import orjson
from aiohttp import http_parser

from dask_k8s_operator import __version__

from .auth import Credentials
from .connect import GOODBYE_S, Resolver, Sockets, find_proxy
from .errors import (
    ApiError,
    ApiUnreachableError,
    Target,
    TooManyRequestsError,
    build_api_error,
    build_not_kubernetes_error,
)
from .handshake import Handshake
from .usage import ApiUsage

Params = Mapping[str, str | int | None]

CONNECT_TIMEOUT_S = 10.0
# The API itself gives up on a request after a minute.
READ_TIMEOUT_S = 70.0
PATIENCE_TRIES = 6
PATIENCE_DEFAULT_S = 1.0


class Transport:
    """One HTTP session with one API.

    Parameters
    ----------
    credentials
        Where the API is and who we are.
    concurrency
        How many requests may be under way at once; streams do not count.
    """

    def __init__(self, credentials: Credentials, *, concurrency: int) -> None:
        self.usage = ApiUsage()
        self._credentials = credentials
        self._slots = asyncio.Semaphore(concurrency)
        self._sockets = Sockets()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                ssl=credentials.tls or True,
                socket_factory=self._sockets.build,
                resolver=Resolver(),
            ),
            headers={"User-Agent": f"dask-k8s/{__version__}"},
        )
        self._proxy = credentials.proxy or find_proxy(credentials.host)

    async def close(self) -> None:
        """Close all connections; one whose other end says no goodbye is not waited for long."""
        # aiohttp waits for every end: 30 s with TLS, and on Python 3.10 without a limit.
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._session.close(), GOODBYE_S)
        await self._sockets.wait_closed()

    async def json(self, method: str, path: str, target: Target, **options: Any) -> Any:
        """Ask and parse the whole answer; options are those of ``read``."""
        raw = await self.read(method, path, target, **options)
        try:
            return orjson.loads(raw) if raw else None
        except orjson.JSONDecodeError as error:
            raise build_not_kubernetes_error(self._credentials.host) from error

    async def read(
        self,
        method: str,
        path: str,
        target: Target,
        *,
        params: Params | None = None,
        body: Any = None,
        content_type: str | None = None,
    ) -> bytes:
        """Ask and read the whole answer, in one of our slots, as patient as the API asks."""
        tries_left = PATIENCE_TRIES
        async with self._slots:
            while True:
                opened = self.open(
                    method, path, target, params, body, content_type, read_s=READ_TIMEOUT_S
                )
                try:
                    async with opened as response:
                        return await response.read()
                except TooManyRequestsError as error:
                    tries_left -= 1
                    if not tries_left:
                        raise
                    asked_s = error.retry_after_s
                    patience_s = PATIENCE_DEFAULT_S if asked_s is None else asked_s
                    self.usage.add_patience(patience_s)
                    await asyncio.sleep(patience_s)

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        target: Target,
        params: Params | None = None,
        body: Any = None,
        content_type: str | None = None,
        *,
        extra_headers: Mapping[str, str] | None = None,
        read_s: float | None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, hand over the answer unread; ``read_s`` of silence end it, if any."""
        payload = None if body is None else orjson.dumps(body)
        timeout = aiohttp.ClientTimeout(None, sock_connect=CONNECT_TIMEOUT_S, sock_read=read_s)
        for renew in (False, True):
            headers = {**await self._headers(renew=renew), **(extra_headers or {})}
            if payload is not None:
                headers["Content-Type"] = content_type or "application/json"
            with _translated(self._credentials.host):
                async with self._session.request(
                    method,
                    f"{self._credentials.host}{path}",
                    params=_present(params),
                    data=payload,
                    headers=headers,
                    proxy=self._proxy,
                    server_hostname=self._credentials.server_name,
                    timeout=timeout,
                ) as response:
                    self.usage.answers[target.verb, target.resource, response.status] += 1
                    if response.status < 400:
                        yield response
                        return
                    error = await _read_error(response, target)
            if error.status != 401 or renew:
                raise error

    @property
    def upgrades_to_any(self) -> bool:
        """Whether aiohttp hands connections over whatever they become.

        Without its parser in C it takes only a websocket's upgrade for one, and would ask others
        for more on a connection that speaks another protocol by then.
        """
        return http_parser.HttpResponseParser is not http_parser.HttpResponseParserPy

    @asynccontextmanager
    async def upgrade(
        self, path: str, target: Target, handshake: Handshake, read_s: float | None
    ) -> AsyncIterator[asyncio.Transport]:
        """Ask for a bare connection; gives it once the handshake is granted."""
        asked = handshake.request
        opened = self.open(
            "GET", path, target, extra_headers=asked, read_s=read_s or READ_TIMEOUT_S
        )
        async with opened as response:
            connection = response.connection
            transport = connection.transport if connection else None
            is_granted = handshake.is_granted(response.status, response.headers)
            if not is_granted or transport is None:
                raise build_not_kubernetes_error(self._credentials.host)
            yield transport

    async def _headers(self, *, renew: bool) -> dict[str, str]:
        authorization = await self._credentials.authorization(renew=renew)
        return {"Authorization": authorization} if authorization else {}


@contextmanager
def _translated(host: str) -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise ApiUnreachableError(host, f"its certificate is not trusted: {error}") from error
    except asyncio.TimeoutError as error:  # the builtin one only from Python 3.11
        raise ApiUnreachableError(host, "no answer in time") from error
    except (aiohttp.ClientError, ConnectionError, socket.gaierror) as error:
        raise ApiUnreachableError(host, str(error) or type(error).__name__) from error


def _present(params: Params | None) -> dict[str, str | int] | None:
    if params is None:
        return None
    return {key: value for key, value in params.items() if value is not None}


async def _read_error(response: aiohttp.ClientResponse, target: Target) -> ApiError:
    header = response.headers.get("Retry-After", "")
    retry_after_s = float(header) if header.isdigit() else None
    status = response.status
    if status == 503 and retry_after_s is not None:
        status = 429
    return build_api_error(status, await response.read(), target, retry_after_s)
