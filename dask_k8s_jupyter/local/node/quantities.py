"""Quantities of Kubernetes (``500m``, ``2Gi``) as numbers, and back. Pure."""

from __future__ import annotations

import re
from typing import Any

_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_FACTORS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
_FACTORS |= {"P": 1e15, "E": 1e18}
_FACTORS |= {f"{unit}i": 1024.0 ** (power + 1) for power, unit in enumerate("KMGTPE")}


def parse_quantity(quantity: Any) -> float:
    """Read a quantity; ValueError when it is none.

    Examples
    --------
    >>> parse_quantity("500m"), parse_quantity("2Gi"), parse_quantity(3)
    (0.5, 2147483648.0, 3.0)
    """
    match = _QUANTITY.fullmatch(str(quantity).strip())
    if match is None:
        raise ValueError(f"{quantity!r} is not a quantity such as '500m' or '2Gi'")
    number, exponent, suffix = match.groups()
    if exponent:
        return float(number + exponent)
    return float(number) * _FACTORS.get(suffix or "", 1.0)


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
