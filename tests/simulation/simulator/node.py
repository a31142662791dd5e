"""Simulated nodes: Pods are placed, started, made ready, crash, are evicted, end and vanish.

Guarantees that a Pod's status tells only what happened, a moment later; that a Pod that is deleted
ends within its grace. Refuses to start a container whose ConfigMap or Secret is missing, as a real
node does.
"""

from __future__ import annotations

import random
from typing import Any, Protocol

from dask_k8s_operator.resources.kinds import CONFIG_MAPS, PODS, SECRETS, Kind
from dask_k8s_operator.resources.names import COMPONENT_LABEL, JOB_RUNNER

from .api import ApiServer, Manifest

CONFIG_RETRY_S = 4.0


class Containers(Protocol):
    """Whoever runs in the containers."""

    def container_started(self, pod: Manifest) -> None: ...

    def container_stopped(self, uid: str) -> None: ...


class Node:
    """All nodes of one simulated Kubernetes.

    Parameters
    ----------
    api
        Where Pods come from.
    containers
        Told of every start and stop.
    rng
        Draws how long things take and which Pods stick.
    stuck_rate, slow_rate
        Share of Pods that find no place, and of those whose image or end takes long.
    """

    def __init__(
        self,
        api: ApiServer,
        containers: Containers,
        rng: random.Random,
        *,
        stuck_rate: float = 0.0,
        slow_rate: float = 0.0,
    ) -> None:
        self._api = api
        self._containers = containers
        self._rng = rng
        self._stuck_rate = stuck_rate
        self._slow_rate = slow_rate
        self._stuck: dict[str, None] = {}
        self._addresses = 0
        self.running: dict[str, tuple[str, str]] = {}
        self.is_calm = False
        self.start_s = (0.1, 2.0)
        api.observers.append(self._see)

    def calm_down(self) -> None:
        """Find a place for everything that waits, and have no more trouble."""
        self.is_calm = True
        for uid in list(self._stuck):
            self._later(0.5, self._place, uid)
        self._stuck.clear()

    def crash(self, uid: str) -> None:
        """End the containers of a Pod; the node starts them again in the same Pod."""
        pod = self._find(uid)
        if pod is None or uid not in self.running:
            return
        self._stop(uid)
        if pod["spec"].get("restartPolicy") in ("Never", "OnFailure"):
            self._end(uid, "Failed", "Error")
            return
        ended = {"exitCode": 1, "reason": "Error", "finishedAt": self._api.now()}
        waiting = {"reason": "CrashLoopBackOff", "message": "back-off"}
        self._write(uid, _status(pod, "Running", {"waiting": waiting}, last={"terminated": ended}))
        self._later(self._rng.uniform(1.0, 20.0), self._start, uid)

    def evict(self, uid: str) -> None:
        """End a Pod for good."""
        if uid in self.running:
            self._stop(uid)
            self._end(uid, "Failed", "Evicted")

    def vanish(self, uid: str) -> None:
        """Let a Pod be gone with its node; the API hears of it later."""
        if uid in self.running:
            self._stop(uid)
            self._later(self._rng.uniform(0.5, 20.0), self._drop, uid)

    def _see(self, kind: Kind, before: Any, after: Any, by: str, subresource: str | None) -> None:
        if kind != PODS:
            return
        if after is None:
            self._stop(before["metadata"]["uid"])
        elif before is None:
            self._take_in(after["metadata"]["uid"])
        elif _is_news("deletionTimestamp", before["metadata"], after["metadata"]):
            self._terminate(after["metadata"]["uid"])
        elif _is_news("activeDeadlineSeconds", before["spec"], after["spec"]):
            deadline_s, uid = after["spec"]["activeDeadlineSeconds"], after["metadata"]["uid"]
            self._later(deadline_s, self._end, uid, "Failed", "DeadlineExceeded")

    def _take_in(self, uid: str) -> None:
        if not self.is_calm and self._rng.random() < self._stuck_rate:
            self._stuck[uid] = None
            self._later(0.1, self._refuse, uid)
        else:
            self._later(self._rng.uniform(0.02, 0.5), self._place, uid)

    def _terminate(self, uid: str) -> None:
        self._later(self._rng.uniform(0.02, 1.0), self._stop, uid)
        is_slow = not self.is_calm and self._rng.random() < self._slow_rate
        self._later(30.0 if is_slow else self._rng.uniform(1.0, 3.0), self._drop, uid)

    def _refuse(self, uid: str) -> None:
        message = "0/3 nodes are available: 3 Insufficient memory."
        condition = {"type": "PodScheduled", "status": "False", "message": message}
        self._write(uid, {"phase": "Pending", "conditions": [condition]})
        if not self.is_calm and self._rng.random() < 0.5:
            self._later(self._rng.uniform(5.0, 60.0), self._place, uid)

    def _place(self, uid: str) -> None:
        pod = self._find(uid)
        if pod is None or pod["spec"].get("nodeName"):
            return
        self._stuck.pop(uid, None)
        # Binding is the one write that may change a Pod's spec.
        spec = {**pod["spec"], "nodeName": f"node-{self._rng.randrange(3)}"}
        key = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._api.commit(PODS, key, pod, {**pod, "spec": spec}, "node", None)
        is_slow = not self.is_calm and self._rng.random() < self._slow_rate
        if is_slow:
            waiting = {"reason": "ErrImagePull", "message": "registry is slow"}
            self._write(uid, _status(pod, "Pending", {"waiting": waiting}))
        self._later(
            self._rng.uniform(*((10.0, 40.0) if is_slow else self.start_s)), self._start, uid
        )

    def _start(self, uid: str) -> None:
        pod = self._find(uid)
        if pod is None or pod["metadata"].get("deletionTimestamp") or _has_ended(pod):
            return
        if not self._has_configuration(pod):
            waiting = {"reason": "CreateContainerConfigError", "message": "secret not found"}
            self._write(uid, _status(pod, "Pending", {"waiting": waiting}))
            self._later(CONFIG_RETRY_S, self._start, uid)
            return
        ip = (pod.get("status") or {}).get("podIP") or self._draw_address(pod)
        metadata = pod["metadata"]
        self.running[uid] = (metadata["namespace"], metadata["name"])
        started = {"running": {"startedAt": self._api.now()}}
        is_ready_at_once = self._rng.random() < 0.5
        self._write(uid, _status(pod, "Running", started, ip=ip, ready=is_ready_at_once))
        current = self._find(uid)
        if current is None:
            return
        self._containers.container_started(current)
        if not is_ready_at_once:
            self._later(self._rng.uniform(0.3, 3.0), self._make_ready, uid)
        if metadata["labels"].get(COMPONENT_LABEL) == JOB_RUNNER:
            phase = "Succeeded" if self._rng.random() < 0.7 else "Failed"
            self._later(self._rng.uniform(1.0, 30.0), self._end, uid, phase, "Completed")

    def _make_ready(self, uid: str) -> None:
        pod = self._find(uid)
        if pod is not None and uid in self.running:
            started = {"running": {"startedAt": self._api.now()}}
            self._write(uid, _status(pod, "Running", started, ready=True))

    def _end(self, uid: str, phase: str, reason: str) -> None:
        pod = self._find(uid)
        if pod is None or _has_ended(pod):
            return
        self._stop(uid)
        code = 0 if phase == "Succeeded" else 1
        ended = {"exitCode": code, "reason": reason, "finishedAt": self._api.now()}
        self._write(uid, _status(pod, phase, {"terminated": ended}))

    def _stop(self, uid: str) -> None:
        if self.running.pop(uid, None) is not None:
            self._containers.container_stopped(uid)

    def _drop(self, uid: str) -> None:
        pod = self._find(uid)
        if pod is not None:
            metadata = pod["metadata"]
            self._api.remove(PODS, metadata["namespace"], metadata["name"], uid, "node")

    def _write(self, uid: str, status: Manifest) -> None:
        pod = self._find(uid)
        if pod is not None:
            metadata = pod["metadata"]
            key = (metadata["namespace"], metadata["name"])
            self._api.commit(PODS, key, pod, {**pod, "status": status}, "node", "status")

    def _has_configuration(self, pod: Manifest) -> bool:
        namespace = pod["metadata"]["namespace"]
        for variable in pod["spec"]["containers"][0].get("env") or []:
            source = variable.get("valueFrom") or {}
            for field, kind in (("configMapKeyRef", CONFIG_MAPS), ("secretKeyRef", SECRETS)):
                if field in source and not self._api.find(kind, namespace, source[field]["name"]):
                    return False
        return True

    def _find(self, uid: str) -> Manifest | None:
        return self._api.find_uid(uid)

    def _draw_address(self, pod: Manifest) -> str:
        if pod["spec"].get("hostNetwork"):
            return f"10.9.9.{pod['spec']['nodeName'].removeprefix('node-')}"
        self._addresses += 1
        return f"10.0.{self._addresses // 250}.{self._addresses % 250 + 1}"

    def _later(self, delay_s: float, step: Any, *arguments: Any) -> None:
        self._api.loop.call_later(delay_s, step, *arguments)


def _is_news(field: str, before: Manifest, after: Manifest) -> bool:
    return bool(after.get(field)) and not before.get(field)


def _has_ended(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")


def _status(
    pod: Manifest,
    phase: str,
    state: Manifest,
    *,
    last: Manifest | None = None,
    ip: str | None = None,
    ready: bool = False,
) -> Manifest:
    container = pod["spec"]["containers"][0]
    status: Manifest = {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "containerStatuses": [
            {
                "name": container.get("name", "main"),
                "image": container.get("image", ""),
                "ready": ready,
                "state": state,
                "lastState": last or {},
            }
        ],
    }
    before = pod.get("status") or {}
    if ip:
        status["podIP"], status["startTime"] = ip, state["running"]["startedAt"]
    return {**_lasting(before), **status}


def _lasting(status: Manifest) -> Manifest:
    return {key: status[key] for key in ("podIP", "startTime") if key in status}
