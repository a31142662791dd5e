"""ClusterStore: live pictures of the Dask clusters of a namespace, by watch.

Guarantees: the first change after a quiet moment is told at once, a burst of them at most ten
times a second, each subscriber hears of every cluster's newest picture, and a subscriber that
fails takes no other with it. The operator's silence is told when its time has come, by one timer
for all clusters.

Refuses to poll, to write, and to keep anything that the API does not hold.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, NoReturn

from dask_k8s_operator.kube import Informer, KubeClient
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    Kind,
)

from .autoscalers import index_autoscalers
from .problem import Problem, build_operator_silent_problem, build_problem
from .view import OPERATOR_SILENT_AFTER_S, ClusterView, build_cluster_view
from .words import parse_time

logger = logging.getLogger(__name__)

Key = tuple[str, str]
# Ten pictures a second look live; a thousand Pods that start make thousands of status writes.
FLUSH_INTERVAL_S = 0.1


@dataclass(frozen=True)
class ClusterChanged:
    """A cluster came or changed."""

    view: ClusterView

    def to_json(self) -> dict[str, Any]:
        """The change as a message of the stream."""
        return {"type": "upsert", "cluster": self.view.to_json()}


@dataclass(frozen=True)
class ClusterRemoved:
    """A cluster is gone; ``uid`` tells it from a later one of the same name."""

    namespace: str
    name: str
    uid: str

    def to_json(self) -> dict[str, Any]:
        """The change as a message of the stream."""
        return {
            "type": "remove",
            "namespace": self.namespace,
            "name": self.name,
            "uid": self.uid,
        }


@dataclass(frozen=True)
class ProblemChanged:
    """Something is wrong with the whole, or well again (None)."""

    problem: Problem | None

    def to_json(self) -> dict[str, Any]:
        """The change as a message of the stream."""
        return {"type": "problem", "problem": self.problem.to_json() if self.problem else None}


Change = ClusterChanged | ClusterRemoved | ProblemChanged
Subscriber = Callable[[Change], None]


class ClusterStore:
    """Live pictures of the clusters of one namespace.

    Parameters
    ----------
    client
        A connected client; the caller closes it, after the store.
    namespace
        Whose clusters; None means all namespaces, which needs the right to list them.
    now
        Tells the time, with a zone; for tests.

    Examples
    --------
    >>> store = ClusterStore(client, "default")  # doctest: +SKIP
    >>> unsubscribe = store.subscribe(print)  # doctest: +SKIP
    >>> await store.start()  # doctest: +SKIP
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str | None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self.namespace = namespace
        self.views: dict[Key, ClusterView] = {}
        self.problem: Problem | None = None
        self._now = now
        self._subscribers: dict[object, Subscriber] = {}
        self._dirty: set[Key] = set()
        self._unanswered: dict[tuple[str, int], datetime] = {}
        self._errors: dict[Kind, Exception] = {}
        self._failure: BaseException | None = None
        self._flush_at: asyncio.TimerHandle | None = None
        self._silence_at: asyncio.TimerHandle | None = None
        self._flushed_s = float("-inf")
        self._saw_all = False
        self._tasks: list[asyncio.Task[None]] = []
        self._clusters = self._watch(client, DASK_CLUSTERS)
        self._groups = self._watch(client, DASK_WORKER_GROUPS)
        self._autoscalers = self._watch(client, DASK_AUTOSCALERS)

    async def start(self) -> None:
        """Begin to watch; returns at once."""
        informers = (self._clusters, self._groups, self._autoscalers)
        self._tasks = [asyncio.ensure_future(informer.run()) for informer in informers]
        self._tasks.append(asyncio.ensure_future(self.wait_synced()))
        for task in self._tasks:
            task.add_done_callback(self._tell_failure)

    async def wait_failed(self) -> NoReturn:
        """Wait until a watch ends by a fault of ours, and raise that; a lost connection is none."""
        while True:
            failed = [task for task in self._tasks if task.done() and not task.cancelled()]
            for task in failed:
                task.result()
            alive = [task for task in self._tasks if not task.done()]
            await asyncio.wait(alive, return_when=asyncio.FIRST_COMPLETED)

    async def wait_synced(self) -> None:
        """Wait until all has been read once; for ever while the API cannot be reached."""
        for informer in (self._clusters, self._groups, self._autoscalers):
            await informer.wait_synced()
        self.flush()
        self._saw_all = True

    async def close(self) -> None:
        """Stop watching; the views stay as they were."""
        for timer in (self._flush_at, self._silence_at):
            if timer is not None:
                timer.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._subscribers.clear()

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Hear of every change, in the store's event loop; what is returned ends it.

        The callback has to return at once and hand over what takes time.
        """
        key = object()
        self._subscribers[key] = callback
        return lambda: self._subscribers.pop(key, None) and None

    def get_cluster(self, namespace: str, name: str) -> dict[str, Any] | None:
        """The DaskCluster resource as last seen; None where there is none."""
        return self._clusters.objects.get((namespace, name))

    def flush(self) -> None:
        """Redraw what has changed and tell it, without waiting for the end of a burst."""
        if self._flush_at is not None:
            self._flush_at.cancel()
            self._flush_at = None
        self._flushed_s = asyncio.get_running_loop().time()
        dirty, self._dirty = self._dirty, set()
        for key in sorted(dirty):
            try:
                self._redraw(key)
            except Exception:  # one resource that we cannot read does not hide the others
                logger.exception("DaskCluster %s/%s cannot be shown", *key)
        self._forget_answered()
        self._set_problem()
        self._arm_silence_timer()

    def _watch(self, client: KubeClient, kind: Kind) -> Informer:
        def on_error(error: Exception | None) -> None:
            if error is None:
                self._errors.pop(kind, None)
            else:
                self._errors[kind] = error
            self._flush_soon()

        def on_change(old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
            for resource in (old, new):
                if resource is not None:
                    self._dirty.add(_cluster_key(kind, resource))
            self._flush_soon()

        return Informer(client, kind, self.namespace, on_change=on_change, on_error=on_error)

    def _tell_failure(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            logger.error("The watch of the clusters in %s ended", self.namespace, exc_info=error)
            self._failure = error
            self._flush_soon()

    def _flush_soon(self) -> None:
        if self._flush_at is None:
            loop = asyncio.get_running_loop()
            due = max(loop.time(), self._flushed_s + FLUSH_INTERVAL_S)
            self._flush_at = loop.call_at(due, self.flush)

    def _redraw(self, key: Key) -> None:
        cluster, before = self._clusters.objects.get(key), self.views.get(key)
        if before is not None and (cluster is None or cluster["metadata"]["uid"] != before.uid):
            del self.views[key]
            self._tell(ClusterRemoved(before.namespace, before.name, before.uid))
        if cluster is None:
            return
        view = build_cluster_view(
            cluster,
            [group for group in self._groups.objects.values() if _group_key(group) == key],
            index_autoscalers(self._autoscalers.objects.values(), *key),
            self._now(),
            unanswered_since=self._unanswered_since(cluster),
        )
        if view != before:
            self.views[key] = view
            self._tell(ClusterChanged(view))

    def _unanswered_since(self, cluster: dict[str, Any]) -> datetime:
        """Since when the operator owes an answer to this edit, if it owes one."""
        metadata = cluster["metadata"]
        edit = (metadata["uid"], metadata.get("generation") or 0)
        if edit not in self._unanswered:
            # The API server's clock may differ from ours: it is asked only about what we did not
            # see happen.
            never_answered = (cluster.get("status") or {}).get("observedGeneration") is None
            created = parse_time(metadata.get("creationTimestamp"))
            was_there = never_answered and not self._saw_all
            self._unanswered[edit] = (created if was_there else None) or self._now()
        return self._unanswered[edit]

    def _forget_answered(self) -> None:
        waiting = {view.uid for view in self.views.values() if view.unanswered_since is not None}
        self._unanswered = {e: t for e, t in self._unanswered.items() if e[0] in waiting}

    def _set_problem(self) -> None:
        silent = sorted(key for key, view in self.views.items() if view.operator_silent)
        problem = None
        if self._failure is not None:
            problem = build_problem(self._failure)
        elif self._errors:
            problem = build_problem(next(iter(self._errors.values())))
        elif silent:
            problem = build_operator_silent_problem(silent)
        if problem != self.problem:
            self.problem = problem
            self._tell(ProblemChanged(problem))

    def _arm_silence_timer(self) -> None:
        """Look again when the first cluster that waits for an answer has waited long enough."""
        if self._silence_at is not None:
            self._silence_at.cancel()
            self._silence_at = None
        waiting = {
            key: view.unanswered_since
            for key, view in self.views.items()
            if view.unanswered_since is not None and not view.operator_silent
        }
        if waiting:
            first = min(waiting.values())
            due = first + timedelta(seconds=OPERATOR_SILENT_AFTER_S) - self._now()
            loop = asyncio.get_running_loop()
            # A little late rather than a little early, which would need a second look.
            delay_s = max(0.0, due.total_seconds()) + 0.05
            self._silence_at = loop.call_later(delay_s, self._look_again, set(waiting))

    def _look_again(self, keys: set[Key]) -> None:
        self._dirty |= keys
        self.flush()

    def _tell(self, change: Change) -> None:
        for callback in list(self._subscribers.values()):
            try:
                callback(change)
            except Exception:  # the edge of a loop: one subscriber's fault is not the others'
                logger.exception("A subscriber of the clusters in %s failed", self.namespace)


def _cluster_key(kind: Kind, resource: dict[str, Any]) -> Key:
    if kind is DASK_CLUSTERS:
        metadata = resource["metadata"]
        return metadata["namespace"], metadata["name"]
    return _group_key(resource)


def _group_key(resource: dict[str, Any]) -> Key:
    """The cluster that a worker group or an autoscaler names."""
    return resource["metadata"]["namespace"], (resource.get("spec") or {}).get("cluster") or ""
