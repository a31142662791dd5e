"""Times as Kubernetes writes them: RFC 3339 in UTC, to the second.

Guarantees that what is written can be read back. Refuses to know what time it is now.
"""

from __future__ import annotations

from datetime import datetime, timezone

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def format_time(seconds: float) -> str:
    """Write seconds since the epoch.

    Examples
    --------
    >>> format_time(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(int(seconds), tz=timezone.utc).strftime(_FORMAT)


def parse_time(text: str | None) -> float | None:
    """Read a time as seconds since the epoch; None for what is absent or unreadable.

    Examples
    --------
    >>> parse_time("1970-01-01T00:01:00Z")
    60.0
    >>> parse_time("1970-01-01T00:01:00.500000Z")
    60.5
    """
    if not text:
        return None
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
