"""A Kubernetes API: dictionaries in, dictionaries out.

Guarantees that every failure is a KubeError that says what was asked, and that lists are whole
however many pages they have. Refuses to poll, to cache and to guess types: those are the
caller's.

On 1000 creates this costs a quarter of the CPU of a generated client, on 10,000 watch events a
fiftieth.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from dask_k8s_operator.resources.kinds import PODS, SELF_SUBJECT_ACCESS_REVIEWS, Kind

from .auth import Credentials, load_credentials
from .errors import Target, build_not_kubernetes_error
from .stream import WatchEvent, iterate_lines, iterate_watch_events
from .usage import ApiUsage

if TYPE_CHECKING:
    from .handshake import Handshake
    from .transport import Params

JsonObject = dict[str, Any]
PatchType = Literal["merge", "json", "apply", "strategic"]

DEFAULT_CONCURRENCY = 50
DEFAULT_FIELD_MANAGER = "dask-k8s"
PAGE_SIZE = 500
# Real API servers end a watch within the hour; shorter ones spread again over its replicas.
WATCH_TIMEOUT_S = 290

_PATCH_CONTENT_TYPES: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
    "strategic": "application/strategic-merge-patch+json",
}
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class ObjectList:
    """Objects of one kind, and the resource version from which to watch."""

    items: list[JsonObject]
    resource_version: str


class KubeClient:
    """A connection to one Kubernetes API, for one event loop.

    Parameters
    ----------
    credentials
        Where the API is and who we are.
    concurrency
        How many requests may be under way at once; watches and log streams do not count.

    Examples
    --------
    >>> async def names_of_pods():
    ...     async with await KubeClient.connect() as client:
    ...         return [pod["metadata"]["name"] for pod in (await client.list(PODS)).items]
    """

    def __init__(self, credentials: Credentials, *, concurrency: int = DEFAULT_CONCURRENCY) -> None:
        # Importing aiohttp costs a fifth of importing distributed: whoever never connects need not.
        from .transport import Transport

        self._credentials = credentials
        self._transport = Transport(credentials, concurrency=concurrency)

    @classmethod
    async def connect(
        cls,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> KubeClient:
        """Connect with the Pod's service account, or with a kubeconfig.

        Parameters
        ----------
        kubeconfig
            A file; None for the service account, then KUBECONFIG, then ``~/.kube/config``.
        context
            A context of the kubeconfig; None for its current one.
        concurrency
            How many requests may be under way at once.

        Raises
        ------
        NoKubeconfigError
            When nothing says where the API is.
        """
        return cls(await load_credentials(kubeconfig, context), concurrency=concurrency)

    @property
    def namespace(self) -> str:
        """Namespace that is meant when none is named."""
        return self._credentials.namespace

    @property
    def host(self) -> str:
        """URL of the API."""
        return self._credentials.host

    @property
    def source(self) -> str:
        """Where the credentials come from, for messages."""
        return self._credentials.source

    @property
    def usage(self) -> ApiUsage:
        """What this client has asked the API so far."""
        return self._transport.usage

    async def get(self, kind: Kind, name: str, namespace: str | None = None) -> JsonObject:
        """Read one object."""
        target = Target.of("get", kind, namespace, name)
        return await self._object("GET", kind.path(namespace, name), target)

    async def list(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> ObjectList:
        """Read all objects of a kind, page by page; ``namespace=None`` means all namespaces."""
        target = Target.of("list", kind, namespace)
        params: dict[str, str | int | None] = {
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "limit": PAGE_SIZE,
        }
        items: list[JsonObject] = []
        while True:
            page = await self._transport.json("GET", kind.path(namespace), target, params=params)
            try:
                items.extend(page.get("items") or ())
                version = page["metadata"]["resourceVersion"]
                token = page["metadata"].get("continue")
            except (AttributeError, KeyError, TypeError) as error:
                raise build_not_kubernetes_error(self.host) from error
            if not token:
                break
            params["continue"] = token
        for item in items:  # The API leaves these out of lists of its own kinds.
            item.setdefault("apiVersion", kind.api_version)
            item.setdefault("kind", kind.kind)
        return ObjectList(items, version)

    async def create(
        self,
        kind: Kind,
        body: JsonObject,
        namespace: str | None = None,
        *,
        field_manager: str = DEFAULT_FIELD_MANAGER,
    ) -> JsonObject:
        """Create an object, in ``namespace`` or in the one that its metadata names."""
        metadata = body.get("metadata") or {}
        namespace = namespace or metadata.get("namespace")
        if kind.namespaced and not namespace:
            namespace = self.namespace
        target = Target.of("create", kind, namespace, metadata.get("name"))
        params = {"fieldManager": field_manager}
        whole = {"apiVersion": kind.api_version, "kind": kind.kind, **body}
        return await self._object("POST", kind.path(namespace), target, params=params, body=whole)

    async def patch(
        self,
        kind: Kind,
        name: str,
        body: Any,
        namespace: str | None = None,
        *,
        patch_type: PatchType = "merge",
        subresource: str | None = None,
        field_manager: str = DEFAULT_FIELD_MANAGER,
        force: bool = False,
    ) -> JsonObject:
        """Change an object or its subresource; ``force`` takes fields over in an apply patch."""
        path = kind.path(namespace, name) + (f"/{subresource}" if subresource else "")
        return await self._object(
            "PATCH",
            path,
            Target.of("patch", kind, namespace, name, subresource),
            params={"fieldManager": field_manager, "force": "true" if force else None},
            body=body,
            content_type=_PATCH_CONTENT_TYPES[patch_type],
        )

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_s: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
    ) -> JsonObject:
        """Delete an object, only the one with ``uid`` and as of ``resource_version`` if given.

        Raises
        ------
        NotFoundError
            When it is gone already.
        ConflictError
            When another object has the name now, or it has changed since.
        """
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_period_s is not None:
            options["gracePeriodSeconds"] = grace_period_s
        if propagation:
            options["propagationPolicy"] = propagation
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if uid or resource_version:
            options["preconditions"] = {k: v for k, v in preconditions.items() if v}
        target = Target.of("delete", kind, namespace, name)
        return await self._object("DELETE", kind.path(namespace, name), target, body=options)

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        *,
        resource_version: str,
        label_selector: str | None = None,
        field_selector: str | None = None,
        timeout_s: int = WATCH_TIMEOUT_S,
        on_open: Callable[[], None] | None = None,
    ) -> AsyncIterator[WatchEvent]:
        """Follow changes since ``resource_version`` over one connection, until the API ends it.

        Bookmarks come through as events of type ``BOOKMARK``. ``on_open`` is called once the API
        has accepted.

        Raises
        ------
        GoneError
            When the resource version is forgotten: list again.
        """
        params: Params = {
            "watch": 1,
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "labelSelector": label_selector,
            "fieldSelector": field_selector,
            "timeoutSeconds": timeout_s,
        }
        target = Target.of("watch", kind, namespace)
        # The API ends the watch itself; should it not, this end notices half a minute later.
        opened = self._transport.open(
            "GET", kind.path(namespace), target, params, read_s=timeout_s + 30.0
        )
        async with opened as response:
            if on_open:
                on_open()
            async for event in iterate_watch_events(response, target, self.host):
                yield event

    async def logs(
        self,
        pod: str,
        namespace: str,
        *,
        container: str | None = None,
        tail_lines: int | None = None,
        limit_bytes: int | None = None,
        previous: bool = False,
    ) -> str:
        """Read a Pod's log; ``previous`` that of the container before its last restart."""
        params = {
            "container": container,
            "tailLines": tail_lines,
            "limitBytes": limit_bytes,
            "previous": "true" if previous else None,
        }
        target = Target.of("get", PODS, namespace, pod, "log")
        path = f"{PODS.path(namespace, pod)}/log"
        return (await self._transport.read("GET", path, target, params=params)).decode(
            errors="replace"
        )

    async def stream_logs(
        self,
        pod: str,
        namespace: str,
        *,
        container: str | None = None,
        tail_lines: int | None = None,
    ) -> AsyncIterator[str]:
        """Follow a Pod's log line by line until the container ends."""
        params = {"container": container, "tailLines": tail_lines, "follow": "true"}
        target = Target.of("get", PODS, namespace, pod, "log")
        opened = self._transport.open(
            "GET", f"{PODS.path(namespace, pod)}/log", target, params, read_s=None
        )
        async with opened as response:
            async for line in iterate_lines(response):
                yield line.decode(errors="replace")

    async def can_i(
        self,
        verb: str,
        kind: Kind,
        namespace: str | None = None,
        *,
        name: str | None = None,
        subresource: str | None = None,
    ) -> bool:
        """Ask the API whether we may do something."""
        attributes = {
            "verb": verb,
            "group": kind.group,
            "resource": kind.plural,
            "namespace": namespace,
            "name": name,
            "subresource": subresource,
        }
        review = {
            "apiVersion": SELF_SUBJECT_ACCESS_REVIEWS.api_version,
            "kind": SELF_SUBJECT_ACCESS_REVIEWS.kind,
            "spec": {"resourceAttributes": {k: v for k, v in attributes.items() if v is not None}},
        }
        answer = await self.create(SELF_SUBJECT_ACCESS_REVIEWS, review)
        return bool(answer["status"].get("allowed"))

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: Any = None,
        content_type: str | None = None,
    ) -> Any:
        """Ask for any path and parse the JSON of the answer, for what has no method here."""
        target = Target(_VERBS.get(method, method.lower()), path)
        return await self._transport.json(
            method, path, target, params=params, body=body, content_type=content_type
        )

    @property
    def upgrades_to_any(self) -> bool:
        """Whether connections can be had for other protocols than websockets."""
        return self._transport.upgrades_to_any

    def upgrade(
        self, path: str, target: Target, handshake: Handshake, read_s: float | None = None
    ) -> AbstractAsyncContextManager[asyncio.Transport]:
        """Ask for a bare connection on a path of the API; gives it once it is granted.

        What the API sends unasked is lost: only for protocols in which the client begins. The
        answer may take ``read_s``, or for None as long as any request.

        Raises
        ------
        ApiUnreachableError
            Also when the answer neither grants it nor is a failure.
        """
        return self._transport.upgrade(path, target, handshake, read_s)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def __aenter__(self) -> KubeClient:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _object(self, method: str, path: str, target: Target, **options: Any) -> JsonObject:
        answer = await self._transport.json(method, path, target, **options)
        if not isinstance(answer, dict):
            raise build_not_kubernetes_error(self.host)
        return answer
