"""How a KubeCluster follows the workers of its scheduler, also when that is replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dask.utils import parse_timedelta

from .checks import check_count
from .display import StartDisplay
from .session import Session
from .signal import Signal
from .versions import VersionCheck
from .workers import subscribe_again, wait_for_workers


class FollowedWorkers:
    """The part of a KubeCluster that knows which workers have joined."""

    session: Session
    scheduler_comm: Any
    scheduler_info: Any
    _display: StartDisplay
    _log_wait: Callable[[str], None]
    _workers_signal: Signal
    _version_check: VersionCheck | None

    async def _wait_for_workers(self, n_workers: int = 0, timeout: float | None = None) -> None:
        check_count("n_workers", n_workers)
        timeout_s = None if timeout is None else float(parse_timedelta(timeout, default="s"))
        try:
            self.scheduler_info = await wait_for_workers(
                self.session,
                self.scheduler_comm,
                self._workers_signal,
                n_workers,
                timeout_s,
                self._log_wait,
            )
        finally:
            self._display.close()

    async def _watch_worker_status(self, comm: Any) -> None:
        """Follow the workers, anew when the connection breaks or the scheduler is replaced."""
        while True:
            await super()._watch_worker_status(comm)  # type: ignore[misc]
            # Whoever waits for workers must not count those that joined the scheduler of before.
            self.scheduler_info["workers"] = {}
            self._workers_signal.tell()
            comm, self.scheduler_info = await subscribe_again(self.session, self.scheduler_comm)
            self._watch_worker_status_comm = comm
            self._workers_signal.tell()

    def _update_worker_status(self, op: str, msg: Any) -> None:
        if op == "remove":
            # Known to be gone already when we have subscribed anew meanwhile.
            self.scheduler_info["workers"].pop(msg, None)
        else:
            super()._update_worker_status(op, msg)  # type: ignore[misc]
            if self._version_check is not None:
                self._version_check.follow(self.scheduler_comm, self.scheduler_info["workers"])
        self._workers_signal.tell()
