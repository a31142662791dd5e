"""Run two things in turn and compare them pair by pair, so that a machine's mood cancels out."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """How many times as long ours took as the peer's, pair by pair.

    Parameters
    ----------
    ours_s, peer_s
        Seconds of each run, in the order they were made.

    Examples
    --------
    >>> Ratio((2.0, 3.0, 9.0), (1.0, 1.0, 3.0)).median
    3.0
    """

    ours_s: tuple[float, ...]
    peer_s: tuple[float, ...]

    @property
    def each(self) -> list[float]:
        """The ratio of every pair."""
        return [ours / peer for ours, peer in zip(self.ours_s, self.peer_s, strict=True)]

    @property
    def median(self) -> float:
        """The middle one of the ratios."""
        return statistics.median(self.each)

    def describe(self, what: str) -> str:
        """Say one line: the ratio, its spread and both medians."""
        ours, peer = statistics.median(self.ours_s), statistics.median(self.peer_s)
        return (
            f"{what}: {self.median:.2f} times (from {min(self.each):.2f} to {max(self.each):.2f}; "
            f"{ours:.2f} s against {peer:.2f} s)"
        )


def measure_ratio(ours: Callable[[], object], peer: Callable[[], object], runs: int) -> Ratio:
    """Time both in turn, ``runs`` times, after one run of each that does not count."""
    ours()
    peer()
    pairs = [(_time_s(ours), _time_s(peer)) for _ in range(runs)]
    return Ratio(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


def _time_s(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
