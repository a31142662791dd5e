"""What the form asks for becomes a cluster."""

from __future__ import annotations

import dask.config
import pytest

from dask_k8s_jupyter.server.create import build_requested_cluster
from dask_k8s_jupyter.server.validate import CreateRequest


def make_request(**changes):
    fields = {"namespace": "team-a", "name": "demo", "n_workers": 2, "cpu": None, "memory": None}
    return CreateRequest(**{**fields, "image": None, "adapt": None, **changes})


def container_of(cluster, part):
    return cluster["spec"][part]["spec"]["containers"][0]


def test_cpu_and_memory_are_a_workers_and_not_the_schedulers():
    cluster = build_requested_cluster(make_request(cpu="500m", memory="2Gi"))
    amounts = {"cpu": "500m", "memory": "2Gi"}
    resources = container_of(cluster, "worker")["resources"]
    assert resources == {"limits": amounts, "requests": amounts}
    assert container_of(cluster, "scheduler")["resources"] == {}


def test_only_what_was_named_is_limited():
    cluster = build_requested_cluster(make_request(memory="2Gi"))
    assert container_of(cluster, "worker")["resources"]["limits"] == {"memory": "2Gi"}


@pytest.mark.parametrize(
    ("image", "expected"), [(None, "acme/dask:7"), ("own/dask:1", "own/dask:1")]
)
def test_the_image_is_the_persons_else_the_configured_one(image, expected):
    with dask.config.set({"kubernetes.image": "acme/dask:7"}):
        cluster = build_requested_cluster(make_request(image=image))
    assert container_of(cluster, "worker")["image"] == expected
    assert container_of(cluster, "scheduler")["image"] == expected


def test_the_name_and_the_number_are_those_asked_for():
    cluster = build_requested_cluster(make_request(n_workers=7))
    assert cluster["metadata"]["name"] == "demo"
    assert cluster["spec"]["worker"]["replicas"] == 7
