"""What a decision about a worker group looks at, and the plan while it is made.

Guarantees that every count is taken in one place. Refuses to decide anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ..resources.agent_protocol import SchedulerReport
from ..resources.builders import hash_worker_spec, replicas_of
from ..resources.kinds import DASK_CLUSTERS, PODS
from ..resources.owners import is_of_namesake
from ..resources.passing import is_outdated
from ..resources.schemas import DEFAULT_RETIRE_TIMEOUT_S
from ..resources.times import parse_time
from ..resources.tls import is_of_other_authority
from .conditions import SCHEDULER_MISSING_REASONS, find_condition
from .matching import Workers, match_workers
from .plan import Delete, Manifest, Notice, Refusal, Write, earliest
from .pods import Standing, is_retiring, standing

# How long a scheduler may be silent before workers go without being asked for.
UNREACHABLE_TIMEOUT_S = 60.0
UNREACHABLE_POLL_S = 5.0


@dataclass(frozen=True)
class ObservedGroup:
    """All that a decision about a worker group looks at.

    Parameters
    ----------
    group
        The DaskWorkerGroup.
    cluster
        Its DaskCluster, None when there is none.
    pods
        Worker Pods that the group owns.
    neighbours
        Worker Pods of the cluster's other groups; looked at only beside a ``report``.
    has_other_workers
        Whether the cluster has workers in other groups that stay.
    report
        What the scheduler says, None when it was not asked.
    refusals
        What Kubernetes refused the last time.
    """

    group: Manifest
    cluster: Manifest | None
    pods: tuple[Manifest, ...] = ()
    neighbours: tuple[Manifest, ...] = ()
    has_other_workers: bool = False
    report: SchedulerReport | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def is_alive(self) -> bool:
        """Whether group and cluster are there to stay."""
        group, cluster = self.group, self.cluster
        if group["metadata"].get("deletionTimestamp"):
            return False
        if cluster is None or cluster["metadata"].get("deletionTimestamp"):
            return False
        # A group of an earlier cluster of this name is about to go with that one.
        return not is_of_namesake(group, DASK_CLUSTERS, cluster)

    @property
    def is_suspended(self) -> bool:
        """Whether the cluster is meant to have no Pods."""
        return self.cluster is not None and bool(self.cluster["spec"].get("suspend"))

    @property
    def awaits_scheduler(self) -> bool:
        """Whether the cluster has no scheduler Pod (yet).

        Where Kubernetes refuses it, workers would be half a cluster; and the certificates of an
        encrypted one may still be an earlier namesake's until it is there.
        """
        scheduler = find_condition((self.cluster or {}).get("status"), "SchedulerReady")
        return scheduler is None or scheduler["reason"] in SCHEDULER_MISSING_REASONS

    @property
    def desired(self) -> int:
        """How many workers there ought to be now."""
        return 0 if self.is_suspended else replicas_of(self.group)

    @property
    def retire_timeout_s(self) -> float:
        """How long a worker that is meant to go may take."""
        return float(self.group["spec"]["worker"].get("retireTimeout", DEFAULT_RETIRE_TIMEOUT_S))

    @cached_property
    def spec_hash(self) -> str:
        """What Pods of the present spec carry."""
        return hash_worker_spec(self.group)

    def is_outdated(self, pod: Manifest) -> bool:
        """Whether a Pod was made from another spec, or cannot reach its scheduler any more."""
        authority = ((self.cluster or {}).get("status") or {}).get("schedulerAuthority")
        return is_outdated(pod, self.spec_hash) or is_of_other_authority(pod, authority)

    @cached_property
    def _standings(self) -> list[tuple[Standing, Manifest]]:
        # Every rule asks: with a thousand Pods, once is enough.
        return [(standing(pod), pod) for pod in self.pods]

    def standing_as(self, *standings: Standing) -> list[Manifest]:
        """Pods that count as one of these."""
        return [pod for counts_as, pod in self._standings if counts_as in standings]

    @cached_property
    def live(self) -> list[Manifest]:
        """Pods that work or will, and are not meant to go."""
        return self.standing_as("pending", "running", "ready")

    @cached_property
    def failed(self) -> list[Manifest]:
        """Pods that ended and are not meant to go; each keeps its place until it is replaced."""
        return [pod for pod in self.standing_as("ended") if not is_retiring(pod)]

    @cached_property
    def _workers(self) -> Mapping[str, Workers]:
        pods = (*self.pods, *self.neighbours)
        return match_workers(self.report, pods) if self.report else {}

    def workers_of(self, pod: Manifest) -> Workers:
        """Worker processes of a Pod, as far as the scheduler knows them."""
        return self._workers.get(pod["metadata"]["name"], ())

    @cached_property
    def _addresses_that_stay(self) -> frozenset[str]:
        stays: tuple[Standing, ...] = ("pending", "running", "ready")
        beside = [pod for pod in self.neighbours if standing(pod) in stays]
        staying = [*self.live, *beside]
        return frozenset(worker.address for pod in staying for worker in self.workers_of(pod))

    def drainable(self, pod: Manifest) -> Workers:
        """Workers of a Pod that are nobody's who stays: those would refuse work for ever."""
        workers = self.workers_of(pod)
        return tuple(w for w in workers if w.address not in self._addresses_that_stay)

    @property
    def are_mixed_up(self) -> bool:
        """Whether workers that are meant to go cannot be told from others that stay."""
        retiring = self.standing_as("retiring")
        return any(len(self.drainable(pod)) < len(self.workers_of(pod)) for pod in retiring)

    @property
    def has_recipients(self) -> bool:
        """Whether results have a worker to go to."""
        if self.has_other_workers and not self.is_suspended:
            return True
        return bool(self.standing_as("running", "ready"))

    def may_go_unasked(self, now: float) -> bool:
        """Whether workers may go although the scheduler does not answer."""
        report = self.report
        if report is None or report.is_absent or not report.may_recover:
            return True
        if not report.knows_token:
            return self.is_suspended  # it is there, and so may be what only its workers hold
        since = parse_time((self.group.get("status") or {}).get("unreachableSince"))
        return since is not None and now - since >= UNREACHABLE_TIMEOUT_S


@dataclass
class Draft:
    """A plan in the making."""

    first: list[Write] = field(default_factory=list)
    deletions: list[Write] = field(default_factory=list)
    creations: list[Write] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    drain: list[str] = field(default_factory=list)
    undrain: list[str] = field(default_factory=list)
    look_again_s: float | None = None
    replaced: int = 0

    def delete(self, pods: list[Manifest], *, as_seen: bool = False) -> None:
        """Delete Pods; ``as_seen`` only if nothing has become of them since."""
        for pod in filter(uid_of, pods):
            metadata = pod["metadata"]
            version = metadata.get("resourceVersion") if as_seen else None
            place = (metadata["namespace"], metadata["name"])
            self.deletions.append(Delete(PODS, *place, uid_of(pod), resource_version=version))

    def deletes(self, pod: Manifest) -> bool:
        """Whether a Pod is deleted already."""
        return any(isinstance(d, Delete) and d.uid == uid_of(pod) for d in self.deletions)

    def tell(
        self,
        reason: str,
        message: str,
        *,
        is_warning: bool = False,
        gone: Sequence[Manifest] = (),
    ) -> None:
        """Say something in an Event; ``gone`` are the Pods whose deletion it tells of."""
        uids = set(map(uid_of, gone))
        of = tuple(d for d in self.deletions if isinstance(d, Delete) and d.uid in uids)
        self.notices.append(Notice(reason, message, "Warning" if is_warning else "Normal", of))

    def look_again(self, delay_s: float) -> None:
        """Decide again after so many seconds at the latest."""
        self.look_again_s = earliest(self.look_again_s, delay_s)


def uid_of(pod: Manifest) -> str:
    """Uid of an object, "" of one that the API has not shown yet: it may run, or not be there."""
    return str(pod["metadata"].get("uid", ""))


def count_of(number: int, noun: str) -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> count_of(1, "worker"), count_of(2, "worker")
    ('1 worker', '2 workers')
    """
    return f"{number} {noun}" + ("" if number == 1 else "s")
