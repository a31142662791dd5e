"""What one change of a cluster costs the operator, by how many other clusters there are.

The real controller on objects in memory: neither sockets nor an API server on the same cores, so
that what is compared is the operator's own work. Guarantees that every look that the change leads
to is counted. Refuses to run watches.
"""

from __future__ import annotations

import asyncio
import copy
import gc
import itertools
import statistics
import time
from typing import Any, cast

from dask_k8s_jupyter.local.api.patches import apply_json_patch, apply_merge_patch
from dask_k8s_operator.controller import Controller
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, Kind
from dask_k8s_operator.scheduler import SchedulerClient

from .workload import NOWHERE, build_cluster

NAMESPACE = "bench"
CHANGES = 200
ROUNDS = 7


class MemoryApi:
    """As much of an API as the controller writes to while no Pod runs."""

    def __init__(self) -> None:
        self._objects: dict[tuple[Kind, str], dict[str, Any]] = {}
        self._versions = itertools.count(1)

    async def create(self, kind: Kind, body: dict[str, Any]) -> dict[str, Any]:
        """Keep an object."""
        item = copy.deepcopy(body)
        item["metadata"] |= {"uid": f"uid-{next(self._versions)}", "namespace": NAMESPACE}
        return self._keep(kind, item)

    async def patch(
        self, kind: Kind, name: str, body: Any, namespace: str, patch_type: str = "merge", **_: Any
    ) -> dict[str, Any]:
        """Change it."""
        apply = apply_json_patch if patch_type == "json" else apply_merge_patch
        return self._keep(kind, apply(self._objects[kind, name], body))

    def _keep(self, kind: Kind, item: dict[str, Any]) -> dict[str, Any]:
        item["metadata"]["resourceVersion"] = str(next(self._versions))
        self._objects[kind, item["metadata"]["name"]] = item
        return copy.deepcopy(item)


async def work_off(controller: Controller) -> None:
    """Look at everything that is due."""
    while len(controller.queue):
        request = await controller.queue.get()
        await controller.reconcile(request)
        controller.queue.done(request)


async def change_s(api: MemoryApi, controller: Controller) -> float:
    """Processor seconds that a change of the first cluster costs, in the mean."""
    began = time.process_time()
    for number in range(CHANGES):
        before = controller.cache.get(DASK_CLUSTERS, NAMESPACE, "other-0")
        body = {"metadata": {"annotations": {"benchmark": str(number)}}}
        after = await api.patch(DASK_CLUSTERS, "other-0", body, NAMESPACE)
        controller.cache.informed(DASK_CLUSTERS, before, after)
        await work_off(controller)
    return (time.process_time() - began) / CHANGES


async def make_world(clusters: int) -> tuple[MemoryApi, Controller]:
    """Make a controller that has seen so many clusters."""
    api = MemoryApi()
    controller = Controller(cast(KubeClient, api), cast(SchedulerClient, None))
    for number in range(clusters):
        cluster = await api.create(DASK_CLUSTERS, build_cluster(f"other-{number}", NOWHERE))
        controller.cache.informed(DASK_CLUSTERS, None, cluster)
    await work_off(controller)
    return api, controller


async def measure_looks(counts: tuple[int, ...]) -> list[float]:
    """Milliseconds of processor time of a change beside so many clusters, in the median.

    Round by round in turn: a processor that is slower for a while is so for all of them.
    """
    worlds = [await make_world(count) for count in counts]
    rounds = []
    gc.collect()
    gc.disable()  # all worlds share one heap: a collection would be one world's or another's by lot
    for _ in range(ROUNDS):
        rounds.append([await change_s(*world) for world in worlds])
    gc.enable()
    for _, controller in worlds:
        controller.queue.close()
    return [statistics.median(costs_s) * 1000 for costs_s in zip(*rounds, strict=True)]


def measure(counts: tuple[int, ...]) -> list[float]:
    """Run ``measure_looks`` in a loop of its own."""
    return asyncio.run(measure_looks(counts))
