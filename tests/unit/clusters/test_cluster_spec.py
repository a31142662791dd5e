"""What a person asks for becomes resources, or an error that names the argument."""

from __future__ import annotations

from typing import Any

import pytest

from dask_k8s_jupyter.clusters.spec import (
    build_env,
    make_cluster_spec,
    make_worker_spec,
    vary_worker_spec,
)
from dask_k8s_jupyter.errors import InvalidSpecError


def _worker(spec: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = spec["spec"]["worker"]["spec"]["containers"][0]
    return container


def _scheduler(spec: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = spec["spec"]["scheduler"]["spec"]["containers"][0]
    return container


def test_a_cluster_is_whole() -> None:
    spec = make_cluster_spec("demo", image="acme/dask:7", n_workers=2, idle_timeout=60)
    assert (spec["apiVersion"], spec["kind"]) == ("kubernetes.dask.org/v1", "DaskCluster")
    assert spec["metadata"]["name"] == "demo"
    assert spec["spec"]["worker"]["replicas"] == 2
    assert spec["spec"]["idleTimeout"] == 60
    assert _worker(spec)["image"] == _scheduler(spec)["image"] == "acme/dask:7"
    assert spec["spec"]["scheduler"]["service"]["selector"] == {
        "dask.org/cluster-name": "demo",
        "dask.org/component": "scheduler",
    }


def test_the_new_commands_are_written() -> None:
    spec = make_cluster_spec("demo")
    assert _worker(spec)["args"] == ["dask", "worker", "--name", "$(DASK_WORKER_NAME)"]
    assert _scheduler(spec)["args"][:2] == ["dask", "scheduler"]


@pytest.mark.parametrize(
    ("resources", "options"),
    [
        (None, []),
        ({}, []),
        ({"limits": {"cpu": "2"}}, ["--nthreads", "2"]),
        ({"limits": {"cpu": "1500m"}}, ["--nthreads", "2"]),
        ({"limits": {"cpu": 0.1}}, ["--nthreads", "1"]),
        ({"limits": {"memory": "2Gi"}}, ["--memory-limit", "2147483648B"]),
        ({"requests": {"memory": "1G"}}, ["--memory-limit", "1000000000B"]),
        ({"requests": {"cpu": "1"}, "limits": {"cpu": "4"}}, ["--nthreads", "4"]),
        ({"limits": {"nvidia.com/gpu": 1}}, []),
    ],
)
def test_a_worker_knows_what_it_is_held_to(
    resources: dict[str, Any] | None, options: list[str]
) -> None:
    spec = make_worker_spec(resources=resources)
    assert spec["spec"]["containers"][0]["args"][4:] == options


@pytest.mark.parametrize(
    ("command", "args"),
    [
        ("dask-worker", ["dask-worker"]),
        (
            "dask-cuda-worker --rmm-pool-size '10 GB'",
            ["dask-cuda-worker", "--rmm-pool-size", "10 GB"],
        ),
        (["dask", "cuda", "worker"], ["dask", "cuda", "worker"]),
    ],
)
def test_a_command_may_be_words_or_text(command: Any, args: list[str]) -> None:
    written = make_worker_spec(worker_command=command)["spec"]["containers"][0]["args"]
    assert written[: len(args)] == args


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        (None, []),
        ({"A": 1, "B": "x=y"}, [{"name": "A", "value": "1"}, {"name": "B", "value": "x=y"}]),
        ([{"name": "A", "valueFrom": {}}], [{"name": "A", "valueFrom": {}}]),
    ],
)
def test_environments_come_in_two_shapes(env: Any, expected: list[dict[str, Any]]) -> None:
    assert build_env(env) == expected


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": "My Cluster"}, "name"),
        ({"name": "a" * 54}, "name"),
        ({"name": 7}, "name"),
        ({"n_workers": -1}, "n_workers"),
        ({"n_workers": 1.5}, "n_workers"),
        ({"n_workers": True}, "n_workers"),
        ({"image": ""}, "image"),
        ({"image": "two words"}, "image"),
        ({"resources": {"limit": {}}}, "resources"),
        ({"resources": {"limits": "2Gi"}}, "resources"),
        ({"resources": {"limits": {"memory": "2 Gigabytes"}}}, "resources"),
        ({"env": "A=1"}, "env"),
        ({"env": [{"value": "1"}]}, "env"),
        ({"worker_command": ""}, "worker_command"),
        ({"scheduler_service_type": "clusterip"}, "scheduler_service_type"),
        ({"idle_timeout": -1}, "idle_timeout"),
        ({"idle_timeout": "1 hour"}, "idle_timeout"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"^{named}: "):
        make_cluster_spec(**{"name": "demo", **arguments})


def test_a_group_keeps_what_it_is_not_told_to_change() -> None:
    worker = make_worker_spec(
        "acme/dask:7", 2, {"limits": {"cpu": "2", "memory": "1Gi"}}, {"A": "1"}, "dask worker -v"
    )
    worker["spec"]["nodeSelector"] = {"disk": "ssd"}
    varied = vary_worker_spec(worker, 5, resources={"limits": {"memory": "4Gi"}})
    container = varied["spec"]["containers"][0]
    assert varied["replicas"] == 5
    assert varied["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert container["image"] == "acme/dask:7"
    assert container["args"] == [
        *("dask", "worker", "-v", "--name", "$(DASK_WORKER_NAME)"),
        *("--memory-limit", "4294967296B"),
    ]
    assert worker["replicas"] == 2
