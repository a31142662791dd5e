"""Runs inside the scheduler of a classic cluster, as a preload: ends it when nobody is left.

A kernel that dies tells nobody, and where it runs in no Pod, Kubernetes cannot know either. So the
scheduler listens: cluster managers note their name with it every second, clients send a heartbeat
every five. When neither has come for the time-out, it ends, and its workers after it.

Guarantees that the preloads of the image's own configuration run, which this one would hide.
Refuses to judge by work: tasks that nobody waits for end with their owner.

Its text is handed to the Pod in a variable, so it imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

import dask
from distributed import preloading
from distributed.metrics import time

logger = logging.getLogger("distributed.scheduler")

TIMEOUT_VARIABLE = "DASK_K8S_OWNER_TIMEOUT"
LOOKS_PER_TIMEOUT = 10
LONGEST_PAUSE_S = 10.0


class Presence:
    """Knows when somebody was last heard of.

    Parameters
    ----------
    scheduler
        Whom they speak to.
    now_s
        The time, as the scheduler counts it.
    """

    def __init__(self, scheduler: Any, now_s: float) -> None:
        self._scheduler = scheduler
        self._last_s = now_s
        self._noted: Any = None

    def count_silence_s(self, now_s: float) -> float:
        """Count the seconds since a cluster manager or a client was last heard of."""
        noted = self._scheduler.task_metadata.get("cluster-manager-info")
        # Every note is another object, with the same words in it.
        if noted is not self._noted:
            self._noted, self._last_s = noted, now_s
        for key, client in self._scheduler.clients.items():
            if key != "fire-and-forget":
                self._last_s = max(self._last_s, client.last_seen)
        return now_s - self._last_s


async def end_when_alone(scheduler: Any, timeout_s: float) -> None:
    """End a scheduler that nobody has spoken to for the time-out."""
    presence, pause_s = Presence(scheduler, time()), timeout_s / LOOKS_PER_TIMEOUT
    while True:
        if presence.count_silence_s(time()) >= timeout_s:
            break
        await asyncio.sleep(min(LONGEST_PAUSE_S, pause_s))
    logger.info(
        "Ending: no cluster manager and no client was heard of for %g s (kubernetes.owner-timeout)",
        timeout_s,
    )
    await scheduler.close()


running: set[asyncio.Task[None]] = set()
hidden: list[Any] = []


async def dask_setup(scheduler: Any) -> None:
    """Begin to listen, after the preloads that ours hides."""
    key = "distributed.scheduler.preload"
    preload, argv = (dask.config.get(name, []) for name in (key, f"{key}-argv"))
    hidden.extend(preloading.process_preloads(scheduler, preload, argv))
    for each in hidden:
        await each.start()
    running.add(asyncio.ensure_future(end_when_alone(scheduler, read_timeout_s())))


async def dask_teardown(scheduler: Any) -> None:
    """End the preloads that ours hides."""
    for each in reversed(hidden):
        await each.teardown()
    for task in running:
        if task is not asyncio.current_task():
            task.cancel()


def read_timeout_s() -> float:
    """Read the time-out from the Pod's environment."""
    return float(os.environ[TIMEOUT_VARIABLE])
