"""Where an older release of Kubernetes answers otherwise than the newest, which is followed here.

Guarantees that a request that is not named here is answered alike by every release.
"""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

from parity_normal import comparable
from parity_step import Step

NEWEST = "1.36"
OLDER = ("1.31",)
# What a real API server answers now so, now so, for a reason of its own: its age.
UNSURE = ("history",)
# Left out of every comparison with an older release, by name of the difference.
NEWER_FIELDS = {
    "null-times": "creationTimestamp: null of templates and reviews",
    "pod-generation": "metadata.generation of Pods",
}
# Requests, as patterns of SCENARIO/STEP, each with the name of the difference that the
# documentation explains; "" where only the newest release answers in its own way.
RELEASES: dict[str, dict[str, str]] = {
    "1.31": {
        "*/list-bad-version": "older-codes",
        "*/delete-not-json": "older-codes",
        "*/watch-initial": "older-watch-list",
        "*/watch-initial-bad": "older-watch-list",
        "serviceaccounts/*-table": "older-columns",
        "resourcequotas/*-table": "older-columns",
        "quota/used": "older-columns",
        "quota/freed": "older-columns",
        "quota/raised": "older-columns",
        "scale-deployments/scale-missing": "older-details",
        "scale-replicasets/scale-missing": "older-details",
        "access/token": "older-details",
        "access/impersonate-forbidden": "",
        "services/create-bad-name": "",
        "services/create-no-name": "",
    }
}


def find_difference(release: str, scenario: str, step: Step) -> str:
    """Name of the difference that an answer of a release shows; "" when there is none."""
    known = RELEASES.get(release, {})
    place = f"{scenario}/{step.name}"
    return next((name for pattern, name in known.items() if fnmatch(place, pattern)), step.differs)


def comparable_with(release: str, answer: dict[str, Any]) -> Any:
    """What of an answer is compared with one of a release."""
    found = comparable(answer)
    return found if release == NEWEST else _without_newer(found)


def _without_newer(value: Any, kind: str = "") -> Any:
    if isinstance(value, list):
        return [_without_newer(each, kind) for each in value]
    if not isinstance(value, dict):
        return value
    own = str(value.get("kind") or kind).removesuffix("List")
    kept = {key: each for key, each in value.items() if (key, each) != ("creationTimestamp", None)}
    if own in ("Pod", "PartialObjectMetadata") and isinstance(kept.get("metadata"), dict):
        metadata = kept["metadata"]
        kept["metadata"] = {key: each for key, each in metadata.items() if key != "generation"}
    return {key: _without_newer(each, own if key == "items" else "") for key, each in kept.items()}
