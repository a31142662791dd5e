"""From a classic Pod template to a DaskCluster."""

from __future__ import annotations

from typing import Any

import pytest

from dask_k8s_jupyter.classic import make_pod_spec, to_cluster_spec
from dask_k8s_jupyter.errors import InvalidSpecError

DOCUMENTED: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {"labels": {"foo": "bar"}},
    "spec": {
        "restartPolicy": "Never",
        "nodeSelector": {"disk": "fast"},
        "containers": [
            {
                "image": "ghcr.io/dask/dask:latest",
                "imagePullPolicy": "IfNotPresent",
                "args": ["dask-worker", "--nthreads", "2", "--death-timeout", "60"],
                "name": "dask-worker",
                "env": [{"name": "A", "value": "1"}],
                "resources": {"limits": {"cpu": "2", "memory": "6G"}},
            }
        ],
    },
}


def test_the_documented_template_becomes_a_cluster() -> None:
    cluster = to_cluster_spec(DOCUMENTED, "example", n_workers=2)
    assert cluster["metadata"] == {"name": "example"}
    worker, scheduler = cluster["spec"]["worker"], cluster["spec"]["scheduler"]
    assert worker["replicas"] == 2
    assert worker["metadata"] == scheduler["metadata"] == {"labels": {"foo": "bar"}}
    assert worker["spec"] == {
        **DOCUMENTED["spec"],
        "containers": [
            {
                **DOCUMENTED["spec"]["containers"][0],
                "args": [
                    *("dask", "worker", "--name", "$(DASK_WORKER_NAME)"),
                    *("--nthreads", "2", "--death-timeout", "60"),
                ],
            }
        ],
    }
    container = scheduler["spec"]["containers"][0]
    assert container["args"][:2] == ["dask", "scheduler"]
    assert container["name"] == "scheduler"
    assert container["resources"] == DOCUMENTED["spec"]["containers"][0]["resources"]
    assert "readinessProbe" in container
    assert scheduler["spec"]["nodeSelector"] == {"disk": "fast"}
    assert "restartPolicy" not in scheduler["spec"]
    assert scheduler["service"]["selector"]["dask.org/cluster-name"] == "example"


def test_the_scheduler_may_have_a_template_of_its_own() -> None:
    scheduler = make_pod_spec("acme/dask:8", labels={"role": "boss"})
    cluster = to_cluster_spec(DOCUMENTED, "demo", scheduler_pod_template=scheduler, idle_timeout=60)
    assert cluster["spec"]["scheduler"]["spec"]["containers"][0]["image"] == "acme/dask:8"
    assert cluster["spec"]["scheduler"]["metadata"] == {"labels": {"role": "boss"}}
    assert cluster["spec"]["worker"]["metadata"] == {"labels": {"foo": "bar"}}
    assert cluster["spec"]["idleTimeout"] == 60


def test_a_template_stays_as_it_was() -> None:
    template = make_pod_spec("acme/dask:7")
    before = template.to_dict()
    to_cluster_spec(template, "demo")
    assert template.to_dict() == before


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["dask", "worker", "$(DASK_SCHEDULER_ADDRESS)"], ["dask", "worker", "--name", "N"]),
        (["dask-worker", "--name=x", "--name", "y"], ["dask", "worker", "--name", "N"]),
        (
            ["tini", "--", "dask-worker", "-v"],
            ["tini", "--", "dask", "worker", "--name", "N", "-v"],
        ),
        (["dask-cuda-worker"], ["dask-cuda-worker", "--name", "N"]),
    ],
)
def test_commands_are_spelled_as_today(words: list[str], expected: list[str]) -> None:
    template = {"spec": {"containers": [{"image": "i", "args": words}]}}
    container = to_cluster_spec(template, "demo")["spec"]["worker"]["spec"]["containers"][0]
    assert container["args"] == [
        "$(DASK_WORKER_NAME)" if word == "N" else word for word in expected
    ]


def test_bad_arguments_are_refused_by_name() -> None:
    with pytest.raises(InvalidSpecError, match=r"^name: "):
        to_cluster_spec(DOCUMENTED, "Bad Name")
    with pytest.raises(InvalidSpecError, match=r"^pod_template: "):
        to_cluster_spec({}, "demo")
    with pytest.raises(InvalidSpecError, match=r"^n_workers: "):
        to_cluster_spec(DOCUMENTED, "demo", n_workers=-1)
