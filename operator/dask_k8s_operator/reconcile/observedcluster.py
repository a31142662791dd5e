"""What a decision about a cluster looks at.

Guarantees that every question about it is answered in one place. Refuses to decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..resources.agent_protocol import Answer
from ..resources.builders import hash_scheduler_spec
from ..resources.names import default_group_name
from ..resources.owners import is_owned_by
from ..resources.passing import is_outdated
from ..resources.tls import Certificates, is_of_other_authority
from .plan import Manifest, Refusal
from .pods import standing


@dataclass(frozen=True)
class ObservedCluster:
    """All that a decision about a cluster looks at.

    Parameters
    ----------
    cluster
        The DaskCluster.
    scheduler_pod, service
        Whatever has their names, None when nothing has.
    workers
        Worker Pods of an encrypted cluster; of another one they are not looked at.
    groups, autoscalers
        Those that name this cluster.
    idle
        Seconds without work by the scheduler's own word, None when it was not asked.
    certificates
        Those of an encrypted cluster, None when they were not looked up.
    refusals
        What Kubernetes refused the last time.
    """

    cluster: Manifest
    scheduler_pod: Manifest | None = None
    service: Manifest | None = None
    workers: tuple[Manifest, ...] = ()
    groups: tuple[Manifest, ...] = ()
    autoscalers: tuple[Manifest, ...] = ()
    idle: Answer | None = None
    certificates: Certificates | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def status(self) -> Manifest:
        """The status as it is."""
        return self.cluster.get("status") or {}

    @property
    def idle_timeout_s(self) -> int:
        """Seconds without work after which the cluster goes, 0 for never."""
        return int(self.cluster["spec"].get("idleTimeout") or 0)

    @property
    def is_suspended(self) -> bool:
        """Whether it is meant to have no Pods."""
        return bool(self.cluster["spec"].get("suspend"))

    @property
    def default_group(self) -> Manifest | None:
        """The group that the cluster made for itself."""
        name = default_group_name(self.cluster["metadata"]["name"])
        return next((g for g in self.groups if g["metadata"]["name"] == name), None)

    @property
    def has_workers(self) -> bool:
        """Whether a group says that it has Pods left."""
        counts = [(group.get("status") or {}).get("workers") or {} for group in self.groups]
        left = ("pending", "running", "failed", "retiring")
        return any(count.get(state) for count in counts for state in left)

    @property
    def has_own_scheduler(self) -> bool:
        """Whether the scheduler Pod is this cluster's."""
        return self.scheduler_pod is not None and is_owned_by(self.scheduler_pod, self.cluster)

    @property
    def is_scheduler_ready(self) -> bool:
        """Whether the scheduler Pod is there, ready and not on its way out."""
        return self.scheduler_pod is not None and standing(self.scheduler_pod) == "ready"

    @property
    def is_scheduler_outdated(self) -> bool:
        """Whether the scheduler Pod was made from another spec, or with other certificates."""
        pod = self.scheduler_pod
        if pod is None or not self.has_own_scheduler or standing(pod) == "leaving":
            return False
        return is_outdated(pod, hash_scheduler_spec(self.cluster)) or self.holds_old_certificates

    @property
    def authority(self) -> str | None:
        """Authority of the certificates that new Pods get, as last looked up."""
        if self.certificates is not None:
            return self.certificates.authority
        return self.status.get("certificatesAuthority")

    @property
    def holds_old_certificates(self) -> bool:
        """Whether the scheduler Pod's certificates are of an authority that is no more."""
        pod = self.scheduler_pod
        return pod is not None and is_of_other_authority(pod, self.authority)
