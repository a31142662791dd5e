"""Our page may open a websocket, a stranger's may not."""

from __future__ import annotations

import re

import pytest

from dask_k8s_jupyter.server.origin import is_allowed_origin

HUB = ("hub.org:8888", None)


@pytest.mark.parametrize(
    ("origin", "hosts", "configured"),
    [
        (None, HUB, {}),
        ("http://hub.org:8888", HUB, {}),
        ("https://HUB.org:8888", HUB, {}),
        ("https://hub.org", ("10.0.0.7:8888", "hub.org"), {}),
        ("https://hub.org", ("10.0.0.7:8888", "hub.org"), {"allow_origin": "*"}),
        ("https://lab.org", HUB, {"allow_origin": "https://lab.org"}),
        ("https://a.lab.org", HUB, {"allow_origin_pat": r"https://.*\.lab\.org"}),
        ("https://a.lab.org", HUB, {"allow_origin_pat": re.compile(r"https://.*\.lab\.org")}),
    ],
)
def test_our_pages_and_those_that_were_named_may(origin, hosts, configured):
    assert is_allowed_origin(origin, hosts, **configured)


@pytest.mark.parametrize(
    ("origin", "configured"),
    [
        ("https://stranger.net", {}),
        ("https://stranger.net", {"allow_origin": "*"}),
        ("null", {"allow_origin": "*"}),
        ("", {"allow_origin": "*"}),
        ("https://hub.org", {}),
        ("https://hub.org:8888.stranger.net", {"allow_origin": "*"}),
        ("https://stranger.net", {"allow_origin": "https://lab.org"}),
        ("https://a.lab.org.stranger.net", {"allow_origin_pat": r"https://.*\.lab\.org"}),
    ],
)
def test_a_strangers_page_may_not(origin, configured):
    assert not is_allowed_origin(origin, HUB, **configured)
