"""Requests are counted as an API server counts them."""

import pytest

from dask_k8s_jupyter.local.api.metrics import RequestCounts
from dask_k8s_jupyter.local.api.reading import APPLY_PATCH
from dask_k8s_jupyter.local.api.requests import Target
from dask_k8s_jupyter.local.api.resources import BUILT_IN

PODS = next(resource for resource in BUILT_IN if resource.plural == "pods")


@pytest.mark.parametrize(
    ("asked", "content_type", "verb", "scope"),
    [
        (Target(PODS, "a", verb="list"), "", "LIST", "namespace"),
        (Target(PODS, "", verb="watch"), "", "WATCH", "cluster"),
        (Target(PODS, "a", "x", verb="get"), "", "GET", "resource"),
        (Target(PODS, "a", verb="create"), "application/json", "POST", "resource"),
        (Target(PODS, "a", "x", verb="patch"), "application/json-patch+json", "PATCH", "resource"),
        (Target(PODS, "a", "x", verb="patch"), APPLY_PATCH, "APPLY", "resource"),
        (Target(PODS, "a", "x", "exec", "create"), "", "CONNECT", "resource"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "verb", ""),
)
def test_a_request_is_counted_by_what_it_asks(asked, content_type, verb, scope):
    counts = RequestCounts()
    for _ in range(2):
        counts.count(asked, content_type, 200)
    (sample,) = (line for line in counts.build_page().decode().splitlines() if line[0] != "#")
    assert f'verb="{verb}"' in sample
    assert f'scope="{scope}"' in sample
    assert sample.endswith(" 2.0")
