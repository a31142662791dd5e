"""Where an older release of Kubernetes answers otherwise than the newest, which is followed here.

Guarantees that a request that is not named here is answered alike by every release.
"""

from __future__ import annotations

from parity_step import Step

NEWEST = "1.36"
# Requests by release, as SCENARIO/STEP, each with the name of the difference that the
# documentation explains; "" for one that only the newest release answers in its own way.
RELEASES: dict[str, dict[str, str]] = {"1.31": {}}


def find_difference(release: str, scenario: str, step: Step) -> str:
    """Name of the difference that an answer of a release shows; "" when there is none."""
    known = RELEASES.get(release, {})
    return known.get(f"{scenario}/{step.name}", step.differs)
