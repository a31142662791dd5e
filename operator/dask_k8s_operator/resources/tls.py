"""The certificates of an encrypted cluster: their Secret, and the environment that uses them.

Guarantees that everything distributed needs comes by environment from one Secret, so that no
volume is mounted, and that what a user set stays. Refuses to make keys: they are arguments.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from . import names
from .kinds import DASK_CLUSTERS
from .owners import owner_reference

Manifest = dict[str, Any]

AUTHORITY_CERTIFICATE_KEY = "ca.crt"
AUTHORITY_PRIVATE_KEY = "ca.key"
CERTIFICATE_KEY = "tls.crt"
PRIVATE_KEY = "tls.key"

# A Pod made now may run for so long: five years.
RENEW_BEFORE_S = 5 * 365 * 86_400.0

_PREFIX = "DASK_DISTRIBUTED__COMM__"
_ROLES = ("SCHEDULER", "WORKER", "CLIENT")
# distributed takes the text itself where it takes a file's name, and tells them by the newline.
_FROM_SECRET = {
    f"{_PREFIX}TLS__CA_FILE": AUTHORITY_CERTIFICATE_KEY,
    **{f"{_PREFIX}TLS__{role}__CERT": CERTIFICATE_KEY for role in _ROLES},
    **{f"{_PREFIX}TLS__{role}__KEY": PRIVATE_KEY for role in _ROLES},
}
_LITERAL = {f"{_PREFIX}REQUIRE_ENCRYPTION": "True", f"{_PREFIX}DEFAULT_SCHEME": "tls"}


@dataclass(frozen=True)
class Certificates:
    """A cluster's own authority and the one certificate that all its members show.

    Parameters
    ----------
    texts
        PEM texts by the Secret's keys.
    until
        Seconds since the epoch when the members' certificate ends.
    is_new
        Whether nothing of it is in Kubernetes yet.
    is_renewed
        Whether something of what is there was made anew.

    Examples
    --------
    >>> Certificates({"ca.crt": "text of a certificate"}, until=0.0).authority
    'fbe1668ec3fe51ab'
    """

    texts: dict[str, str] = field(repr=False)
    until: float
    is_new: bool = False
    is_renewed: bool = False

    @property
    def authority(self) -> str:
        """What tells this authority from others: members of different ones refuse each other."""
        text = self.texts.get(AUTHORITY_CERTIFICATE_KEY, "")
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_encrypted(cluster: Manifest | None) -> bool:
    """Whether a cluster's scheduler takes encrypted connections only."""
    return bool(((cluster or {}).get("spec") or {}).get("tls"))


def is_of_other_authority(pod: Manifest, authority: str | None) -> bool:
    """Whether a Pod holds certificates of another authority; unknown ones differ from none."""
    held = (pod["metadata"].get("annotations") or {}).get(names.AUTHORITY_ANNOTATION)
    return bool(held and authority) and held != authority


def scheme_of(cluster: Manifest | None) -> str:
    """Scheme of the addresses of a cluster: ``"tls"`` or ``"tcp"``.

    Examples
    --------
    >>> scheme_of({"spec": {"tls": True}})
    'tls'
    """
    return "tls" if is_encrypted(cluster) else "tcp"


def build_tls_secret(cluster: Manifest, certificates: Certificates) -> Manifest:
    """Build the Secret with a cluster's certificates."""
    metadata = cluster["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.tls_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": {
                names.CLUSTER_NAME_LABEL: metadata["name"],
                names.COMPONENT_LABEL: names.SCHEDULER,
            },
            "ownerReferences": [owner_reference(DASK_CLUSTERS, cluster)],
        },
        "type": "Opaque",
        "stringData": dict(certificates.texts),
    }


def tls_environment(cluster: str) -> list[Manifest]:
    """Variables that make a scheduler, worker or client of a cluster speak and demand TLS."""
    secret = names.tls_name(cluster)
    referred: list[Manifest] = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        for name, key in _FROM_SECRET.items()
    ]
    return referred + [{"name": name, "value": value} for name, value in _LITERAL.items()]
