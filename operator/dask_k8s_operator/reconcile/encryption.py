"""When an encrypted cluster's certificates are looked up, made and renewed.

Guarantees that a Pod made now holds certificates for years: they are looked up for every new
scheduler, and again before they end, whatever happens in between; that a Secret which somebody
deleted is made again as soon as a Pod cannot start without it. The new one has a new authority,
which members with the old one refuse: the scheduler is made anew when it has no work and no
results, then the workers, which could not reach it otherwise. Refuses to make keys: they are
observed; and to watch Secrets: that takes the right to list everybody's.
"""

from __future__ import annotations

import base64

from ..resources.kinds import SECRETS
from ..resources.names import tls_name
from ..resources.times import parse_time
from ..resources.tls import RENEW_BEFORE_S, build_tls_secret, is_encrypted
from .observedcluster import ObservedCluster
from .plan import Create, Patch, Write
from .pods import explain_pod

# How late it may be noticed that certificates have to be renewed: they last for years after.
CHECK_S = 86_400.0
# What the status tells of certificates that were read or written.
CERTIFICATE_FIELDS = ("certificatesUntil", "certificatesAuthority")
# What Kubernetes says of a Pod that cannot start without something, such as a Secret.
_LACKS_SOMETHING = "CreateContainerConfigError"


def wants_certificates(observed: ObservedCluster, now: float) -> bool:
    """Whether the certificates have to be looked up: for a new scheduler, because they end, or
    because a Pod cannot start without them."""
    if not _keeps_certificates(observed):
        return False
    if observed.scheduler_pod is None or _renew_in_s(observed, now) <= 0:
        return True
    return _lacks_secret(observed)


def keep_certificates(observed: ObservedCluster) -> list[Write]:
    """Write what was made anew."""
    certificates, metadata = observed.certificates, observed.cluster["metadata"]
    if certificates is None:
        return []
    if certificates.is_new:
        return [Create(SECRETS, build_tls_secret(observed.cluster, certificates), "decide")]
    if not certificates.is_renewed:
        return []
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in certificates.texts.items()}
    place = (metadata["namespace"], tls_name(metadata["name"]))
    return [Patch(SECRETS, *place, {"data": encoded})]


def next_check_s(observed: ObservedCluster, now: float) -> float | None:
    """Seconds until the end of the certificates is looked at again; None where there are none."""
    if not _keeps_certificates(observed) or observed.scheduler_pod is None:
        return None
    return min(CHECK_S, max(1.0, _renew_in_s(observed, now)))


def _keeps_certificates(observed: ObservedCluster) -> bool:
    is_going = observed.cluster["metadata"].get("deletionTimestamp")
    return is_encrypted(observed.cluster) and not is_going and not observed.is_suspended


def _renew_in_s(observed: ObservedCluster, now: float) -> float:
    read = observed.certificates
    until = read.until if read else parse_time(observed.status.get("certificatesUntil"))
    return 0.0 if until is None else until - RENEW_BEFORE_S - now


def _lacks_secret(observed: ObservedCluster) -> bool:
    # Each by itself: a group's status tells only of what ails most of its workers.
    pods = [*([observed.scheduler_pod] if observed.scheduler_pod else []), *observed.workers]
    troubles = (explain_pod(pod) for pod in pods)
    return any(trouble is not None and trouble.reason == _LACKS_SOMETHING for trouble in troubles)
