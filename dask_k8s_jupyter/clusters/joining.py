"""Waits for the workers of a scheduler that no operator speaks for: a Helm release, bare Pods.

Guarantees that it is told, by the scheduler when workers come or go and by Kubernetes when Pods
change; that Pods that cannot start end the wait with the reason. Refuses to poll, but for whether a
worker that has joined runs now (``workers`` says why).
"""

from __future__ import annotations

import time
from typing import Any

from dask.utils import parse_timedelta
from distributed.objects import SchedulerInfo

from dask_k8s_jupyter.errors import StartTimeoutError

from .checks import check_count
from .podwatch import PodWatch
from .signal import Signal, wait_any
from .workers import SettlingPatience, count_running


class JoiningWorkers:
    """A cluster manager that its scheduler tells when workers come or go."""

    scheduler_comm: Any
    scheduler_info: Any
    _workers_signal: Signal

    async def _wait_joined(
        self, watch: PodWatch, what: str, n_workers: int, timeout: float | str | None
    ) -> None:
        """Wait until ``n_workers`` run.

        Parameters
        ----------
        watch
            The workers' Pods.
        what
            Whose they are, for messages.
        n_workers
            How many.
        timeout
            Seconds, or text such as ``"2 minutes"``; None for as long as it takes.

        Raises
        ------
        ClusterStartError
            When a Pod cannot start.
        StartTimeoutError
            When time is up.
        """
        check_count("n_workers", n_workers)
        timeout_s = None if timeout is None else float(parse_timedelta(timeout, default="s"))
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        settling = SettlingPatience()
        while True:
            changes = (self._workers_signal.next(), watch.changes.next())
            info = SchedulerInfo(await self.scheduler_comm.identity())
            self.scheduler_info["workers"].update(info["workers"])
            running, about_to_run = count_running(info)
            if running >= n_workers:
                return
            error = await watch.find_failed(what, n_workers)
            if error is not None:
                raise error
            left_s = None if deadline is None else deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                raise StartTimeoutError(
                    f"{what}: {running} of {n_workers} workers have joined within {timeout_s:g} s",
                    fix="Wait longer with `timeout=`, or ask for fewer workers",
                )
            waits = (left_s, watch.room_left_s, settling.pause_s(about_to_run))
            left_s = min((each for each in waits if each is not None), default=None)
            await wait_any(*changes, timeout_s=left_s)

    async def _watch_worker_status(self, comm: Any) -> None:
        await super()._watch_worker_status(comm)  # type: ignore[misc]
        self._workers_signal.tell()

    def _update_worker_status(self, op: str, msg: Any) -> None:
        # One that we have not heard of, or no more, is nothing to forget.
        if op != "remove" or msg in self.scheduler_info["workers"]:
            super()._update_worker_status(op, msg)  # type: ignore[misc]
        self._workers_signal.tell()
