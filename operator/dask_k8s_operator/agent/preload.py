"""Runs inside a Dask scheduler, as a preload: tells its operator who works, and drains workers.

Guarantees that a drained worker has finished what it ran, started nothing new, and that what waited
on it or was held by it alone is elsewhere; that a scheduler nobody asks stays as it was; and that
the preloads of the image's own configuration run, which the variable of this one would hide.
Refuses every request without the token of its cluster. Imports the standard library, tornado, dask
and distributed only, and runs with 2024.1 and later.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import os
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import dask.config
from distributed import preloading
from distributed.core import Status
from tornado.web import RequestHandler

# What is done before the event loop gets its turn: tasks asked back, workers told.
AT_A_TIME, STEP_S, RETRY_S = 10, 0.1, 1.0
# A heartbeat that was on its way when the drain began may not know the last task that started.
MARGIN_S = 2.0


class Agent:
    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.drains: dict[str, str] = {}  # by worker address
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.turn = asyncio.Lock()
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
        if (
            scheduler.transition_counter != self.last_counter
            or scheduler.queued
            or scheduler.unrunnable
            or getattr(scheduler, "_active_graph_updates", 0)
            or any(ws.processing for ws in scheduler.workers.values())
        ):
            self.busy_until = time.monotonic()
        self.last_counter = scheduler.transition_counter
        return time.monotonic() - self.busy_until

    def drain(self, addresses: list[str]) -> dict[str, Any]:
        """Begin to drain the workers that are not being drained yet."""
        self.drains = {a: d for a, d in self.drains.items() if a in self.scheduler.workers}
        for address in addresses:
            if address in self.scheduler.workers and address not in self.drains:
                self.drains[address] = "draining"
                self.tasks[address] = asyncio.ensure_future(self.drain_worker(address))
        return {}

    def undrain(self, addresses: list[str]) -> dict[str, Any]:
        """Give workers work again, unless their results are just being moved; ask until all are."""
        ready = [a for a in addresses if self.drains.get(a, "moving") != "moving"]
        for address in ready[:AT_A_TIME]:
            self.tasks[address].cancel()
            del self.drains[address]
            self.tell(address, Status.running)
        return {}

    def tell(self, address: str, status: Status) -> None:
        """Set a worker's status here and there, as retire_workers does."""
        ws, stimulus_id = self.scheduler.workers.get(address), f"dask-k8s-{time.time()}"
        if ws is not None:
            self.scheduler.handle_worker_status_change(status, ws, stimulus_id)
            self.scheduler.stream_comms[address].send(
                {"op": "worker-status-change", "status": status.name, "stimulus_id": stimulus_id}
            )

    async def drain_worker(self, address: str) -> None:
        try:
            self.tell(address, Status.closing_gracefully)
            began = time.time()
            while (ws := self.scheduler.workers.get(address)) and not self.has_finished(ws, began):
                async with self.turn:  # one worker's step at a time, however many are to go
                    is_full_step = self.hand_over(ws) >= AT_A_TIME
                    await asyncio.sleep(0)
                await asyncio.sleep(0 if is_full_step else STEP_S)
            while address in self.scheduler.workers and self.drains[address] != "drained":
                self.drains[address] = "moving"
                # It stays registered, refusing work, until its Pod is gone: removed, it comes back.
                moved = await self.scheduler.retire_workers(
                    workers=[address], close_workers=False, remove=False
                )
                self.drains[address] = "drained" if address in moved else "no-recipients"
                await asyncio.sleep(RETRY_S)
        except Exception:
            logging.getLogger("distributed.dask_k8s").exception("Draining %s failed", address)
            self.drains.pop(address, None)

    def has_finished(self, ws: Any, began: float) -> bool:
        if not ws.processing:
            return True
        if ws.last_seen < began + MARGIN_S or not ws.executing.keys().isdisjoint(ws.processing):
            return False
        # What neither runs nor can go elsewhere never starts here; the scheduler places it again.
        return not any(self.find_taker(ts) for ts in islice(ws.processing, AT_A_TIME))

    def hand_over(self, ws: Any) -> int:
        """Ask back what waits on a worker; it answers, so that what runs is not run twice."""
        stealing = self.scheduler.extensions.get("stealing")
        in_flight = stealing.in_flight if stealing else ws.processing
        waiting = (t for t in ws.processing if t not in ws.executing and t not in in_flight)
        found = ((ts, self.find_taker(ts)) for ts in islice(waiting, 10 * AT_A_TIME))
        asked = list(islice((pair for pair in found if pair[1] is not None), AT_A_TIME))
        for ts, taker in asked:
            stealing.move_task_request(ts, ws, taker)
        return len(asked)

    def find_taker(self, ts: Any) -> Any:
        """Find the running worker with least to do among those that may run a task."""
        allowed = self.scheduler.valid_workers(ts)
        takers = self.scheduler.running if allowed is None else allowed & self.scheduler.running
        return min(takers, key=lambda ws: ws.occupancy / ws.nthreads, default=None)


class AgentHandler(RequestHandler):
    """Answers a request that carries the token; every answer is JSON."""

    def initialize(self, answer: Callable[[bytes], dict[str, Any]], token: str, verb: str) -> None:
        self.answer, self.token, self.SUPPORTED_METHODS = answer, token, (verb,)

    def prepare(self) -> None:
        given = self.request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            self.set_status(401)
            self.finish({"error": "the token of this cluster is needed"})

    def get(self) -> None:
        self.write(self.answer(self.request.body))

    post = get

    def check_xsrf_cookie(self) -> None:
        """The token stands in for it; no browser comes here."""


def load_hidden_preloads() -> list[Any]:
    """Import the preloads of configuration files, unless the Pod's environment had its own list."""
    if len(dask.config.get("distributed.scheduler.preload", [])) > 1:
        return []
    files, key = dask.config.collect(env={}), "distributed.scheduler.preload"
    preload, argv = (dask.config.get(name, [], config=files) for name in (key, f"{key}-argv"))
    return list(preloading.process_preloads(None, preload, argv))


# At import, where distributed imports them too: some change settings that the scheduler then reads.
hidden_preloads = load_hidden_preloads()


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
    routes = [
        (f"/dask-k8s/{path}", AgentHandler, {"answer": answer, "token": token, "verb": verb})
        for verb, path, answer in answers
    ]
    scheduler.http_application.add_handlers(".*", routes)
    for preload in hidden_preloads:
        preload.dask_object = scheduler
        await preload.start()


async def dask_teardown(scheduler: Any) -> None:
    """Called by distributed when the scheduler closes."""
    for preload in reversed(hidden_preloads):
        await preload.teardown()
