"""What a decision about a job looks at.

Guarantees that a failed runner counts once, whoever asks. Refuses to decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..resources.owners import is_owned_by
from .plan import Manifest, Refusal


@dataclass(frozen=True)
class ObservedJob:
    """All that a decision about a job looks at.

    Parameters
    ----------
    job
        The DaskJob.
    cluster, runner
        Whatever has their names, None when nothing has.
    refusals
        What Kubernetes refused the last time.
    """

    job: Manifest
    cluster: Manifest | None = None
    runner: Manifest | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def state(self) -> str:
        """``status.jobStatus`` so far, "" at the very beginning."""
        return str((self.job.get("status") or {}).get("jobStatus", ""))

    @property
    def is_suspended(self) -> bool:
        """Whether it is meant to have neither runner nor cluster."""
        return bool(self.job["spec"].get("suspend"))

    @property
    def backoff_limit(self) -> int | None:
        """How often a failed runner is tried again; None: Pods never, containers for ever."""
        limit = self.job["spec"].get("backoffLimit")
        return None if limit is None else int(limit)

    @property
    def runner_phase(self) -> str | None:
        """Phase of the job's own runner Pod, None when there is none to speak of."""
        runner = self.runner
        if runner is None or not is_owned_by(runner, self.job):
            return None
        if runner["metadata"].get("deletionTimestamp"):
            return None
        return str((runner.get("status") or {}).get("phase", "Pending"))

    @property
    def has_failed_runner(self) -> bool:
        """Whether the runner that is there failed."""
        return self.runner_phase == "Failed"

    @property
    def failed_uid(self) -> str | None:
        """The last runner that failed, that is there or was."""
        if self.has_failed_runner and self.runner is not None:
            return str(self.runner["metadata"].get("uid", ""))
        return (self.job.get("status") or {}).get("lastFailedRunner")

    @property
    def is_failure_known(self) -> bool:
        """Whether the failure of the runner that is there is in the status."""
        return (self.job.get("status") or {}).get("lastFailedRunner") == self.failed_uid

    @property
    def failures(self) -> int:
        """Runner Pods that failed, the one that is there included."""
        before = int((self.job.get("status") or {}).get("failures", 0))
        return before + int(self.has_failed_runner and not self.is_failure_known)

    @property
    def restarts(self) -> int:
        """Restarts of the containers of the runner that is there."""
        if self.runner_phase is None or self.runner is None:
            return 0
        statuses = (self.runner.get("status") or {}).get("containerStatuses") or []
        return sum(int(status.get("restartCount", 0)) for status in statuses)
