"""Which state of an object something was written from, and who has not seen that state yet.

Guarantees that a mark speaks of one object and not of a namesake. Refuses to compare versions that
are no numbers: then nobody counts as behind.
"""

from __future__ import annotations

from typing import Any

Manifest = dict[str, Any]


def version_of(item: Manifest) -> int | None:
    """Read the resource version, None where it is no number.

    Comparable as numbers: so the API machinery compares them too (KEP-5504).
    """
    version = item["metadata"].get("resourceVersion") or ""
    return int(version) if version.isdecimal() else None


def format_as_of(item: Manifest) -> str:
    """Format the mark of what is made from this state of an object.

    Examples
    --------
    >>> format_as_of({"metadata": {"uid": "c0ffee", "resourceVersion": "7"}})
    'c0ffee/7'
    """
    metadata = item["metadata"]
    return f"{metadata.get('uid', '')}/{metadata.get('resourceVersion', '')}"


def is_behind(item: Manifest, mark: str | None) -> bool:
    """Whether somebody made the mark from a later state of this object than the one at hand.

    Examples
    --------
    >>> seen = {"metadata": {"uid": "c0ffee", "resourceVersion": "7"}}
    >>> [is_behind(seen, mark) for mark in ("c0ffee/8", "c0ffee/7", "decade/8", None)]
    [True, False, False, False]
    """
    uid, _, version = (mark or "").partition("/")
    seen = version_of(item)
    if uid != item["metadata"].get("uid") or seen is None or not version.isdecimal():
        return False
    return seen < int(version)
