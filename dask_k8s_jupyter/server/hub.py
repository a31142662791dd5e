"""The one place of the server that holds connections: a client, and a store a namespace.

Guarantees: a store starts with its first user and ends some time after its last; users of one
namespace share it; while there is no way to Kubernetes, whoever waits is told why, and the way is
looked for again as long as somebody waits. Holds nothing that cannot be read back from the API.
Refuses to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dask_k8s_jupyter.state import (
    Change,
    ClusterStore,
    ClusterView,
    Problem,
    ProblemChanged,
    build_problem,
)
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError

# A page that reloads is back within seconds; a store that nobody looks at costs three watches.
LINGER_S = 30.0
RETRY_BASE_S = 1.0
RETRY_MAX_S = 30.0

Connect = Callable[[], Awaitable[KubeClient]]
Subscriber = Callable[[Change], None]


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
        self.answered = asyncio.Event()
        self._connect = connect
        self._store: ClusterStore | None = None
        self._connect_problem: Problem | None = None
        self._subscribers: dict[object, Subscriber] = {}
        self._task = asyncio.ensure_future(self._run())

    @property
    def views(self) -> dict[tuple[str, str], ClusterView]:
        """Newest picture of each cluster."""
        return self._store.views if self._store else {}

    @property
    def problem(self) -> Problem | None:
        """What is in the way; None when nothing is."""
        return self._connect_problem or (self._store.problem if self._store else None)

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

    async def close(self) -> None:
        """End the watches."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        client = await self._wait_for_client()
        self._store = ClusterStore(client, self.namespace)
        self._store.subscribe(self._tell)
        await self._store.start()
        try:
            await self._store.wait_synced()
            self.answered.set()
            await asyncio.Event().wait()
        finally:
            await self._store.close()

    async def _wait_for_client(self) -> KubeClient:
        delay_s = RETRY_BASE_S
        while True:
            try:
                client = await self._connect()
            except KubeError as error:
                self._connect_problem = build_problem(error)
                self._tell(ProblemChanged(self._connect_problem))
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, RETRY_MAX_S)
                continue
            if self._connect_problem is not None:
                self._connect_problem = None
                self._tell(ProblemChanged(None))
            return client

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

    def borrow(self, namespace: str) -> SharedStore:
        """Start to use the store of a namespace; ``give_back`` ends it."""
        store = self._stores.get(namespace)
        if store is None:
            store = self._stores[namespace] = SharedStore(namespace, self.client)
        store.users += 1
        return store

    def give_back(self, store: SharedStore) -> None:
        """End the use of a store; without a user for some time it closes."""
        store.users -= 1
        if store.users == 0:
            asyncio.get_running_loop().call_later(self._linger_s, self._close_unused, store)

    def find_view(self, namespace: str, name: str) -> ClusterView | None:
        """Find the picture of a cluster; None where nobody uses its namespace's store."""
        store = self._stores.get(namespace)
        return store.views.get((namespace, name)) if store else None

    async def close(self) -> None:
        """Close all stores and the connection."""
        stores, self._stores = list(self._stores.values()), {}
        await asyncio.gather(*(store.close() for store in stores), *self._closing)
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _close_unused(self, store: SharedStore) -> None:
        if store.users == 0 and self._stores.get(store.namespace) is store:
            del self._stores[store.namespace]
            closing = asyncio.ensure_future(store.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
