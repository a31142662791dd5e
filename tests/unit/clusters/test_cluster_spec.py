"""What a person asks for becomes resources, or an error that names the argument."""

from __future__ import annotations

import inspect
import json
import math
from typing import Any

import pytest
from anything import ANYTHING
from hypothesis import given
from hypothesis import strategies as st

from dask_k8s_jupyter.clusters.checks import build_env, check_resources
from dask_k8s_jupyter.clusters.spec import (
    make_cluster_spec,
    make_scheduler_spec,
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
        ({"limits": {"nvidia.com/gpu": 0, "cpu": 2}}, ["--nthreads", "2"]),
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
        ({"scheduler_service_type": None}, "scheduler_service_type"),
        ({"image": None}, "image"),
        ({"image": "a\tb"}, "image"),
        ({"worker_image": ""}, "worker_image"),
        ({"scheduler_image": 7}, "scheduler_image"),
        ({"resources": "2Gi"}, "resources"),
        ({"resources": {"limits": {"memroy": "2Gi"}}}, "resources"),
        ({"resources": {"limits": {"memory": "-2Gi"}}}, "resources"),
        ({"resources": {"limits": {"memory": "2GB"}}}, "resources"),
        ({"resources": {"limits": {"cpu": True}}}, "resources"),
        ({"resources": {"limits": {"cpu": 1}, "requests": {"cpu": 2}}}, "resources"),
        ({"worker_resources": {"limit": {}}}, "worker_resources"),
        ({"scheduler_resources": []}, "scheduler_resources"),
        ({"env": 7}, "env"),
        ({"env": {"": "1"}}, "env"),
        ({"env": {"A=B": "1"}}, "env"),
        ({"env": {"PRÄFIX": "1"}}, "env"),
        ({"env": [{"name": "A\n", "value": "1"}]}, "env"),
        ({"resources": {"limits": {"nvidia.com/gpu": 0.5}}}, "resources"),
        ({"resources": {"limits": {"nvidia.com/gpu": "500m"}}}, "resources"),
        ({"resources": {"requests": {"nvidia.com/gpu": 1}}}, "resources"),
        (
            {"resources": {"limits": {"amd.com/gpu": 2}, "requests": {"amd.com/gpu": 1}}},
            "resources",
        ),
        ({"resources": {"requests": {"hugepages-2Mi": "2Mi"}}}, "resources"),
        ({"resources": {"limits": {"/": 1}}}, "resources"),
        ({"resources": {"limits": {"nvidia.com/": 1}}}, "resources"),
        ({"resources": {"limits": {"Nvidia.com/gpu": 1}}}, "resources"),
        ({"resources": {"limits": {"nvidia.com/gpu/0": 1}}}, "resources"),
        ({"env": {"A": None}}, "env"),
        ({"worker_env": ["A"]}, "worker_env"),
        ({"scheduler_env": {"A": {}}}, "scheduler_env"),
        ({"worker_command": "dask 'worker"}, "worker_command"),
        ({"worker_command": 7}, "worker_command"),
        ({"worker_command": []}, "worker_command"),
        ({"jupyter": "yes"}, "jupyter"),
        ({"idle_timeout": math.inf}, "idle_timeout"),
        ({"idle_timeout": -1}, "idle_timeout"),
        ({"idle_timeout": "1 hour"}, "idle_timeout"),
    ],
)
def test_bad_input_is_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"^{named}: "):
        make_cluster_spec(**{"name": "demo", **arguments})


ARGUMENTS = sorted(set(inspect.signature(make_cluster_spec).parameters))


@given(argument=st.sampled_from(ARGUMENTS), value=ANYTHING)
def test_whatever_is_given_makes_a_cluster_or_an_error_that_names_it(
    argument: str, value: object
) -> None:
    try:
        spec = make_cluster_spec(**{"name": "demo", argument: value})
    except InvalidSpecError as error:
        assert str(error).startswith(f"{argument}: ")
    else:
        json.dumps(spec)


@pytest.mark.parametrize(
    "resources",
    [
        {"limits": {"nvidia.com/gpu": 1}},
        {"limits": {"nvidia.com/gpu": "2"}, "requests": {"nvidia.com/gpu": 2}},
        {"limits": {"nvidia.com/mig-1g.5gb": "1"}},
        {"limits": {"hugepages-2Mi": "4Mi"}, "requests": {"hugepages-2Mi": "4Mi"}},
        {"requests": {"cpu": 0.5, "ephemeral-storage": "1Gi"}},
    ],
)
def test_resources_that_kubernetes_takes_are_taken(resources: dict[str, Any]) -> None:
    assert check_resources(resources).keys() == resources.keys()


OF_A_GROUP = ("n_workers", "image", "resources", "env", "worker_command")


@given(argument=st.sampled_from(OF_A_GROUP), value=ANYTHING)
def test_whatever_is_given_makes_a_group_or_an_error_that_names_it(
    argument: str, value: Any
) -> None:
    given_one: dict[str, Any] = {"n_workers": 1, argument: value}
    try:
        worker = vary_worker_spec(make_worker_spec(), **given_one)
    except InvalidSpecError as error:
        assert str(error).startswith(f"{argument}: ")
    else:
        json.dumps(worker)


def test_a_role_may_have_its_own() -> None:
    spec = make_cluster_spec(
        "demo",
        env={"A": "1", "B": "1"},
        resources={"limits": {"cpu": "4"}},
        scheduler_image="acme/scheduler:7",
        worker_resources={"limits": {"cpu": "2"}},
        worker_env={"B": "2"},
        scheduler_env={"C": "3"},
    )
    assert _scheduler(spec)["image"] == "acme/scheduler:7"
    assert _scheduler(spec)["resources"] == {"limits": {"cpu": "4"}}
    assert _scheduler(spec)["env"] == build_env({"A": "1", "B": "1", "C": "3"})
    assert _worker(spec)["resources"] == {"limits": {"cpu": "2"}}
    assert _worker(spec)["env"] == build_env({"A": "1", "B": "2"})
    assert _worker(spec)["args"][-2:] == ["--nthreads", "2"]


GPUS = {"limits": {"nvidia.com/gpu": 2, "cpu": 8, "memory": "8Gi"}}


@pytest.mark.parametrize(
    ("resources", "command", "args"),
    [
        (GPUS, "dask worker", "dask cuda worker --name N --memory-limit 4294967296B"),
        (GPUS, "dask worker -v", "dask worker -v --name N --nthreads 8 --memory-limit 8589934592B"),
        ({"limits": {"nvidia.com/mig-1g.5gb": 1}}, "dask worker", "dask cuda worker --name N"),
        ({"limits": {"cpu": 8}}, "dask worker --nthreads 1", "dask worker --nthreads 1 --name N"),
        (
            {"limits": {"memory": "1Gi"}},
            "dask worker --memory-limit=0",
            "dask worker --memory-limit=0 --name N",
        ),
    ],
)
def test_the_command_fits_the_resources_unless_it_says_otherwise(
    resources: dict[str, Any], command: str, args: str
) -> None:
    spec = make_worker_spec(resources=resources, worker_command=command)
    written = " ".join(spec["spec"]["containers"][0]["args"])
    assert written == args.replace("N", "$(DASK_WORKER_NAME)", 1)


def test_a_scheduler_can_be_made_alone() -> None:
    section = make_scheduler_spec("demo", image="acme/dask:7", jupyter=True)
    cluster = make_cluster_spec("demo", image="acme/dask:7", jupyter=True)
    assert section == cluster["spec"]["scheduler"]


def test_a_group_with_gpus_changes_the_command_and_back() -> None:
    plain = make_worker_spec(resources={"limits": {"cpu": "2"}})
    fast = vary_worker_spec(plain, 1, resources=GPUS)
    assert fast["spec"]["containers"][0]["args"][:3] == ["dask", "cuda", "worker"]
    again = vary_worker_spec(fast, 3, resources={"limits": {"cpu": "2"}})
    assert again == plain


def test_arguments_that_a_person_wrote_stay() -> None:
    worker = make_worker_spec()
    worker["spec"]["containers"][0]["args"] = ["./start.sh", "--nthreads", "3"]
    varied = vary_worker_spec(worker, 1, resources={"limits": {"cpu": "8"}})
    assert varied["spec"]["containers"][0]["args"] == ["./start.sh", "--nthreads", "3"]


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
