"""What a Pod has for its end: one time for all its containers.

Guarantees that the end, once begun, is put off by nobody, and that who comes last still gets a
moment, unless all is to end at once. Reads no clock: times come in, in seconds of any one clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEFAULT_S = 30.0
# What a sidecar has at least, when those before it took the Pod's whole grace.
_LEAST_S = 2.0


def find_grace_s(pod: Mapping[str, Any]) -> float:
    """What a Pod has for its end when nobody says otherwise."""
    seconds = pod["spec"].get("terminationGracePeriodSeconds")
    return _DEFAULT_S if seconds is None else float(seconds)


class Grace:
    """The time for the end of one Pod.

    Parameters
    ----------
    seconds
        How long the end may take once it begins; 0 ends everything at once.

    Examples
    --------
    >>> grace = Grace(30)
    >>> grace.begin(now=100)
    >>> grace.find_left_s(now=110), grace.find_left_s(now=140)
    (20.0, 2.0)
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = float(seconds)
        # None before the end has begun.
        self._ends_at: float | None = None

    def begin(self, now: float) -> None:
        """Note that the end begins, unless it has."""
        if self._ends_at is None:
            self._ends_at = now + self.seconds

    def find_left_s(self, now: float) -> float:
        """What is left for a container whose turn to end is now."""
        if self._ends_at is None or self.seconds <= 0:
            return self.seconds
        return max(_LEAST_S, self._ends_at - now)

    def change(self, seconds: float, now: float) -> bool:
        """Take in another time; returns whether an end that has begun is to come sooner."""
        was, self.seconds = self.seconds, seconds
        if self._ends_at is None:
            return False
        is_sooner = now + seconds < self._ends_at or seconds <= 0 < was
        self._ends_at = min(self._ends_at, now + seconds)
        return is_sooner
