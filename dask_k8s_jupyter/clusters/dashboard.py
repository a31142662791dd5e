"""Where this user's browser finds a cluster's dashboard.

Guarantees a link that works from where the browser is, as far as anybody told us where that is:
through our server extension, as ``distributed.dashboard.link`` says, or at the forwarded port.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

import dask.config

from dask_k8s_jupyter.config import BASE_URL_VARIABLE as BASE_URL_VARIABLE

DEFAULT_TEMPLATE = "{scheme}://{host}:{port}/status"


def build_dashboard_link(namespace: str, name: str, address: tuple[str, int] | None) -> str:
    """Build the link to a cluster's dashboard; empty when nothing leads there.

    Parameters
    ----------
    namespace, name
        The cluster.
    address
        Where the dashboard can be reached from this process; None when it cannot.

    Examples
    --------
    >>> build_dashboard_link("default", "demo", ("127.0.0.1", 8787))  # doctest: +SKIP
    'http://127.0.0.1:8787/status'
    """
    base_url = os.environ.get(BASE_URL_VARIABLE)
    if base_url:
        return f"{base_url.rstrip('/')}/dask-k8s/dashboard/{namespace}/{name}/status"
    return build_address_link(address) if address else ""


def build_jupyter_link(address: tuple[str, int] | None) -> str:
    """Build the link to the Jupyter server of a scheduler; empty when nothing leads there.

    Its pages are at ``/jupyter/`` of their host and know no other place: a notebook server that
    stands between, under a path of its own, cannot pass them on. So this is an address as seen from
    this process, for a browser on the same machine.

    Parameters
    ----------
    address
        Where the dashboard, and with it the Jupyter server, can be reached from this process.

    Examples
    --------
    >>> build_jupyter_link(("127.0.0.1", 8787))
    'http://127.0.0.1:8787/jupyter/lab'
    """
    if address is None:
        return ""
    link = urlsplit(build_address_link(address))
    if not link.netloc or link.path != "/status":
        link = urlsplit(DEFAULT_TEMPLATE.format(scheme="http", host=address[0], port=address[1]))
    return urlunsplit((link.scheme, link.netloc, "/jupyter/lab", "", ""))


def build_address_link(address: tuple[str, int]) -> str:
    """Build the link to the dashboard at an address, as ``distributed.dashboard.link`` says."""
    template = dask.config.get("distributed.dashboard.link", DEFAULT_TEMPLATE)
    host, port = address
    values = {**os.environ, "scheme": "http", "host": host, "port": port}
    try:
        return str(template.format(**values))
    except (KeyError, IndexError, ValueError):
        # A template that names a variable of another machine: the plain link is better than none.
        return DEFAULT_TEMPLATE.format(**values)
