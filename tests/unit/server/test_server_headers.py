"""What passes between a browser and a scheduler."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders

from dask_k8s_jupyter.server.headers import (
    keep_query,
    keep_request_headers,
    keep_response_headers,
)


@pytest.mark.parametrize(
    "name",
    [
        "Cookie",
        "Authorization",
        "Proxy-Authorization",
        "X-XSRFToken",
        "X-Forwarded-User",
        "X-Forwarded-Access-Token",
        "Kubeflow-Userid",
        "Host",
        "Origin",
        "Referer",
        "Connection",
        "Upgrade",
    ],
)
def test_nothing_that_tells_who_asks_reaches_a_scheduler(name):
    assert dict(keep_request_headers(HTTPHeaders({name: "secret"}))) == {}


def test_what_a_page_needs_reaches_a_scheduler():
    headers = HTTPHeaders({"accept": "text/html", "accept-encoding": "gzip"})
    assert dict(keep_request_headers(headers)) == {
        "Accept": "text/html",
        "Accept-Encoding": "gzip",
    }


def test_a_scheduler_sets_no_cookie_and_no_policy():
    headers = HTTPHeaders({"Content-Type": "text/html", "Set-Cookie": "username=x"})
    headers["Content-Security-Policy"] = "default-src *"
    headers["Access-Control-Allow-Origin"] = "*"
    kept = keep_response_headers(headers, "frame-ancestors 'self'")
    assert kept["Content-Security-Policy"] == "frame-ancestors 'self'"
    assert "Set-Cookie" not in kept
    assert "Access-Control-Allow-Origin" not in kept
    assert kept["Content-Type"] == "text/html"


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("", ""),
        ("token=secret", ""),
        ("a=1&token=secret&b=", "a=1&b="),
        ("_xsrf=x&no_track_activity=1&theme=dark%20blue", "theme=dark+blue"),
        ("to%6ben=secret", ""),
    ],
)
def test_the_token_in_a_url_stays_here(query, kept):
    assert keep_query(query) == kept
