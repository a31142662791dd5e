"""What of a request reaches a scheduler, and what of its answer reaches the browser. Pure.

Guarantees allow-lists both ways: cookies, Authorization, XSRF tokens and whatever a hub or a proxy
adds to identify a person stay here, and a scheduler sets no cookie and no policy for the notebook
server's origin. ``Host`` and ``Origin`` stay here too: the websocket's origin has been checked, and
Bokeh would compare it with a host that it does not know.
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from tornado.httputil import HTTPHeaders

REQUEST_HEADERS = (
    "Accept",
    "Accept-Encoding",
    "Accept-Language",
    "Cache-Control",
    "If-Modified-Since",
    "If-None-Match",
    "Range",
    "User-Agent",
)
RESPONSE_HEADERS = (
    "Accept-Ranges",
    "Cache-Control",
    "Content-Encoding",
    "Content-Language",
    "Content-Range",
    "Content-Type",
    "Etag",
    "Expires",
    "Last-Modified",
    "Location",
    "Vary",
)
# The notebook server's token may stand in a URL; the scheduler's pages know none of these.
PRIVATE_ARGUMENTS = ("token", "_xsrf", "no_track_activity")


def keep_request_headers(headers: HTTPHeaders) -> HTTPHeaders:
    """Keep what a scheduler may know.

    Examples
    --------
    >>> dict(keep_request_headers(HTTPHeaders({"Accept": "text/html", "Cookie": "a=b"})))
    {'Accept': 'text/html'}
    """
    return _keep(headers, REQUEST_HEADERS)


def keep_response_headers(headers: HTTPHeaders, policy: str) -> HTTPHeaders:
    """Keep what a browser needs, under the notebook server's own content security policy."""
    kept = _keep(headers, RESPONSE_HEADERS)
    kept["Content-Security-Policy"] = policy
    kept["X-Content-Type-Options"] = "nosniff"
    kept["Referrer-Policy"] = "same-origin"
    return kept


def keep_query(query: str) -> str:
    """Keep what of a query is meant for the scheduler.

    Examples
    --------
    >>> keep_query("token=secret&theme=light")
    'theme=light'
    """
    arguments = parse_qsl(query, keep_blank_values=True)
    return urlencode([pair for pair in arguments if pair[0] not in PRIVATE_ARGUMENTS])


def _keep(headers: HTTPHeaders, names: tuple[str, ...]) -> HTTPHeaders:
    kept = HTTPHeaders()
    for name in names:
        for value in headers.get_list(name):
            kept.add(name, value)
    return kept
