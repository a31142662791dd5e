"""How long ago, in the words of kubectl. Pure."""

from __future__ import annotations

from datetime import datetime, timezone

from .names import parse_time

UNKNOWN = "<unknown>"
NONE = "<none>"


def show_age(text: str | None, now: datetime | None = None) -> str:
    """Show how long ago a time was, as kubectl does.

    Examples
    --------
    >>> from datetime import datetime, timezone
    >>> show_age("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, 3, 5, tzinfo=timezone.utc))
    '3m5s'
    """
    if not text:
        return UNKNOWN
    moment = now or datetime.now(timezone.utc)
    return show_duration(int((moment - parse_time(text)).total_seconds()))


def show_duration(seconds: int) -> str:
    """Show a number of seconds with at most two units, as kubectl does."""
    seconds = max(0, seconds)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    years = days // 365
    return _two(years, "y", days % 365, "d") if years < 8 else f"{years}y"


def _two(big: int, big_unit: str, small: int, small_unit: str) -> str:
    return f"{big}{big_unit}" + (f"{small}{small_unit}" if small else "")
