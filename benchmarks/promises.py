"""Says of each number whether what was promised of it is kept; the exit code says it of all."""

from __future__ import annotations

from .ratios import Ratio


class Promises:
    """The promises of one benchmark, and whether all are kept so far.

    Examples
    --------
    >>> promises = Promises()
    >>> promises.say("memory", 120.0, 100.0, " MB")
    memory: 120.00 MB; promised at most 100 MB: NOT KEPT
    >>> promises.exit_code
    1
    """

    def __init__(self) -> None:
        self._are_kept = True

    @property
    def exit_code(self) -> int:
        """0 while every promise is kept, 1 otherwise."""
        return 0 if self._are_kept else 1

    def say(self, what: str, value: float, limit: float, unit: str) -> None:
        """Print a number and whether it is at most ``limit``."""
        promised = f"promised at most {limit:g}{unit}"
        self.judge(f"{what}: {value:.2f}{unit}; {promised}", is_kept=value <= limit)

    def say_ratio(self, what: str, ratio: Ratio, limit: float) -> None:
        """Print a ratio and whether its median is at most ``limit``."""
        promised = f"promised at most {limit:g}"
        self.judge(f"{ratio.describe(what)}; {promised}", is_kept=ratio.median <= limit)

    def judge(self, said: str, *, is_kept: bool) -> None:
        """Print what was measured and promised, and the verdict."""
        self._are_kept &= is_kept
        print(f"{said}: {'kept' if is_kept else 'NOT KEPT'}", flush=True)
