"""The one place of the server that holds connections: a client, and a store a namespace.

Guarantees: a store starts with its first user and ends some time after its last; users of one
namespace share it; while there is no way to Kubernetes, whoever waits is told why, and the way is
looked for again as long as somebody waits; a store that fails says so and begins again, and so does
each when the kubeconfig names another Kubernetes. Holds nothing that cannot be read back from the
API. Refuses to write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from dask_k8s_jupyter.state import (
    Change,
    ClusterRemoved,
    ClusterStore,
    ClusterView,
    Problem,
    ProblemChanged,
    build_problem,
)
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError

logger = logging.getLogger(__name__)

# A page that reloads is back within seconds; a store that nobody looks at costs three watches.
LINGER_S = 30.0
RETRY_BASE_S = 1.0
RETRY_MAX_S = 30.0

Connect = Callable[[], Awaitable[KubeClient]]
Subscriber = Callable[[Change], None]
Views = dict[tuple[str, str], ClusterView]


class SharedStore:
    """The clusters of one namespace, also while there is no connection yet.

    Parameters
    ----------
    namespace
        Whose clusters; None means the one that the connection names.
    connect
        Gives the shared client, or raises a KubeError.
    """

    def __init__(self, namespace: str, connect: Connect) -> None:
        self.namespace = namespace
        self.users = 0
        self.linger: asyncio.TimerHandle | None = None
        self.answered = asyncio.Event()
        self._connect = connect
        self._store: ClusterStore | None = None
        self._failure: Problem | None = None
        self._subscribers: dict[object, Subscriber] = {}
        self._task = asyncio.ensure_future(self._run())

    @property
    def views(self) -> Views:
        """Newest picture of each cluster."""
        return self._store.views if self._store else {}

    @property
    def problem(self) -> Problem | None:
        """What is in the way; None when nothing is."""
        return self._failure or (self._store.problem if self._store else None)

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Hear of every change until the returned function is called."""
        key = object()
        self._subscribers[key] = callback

        def unsubscribe() -> None:
            self._subscribers.pop(key, None)

        return unsubscribe

    def build_snapshot(self) -> dict[str, Any]:
        """All that is known, as the stream's first message."""
        return {
            "type": "snapshot",
            "clusters": [view.to_json() for _, view in sorted(self.views.items())],
            "problem": self.problem.to_json() if self.problem else None,
        }

    async def begin_again(self) -> None:
        """Watch with another connection; who listens hears of the differences."""
        await self.close()
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """End the watches."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        delay_s = RETRY_BASE_S
        while True:
            try:
                await self._follow()
            except Exception as error:  # the edge of a task that others wait for
                if not isinstance(error, KubeError):
                    logger.exception("The clusters of %s cannot be followed", self.namespace)
                self._set_failure(build_problem(error))
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, RETRY_MAX_S)

    async def _follow(self) -> None:
        """Keep the newest pictures until something fails."""
        before = self.views
        store = ClusterStore(await self._connect(), self.namespace)
        self._store = store
        store.subscribe(self._tell)
        await store.start()
        syncing = asyncio.ensure_future(self._sync(store, before))
        failing = asyncio.ensure_future(store.wait_failed())
        try:
            await asyncio.gather(syncing, failing)
        finally:
            syncing.cancel()
            failing.cancel()
            await store.close()

    async def _sync(self, store: ClusterStore, before: Views) -> None:
        self._set_failure(None)
        await store.wait_synced()
        for (namespace, name), view in before.items():
            successor = store.views.get((namespace, name))
            if successor is None or successor.uid != view.uid:
                self._tell(ClusterRemoved(namespace, name, view.uid))
        self.answered.set()

    def _set_failure(self, problem: Problem | None) -> None:
        if problem != self._failure:
            self._failure = problem
            self._tell(ProblemChanged(self.problem))

    def _tell(self, change: Change) -> None:
        if isinstance(change, ProblemChanged) and change.problem is not None:
            self.answered.set()  # whoever waits for a first answer has one: it does not go
        for callback in list(self._subscribers.values()):
            callback(change)


class StoreHub:
    """Lends stores to handlers; one for the whole server.

    Parameters
    ----------
    connect
        Makes a client, or raises a KubeError.
    linger_s
        How long a store lives on after its last user has gone.
    """

    def __init__(
        self, connect: Connect = KubeClient.connect, *, linger_s: float = LINGER_S
    ) -> None:
        self._connect = connect
        self._linger_s = linger_s
        self._client: KubeClient | None = None
        self._left: list[KubeClient] = []
        self._connecting = asyncio.Lock()
        self._stores: dict[str, SharedStore] = {}
        self._closing: set[asyncio.Future[None]] = set()

    async def client(self) -> KubeClient:
        """Give the connection to Kubernetes, made on first use.

        Raises
        ------
        NoKubeconfigError
            When nothing says where Kubernetes is.
        """
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def check_again(self) -> bool:
        """Whether the kubeconfig names another Kubernetes now; if it does, we are there."""
        async with self._connecting:
            if self._client is None:
                return False
            fresh = await self._connect()
            if (fresh.host, fresh.source) == (self._client.host, self._client.source):
                await fresh.close()
                return False
            # Pages that are open still use it; a person changes this a few times a day at most.
            self._left.append(self._client)
            self._client = fresh
        await asyncio.gather(*(store.begin_again() for store in list(self._stores.values())))
        return True

    def borrow(self, namespace: str) -> SharedStore:
        """Start to use the store of a namespace; ``give_back`` ends it."""
        store = self._stores.get(namespace)
        if store is None:
            store = self._stores[namespace] = SharedStore(namespace, self.client)
        if store.linger is not None:
            store.linger.cancel()
            store.linger = None
        store.users += 1
        return store

    def give_back(self, store: SharedStore) -> None:
        """End the use of a store; without a user for some time it closes."""
        store.users -= 1
        if store.users == 0:
            loop = asyncio.get_running_loop()
            store.linger = loop.call_later(self._linger_s, self._close_unused, store)

    def find_view(self, namespace: str, name: str) -> ClusterView | None:
        """Find the picture of a cluster; None where nobody uses its namespace's store."""
        store = self._stores.get(namespace)
        return store.views.get((namespace, name)) if store else None

    async def close(self) -> None:
        """Close all stores and the connection."""
        stores, self._stores = list(self._stores.values()), {}
        for store in stores:
            if store.linger is not None:
                store.linger.cancel()
        await asyncio.gather(*(store.close() for store in stores), *self._closing)
        clients = [*self._left, *([self._client] if self._client else [])]
        self._left, self._client = [], None
        await asyncio.gather(*(client.close() for client in clients))

    def _close_unused(self, store: SharedStore) -> None:
        if store.users == 0 and self._stores.get(store.namespace) is store:
            del self._stores[store.namespace]
            closing = asyncio.ensure_future(store.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
