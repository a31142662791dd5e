"""Runs the controllers of an embedded cluster: one queue, one live view of each kind.

Guarantees that a failure of one object delays no other, and that what is asked for twice is done
once. Refuses to decide: that is for the modules that it calls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from dask_k8s_operator.kube import Informer, KubeClient, WorkQueue
from dask_k8s_operator.kube.errors import KubeError
from dask_k8s_operator.resources.kinds import DEPLOYMENTS, PODS, SERVICES, Kind

from ..backends import selects
from .decide import find_controller, is_ready
from .endpoints import ENDPOINTS, forget_service, reconcile_service
from .jobs import JOBS, JobReconciler
from .remembering import Key, Object, RememberingApi
from .slices import ENDPOINT_SLICES, SERVICE_NAME
from .workloads import REPLICA_SETS, reconcile_deployment, reconcile_replica_set

_KINDS = (DEPLOYMENTS, REPLICA_SETS, JOBS, SERVICES, ENDPOINTS, ENDPOINT_SLICES, PODS)
_OWNERS = {"Pod": ("ReplicaSet", "Job"), "ReplicaSet": ("Deployment",)}
# What has to become true; the other kinds only bear on that.
_DESIRED = ("Deployment", "ReplicaSet", "Job", "Service")

_LOG = logging.getLogger(__name__)
Reconcile = Callable[[RememberingApi, Key, Object], Awaitable[None]]


class Controllers:
    """Makes Deployments, ReplicaSets, Jobs and the Endpoints of Services true.

    Parameters
    ----------
    client
        Connection to the API as an administrator; closed with this.
    job_backoff_s
        Pause after the first Pod of a Job that fails, in seconds; doubles up to ten minutes.
    """

    def __init__(self, client: KubeClient, *, job_backoff_s: float = 10.0) -> None:
        self._client = client
        self._queue: WorkQueue[Key] = WorkQueue(backoff_base_s=0.2, backoff_max_s=30.0)
        self._tasks: list[asyncio.Task[None]] = []
        self._api = RememberingApi(client, self._queue)
        self._api.informers |= {
            kind.kind: Informer(client, kind, on_change=self._build_listener(kind))
            for kind in _KINDS
        }
        self._jobs = JobReconciler(job_backoff_s)
        self._reconcilers: dict[str, Reconcile] = {
            "Deployment": reconcile_deployment,
            "ReplicaSet": reconcile_replica_set,
            "Job": self._jobs.reconcile,
            "Service": reconcile_service,
        }

    def start(self) -> None:
        """Begin, in tasks of the running loop."""
        runs = [informer.run() for informer in self._api.informers.values()]
        self._tasks = [asyncio.ensure_future(run) for run in (*runs, self._work())]

    async def stop(self) -> None:
        """End, and close the connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._queue.close()
        await self._client.close()

    def _build_listener(self, kind: Kind) -> Callable[[Object | None, Object | None], None]:
        owners = _OWNERS.get(kind.kind, ())

        def listen(old: Object | None, new: Object | None) -> None:
            item = new if new is not None else old
            if item is None:
                return
            metadata = item["metadata"]
            if kind.kind in _DESIRED:
                self._queue.add((kind.kind, metadata["namespace"], metadata["name"]))
            if old is not None and (new is None or _uid(new) != _uid(old)):
                self._api.deleted.discard(_uid(old))
                self._jobs.forget(_uid(old))
            if service := _find_service(kind, item):
                key = ("Service", metadata["namespace"], service)
                self._api.note_seen(key, metadata["name"])
                self._queue.add(key)
            for owner in owners:
                if controller := find_controller(item, owner):
                    self._api.note_seen((owner, *controller), metadata["name"])
                    self._queue.add((owner, *controller))
            if kind is PODS:
                self._note_pod(old, new)

        return listen

    def _note_pod(self, old: Object | None, new: Object | None) -> None:
        """Look again at the Services that a Pod is or was behind, when it matters to them."""
        if old is not None and new is not None and _facts(old) == _facts(new):
            return
        for (namespace, name), service in self._api.informers["Service"].objects.items():
            if any(pod is not None and selects(service, pod) for pod in (old, new)):
                self._queue.add(("Service", namespace, name))

    async def _work(self) -> None:
        for informer in self._api.informers.values():
            await informer.wait_synced()
        while True:
            key = await self._queue.get()
            try:
                await self._reconcile(key)
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

    async def _reconcile(self, key: Key) -> None:
        kind, namespace, name = key
        item = self._api.informers[kind].objects.get((namespace, name))
        if item is None or "deletionTimestamp" in item["metadata"]:
            self._api.forget(key)
            if kind == "Service" and item is None:
                await forget_service(self._api, key)
        elif wait_s := self._api.find_wait_s(key):
            # What was created and is on its way brings us back here, if nobody deleted it before.
            self._queue.add_after(key, wait_s)
        else:
            await self._reconcilers[kind](self._api, key, item)


def _uid(item: Object) -> str:
    return str(item["metadata"]["uid"])


def _facts(pod: Object) -> tuple[object, ...]:
    """What of a Pod the Services that lead to it tell."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    return (
        metadata.get("labels"),
        "deletionTimestamp" in metadata,
        status.get("podIP"),
        status.get("phase"),
        is_ready(pod),
    )


def _find_service(kind: Kind, item: Object) -> str:
    """Name of the Service that an object tells of; "" when it tells of none."""
    metadata = item["metadata"]
    if kind is ENDPOINTS:
        return str(metadata["name"])
    labels = metadata.get("labels") or {}
    return str(labels.get(SERVICE_NAME, "")) if kind is ENDPOINT_SLICES else ""
