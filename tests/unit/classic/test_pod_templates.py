"""Pod templates: read from anywhere, made from options, refused when they are none."""

from __future__ import annotations

import copy
import inspect
import json
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
import yaml
from anything import ANYTHING
from hypothesis import given
from hypothesis import strategies as st

from dask_k8s_jupyter.classic import make_pod_from_dict, make_pod_spec
from dask_k8s_jupyter.classic.podtemplate import PodTemplate, read_pod_template, to_camel_case
from dask_k8s_jupyter.errors import InvalidSpecError

DOCUMENTED = """
kind: Pod
metadata:
  labels:
    foo: bar
spec:
  restartPolicy: Never
  containers:
  - image: ghcr.io/dask/dask:latest
    imagePullPolicy: IfNotPresent
    args: [dask-worker, --nthreads, '2', --no-dashboard, --memory-limit, 6GB, --death-timeout, '60']
    name: dask-worker
    env:
      - name: EXTRA_PIP_PACKAGES
        value: git+https://github.com/dask/distributed
    resources:
      limits:
        cpu: "2"
        memory: 6G
"""


class V1Pod:
    """As generated clients make them: snake_case attributes and a map to the manifest's names."""

    attribute_map: ClassVar = {"api_version": "apiVersion", "kind": "kind", "spec": "spec"}

    def __init__(self, spec: Any) -> None:
        self.api_version, self.kind, self.spec = "v1", None, spec


class V1PodSpec:
    attribute_map: ClassVar = {"containers": "containers", "node_selector": "nodeSelector"}

    def __init__(self, containers: list[Any], node_selector: Any = None) -> None:
        self.containers, self.node_selector = containers, node_selector


def test_a_template_comes_from_a_path_text_a_dict_or_a_client_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "worker.yml"
    path.write_text(DOCUMENTED)
    expected = yaml.safe_load(DOCUMENTED)
    for source in (DOCUMENTED, str(path), path, expected, PodTemplate(expected)):
        assert read_pod_template("pod_template", source).to_dict() == expected
    pod = read_pod_template("pod_template", V1Pod(V1PodSpec([{"image": "i"}], {"disk": "fast"})))
    assert pod.to_dict() == {
        "apiVersion": "v1",
        "spec": {"containers": [{"image": "i"}], "nodeSelector": {"disk": "fast"}},
        "metadata": {},
    }


def test_fields_are_attributes_in_either_spelling() -> None:
    pod = make_pod_from_dict(yaml.safe_load(DOCUMENTED))
    pod.spec.node_selector = {"disk": "fast"}
    pod.spec.containers[0].env.append({"name": "A", "value": "1"})
    assert pod["spec"]["nodeSelector"] == pod.spec.nodeSelector == {"disk": "fast"}
    assert pod.spec.containers[0].image_pull_policy == "IfNotPresent"
    with pytest.raises(AttributeError, match="hostNetwork"):
        _ = pod.spec.host_network


def test_a_template_is_copied_and_written_like_any_dictionary() -> None:
    pod = make_pod_from_dict(yaml.safe_load(DOCUMENTED))
    assert copy.deepcopy(pod) == pod
    assert orjson.loads(orjson.dumps(pod)) == pod
    assert yaml.safe_load(yaml.safe_dump(pod)) == pod


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (7, "a Pod is needed, not int"),
        ("/no/such/file.yml", "cannot be read"),
        ("a: [\n", "cannot be read"),
        ({"kind": "Deployment"}, "a Pod is needed, not a Deployment"),
        ({"spec": {}}, "at least one container"),
        ({"spec": {"containers": []}}, "at least one container"),
        ({"spec": {"containers": ["x"]}}, "a list of dicts"),
        ({}, "at least one container"),
    ],
)
def test_what_is_no_pod_is_refused_by_name(source: Any, complaint: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"^pod_template: .*{complaint}"):
        read_pod_template("pod_template", source)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("image", "image"), ("node_selector", "nodeSelector"), ("host_ipc", "hostIPC"),
     ("imagePullSecrets", "imagePullSecrets"), ("__deepcopy__", "__deepcopy__")],
)  # fmt: skip
def test_names_are_spelled_as_in_manifests(name: str, expected: str) -> None:
    assert to_camel_case(name) == expected or name.startswith("__")


def test_a_pod_spec_holds_what_was_asked_for() -> None:
    pod = make_pod_spec(
        "acme/dask:7",
        labels={"team": "blue"},
        annotations={"note": "x"},
        threads_per_worker=2,
        env={"A": "1"},
        extra_container_config={"image_pull_policy": "Always"},
        extra_pod_config={"nodeSelector": {"disk": "fast"}},
        resources="GPU=2 MEM=10e9",
        memory_limit="4G",
        memory_request="2G",
        cpu_limit=2,
        cpu_request="500m",
        gpu_limit=1,
    )
    assert pod.to_dict() == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": {"team": "blue"}, "annotations": {"note": "x"}},
        "spec": {
            "restartPolicy": "Never",
            "nodeSelector": {"disk": "fast"},
            "containers": [
                {
                    "name": "dask-worker",
                    "image": "acme/dask:7",
                    "imagePullPolicy": "Always",
                    "args": [
                        *("dask", "worker", "$(DASK_SCHEDULER_ADDRESS)", "--nthreads", "2"),
                        *("--death-timeout", "60", "--memory-limit", "4G"),
                        *("--resources", "GPU=2 MEM=10e9"),
                    ],
                    "env": [{"name": "A", "value": "1"}],
                    "resources": {
                        "limits": {"cpu": "2", "memory": "4G", "nvidia.com/gpu": "1"},
                        "requests": {"cpu": "500m", "memory": "2G", "nvidia.com/gpu": "1"},
                    },
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("memory_limit", "option", "limit"),
    [
        (None, None, None),
        ("auto", None, None),
        (0, "0", None),
        (4_000_000_000, "4000000000", "4000000000"),
        ("5GiB", None, InvalidSpecError),
        ("5Gi", "5Gi", "5Gi"),
    ],
)
def test_the_memory_limit_is_told_to_kubernetes_and_to_the_worker(
    memory_limit: Any, option: str | None, limit: Any
) -> None:
    if limit is InvalidSpecError:
        with pytest.raises(InvalidSpecError, match=r"^memory_limit: '5GiB'"):
            make_pod_spec("i", memory_limit=memory_limit)
        return
    container = make_pod_spec("i", memory_limit=memory_limit).spec.containers[0]
    words = container.args
    told = words[words.index("--memory-limit") + 1] if "--memory-limit" in words else None
    assert told == option
    assert container.resources.get("limits", {}).get("memory") == limit


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"image": ""}, "image"),
        ({"image": "i", "cpu_limit": "two"}, "cpu_limit"),
        ({"image": "i", "cpu_request": "2GB"}, "cpu_request"),
        ({"image": "i", "memory_request": "4GB"}, "memory_request"),
        ({"image": "i", "env": "A=1"}, "env"),
        ({"image": "i", "memory_limit": "-2Gi"}, "memory_limit"),
        ({"image": "i", "memory_limit": False}, "memory_limit"),
        ({"image": "i", "cpu_limit": True}, "cpu_limit"),
        ({"image": "i", "memory_limit": "2G", "memory_request": "3G"}, "memory_request"),
        ({"image": "i", "gpu_limit": -1}, "gpu_limit"),
        ({"image": "i", "gpu_limit": 0.5}, "gpu_limit"),
        ({"image": "i", "threads_per_worker": -1}, "threads_per_worker"),
        ({"image": "i", "threads_per_worker": "2"}, "threads_per_worker"),
        ({"image": "i", "labels": "x"}, "labels"),
        ({"image": "i", "labels": {"a": 1}}, "labels"),
        ({"image": "i", "labels": {"a b": "1"}}, "labels"),
        ({"image": "i", "labels": {"a": "b c"}}, "labels"),
        ({"image": "i", "annotations": [1]}, "annotations"),
        ({"image": "i", "annotations": {"a": 1}}, "annotations"),
        ({"image": "i", "extra_pod_config": [1]}, "extra_pod_config"),
        ({"image": "i", "extra_container_config": {7: 1}}, "extra_container_config"),
        ({"image": "i", "resources": {"GPU": 2}}, "resources"),
        ({"image": "i", "resources": "GPU"}, "resources"),
    ],
)
def test_bad_options_are_refused_by_name(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"^{complaint}: "):
        make_pod_spec(**options)


# What these hold is for the API to judge.
FREE = ("extra_container_config", "extra_pod_config")


@given(
    argument=st.sampled_from(sorted(inspect.signature(make_pod_spec).parameters)), value=ANYTHING
)
def test_whatever_is_given_makes_a_pod_or_an_error_that_names_it(argument: str, value: Any) -> None:
    try:
        pod = make_pod_spec(**{"image": "i", argument: value})
    except InvalidSpecError as error:
        assert str(error).startswith(f"{argument}: ")
    else:
        if argument not in FREE:
            json.dumps(pod)
