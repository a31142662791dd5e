"""Users, and what befalls Pods: everything that happens for no reason of the operator's.

Guarantees to remember what was asked for, apart from the API. Refuses to act on what cannot be
seen from outside the operator.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from dask_k8s_operator.kube.errors import AlreadyExistsError, KubeError
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_WORKER_GROUPS,
    PODS,
    SERVICES,
    Kind,
)
from dask_k8s_operator.resources.names import (
    CLUSTER_NAME_LABEL,
    COMPONENT_LABEL,
    SCHEDULER,
    WORKER,
    WORKER_GROUP_LABEL,
    default_group_name,
    group_name,
)

from .api import ApiServer, Manifest, owns
from .dask import Dask
from .node import Node

NAMESPACES = ("a", "a", "a", "b")
NAMES = ("x", "x", "y")
MOST_WORKERS = 7
# A Pod that looks much like ours and is nobody's of ours.
BYSTANDER = "bystander"
# A label that users put on what they made.
TEAM = "team"


class Users:
    """All people and all accidents of one history.

    Parameters
    ----------
    rng
        Draws what is done.
    tell
        Writes a line of the history.
    """

    def __init__(
        self,
        api: ApiServer,
        node: Node,
        dask: Dask,
        rng: random.Random,
        tell: Callable[..., None],
    ) -> None:
        self._api = api
        self._node = node
        self._dask = dask
        self._rng = rng
        self._tell = tell
        self.acts = 0
        # What was asked of a default group's count, by the cluster's uid: when, and how many.
        self.wishes: dict[str, list[tuple[float, int]]] = {}
        # Clusters that an autoscaler named at some time: their counts are nobody's wish.
        self.adapted: dict[tuple[str, str], None] = {}
        api.observers.append(self._see)
        menu: dict[Callable[[], object], int] = {
            self._create_cluster: 5,
            self._create_group: 3,
            self._create_autoscaler: 2,
            self._create_job: 1,
            self._scale_cluster: 8,
            self._scale_group: 9,
            self._edit: 3,
            self._edit_scheduler: 1,
            self._suspend: 2,
            self._label: 1,
            self._adapt: 1,
            self._delete: 3,
            self._delete_child: 2,
            self._submit: 10,
            self._release: 1,
            self._crash: 3,
            self._evict: 3,
            self._vanish: 3,
            self._stall: 3,
            self._end_scheduler: 2,
            self._place_bystander: 1,
        }
        self._acts, self._weights = list(menu), list(menu.values())

    def begin(self) -> None:
        """Make the first cluster, with some work."""
        self._create_cluster()

    def act(self) -> None:
        """Do something, or let something happen."""
        self.acts += 1
        self._rng.choices(self._acts, self._weights)[0]()

    def _create_cluster(self) -> None:
        namespace, name = self._rng.choice(NAMESPACES), self._rng.choice(NAMES)
        spec = self._draw_cluster_spec()
        if self._rng.random() < 0.2:
            spec["idleTimeout"] = self._rng.choice((15, 60))
        made = self._create(DASK_CLUSTERS, namespace, name, spec)
        if made is not None:
            self._wish(made, spec["worker"]["replicas"])

    def _draw_cluster_spec(self) -> Manifest:
        encryption = {"tls": True} if self._rng.random() < 0.15 else {}
        return {
            **encryption,
            "scheduler": {
                "spec": {"containers": [{"name": "scheduler", "image": "dask:1"}]},
                "service": {"type": "ClusterIP"},
            },
            "worker": self._draw_worker(),
        }

    def _draw_worker(self) -> Manifest:
        spec: Manifest = {"containers": [{"name": "worker", "image": "dask:1"}]}
        if self._rng.random() < 0.1:
            spec["restartPolicy"] = "Never"
        if self._rng.random() < 0.15:
            spec["hostNetwork"] = True
        worker = {"replicas": self._draw_count(), "spec": spec}
        if self._rng.random() < 0.1:
            worker["retireTimeout"] = 5
        return worker

    def _draw_count(self) -> int:
        return self._rng.choice((0, 1, 2, 3, 4, 5, MOST_WORKERS))

    def _create_group(self) -> None:
        cluster = self._rng.choice(NAMES)
        name = group_name(cluster, self._rng.choice(("big", "gpu")))
        spec = {"cluster": cluster, "worker": self._draw_worker()}
        self._create(DASK_WORKER_GROUPS, self._rng.choice(NAMESPACES), name, spec)

    def _create_autoscaler(self) -> None:
        cluster = self._rng.choice(NAMES)
        minimum = self._rng.randrange(3)
        spec = {"cluster": cluster, "minimum": minimum, "maximum": minimum + self._rng.randrange(5)}
        if self._rng.random() < 0.3:
            spec["workerGroup"] = group_name(cluster, "big")
        self._create(DASK_AUTOSCALERS, self._rng.choice(NAMESPACES), cluster, spec)

    def _create_job(self) -> None:
        runner = {"containers": [{"name": "job", "image": "dask:1"}], "restartPolicy": "Never"}
        spec = {"job": {"spec": runner}, "cluster": {"spec": self._draw_cluster_spec()}}
        limits = {"backoffLimit": 2, "activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": 30}
        spec.update({limit: n for limit, n in limits.items() if self._rng.random() < 0.3})
        self._create(DASK_JOBS, self._rng.choice(NAMESPACES), self._rng.choice(("j", "y")), spec)

    def _create(self, kind: Kind, namespace: str, name: str, spec: Manifest) -> Manifest | None:
        body = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
        try:
            return self._api.create(kind, body, "user")
        except AlreadyExistsError:
            return None

    def _scale_cluster(self) -> None:
        cluster = self._pick(DASK_CLUSTERS)
        if cluster is not None:
            count = self._draw_count()
            self._scale(DASK_CLUSTERS, cluster, cluster, count)

    def _scale_group(self) -> None:
        group = self._pick(DASK_WORKER_GROUPS)
        if group is not None:
            cluster = self._find_cluster_of_default(group)
            self._scale(DASK_WORKER_GROUPS, group, cluster, self._draw_count())

    def _scale(self, kind: Kind, item: Manifest, cluster: Manifest | None, count: int) -> None:
        is_news = item["spec"]["worker"]["replicas"] != count
        self._patch(kind, item, {"spec": {"worker": {"replicas": count}}})
        if cluster is not None and is_news:
            self._wish(cluster, count)

    def _find_cluster_of_default(self, group: Manifest) -> Manifest | None:
        """Find the cluster that made a group for itself."""
        metadata, name = group["metadata"], group["spec"]["cluster"]
        cluster = self._api.find(DASK_CLUSTERS, metadata["namespace"], name)
        is_default = metadata["name"] == default_group_name(name)
        return cluster if is_default and cluster is not None and owns(cluster, group) else None

    def _edit(self) -> None:
        item = self._pick(self._rng.choice((DASK_CLUSTERS, DASK_WORKER_GROUPS)))
        if item is not None:
            image = f"dask:{self._rng.randrange(2, 4)}"
            spec = {"containers": [{"name": "worker", "image": image}]}
            self._patch(_KIND_OF[item["kind"]], item, {"spec": {"worker": {"spec": spec}}})

    def _edit_scheduler(self) -> None:
        cluster = self._pick(DASK_CLUSTERS)
        if cluster is not None:
            image = f"dask:{self._rng.randrange(2, 4)}"
            spec = {"containers": [{"name": "scheduler", "image": image}]}
            self._patch(DASK_CLUSTERS, cluster, {"spec": {"scheduler": {"spec": spec}}})

    def _suspend(self) -> None:
        kind = self._rng.choice((DASK_CLUSTERS, DASK_CLUSTERS, DASK_JOBS))
        item = self._pick(kind)
        # A job whose cluster is suspended waits for ever.
        if item is not None and not item["metadata"].get("ownerReferences"):
            is_suspended = bool(item["spec"].get("suspend"))
            self._patch(kind, item, {"spec": {"suspend": not is_suspended}})

    def _label(self) -> None:
        kind = self._rng.choice((DASK_CLUSTERS, DASK_WORKER_GROUPS))
        item = self._pick(kind)
        if item is not None:
            team = self._rng.choice(("blue", "red", None))
            self._patch(kind, item, {"metadata": {"labels": {TEAM: team}}})

    def _adapt(self) -> None:
        autoscaler = self._pick(DASK_AUTOSCALERS)
        if autoscaler is not None:
            minimum = self._rng.randrange(4)
            limits = {"minimum": minimum, "maximum": minimum + self._rng.randrange(4)}
            self._patch(DASK_AUTOSCALERS, autoscaler, {"spec": limits})

    def _delete(self) -> None:
        kinds = (DASK_CLUSTERS, DASK_CLUSTERS, DASK_WORKER_GROUPS, DASK_AUTOSCALERS, DASK_JOBS)
        kind = self._rng.choice(kinds)
        item = self._pick(kind)
        if item is None:
            return
        metadata = item["metadata"]
        self._api.delete(kind, metadata["namespace"], metadata["name"], "user")
        if kind == DASK_WORKER_GROUPS:
            cluster = self._find_cluster_of_default(item)
            if cluster is not None:  # made anew as the cluster has it
                self._wish(cluster, cluster["spec"]["worker"]["replicas"])
        if kind == DASK_CLUSTERS and self._rng.random() < 0.5:
            # As whoever runs a notebook's cell again.
            self._create(kind, metadata["namespace"], metadata["name"], item["spec"])
            again = self._api.get(kind, metadata["namespace"], metadata["name"])
            self._wish(again, item["spec"]["worker"]["replicas"])

    def _delete_child(self) -> None:
        kind = self._rng.choice((PODS, PODS, PODS, SERVICES))
        item = self._pick(kind)
        if item is not None and item["metadata"].get("ownerReferences"):
            self._api.delete(kind, item["metadata"]["namespace"], item["metadata"]["name"], "user")

    def _submit(self) -> None:
        scheduler = self._pick_scheduler()
        if scheduler is not None:
            count, duration_s = self._rng.randrange(1, 9), self._rng.choice((0.5, 3.0, 12.0))
            self._tell("user", "submits", count, "tasks of", duration_s, "s to", scheduler.uid)
            scheduler.submit(count, duration_s)

    def _release(self) -> None:
        scheduler = self._pick_scheduler()
        if scheduler is not None:
            scheduler.release(self._rng)

    def _crash(self) -> None:
        self._befall("crash", self._node.crash)

    def _evict(self) -> None:
        self._befall("eviction", self._node.evict)

    def _vanish(self) -> None:
        self._befall("loss of the node", self._node.vanish)

    def _befall(self, what: str, fate: Callable[[str], None]) -> None:
        uids = [uid for uid in self._node.running if uid in self._dask.workers]
        if uids:
            uid = self._rng.choice(uids)
            self._tell("fate", what, self._node.running[uid][1])
            fate(uid)

    def _stall(self) -> None:
        scheduler = self._pick_scheduler()
        if scheduler is not None:
            now = self._api.loop.time()
            scheduler.stalled_until_s = now + self._rng.choice((3.0, 10.0, 40.0, 90.0))
            self._tell("fate", "stall of", scheduler.uid, "until", scheduler.stalled_until_s)

    def _end_scheduler(self) -> None:
        scheduler = self._pick_scheduler()
        if scheduler is not None:
            fates = (self._node.crash, self._node.evict, self._node.vanish)
            self._tell("fate", "end of scheduler", scheduler.uid)
            self._rng.choice(fates)(scheduler.uid)

    def _place_bystander(self) -> None:
        cluster = self._rng.choice(NAMES)
        labels = {
            CLUSTER_NAME_LABEL: cluster,
            COMPONENT_LABEL: self._rng.choice((WORKER, SCHEDULER, BYSTANDER)),
            WORKER_GROUP_LABEL: default_group_name(cluster),
        }
        name = f"{cluster}-default-worker-{self._rng.randrange(16**10):010x}"
        body = {
            "metadata": {"name": name, "namespace": self._rng.choice(NAMESPACES), "labels": labels},
            "spec": {"containers": [{"name": BYSTANDER}]},
        }
        self._api.create(PODS, body, BYSTANDER)

    def _pick(self, kind: Kind) -> Manifest | None:
        items = self._api.all(kind)
        return self._rng.choice(items) if items else None

    def _pick_scheduler(self) -> Any:
        schedulers = list(self._dask.schedulers.values())
        return self._rng.choice(schedulers) if schedulers else None

    def _patch(self, kind: Kind, item: Manifest, body: Manifest) -> None:
        try:
            metadata = item["metadata"]
            self._api.patch(kind, metadata["namespace"], metadata["name"], body, "user")
        except KubeError as error:
            self._tell("user", "was refused", error)

    def _see(self, kind: Kind, before: Any, after: Any, by: str, subresource: str | None) -> None:
        if kind == DASK_AUTOSCALERS and after is not None:
            self.adapted[(after["metadata"]["namespace"], after["spec"]["cluster"])] = None

    def _wish(self, cluster: Manifest, count: int) -> None:
        wishes = self.wishes.setdefault(cluster["metadata"]["uid"], [])
        wishes.append((self._api.loop.time(), count))


_KIND_OF = {"DaskCluster": DASK_CLUSTERS, "DaskWorkerGroup": DASK_WORKER_GROUPS}
