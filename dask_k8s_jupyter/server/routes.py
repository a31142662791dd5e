"""Which paths of a scheduler's web server a browser may see through the notebook server. Pure.

Guarantees an allow-list: a path that is not known here is refused, whatever a later Dask serves
there. In particular the unauthenticated ``/api/``, the operator's own routes, the notebook server
that a scheduler can host (``/jupyter/``) and anything that climbs out with ``..`` stay closed.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

# distributed.dashboard.scheduler.applications; every "individual-…" is a single plot.
_PAGES = (
    "status|workers|tasks|system|profile|profile-server|graph|groups|info|gpu|hardware|shuffle|stealing|events"
    "|exceptions|counters|crossfilter|individual-[a-z-]+"
)
_DASHBOARD = re.compile(
    rf"(?:{_PAGES})"
    rf"|(?:{_PAGES})/(?:ws|autoload\.js|metadata)"
    r"|statics?/.+"
    r"|info/main/(?:workers|exceptions|logs)\.html"
    r"|info/(?:worker|task|call-stacks?|logs)/.+\.html"
    r"|individual-plots\.json|sitemap\.json|json/(?:counts|identity)\.json|json/index\.html"
    r"|health|metrics|eventstream|favicon\.ico",
    re.ASCII,
)
# The scheduler passes pages on to the dashboards of its own workers, and to nothing else; of
# websockets it does not ask whose they are.
_WORKER = re.compile(r"proxy/\d{1,5}/[0-9A-Za-z.:\[\]-]+/(?P<path>.*)", re.ASCII)


def is_dashboard_path(path: str) -> bool:
    """Say whether a path of the scheduler's web server may be shown.

    Parameters
    ----------
    path
        Without the leading slash and without the query, percent-encoded or not.

    Examples
    --------
    >>> is_dashboard_path("status"), is_dashboard_path("api/v1/retire_workers")
    (True, False)
    """
    # Tornado decodes once more than we do: what is dangerous after a second decoding is refused
    # before the first.
    for spelling in (path, unquote(path), unquote(unquote(path))):
        if ".." in spelling.split("/") or "\\" in spelling or "//" in _without_addresses(spelling):
            return False
    worker = _WORKER.fullmatch(path)
    if worker is None:
        return _DASHBOARD.fullmatch(path) is not None
    inner = worker["path"]
    return not inner.endswith("/ws") and _DASHBOARD.fullmatch(inner) is not None


def _without_addresses(path: str) -> str:
    """``info/worker/tcp://10.0.0.1:4000.html`` is how Dask spells a worker's page."""
    return re.sub(r"(?<=/)[a-z]+://(?=[^/])", "", path)
