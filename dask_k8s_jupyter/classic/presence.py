"""Runs inside the scheduler of a classic cluster, as a preload: ends it when nobody is left.

A kernel that dies tells nobody, and where it runs in no Pod, Kubernetes cannot know either. So the
scheduler listens: cluster managers note their name with it every second, clients keep a connection
open. When neither was seen for the time-out, it ends, and its workers after it.

Guarantees that the preloads of the image's own configuration run, which this one would hide; that
silence is what many looks found, so that a clock that is set, or a machine that slept, ends nobody.
Refuses to judge by work: tasks that nobody waits for end with their owner.

Its text is handed to the Pod in a variable, so it imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Any

import dask
from distributed import preloading

logger = logging.getLogger("distributed.scheduler")

TIMEOUT_VARIABLE = "DASK_K8S_OWNER_TIMEOUT"
LOOKS_PER_TIMEOUT = 10
LONGEST_PAUSE_S = 10.0
# A look that comes late, after a sleep of the machine, counts as no more than so many pauses.
PAUSES_PER_LOOK = 2
# Whoever makes a cluster may need so long until it first speaks to it.
FIRST_WORD_S = 60.0


class Presence:
    """Counts how long nobody was there.

    Parameters
    ----------
    scheduler
        Whom they speak to.
    timeout_s
        Seconds of silence after which it is alone.
    now_s
        The time, by a clock that nobody sets.
    """

    def __init__(self, scheduler: Any, timeout_s: float, now_s: float) -> None:
        self.pause_s = min(LONGEST_PAUSE_S, timeout_s / LOOKS_PER_TIMEOUT)
        self._scheduler = scheduler
        self._timeout_s = timeout_s
        self._patience_s = max(timeout_s, FIRST_WORD_S)
        self._looked_s = now_s
        self._silence_s = 0.0
        self._noted: Any = None

    def is_alone(self, now_s: float) -> bool:
        """Look whether somebody is there; whether nobody was for the time-out."""
        step_s = min(now_s - self._looked_s, self.pause_s * PAUSES_PER_LOOK)
        self._looked_s = now_s
        if self._has_note() or self._has_client():
            self._silence_s, self._patience_s = 0.0, self._timeout_s
        else:
            self._silence_s += step_s
        return self._silence_s >= self._patience_s

    def _has_note(self) -> bool:
        """Whether a cluster manager came by since the last look."""
        noted = self._scheduler.task_metadata.get("cluster-manager-info")
        # Every note is another object, with the same words in it.
        before, self._noted = self._noted, noted
        return noted is not before

    def _has_client(self) -> bool:
        """Whether a client is connected: one whose kernel is busy sends no heartbeat for hours."""
        return any(not comm.closed() for comm in list(self._scheduler.client_comms.values()))


async def end_when_alone(scheduler: Any, timeout_s: float) -> None:
    """End a scheduler that nobody has spoken to for the time-out."""
    presence = Presence(scheduler, timeout_s, time.monotonic())
    while True:
        if presence.is_alone(time.monotonic()):
            break
        await asyncio.sleep(presence.pause_s)
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
