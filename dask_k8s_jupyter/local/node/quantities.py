"""Quantities of Kubernetes (``500m``, ``2Gi``) as numbers, and back. Pure."""

from __future__ import annotations

from typing import Any

from dask_k8s_jupyter.state import words


def parse_quantity(quantity: Any) -> float:
    """Read a quantity; ValueError when it is none.

    Examples
    --------
    >>> parse_quantity("500m"), parse_quantity("2Gi"), parse_quantity(3)
    (0.5, 2147483648.0, 3.0)
    """
    amount = words.parse_quantity(quantity)
    if amount is None:
        raise ValueError(f"{quantity!r} is not a quantity such as '500m' or '2Gi'")
    return amount


def show_bytes(count: int) -> str:
    """Write bytes as a quantity that kubectl reads well.

    Examples
    --------
    >>> show_bytes(8 * 1024**3)
    '8388608Ki'
    """
    return f"{count // 1024}Ki" if count % 1024 == 0 else str(count)


def show_cpus(cpus: float) -> str:
    """Write CPUs as a quantity.

    Examples
    --------
    >>> show_cpus(2), show_cpus(0.5)
    ('2', '500m')
    """
    return str(int(cpus)) if cpus == int(cpus) else f"{round(cpus * 1000)}m"
