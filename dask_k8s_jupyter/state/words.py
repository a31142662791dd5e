"""How quantities are said: memory, cores, workers, ages. Pure.

Guarantees one spelling for panel, command line and sidebar, units always. Refuses to know any
resource.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

_QUANTITY = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i))?", re.ASCII
)
_FACTORS = {
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
    "E": 1e18, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50,
    "Ei": 2.0**60,
}  # fmt: skip
# Kubernetes keeps no larger quantity.
_MAX_QUANTITY = 2.0**63
_MEMORY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def parse_quantity(text: str | int | float | None) -> float | None:
    """Read a Kubernetes quantity; None for what is none, or more than Kubernetes keeps.

    Parameters
    ----------
    text
        Such as ``"500m"``, ``"2Gi"`` or ``2``; None stays None.

    Examples
    --------
    >>> parse_quantity("500m"), parse_quantity("2Gi"), parse_quantity("two")
    (0.5, 2147483648.0, None)
    """
    match = _QUANTITY.fullmatch(str(text).strip()) if text is not None else None
    if match is None:
        return None
    number, exponent, suffix = match.groups()
    value = float(number + (exponent or "")) * _FACTORS.get(suffix, 1.0)
    return value if abs(value) < _MAX_QUANTITY else None


def format_memory(memory_bytes: float) -> str:
    """Say an amount of memory, as people read it.

    Examples
    --------
    >>> format_memory(48 * 2**30), format_memory(1.5 * 2**30), format_memory(700)
    ('48 GiB', '1.5 GiB', '700 B')
    """
    size, unit = float(memory_bytes), 0
    while size >= 1000 and unit < len(_MEMORY_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{format_number(size)} {_MEMORY_UNITS[unit]}"


def format_cores(cores: float) -> str:
    """Say a number of cores.

    Examples
    --------
    >>> format_cores(12.0), format_cores(1), format_cores(0.5)
    ('12 cores', '1 core', '0.5 cores')
    """
    return f"{format_number(cores)} {'core' if cores == 1 else 'cores'}"


def format_workers(ready: int, desired: int) -> str:
    """Say how many of how many.

    Examples
    --------
    >>> format_workers(2, 6), format_workers(0, 1)
    ('2 of 6 workers', '0 of 1 worker')
    """
    return f"{ready} of {desired} {'worker' if desired == 1 else 'workers'}"


def format_number(number: float) -> str:
    """Say a number with one decimal below ten, with none from ten on.

    Examples
    --------
    >>> format_number(1.0), format_number(1.26), format_number(31.26)
    ('1', '1.3', '31')
    """
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}".removesuffix(".0")


def format_age(age_s: float) -> str:
    """Say an age in its largest unit.

    Examples
    --------
    >>> [format_age(s) for s in (-1, 11, 840, 7200, 200_000)]
    ['0 s', '11 s', '14 min', '2 h', '2 days']
    """
    seconds = max(0, int(age_s))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min"
    if seconds < 48 * 3600:
        return f"{seconds // 3600} h"
    return f"{seconds // 86400} days"


def parse_time(text: str | None) -> datetime | None:
    """Read a Kubernetes time stamp; None for what is none.

    Examples
    --------
    >>> parse_time("2026-11-20T10:00:00Z")
    datetime.datetime(2026, 11, 20, 10, 0, tzinfo=datetime.timezone.utc)
    >>> parse_time("yesterday") is None
    True
    """
    try:
        # Python 3.10 reads no "Z"; MicroTime has six digits, which it does read.
        moment = datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
