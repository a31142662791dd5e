"""What a browser sends is checked at the edge, and the answer names the field."""

from __future__ import annotations

import pytest

from dask_k8s_jupyter.server.validate import (
    AdaptRequest,
    CreateRequest,
    InvalidRequestError,
    ScaleRequest,
    check_log_lines,
    check_namespace,
    read_adapt,
    read_create,
    read_scale,
)

GOOD = {"namespace": "team-a", "name": "demo", "n_workers": 2}


def test_a_whole_request_is_read():
    body = {
        **GOOD,
        "cpu": "500m",
        "memory": "2Gi",
        "image": "ghcr.io/dask/dask:2026.8.0-py3.11",
        "adapt": {"minimum": 1, "maximum": 4},
    }
    assert read_create(body) == CreateRequest(
        "team-a", "demo", 2, "500m", "2Gi", "ghcr.io/dask/dask:2026.8.0-py3.11", AdaptRequest(1, 4)
    )


def test_what_is_left_empty_is_left_out():
    assert read_create({**GOOD, "cpu": "", "memory": None, "image": ""}) == CreateRequest(
        "team-a", "demo", 2, None, None, None, None
    )


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"name": ""}, "name", "needed"),
        ({"name": None}, "name", "text"),
        ({"name": 7}, "name", "text"),
        ({"name": "My Cluster"}, "name", "lower-case"),
        ({"name": "a" * 54}, "name", "54 characters"),
        ({"name": "../x"}, "name", "lower-case"),
        ({"name": "demo\n"}, "name", "lower-case"),
        ({"namespace": "a/b"}, "namespace", "lower-case"),
        ({"namespace": "n" * 64}, "namespace", "64 characters"),
        ({"n_workers": -1}, "n_workers", "from 0"),
        ({"n_workers": 10_001}, "n_workers", "from 0 to 10000"),
        ({"n_workers": True}, "n_workers", "whole number"),
        ({"n_workers": 1.5}, "n_workers", "whole number"),
        ({"n_workers": "2"}, "n_workers", "whole number"),
        ({"n_workers": None}, "n_workers", "whole number"),
        ({"cpu": "two"}, "cpu", "500m"),
        ({"cpu": "1e999"}, "cpu", "500m"),
        ({"memory": "1K"}, "memory", "2Gi"),
        ({"cpu": 2}, "cpu", "text"),
        ({"cpu": "-1"}, "cpu", "amount"),
        ({"cpu": "0"}, "cpu", "amount"),
        ({"cpu": "1" * 33}, "cpu", "amount"),
        ({"memory": "2GB"}, "memory", "2Gi"),
        ({"image": "a b"}, "image", "repository"),
        ({"image": "a" * 256}, "image", "repository"),
        ({"image": "a\n"}, "image", "repository"),
        ({"image": ["x"]}, "image", "text"),
        ({"adapt": []}, None, "JSON object"),
        ({"adapt": {"minimum": 5, "maximum": 4}}, "minimum", "above"),
        ({"worker": 3}, "worker", "not known"),
    ],
)
def test_a_bad_field_is_named_with_what_would_do(change, field, words):
    with pytest.raises(InvalidRequestError, match=words) as caught:
        read_create({**GOOD, **change})
    assert caught.value.field == field


@pytest.mark.parametrize("body", [None, [], "x", 3])
def test_a_body_that_is_no_object_is_refused(body):
    for read in (read_create, read_scale, read_adapt):
        with pytest.raises(InvalidRequestError, match="JSON object") as caught:
            read(body)
        assert caught.value.field is None


def test_scaling_takes_a_group_or_the_default_one():
    assert read_scale({"replicas": 0}) == ScaleRequest(0, None)
    assert read_scale({"replicas": 3, "group": "highmem"}) == ScaleRequest(3, "highmem")
    with pytest.raises(InvalidRequestError) as caught:
        read_scale({"replicas": 3, "group": "High Mem"})
    assert caught.value.field == "group"


@pytest.mark.parametrize(
    ("body", "field"),
    [({"minimum": 0, "maximum": 0}, "maximum"), ({"minimum": 1}, "maximum"),
     ({"maximum": 1}, "minimum")],
)  # fmt: skip
def test_adapting_needs_both_bounds(body, field):
    with pytest.raises(InvalidRequestError) as caught:
        read_adapt(body)
    assert caught.value.field == field


@pytest.mark.parametrize("text", ["0", "-1", "x", "", "10001", "1e3", "٣"])
def test_log_lines_are_a_small_whole_number(text):
    with pytest.raises(InvalidRequestError) as caught:
        check_log_lines(text)
    assert caught.value.field == "tail"


def test_a_namespace_may_have_63_characters():
    assert check_namespace("n" * 63) == "n" * 63
