"""Dask as far as the operator sees it: schedulers, workers, tasks, and who holds which result.

Guarantees what the agent guarantees: a drained worker has finished what it ran, started nothing
new, and handed over what only it held, when somebody could take it. Refuses to do the operator's
work: a worker that goes undrained loses what it ran and held.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from dask_k8s_operator.resources.kinds import SECRETS
from dask_k8s_operator.resources.names import (
    AGENT_TOKEN_KEY,
    CLUSTER_NAME_LABEL,
    COMPONENT_LABEL,
    SCHEDULER,
    WORKER,
    agent_name,
    tls_name,
)
from dask_k8s_operator.resources.tls import AUTHORITY_CERTIFICATE_KEY, Certificates

from .api import ApiServer, Manifest

Place = tuple[str, str]

AGENTLESS_RATE = 0.1


@dataclass(eq=False)
class Task:
    """One task and where its result is."""

    key: int
    duration_s: float
    holders: dict[str, Worker] = field(default_factory=dict)
    # Since when one worker is the only holder again, because another one was lost.
    alone_since_s: float = -1e9
    runs: int = 0


@dataclass(eq=False)
class Worker:
    """One worker process."""

    uid: str
    address: str
    place: Place
    authority: str
    name: str = ""
    scheduler: Scheduler | None = None
    connected_s: float = 0.0
    is_accepting: bool = True
    processing: list[Task] = field(default_factory=list)
    results: dict[int, Task] = field(default_factory=dict)

    @property
    def only_here(self) -> list[Task]:
        """Results that no other worker holds."""
        return [task for task in self.results.values() if len(task.holders) == 1]


class Scheduler:
    """One scheduler process with its workers."""

    def __init__(self, dask: Dask, pod: Manifest, token: str, authority: str) -> None:
        self.uid = pod["metadata"]["uid"]
        self.authority = authority
        self.ip = pod["status"]["podIP"]
        self.token = token
        self.started_s = dask.loop.time()
        self.workers: dict[str, Worker] = {}
        self.drains: dict[str, str] = {}
        self.waiting: list[Task] = []
        self.stalled_until_s = 0.0
        self.silent_since_s: float | None = None
        # Begin and end of the last silence that somebody was left with.
        self.silence_s = (0.0, 0.0)
        self.asked_s = 0.0
        self.is_alive = True
        # Some images load no preload, and clusters of before have none.
        self.has_agent = dask.draw_has_agent()
        self.transitions = 0
        self.work_began_s = self.submitted_s = self.started_s
        self._dask = dask
        self._seen_transitions = -1
        self._busy_s = self.started_s

    @property
    def unfinished(self) -> int:
        """Tasks that have no result yet."""
        return len(self.waiting) + sum(len(w.processing) for w in self.workers.values())

    @property
    def held(self) -> int:
        """Results that somebody holds."""
        return sum(len(w.only_here) for w in self.workers.values())

    def accepting(self) -> Iterator[Worker]:
        """Workers that take tasks and data."""
        return (worker for worker in self.workers.values() if worker.is_accepting)

    def submit(self, count: int, duration_s: float) -> None:
        """Take in tasks."""
        self.submitted_s = self._dask.loop.time()
        for _ in range(count):
            self._dask.tasks += 1
            self._place(Task(self._dask.tasks, duration_s))

    def release(self, rng: random.Random) -> None:
        """Let a user forget about half of the results."""
        for worker in list(self.workers.values()):
            for task in list(worker.results.values()):
                if rng.random() < 0.5:
                    for holder in task.holders.values():
                        holder.results.pop(task.key, None)
                    task.holders.clear()

    def connect(self, worker: Worker) -> None:
        """Take a worker in."""
        worker.scheduler, worker.connected_s = self, self._dask.loop.time()
        worker.is_accepting = True
        self.workers[worker.address] = worker
        self.transitions += 1
        waiting, self.waiting = self.waiting, []
        for task in waiting:
            self._place(task)

    def disconnect(self, worker: Worker) -> None:
        """Lose a worker with what it runs; what only it held is computed again."""
        self.workers.pop(worker.address, None)
        self.drains.pop(worker.address, None)
        lost = worker.processing + worker.only_here
        for task in worker.results.values():
            task.holders.pop(worker.address, None)
            task.alone_since_s = self._dask.loop.time()
        worker.processing, worker.results, worker.scheduler = [], {}, None
        for task in lost:
            self._place(task)

    def drain(self, addresses: tuple[str, ...]) -> None:
        """Begin to drain workers."""
        for address in addresses:
            worker = self.workers.get(address)
            if worker is None or address in self.drains:
                continue
            self.drains[address] = "draining"
            worker.is_accepting = False
            moved, worker.processing = worker.processing[1:], worker.processing[:1]
            for task in moved:
                self._place(task)
            self._dask.later(0.1, self._hand_over, worker)

    def retire(self, addresses: tuple[str, ...]) -> None:
        """Do as Dask's own API does: move what is held, run elsewhere what runs, forget them."""
        for worker in [w for w in self.workers.values() if w.address in addresses]:
            worker.is_accepting = False
            takers = list(self.accepting())
            for number, task in enumerate(worker.only_here if takers else []):
                taker = takers[number % len(takers)]
                task.holders[taker.address] = taker
                taker.results[task.key] = task
            if takers or not worker.results:
                self.disconnect(worker)
            else:
                worker.is_accepting = True

    def undrain(self, addresses: tuple[str, ...]) -> None:
        """Give workers work again."""
        for address in addresses:
            worker = self.workers.get(address)
            if worker is not None and self.drains.pop(address, None) is not None:
                worker.is_accepting = True
                waiting, self.waiting = self.waiting, []
                for task in waiting:
                    self._place(task)

    def idle_s(self) -> float:
        """Seconds without work, as the agent counts them."""
        now = self._dask.loop.time()
        if self.transitions != self._seen_transitions or self.unfinished:
            self._busy_s = now
        self._seen_transitions = self.transitions
        return now - self._busy_s

    def busy_for_s(self) -> float:
        """Seconds since the work began that is not done yet."""
        return self._dask.loop.time() - self.work_began_s if self.unfinished else 0.0

    def target(self) -> int:
        """Workers that the work could use."""
        return max(-(-self.unfinished // 2), 1 if self.held else 0)

    def _place(self, task: Task) -> None:
        self.transitions += 1
        if not self.unfinished:
            self.work_began_s = self._dask.loop.time()
        worker = min(self.accepting(), key=lambda w: len(w.processing), default=None)
        if worker is None:
            self.waiting.append(task)
            return
        worker.processing.append(task)
        if len(worker.processing) == 1:
            self._begin(worker)

    def _begin(self, worker: Worker) -> None:
        task = worker.processing[0]
        task.runs += 1
        self._dask.later(task.duration_s, self._finish, worker, task)

    def _finish(self, worker: Worker, task: Task) -> None:
        if worker.scheduler is not self or worker.processing[:1] != [task]:
            return  # it is lost, or runs elsewhere
        self.transitions += 1
        worker.processing.pop(0)
        worker.results[task.key] = task
        task.holders[worker.address] = worker
        if worker.processing:
            self._begin(worker)

    def _hand_over(self, worker: Worker) -> None:
        if worker.scheduler is not self or self.drains.get(worker.address) is None:
            return
        if worker.processing:
            self._dask.later(0.2, self._hand_over, worker)
            return
        only_here = worker.only_here
        takers = list(self.accepting())
        if only_here and not takers:
            self.drains[worker.address] = "no-recipients"
            self._dask.later(1.0, self._hand_over, worker)
            return
        for number, task in enumerate(only_here):
            taker = takers[number % len(takers)]
            task.holders[taker.address] = taker
            taker.results[task.key] = task
        # What is held elsewhere is dropped here, as Dask's memory manager does.
        for task in worker.results.values():
            task.holders.pop(worker.address, None)
        worker.results.clear()
        self.drains[worker.address] = "drained"


class Dask:
    """Everything that runs in the containers of scheduler and worker Pods."""

    def __init__(self, api: ApiServer, rng: random.Random) -> None:
        self.loop = api.loop
        self.schedulers: dict[Place, Scheduler] = {}
        self.workers: dict[str, Worker] = {}
        self.tasks = 0
        self._ports = 40_000
        self._api = api
        self._rng = rng

    def container_started(self, pod: Manifest) -> None:
        """Start the process of a container."""
        metadata, labels = pod["metadata"], pod["metadata"]["labels"]
        if not metadata.get("ownerReferences"):
            return  # a bystander runs something else
        place = (metadata["namespace"], labels.get(CLUSTER_NAME_LABEL, ""))
        if labels.get(COMPONENT_LABEL) == SCHEDULER:
            scheduler = Scheduler(self, pod, self._read_token(place), self.read_authority(pod))
            self.schedulers[place] = scheduler
            for worker in [w for w in self.workers.values() if w.place == place]:
                self._connect_later(worker)
        elif labels.get(COMPONENT_LABEL) == WORKER:
            # Those that share a node's address differ by their ports, as processes do.
            self._ports += 1
            address = f"tcp://{pod['status']['podIP']}:{self._ports}"
            is_named = pod["spec"].get("hostNetwork") or self._rng.random() < 0.5
            name = metadata["name"] if is_named else address
            worker = Worker(metadata["uid"], address, place, self.read_authority(pod), name)
            self.workers[metadata["uid"]] = worker
            self._connect_later(worker)

    def container_stopped(self, uid: str) -> None:
        """End the process of a container."""
        worker = self.workers.pop(uid, None)
        if worker is not None and worker.scheduler is not None:
            worker.scheduler.disconnect(worker)
        for place, scheduler in list(self.schedulers.items()):
            if scheduler.uid == uid:
                scheduler.is_alive = False
                del self.schedulers[place]
                for orphan in scheduler.workers.values():
                    orphan.scheduler, orphan.processing, orphan.results = None, [], {}

    def scheduler_at(self, url: str) -> Scheduler | None:
        """Find the scheduler that listens at a URL."""
        ip = url.split("//")[1].split(":")[0]
        return next((s for s in self.schedulers.values() if s.ip == ip), None)

    def draw_has_agent(self) -> bool:
        """Draw whether a scheduler runs the operator's agent."""
        return self._rng.random() >= AGENTLESS_RATE

    def read_authority(self, pod: Manifest) -> str:
        """Tell whose certificates a Pod's container would get now; "" where it gets none."""
        metadata = pod["metadata"]
        name = tls_name(metadata["labels"].get(CLUSTER_NAME_LABEL, ""))
        variables = [env for container in pod["spec"]["containers"] for env in _env(container)]
        if not any(_refers_to(name, variable) for variable in variables):
            return ""
        secret = self._api.find(SECRETS, metadata["namespace"], name)
        if secret is None:
            return ""
        encoded = str(secret["data"].get(AUTHORITY_CERTIFICATE_KEY, ""))
        texts = {AUTHORITY_CERTIFICATE_KEY: base64.b64decode(encoded).decode()}
        return Certificates(texts, until=0.0).authority

    def later(self, delay_s: float, step: object, *arguments: object) -> None:
        """Do something later."""
        self.loop.call_later(delay_s, step, *arguments)  # type: ignore[arg-type]

    def _connect_later(self, worker: Worker) -> None:
        self.later(self._rng.uniform(0.3, 2.0), self._connect, worker)

    def _connect(self, worker: Worker) -> None:
        scheduler = self.schedulers.get(worker.place)
        is_there = self.workers.get(worker.uid) is worker
        if scheduler is None or not is_there or worker.scheduler is not None:
            return
        if scheduler.authority == worker.authority:  # they show each other their certificates
            scheduler.connect(worker)

    def _read_token(self, place: Place) -> str:
        secret = self._api.find(SECRETS, place[0], agent_name(place[1])) or {"data": {}}
        return base64.b64decode(secret["data"].get(AGENT_TOKEN_KEY, "")).decode()


def _env(container: Manifest) -> list[Manifest]:
    return container.get("env") or []


def _refers_to(secret: str, variable: Manifest) -> bool:
    reference = (variable.get("valueFrom") or {}).get("secretKeyRef") or {}
    return bool(reference.get("name") == secret)
