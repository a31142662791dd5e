"""Runs inside a Dask scheduler, as a preload: tells its operator who works, and drains workers.

Guarantees that a drained worker has finished what it ran and started nothing new, that what waited
on it or only it held is elsewhere, that a scheduler nobody asks stays as it was, and that preloads
of the image's own configuration run, which the variable of this one hides. Refuses requests without
its cluster's token. Imports the standard library, tornado, dask and distributed, from 2024.1 on.
"""

import asyncio
import hmac
import json
import logging
import os
import time
from itertools import islice
from typing import Any

import dask.config
from distributed import preloading
from distributed.core import Status
from tornado.web import RequestHandler

# What is done before the event loop gets its turn: tasks asked back, workers told, results copied.
AT_A_TIME, COPIES_AT_A_TIME, STEP_S, RETRY_S = 10, 50, 0.1, 0.5
# A heartbeat on its way at the start may not know the last task. A copy may take long.
MARGIN_S, PATIENCE_S = 2.0, 300.0


class Agent:
    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.drains: dict[str, str] = {}  # by worker address
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.turn = asyncio.Lock()
        self.loads: dict[Any, int] = {}  # bytes by running worker, with what it was asked to copy
        self.last_counter, self.busy_until = -1, time.monotonic()

    def workers(self) -> list[dict[str, Any]]:
        return [
            {
                "address": ws.address,
                "name": str(ws.name),
                "processing": len(ws.processing),
                "occupancy_s": float(ws.occupancy),
                "stored_bytes": int(ws.nbytes),
                "drain": self.drains.get(ws.address),
            }
            for ws in self.scheduler.workers.values()
        ]

    def idle_s(self) -> float:
        """Seconds without work; what happened between two questions counts as happening now."""
        scheduler = self.scheduler
        waits = scheduler.queued or scheduler.unrunnable
        waits = waits or getattr(scheduler, "_active_graph_updates", 0)
        runs = any(ws.processing for ws in scheduler.workers.values())
        if waits or runs or scheduler.transition_counter != self.last_counter:
            self.busy_until = time.monotonic()
        self.last_counter = scheduler.transition_counter
        return time.monotonic() - self.busy_until

    def drain(self, addresses: list[str]) -> None:
        """Begin to drain the workers that are not being drained yet."""
        self.drains = {a: d for a, d in self.drains.items() if a in self.scheduler.workers}
        for address in addresses:
            if address in self.scheduler.workers and address not in self.drains:
                self.drains[address], self.loads = "draining", {}
                self.tasks[address] = asyncio.ensure_future(self.drain_worker(address))

    def undrain(self, addresses: list[str]) -> None:
        """Give some of the workers work again; ask until all have it."""
        for address in [a for a in addresses if a in self.drains][:AT_A_TIME]:
            self.tasks[address].cancel()
            del self.drains[address]
            self.tell(address, Status.running)

    def tell(self, address: str, status: Status) -> None:
        """Set a worker's status here and there, as retire_workers does."""
        ws, cause = self.scheduler.workers.get(address), f"dask-k8s-{time.time()}"
        if ws is not None:
            self.scheduler.handle_worker_status_change(status, ws, cause)
            change = {"op": "worker-status-change", "status": status.name, "stimulus_id": cause}
            self.scheduler.stream_comms[address].send(change)

    async def drain_worker(self, address: str) -> None:
        try:
            self.tell(address, Status.closing_gracefully)
            began, takers = time.time(), dict[Any, tuple[Any, float]]()
            while (ws := self.scheduler.workers.get(address)) and not self.has_finished(ws, began):
                async with self.turn:  # one worker's step at a time, however many are to go
                    is_full_step = self.hand_over(ws) >= AT_A_TIME
                    await asyncio.sleep(0)
                await asyncio.sleep(0 if is_full_step else STEP_S)
            # It stays registered, refusing work, until its Pod is gone: removed, it comes back.
            while (ws := self.scheduler.workers.get(address)) and self.drains[address] != "drained":
                self.tell(address, Status.closing_gracefully)
                left, results = 0, iter(list(ws.has_what))
                while some := list(islice(results, COPIES_AT_A_TIME)):
                    async with self.scheduler._replica_lock("retire-workers"), self.turn:
                        left += self.copy_away(some, takers)
                        await asyncio.sleep(0)
                is_stuck = ws.actors or (left and not self.scheduler.running)
                state = "draining" if left else "drained"
                self.drains[address] = "no-recipients" if is_stuck else state
                await asyncio.sleep(RETRY_S)
        except Exception:
            logging.getLogger("distributed.dask_k8s").exception("Draining %s failed", address)
            self.drains.pop(address, None)

    def copy_away(self, results: list[Any], takers: dict[Any, tuple[Any, float]]) -> int:
        """Have what only leaving workers hold copied; retire_workers asks for all at every call."""
        leaving = {self.scheduler.workers.get(address) for address in self.drains}
        running, ask = self.scheduler.running - leaving, self.scheduler.request_acquire_replicas
        left = [t for t in results if t.who_has and t.who_has <= leaving and not t.actor]
        if self.loads.keys() != running:
            self.loads = {ws: ws.memory.optimistic for ws in running}
        for ts in left if running else ():
            taker, until = takers.get(ts, (None, 0.0))
            if taker not in running or time.time() > until:
                taker = min(running, key=self.loads.__getitem__)
                self.loads[taker] += ts.get_nbytes()
                takers[ts] = taker, time.time() + PATIENCE_S
                ask(taker.address, [ts.key], stimulus_id=f"dask-k8s-{time.time()}")
        return len(left)

    def has_finished(self, ws: Any, began: float) -> bool:
        may_run = ws.last_seen < began + MARGIN_S or ws.executing.keys() & ws.processing
        # What neither runs nor can go elsewhere never starts here; the scheduler places it again.
        may_go = (self.find_taker(ts) for ts in islice(ws.processing, AT_A_TIME))
        return not ws.processing or not (may_run or any(may_go))

    def hand_over(self, ws: Any) -> int:
        """Ask back what waits on a worker; it answers, so that what runs is not run twice."""
        stealing = self.scheduler.extensions.get("stealing")
        in_flight = stealing.in_flight if stealing else ws.processing
        waiting = (t for t in ws.processing if t not in ws.executing and t not in in_flight)
        pairs = ((ts, to) for ts in islice(waiting, 10 * AT_A_TIME) if (to := self.find_taker(ts)))
        for ts, taker in (asked := list(islice(pairs, AT_A_TIME))):
            stealing.move_task_request(ts, ws, taker)
        return len(asked)

    def find_taker(self, ts: Any) -> Any:
        """Find the running worker with least to do among those that may run a task."""
        allowed = self.scheduler.valid_workers(ts)
        takers = self.scheduler.running if allowed is None else allowed & self.scheduler.running
        return min(takers, key=lambda ws: ws.occupancy / ws.nthreads, default=None)


class AgentHandler(RequestHandler):
    """Answers a request that carries the token; every answer is JSON."""

    def initialize(self, answer: Any, token: str, verb: str) -> None:
        self.answer, self.token, self.SUPPORTED_METHODS = answer, token, (verb,)

    def get(self) -> None:
        given = self.request.headers.get("Authorization", "").encode()
        if hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            self.write(self.answer(self.request.body) or {})
        else:
            self.set_status(401)
            self.write({"error": "the token of this cluster is needed"})

    post = get


def load_hidden_preloads() -> list[Any]:
    """Import the preloads of configuration files, unless the Pod's environment had its own list."""
    if len(dask.config.get("distributed.scheduler.preload", [])) > 1:
        return []
    files, key = dask.config.collect(env={}), "distributed.scheduler.preload"
    preload, argv = (dask.config.get(name, [], config=files) for name in (key, f"{key}-argv"))
    return list(preloading.process_preloads(None, preload, argv))


hidden_preloads = load_hidden_preloads()  # at import, as distributed: some change its settings


async def dask_setup(scheduler: Any) -> None:
    """Called by distributed when the scheduler has started."""
    agent, token = Agent(scheduler), os.environ["DASK_K8S_AGENT_TOKEN"]
    answers = [
        ("GET", "workers", lambda _: {"workers": agent.workers()}),
        ("POST", "drain", lambda body: agent.drain(json.loads(body)["workers"])),
        ("POST", "undrain", lambda body: agent.undrain(json.loads(body)["workers"])),
        ("GET", "idle", lambda _: {"idle_s": agent.idle_s(), "tasks": len(scheduler.tasks)}),
        ("GET", "adaptive-target", lambda _: {"workers": scheduler.adaptive_target()}),
    ]
    for verb, path, answer in answers:
        route = f"/dask-k8s/{path}", AgentHandler, {"answer": answer, "token": token, "verb": verb}
        scheduler.http_application.add_handlers(".*", [route])
    for preload in hidden_preloads:
        preload.dask_object = scheduler
        await preload.start()


async def dask_teardown(scheduler: Any) -> None:
    """Called by distributed when the scheduler closes."""
    for preload in reversed(hidden_preloads):
        await preload.teardown()
