"""Watches Deployments, ReplicaSets and Pods, and makes the first ones true.

Guarantees that what was created a moment ago is not created again before the watch has told of it;
that a failure of one object delays no other. Refuses to decide: that is ``decide``.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import Any

from dask_k8s_operator.kube import Informer, KubeClient, WorkQueue
from dask_k8s_operator.kube.errors import AlreadyExistsError, KubeError, NotFoundError
from dask_k8s_operator.resources.kinds import DEPLOYMENTS, PODS, Kind

from .decide import build_pod, decide_deployment, decide_replica_set, find_controller

REPLICA_SETS = Kind("apps", "v1", "replicasets", "ReplicaSet")
Object = dict[str, Any]
Key = tuple[str, str, str]

_LOG = logging.getLogger(__name__)


class WorkloadController:
    """Makes Deployments and ReplicaSets true.

    Parameters
    ----------
    client
        Connection to the API as an administrator; closed with this.
    """

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._queue: WorkQueue[Key] = WorkQueue(backoff_base_s=0.2, backoff_max_s=30.0)
        self._tasks: list[asyncio.Task[None]] = []
        # Names of Pods and ReplicaSets that were created and are not seen yet, by their owner.
        self._expected: dict[Key, set[str]] = {}
        self._deleted: set[str] = set()
        self._informers = {
            kind.kind: Informer(client, kind, on_change=self._build_listener(kind))
            for kind in (DEPLOYMENTS, REPLICA_SETS, PODS)
        }

    def start(self) -> None:
        """Begin, in tasks of the running loop."""
        runs = [informer.run() for informer in self._informers.values()]
        self._tasks = [asyncio.ensure_future(run) for run in (*runs, self._work())]

    async def stop(self) -> None:
        """End, and close the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._queue.close()
        await self._client.close()

    def _build_listener(self, kind: Kind) -> Any:
        owner = {"Pod": "ReplicaSet", "ReplicaSet": "Deployment"}.get(kind.kind)

        def listen(old: Object | None, new: Object | None) -> None:
            item = new if new is not None else old
            if item is None:
                return
            metadata = item["metadata"]
            if kind is not PODS:
                self._queue.add((kind.kind, metadata["namespace"], metadata["name"]))
            if new is None:
                self._deleted.discard(metadata["uid"])
            controller = find_controller(item, owner) if owner else None
            if owner and controller:
                key = (owner, *controller)
                self._expected.get(key, set()).discard(metadata["name"])
                self._queue.add(key)

        return listen

    async def _work(self) -> None:
        for informer in self._informers.values():
            await informer.wait_synced()
        while True:
            key = await self._queue.get()
            try:
                await self._reconcile(*key)
                self._queue.forget(key)
            except KubeError as error:
                _LOG.info("%s %s/%s: %s", *key, error)
                self._queue.add_failed(key)
            except Exception:  # noqa: BLE001
                # One object that cannot be understood delays no other.
                _LOG.exception("%s %s/%s cannot be brought in order", *key)
                self._queue.add_failed(key)
            finally:
                self._queue.done(key)

    async def _reconcile(self, kind: str, namespace: str, name: str) -> None:
        item = self._informers[kind].objects.get((namespace, name))
        key = (kind, namespace, name)
        if item is None or "deletionTimestamp" in item["metadata"]:
            self._expected.pop(key, None)
        elif self._expected.get(key):
            return  # what was created is on its way, and brings us back here
        elif kind == "Deployment":
            await self._reconcile_deployment(key, item)
        else:
            await self._reconcile_replica_set(key, item)

    async def _reconcile_deployment(self, key: Key, deployment: Object) -> None:
        own = self._children(REPLICA_SETS, deployment)
        plan = decide_deployment(deployment, own)
        if plan.create is not None:
            await self._create(key, REPLICA_SETS, plan.create)
        for each in own:
            size = plan.sizes.get(each["metadata"]["name"])
            if size is not None and size != each["spec"].get("replicas"):
                await self._patch(REPLICA_SETS, each, {"spec": {"replicas": size}})
        await self._write_status(DEPLOYMENTS, deployment, plan.status)

    async def _reconcile_replica_set(self, key: Key, replica_set: Object) -> None:
        pods = [
            pod
            for pod in self._children(PODS, replica_set)
            if "deletionTimestamp" not in pod["metadata"]
            and pod["metadata"]["uid"] not in self._deleted
        ]
        plan = decide_replica_set(replica_set, pods)
        for _ in range(plan.missing):
            name = f"{key[2]}-{uuid.uuid4().hex[:5]}"
            await self._create(key, PODS, build_pod(replica_set, name))
        for pod in plan.surplus:
            self._deleted.add(pod["metadata"]["uid"])
            await self._delete(pod)
        await self._write_status(REPLICA_SETS, replica_set, plan.status)

    def _children(self, kind: Kind, owner: Object) -> list[Object]:
        uid = owner["metadata"]["uid"]
        return [
            each
            for each in self._informers[kind.kind].objects.values()
            if any(
                reference["uid"] == uid
                for reference in each["metadata"].get("ownerReferences") or ()
            )
        ]

    async def _create(self, key: Key, kind: Kind, manifest: Object) -> None:
        expected = self._expected.setdefault(key, set())
        expected.add(manifest["metadata"]["name"])
        try:
            await self._client.create(kind, manifest)
        except AlreadyExistsError:
            expected.discard(manifest["metadata"]["name"])
        except KubeError:
            expected.discard(manifest["metadata"]["name"])
            raise

    async def _delete(self, pod: Object) -> None:
        metadata = pod["metadata"]
        try:
            await self._client.delete(PODS, metadata["name"], metadata["namespace"])
        except NotFoundError:
            return

    async def _patch(self, kind: Kind, item: Object, patch: Object, **options: Any) -> None:
        metadata = item["metadata"]
        await self._client.patch(kind, metadata["name"], patch, metadata["namespace"], **options)

    async def _write_status(self, kind: Kind, item: Object, status: Object) -> None:
        written = item.get("status") or {}
        if any(written.get(field, 0) != value for field, value in status.items()):
            await self._patch(kind, item, {"status": status}, subresource="status")
