"""Which pages may open our websockets. Pure.

A browser sends cookies with a websocket from any page, asks nobody before, and lets the page read
everything: the origin is the only thing that tells our page from a stranger's.
``allow_origin="*"``, which Kubeflow sets beside an empty token, would let every page of the
internet watch and steer a person's clusters, so here it does not count. What counts:

- no ``Origin`` at all: not a browser;
- the origin's host is the one that was asked, as ``Host`` or, behind a proxy that rewrites it,
  ``X-Forwarded-Host``, which a page cannot set on a websocket;
- the administrator named this very origin (``allow_origin``), or a pattern that it matches
  (``allow_origin_pat``).

Requests that carry the server's token are let through by their handlers, as everywhere in
Jupyter: a stranger's page does not have it.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def is_allowed_origin(
    origin: str | None,
    hosts: tuple[str | None, ...],
    allow_origin: str = "",
    allow_origin_pat: str | re.Pattern[str] | None = None,
) -> bool:
    """Say whether a page of this origin may open a websocket.

    Parameters
    ----------
    origin
        The ``Origin`` of the request; None where it has none.
    hosts
        What the request calls this server: ``Host`` and ``X-Forwarded-Host``, None where missing.
    allow_origin, allow_origin_pat
        As the server is configured; empty and None where it is not.

    Examples
    --------
    >>> is_allowed_origin("https://hub.org", ("hub.org", None))
    True
    >>> is_allowed_origin("https://stranger.net", ("hub.org", None), allow_origin="*")
    False
    """
    if origin is None:
        return True
    origin = origin.lower()
    host = urlsplit(origin).netloc
    if host and host in {known.lower() for known in hosts if known}:
        return True
    if allow_origin and allow_origin != "*":
        return origin == allow_origin.lower()
    return bool(allow_origin_pat and re.fullmatch(allow_origin_pat, origin))
