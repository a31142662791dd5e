"""Assigns Pods to the one node, oldest first, where their requests fit.

Guarantees that the sum of requests on the node never exceeds its capacity, and that a Pod that
waits says why in its PodScheduled condition and in a FailedScheduling Event. Refuses to preempt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError, NotFoundError
from dask_k8s_operator.resources.kinds import PODS

from .events import EventRecorder, now_text
from .fit import explain_misfit, holds_resources, sum_requests, sum_used

_LOG = logging.getLogger(__name__)
Pod = dict[str, Any]
Key = tuple[str, str]

# A binding that failed for no known reason is tried again after this.
_RETRY_S = 1.0
_CONCURRENT_BINDINGS = 16


def _is_ours(pod: Pod) -> bool:
    """Whether a Pod asks for this scheduler, and not for another that there may be."""
    return bool(pod["spec"].get("schedulerName", "default-scheduler") == "default-scheduler")


class Scheduler:
    """Schedules Pods onto one node.

    Parameters
    ----------
    client
        Connection to the API.
    node_name, labels, capacity
        The node, and what there is room for on it.
    pods
        A live view of all Pods; ``note_change`` has to be called for its changes.
    """

    def __init__(
        self,
        client: KubeClient,
        node_name: str,
        labels: Mapping[str, str],
        capacity: Mapping[str, float],
        pods: Mapping[Key, Pod],
    ) -> None:
        self._client = client
        self._node_name = node_name
        self._labels = labels
        self._capacity = capacity
        self._pods = pods
        self._bound: dict[str, dict[str, float]] = {}
        self._events = EventRecorder(client, "default-scheduler")
        self._wake = asyncio.Event()
        self._limit = asyncio.Semaphore(_CONCURRENT_BINDINGS)

    def note_change(self, old: Pod | None, new: Pod | None) -> None:
        """Look again when a Pod came that waits, or one went that took room."""
        is_gone = old is not None and (
            new is None or new["metadata"]["uid"] != old["metadata"]["uid"]
        )
        if old is not None and is_gone:
            # No later round sees it, so nothing else would give back what was bound for it.
            self._bound.pop(old["metadata"]["uid"], None)
        is_waiting = new is not None and not new["spec"].get("nodeName") and _is_ours(new)
        is_room_made = is_gone or (old is not None and new is not None and not holds_resources(new))
        if is_waiting or is_room_made:
            self._wake.set()

    async def run(self) -> None:
        """Schedule until cancelled."""
        events = asyncio.ensure_future(self._events.run())
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._schedule_waiting()
        finally:
            events.cancel()

    def _waiting(self) -> list[Pod]:
        found = [
            pod
            for pod in self._pods.values()
            if not pod["spec"].get("nodeName")
            and _is_ours(pod)
            and "deletionTimestamp" not in pod["metadata"]
            and not pod["spec"].get("schedulingGates")
            and pod["metadata"]["uid"] not in self._bound
        ]
        return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def _used(self) -> dict[str, float]:
        placed = [pod for pod in self._pods.values() if pod["spec"].get("nodeName")]
        for pod in placed:
            self._bound.pop(pod["metadata"]["uid"], None)
        used = sum_used(placed)
        # What was bound a moment ago and has not come back through the watch yet.
        for requests in self._bound.values():
            for name, amount in requests.items():
                used[name] = used.get(name, 0.0) + amount
        return used

    async def _schedule_waiting(self) -> None:
        used = self._used()
        steps = []
        for pod in self._waiting():
            try:
                misfit = explain_misfit(pod, used, self._capacity, self._labels)
                requests = sum_requests(pod)
            except ValueError as error:
                # One Pod with nonsense in it must not keep the others waiting.
                misfit, requests = f"0/1 nodes are available: {error}.", {}
            if misfit is None:
                self._bound[pod["metadata"]["uid"]] = requests
                for name, amount in requests.items():
                    used[name] = used.get(name, 0.0) + amount
                steps.append(self._bind(pod))
            elif misfit != _find_message(pod):
                steps.append(self._refuse(pod, misfit))
        await asyncio.gather(*steps)

    async def _bind(self, pod: Pod) -> None:
        metadata = pod["metadata"]
        target = {"apiVersion": "v1", "kind": "Node", "name": self._node_name}
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
            "target": target,
        }
        path = f"{PODS.path(metadata['namespace'], metadata['name'])}/binding"
        try:
            async with self._limit:
                await self._client.request("POST", path, body=body)
        except KubeError as error:
            self._bound.pop(metadata["uid"], None)
            if not isinstance(error, NotFoundError):
                _LOG.info("binding of %s failed: %s", metadata["name"], error)
                asyncio.get_running_loop().call_later(_RETRY_S, self._wake.set)
            return
        place = f"{metadata['namespace']}/{metadata['name']}"
        message = f"Successfully assigned {place} to {self._node_name}"
        self._events.record(pod, "Normal", "Scheduled", message)

    async def _refuse(self, pod: Pod, message: str) -> None:
        metadata = pod["metadata"]
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": now_text(),
        }
        try:
            async with self._limit:
                await self._client.patch(
                    PODS,
                    metadata["name"],
                    {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}},
                    metadata["namespace"],
                    patch_type="strategic",
                    subresource="status",
                    field_manager="kube-scheduler",
                )
        except KubeError as error:
            _LOG.debug("condition of %s was not written: %s", metadata["name"], error)
            return
        self._events.record(pod, "Warning", "FailedScheduling", message)


def _find_message(pod: Pod) -> str | None:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message"))
    return None
