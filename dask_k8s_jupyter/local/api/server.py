"""The HTTP server: authenticate, authorize, find the verb, answer.

Guarantees that every answer is JSON of the API's own kinds, an error a ``Status``; that nothing is
listened to but one loopback address; that stopping ends every watch and connection.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Network
from typing import Any

import orjson
from aiohttp import web
from multidict import MultiDict

from . import builtin, discovery, reviews, scale, statuses, tables, versions
from .access import Attributes, Authorizer, Tokens, User, build_service_account
from .backend import Backend
from .bootstrap import create_first_objects
from .faults import Faults
from .garbage import DeleteOptions
from .metrics import RequestCounts
from .podstreams import PodStreams
from .requests import (
    Format,
    Target,
    is_complete,
    is_served,
    parse_target,
    parse_unknown,
    read_body,
    read_write_options,
)
from .resources import BUILT_IN
from .store import Record
from .watching import WatchStream, build_list, build_selection, encode_list

_LOG = logging.getLogger(__name__)

Handler = Callable[[web.BaseRequest, Target, User], Awaitable[web.StreamResponse]]
BUILT_IN_GROUPS = {resource.group for resource in BUILT_IN}
_ROOTS = ("/api", "/apis", "/version", "/openapi")
_REVIEW_GROUPS = ("authorization.k8s.io", "authentication.k8s.io")


class ApiServer:
    """The embedded API server.

    Parameters
    ----------
    host, port
        Where to listen; ``port=0`` takes a free one.
    server_tls
        Certificate of the server.
    node_tls
        How the server shows itself to nodes, for logs and port-forwards.
    service_network
        Addresses that Services get.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        server_tls: ssl.SSLContext,
        node_tls: ssl.SSLContext,
        service_network: IPv4Network,
    ) -> None:
        self.host = host
        self.port = port
        self.backend = Backend(service_network)
        self.tokens = Tokens(self.backend.store)
        self.faults = Faults(self.backend.store, self.tokens)
        self._counts = RequestCounts()
        self._authorizer = Authorizer(self.backend.store)
        self._server_tls = server_tls
        self._pod_streams = PodStreams(self.backend, node_tls)
        self._runner: web.ServerRunner | None = None
        self._is_stopping = False
        self._expiring: asyncio.Future[None] | None = None
        create_first_objects(self.backend)
        self._verbs: dict[str, Handler] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "update": self._update,
            "patch": self._patch,
            "delete": self._delete,
            "deletecollection": self._delete_collection,
        }

    @property
    def url(self) -> str:
        """Where clients find the server."""
        return f"https://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen; a server that was stopped goes on with the objects that it had."""
        self._is_stopping = False
        self.faults.bind(asyncio.get_running_loop())
        self._expiring = asyncio.ensure_future(self.backend.strategies.event_expiry.run())
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port, ssl_context=self._server_tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End every watch, then stop listening."""
        # Clients resume a watch as soon as it ends: from here on they are turned away.
        self._is_stopping = True
        if self._expiring is not None:
            self._expiring.cancel()
        self.backend.store.close_watches()
        await self._pod_streams.close()
        if self._runner is not None:
            server = self._runner.server
            connections = list(server.connections) if server else []
            transports = [connection.transport for connection in connections]
            await self._runner.cleanup()
            # A client that has gone to sleep never answers the end of its TLS.
            for transport in transports:
                if transport is not None:
                    transport.abort()
            self._runner = None

    # -- one request -----------------------------------------------------------------------------

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        target = parse_target(self.backend.registry, request.method, request.path, request.query)
        response = await self._answer_or_refuse(request, target)
        if target is not None:
            self._counts.count(target, request.content_type, response.status)
        return response

    async def _answer_or_refuse(
        self, request: web.BaseRequest, target: Target | None
    ) -> web.StreamResponse:
        try:
            if self._is_stopping:
                raise statuses.unavailable()
            await self.faults.hold_back()
            user = self.tokens.authenticate(request.headers.get("Authorization"))
            user = self._impersonate(user, request)
            return await self._respond(request, user, target)
        except statuses.StatusError as error:
            response = _answer(error.build_status(), error.code)
            response.headers.update(error.headers)
            return response
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001  (the edge of the server)
            _LOG.exception("%s %s failed", request.method, request.path_qs)
            failure = statuses.internal_error(f"{type(error).__name__}: {error}")
            return _answer(failure.build_status(), 500)
        finally:
            if self.backend.collector.has_work:
                asyncio.get_running_loop().call_soon(self.backend.collector.drain)

    def _impersonate(self, user: User, request: web.BaseRequest) -> User:
        name = request.headers.get("Impersonate-User")
        if not name:
            return user
        groups = request.headers.getall("Impersonate-Group", [])
        for plural, wanted in (("users", name), *(("groups", group) for group in groups)):
            self._authorizer.check(user, Attributes("impersonate", plural=plural, name=wanted))
        if name.startswith("system:serviceaccount:") and name.count(":") == 3:
            account = build_service_account(*name.split(":")[2:])
            return User(name, (*account.groups, *groups))
        return User(name, ("system:authenticated", *groups))

    async def _respond(
        self, request: web.BaseRequest, user: User, target: Target | None
    ) -> web.StreamResponse:
        if target is None:
            asked = parse_unknown(request.method, request.path)
            self._authorizer.check(user, asked)
            return self._answer_path(request)
        self._authorizer.check(user, target.attributes)
        self.faults.check(target)
        if target.resource.group in _REVIEW_GROUPS:
            return await self._review(request, target, user)
        if target.subresource in ("exec", "log", "portforward"):
            return await self._pod_streams.answer(request, target)
        if target.subresource in ("binding", "eviction", "token"):
            return await self._create_subresource(request, target)
        handler = self._verbs.get(target.verb)
        if handler is None or not is_served(target) or not is_complete(target):
            raise statuses.method_not_allowed()
        return await handler(request, target, user)

    def _answer_path(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path.rstrip("/")
        if path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if path == "/metrics":
            return web.Response(body=self._counts.build_page(), content_type="text/plain")
        is_read = request.method in ("GET", "HEAD")
        if is_read and path == "/openapi/v2":
            body, media_type = discovery.build_openapi_v2(request.headers.get("Accept", ""))
            return web.Response(body=body, content_type=media_type)
        if not is_read and (path in _ROOTS or not path.startswith("/api")):
            raise statuses.method_not_allowed()
        answer = self._find_discovery(path, request) if is_read else None
        if answer is None and path.startswith("/openapi/v3/"):
            return web.Response(status=404)
        if answer is None and not self._is_of_known_group(path):
            return web.Response(status=404, text="404 page not found\n")
        if answer is None:
            raise statuses.path_not_found()
        response = _answer(answer)
        if answer.get("kind") == "APIGroupDiscoveryList":
            # Clients tell this form from the older one by its media type.
            group, _, version = answer["apiVersion"].partition("/")
            response.headers["Content-Type"] = (
                f"application/json;g={group};v={version};as=APIGroupDiscoveryList"
            )
        return response

    def _is_of_known_group(self, path: str) -> bool:
        """Whether a path is of the API at all: then its 404 is a Status, otherwise plain text."""
        parts = path.strip("/").split("/")
        if parts[0] != "apis":
            return parts[0] == "api"
        known = self.backend.registry.group_versions()
        version = parts[2] if len(parts) > 2 else ""
        is_built_in = len(parts) > 1 and parts[1] in BUILT_IN_GROUPS
        return is_built_in or ("".join(parts[1:2]), version) in known

    def _find_discovery(self, path: str, request: web.BaseRequest) -> dict[str, Any] | None:
        registry = self.backend.registry
        parts = path.strip("/").split("/")
        if path in ("/api", "/apis"):
            form = Format.read(request.headers.get("Accept", "*/*"), request.query)
            if form.kind == "APIGroupDiscoveryList":
                return discovery.build_aggregated(registry, path == "/api", form.version)
            if path == "/api":
                return discovery.build_api_versions(f"{self.host}:{self.port}")
            return discovery.build_group_list(registry)
        if path == "/version":
            return discovery.VERSION
        if path == "/openapi/v3":
            return discovery.build_openapi_index(registry)
        if parts[:2] == ["openapi", "v3"]:
            group, version = _read_group_version(parts[2:])
            return discovery.build_openapi(registry, group, version)
        if parts[0] == "apis" and len(parts) == 2:
            return discovery.build_group(registry, parts[1])
        group, version = _read_group_version(parts)
        return discovery.build_resource_list(registry, group, version)

    # -- verbs -----------------------------------------------------------------------------------

    async def _get(self, request: web.BaseRequest, target: Target, user: User) -> web.Response:
        record = self.backend.get(target.resource, target.place, target.name)
        return self._answer_record(request, target, record)

    async def _list(self, request: web.BaseRequest, target: Target, user: User) -> web.Response:
        form = Format.read(request.headers.get("Accept", "*/*"), request.query)
        return _answer_encoded(build_list(self.backend.store, target, request.query, form))

    async def _watch(
        self, request: web.BaseRequest, target: Target, user: User
    ) -> web.StreamResponse:
        form = Format.read(request.headers.get("Accept", "*/*"), request.query)
        return await WatchStream(self.backend.store, target, request, form).run()

    async def _create(self, request: web.BaseRequest, target: Target, user: User) -> web.Response:
        body = await read_body(request)
        options = read_write_options(request)
        record = self.backend.create(target.resource, target.namespace, body, options)
        return self._answer_record(request, target, record, 201)

    async def _update(self, request: web.BaseRequest, target: Target, user: User) -> web.Response:
        body = await read_body(request)
        options = read_write_options(request)
        place = target.place
        is_new = self.backend.store.get(target.resource.storage_key, place, target.name) is None
        record = self.backend.replace(
            target.resource, place, target.name, body, target.subresource, options
        )
        return self._answer_record(request, target, record, 201 if is_new else 200)

    async def _patch(self, request: web.BaseRequest, target: Target, user: User) -> web.Response:
        body = await read_body(request)
        options = read_write_options(request)
        place = target.place
        is_new = self.backend.store.get(target.resource.storage_key, place, target.name) is None
        record = self.backend.patch(
            target.resource,
            place,
            target.name,
            request.content_type,
            body,
            target.subresource,
            options,
        )
        return self._answer_record(request, target, record, 201 if is_new else 200)

    async def _delete(self, request: web.BaseRequest, target: Target, user: User) -> web.Response:
        options = DeleteOptions.read(await read_body(request, required=False), request.query)
        resource, place = target.resource, target.place
        record, is_gone = self.backend.collector.delete(resource, place, target.name, options)
        if not is_gone or self.backend.strategies.find(resource).returns_deleted:
            return _answer_encoded(versions.show(resource, record).encoded)
        metadata = record.object["metadata"]
        details = {"name": target.name, "kind": resource.plural, "uid": metadata["uid"]}
        if resource.group:
            details["group"] = resource.group
        return _answer(statuses.build_success(details))

    async def _delete_collection(
        self, request: web.BaseRequest, target: Target, user: User
    ) -> web.Response:
        options = DeleteOptions.read(await read_body(request, required=False), request.query)
        selected = build_selection(target, request.query)
        collection = self.backend.store.collection(target.resource.storage_key)
        records = collection.select(target.scope, selected)
        for record in records:
            metadata = record.object["metadata"]
            place = (metadata.get("namespace", ""), metadata["name"])
            if place in collection.records:
                self.backend.collector.delete(target.resource, *place, options)
        metadata = {"resourceVersion": str(self.backend.store.version)}
        return _answer_encoded(encode_list(target.resource, records, metadata))

    async def _review(
        self, request: web.BaseRequest, target: Target, user: User
    ) -> web.StreamResponse:
        if target.verb != "create":
            raise statuses.method_not_allowed()
        body = await read_body(request)
        answer = reviews.answer_review(self._authorizer, target, user, body)
        return _answer(answer, 201)

    async def _create_subresource(
        self, request: web.BaseRequest, target: Target
    ) -> web.StreamResponse:
        if target.verb != "create":
            raise statuses.method_not_allowed()
        body = await read_body(request)
        if target.subresource == "eviction":
            return _answer(self._evict(target, body), 201)
        if target.subresource == "token":
            account = self.backend.get(target.resource, target.namespace, target.name)
            return _answer(reviews.answer_token_request(self.tokens, account.object, body), 201)
        self.backend.bind(target.resource, target.namespace, target.name, body)
        return _answer(statuses.build_success({"name": target.name, "kind": "pods"}), 201)

    def _evict(self, target: Target, body: Any) -> dict[str, Any]:
        """Delete a Pod as an eviction asks; there are no disruption budgets here to say no."""
        builtin.decode("policy", "Eviction", body)
        if (body.get("metadata") or {}).get("name", target.name) != target.name:
            raise statuses.bad_request("name in URL does not match name in Eviction object")
        options = DeleteOptions.read(body.get("deleteOptions"), MultiDict())
        self.backend.collector.delete(target.resource, target.namespace, target.name, options)
        return statuses.build_done()

    def _answer_record(
        self, request: web.BaseRequest, target: Target, record: Record, code: int = 200
    ) -> web.Response:
        record = versions.show(target.resource, record)
        if target.subresource == "scale":
            return _answer(scale.build_scale(target.resource, record.object), code)
        form = Format.read(request.headers.get("Accept", "*/*"), request.query)
        if form.kind == "Table":
            metadata = {"resourceVersion": str(record.version)}
            table = tables.build_table(target.resource, [record.object], metadata, form.include)
            return _answer(table, code)
        if form.kind == "PartialObjectMetadata":
            return _answer(tables.build_partial(record.object), code)
        return _answer_encoded(record.encoded, code)


def _read_group_version(parts: list[str]) -> tuple[str, str]:
    if parts[0] == "api" and len(parts) == 2:
        return "", parts[1]
    if parts[0] == "apis" and len(parts) == 3:
        return parts[1], parts[2]
    return "", ""


def _answer(value: Any, code: int = 200) -> web.Response:
    return _answer_encoded(orjson.dumps(value), code)


def _answer_encoded(body: bytes, code: int = 200) -> web.Response:
    return web.Response(body=body, status=code, headers={"Content-Type": "application/json"})
