"""Counts what a client asks of an API, for those who want to know what it costs.

Guarantees that every answer is counted, those to retries too. Refuses to keep times or bodies.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class ApiUsage:
    """What one client has asked so far.

    Parameters
    ----------
    answers
        How many answers there were by verb, resource and HTTP status.
    throttled
        How often the API asked for patience.
    throttled_s
        For how many seconds in all.
    """

    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    throttled: int = 0
    throttled_s: float = 0.0

    def add_patience(self, seconds: float) -> None:
        """Count one wait that the API asked for."""
        self.throttled += 1
        self.throttled_s += seconds
