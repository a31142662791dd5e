"""How many workers a classic cluster is asked for, checked before any worker comes or goes.

Guarantees that a bad number is named while all workers stay, and that ``scale`` keeps to
``kubernetes.count.max`` however the number is said. Refuses to start or end workers: that is
SpecCluster's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from dask.utils import parse_bytes

from dask_k8s_jupyter import config
from dask_k8s_jupyter.clusters.checks import check_count
from dask_k8s_jupyter.errors import InvalidSpecError


class Sizing:
    """The methods of a classic KubeCluster that say how many workers there should be."""

    _memory_per_worker: Callable[[], int]
    _threads_per_worker: Callable[[], int]
    _note: Callable[[str], None]

    def scale(self, n: int = 0, memory: str | None = None, cores: int | None = None) -> Any:
        """Ask for a number of workers, at most ``kubernetes.count.max``.

        Parameters
        ----------
        n
            How many workers.
        memory, cores
            At least as many as have this much together, such as ``"64 GiB"``.

        Raises
        ------
        InvalidSpecError
            When one of them is no number, or negative; no worker has come or gone then.

        Examples
        --------
        >>> cluster.scale(10)  # doctest: +SKIP
        """
        wanted = check_count("n", n)
        if memory is not None:
            total_bytes = _check_bytes("memory", memory)
            wanted = max(wanted, math.ceil(total_bytes / self._memory_per_worker()))
        if cores is not None:
            total_cores = _check_amount("cores", cores)
            wanted = max(wanted, math.ceil(total_cores / self._threads_per_worker()))
        most = config.get("count.max")
        if most is not None and wanted > most:
            self._note(f"{wanted} workers were asked for, kubernetes.count.max allows {most}")
            wanted = most
        return super().scale(wanted)  # type: ignore[misc]

    scale_up = scale

    def adapt(self, *args: Any, **kwargs: Any) -> Any:
        """Let the scheduler's load choose the number of workers, as long as this process lives.

        Parameters
        ----------
        *args, **kwargs
            ``minimum``, ``maximum`` and what else distributed's ``SpecCluster.adapt`` takes.

        Raises
        ------
        InvalidSpecError
            When a bound is no whole number, or negative.

        Examples
        --------
        >>> cluster.adapt(minimum=1, maximum=10)  # doctest: +SKIP
        """
        check_bounds(kwargs.get("minimum"), kwargs.get("maximum"))
        return super().adapt(*args, **kwargs)  # type: ignore[misc]


def check_bounds(minimum: int | None, maximum: float | None) -> None:
    """Raise InvalidSpecError unless adaptive scaling can keep to these; infinite is no maximum.

    Examples
    --------
    >>> check_bounds(0, float("inf"))
    """
    low = 0 if minimum is None else check_count("minimum", minimum)
    if maximum is None or maximum == math.inf:
        return
    if check_count("maximum", maximum) < low:  # type: ignore[arg-type]
        raise InvalidSpecError(f"minimum: {low} is above the maximum, {maximum}")


def _check_bytes(argument: str, size: Any) -> float:
    try:
        size_bytes = parse_bytes(size) if isinstance(size, str) else size
    except ValueError:
        size_bytes = None
    if _is_amount(size_bytes):
        return float(size_bytes)
    raise InvalidSpecError(f"{argument}: a size such as '64 GiB' is needed, not {size!r}")


def _check_amount(argument: str, amount: Any) -> float:
    if not _is_amount(amount):
        raise InvalidSpecError(f"{argument}: a number, 0 or more, is needed, not {amount!r}")
    return float(amount)


def _is_amount(amount: Any) -> bool:
    is_number = isinstance(amount, (int, float)) and not isinstance(amount, bool)
    return is_number and 0 <= amount < 2**63
