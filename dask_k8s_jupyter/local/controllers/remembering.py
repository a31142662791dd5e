"""What controllers read and write with: live views of the API, and writes that are remembered.

Guarantees that what was created a moment ago is not created again before the watch has told of it,
or half a minute has passed (what was deleted while no watch was open is never told of); and that
what was deleted is not counted again. Refuses to decide.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dask_k8s_operator.kube import Informer, KubeClient, WorkQueue
from dask_k8s_operator.kube.errors import AlreadyExistsError, KubeError, NotFoundError
from dask_k8s_operator.resources.kinds import PODS, Kind

Object = dict[str, Any]
# How long the watch may take to tell of what was created.
_EXPECTED_S = 30.0
# Kind, namespace and name of what is to be made true.
Key = tuple[str, str, str]


class RememberingApi:
    """Live views of the API, and writes to it that are remembered until the views show them.

    Parameters
    ----------
    client
        Connection to the API as an administrator.
    queue
        Where keys are asked for again.
    clock
        Tells the time in seconds.
    """

    def __init__(
        self,
        client: KubeClient,
        queue: WorkQueue[Key],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self.queue = queue
        self.informers: dict[str, Informer] = {}
        self._clock = clock
        # Until when to wait for what was created and is not seen yet, by its owner and name.
        self._expected: dict[Key, dict[str, float]] = {}
        self.deleted: set[str] = set()

    def note_seen(self, key: Key, name: str) -> None:
        """Note that the watch has told of an object of an owner."""
        self._expected.get(key, {}).pop(name, None)

    def find_wait_s(self, key: Key) -> float:
        """How long to wait for what was created for an owner, in seconds; 0 for not at all."""
        until = max(self._expected.get(key, {}).values(), default=0.0)
        left_s = max(0.0, until - self._clock())
        if not left_s:
            self._expected.pop(key, None)
        return left_s

    def forget(self, key: Key) -> None:
        """Forget an owner that has gone."""
        self._expected.pop(key, None)

    def children(self, kind: str, owner: Object) -> list[Object]:
        """Objects of a kind that an owner has."""
        uid = owner["metadata"]["uid"]
        return [
            each
            for each in self.informers[kind].objects.values()
            if any(
                reference["uid"] == uid
                for reference in each["metadata"].get("ownerReferences") or ()
            )
        ]

    def find_pods(self, owner: Object) -> list[Object]:
        """Pods of an owner, without those that were deleted here."""
        pods = self.children("Pod", owner)
        return [pod for pod in pods if pod["metadata"]["uid"] not in self.deleted]

    async def create(self, key: Key, kind: Kind, manifest: Object) -> None:
        """Create an object for an owner."""
        name = manifest["metadata"]["name"]
        self._expected.setdefault(key, {})[name] = self._clock() + _EXPECTED_S
        try:
            await self.client.create(kind, manifest)
        except AlreadyExistsError:
            self.note_seen(key, name)
        except KubeError:
            self.note_seen(key, name)
            raise

    async def delete_pod(self, pod: Object) -> None:
        """Delete a Pod, if it is still there."""
        metadata = pod["metadata"]
        self.deleted.add(metadata["uid"])
        try:
            await self.client.delete(PODS, metadata["name"], metadata["namespace"])
        except NotFoundError:
            return
        except KubeError:
            # It may be there still, and is tried again.
            self.deleted.discard(metadata["uid"])
            raise

    async def patch(self, kind: Kind, item: Object, patch: Object, **options: Any) -> None:
        """Change an object."""
        metadata = item["metadata"]
        await self.client.patch(kind, metadata["name"], patch, metadata["namespace"], **options)

    async def write_status(self, kind: Kind, item: Object, status: Object) -> None:
        """Write fields of a status, unless they say so already; None takes a field away."""
        written = item.get("status") or {}
        if any((written.get(field) or None) != (value or None) for field, value in status.items()):
            await self.patch(kind, item, {"status": status}, subresource="status")
