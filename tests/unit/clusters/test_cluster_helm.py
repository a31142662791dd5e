"""What a Helm release leaves behind, and which of its Pods go first."""

from __future__ import annotations

import base64
import gzip
import json
from types import SimpleNamespace
from typing import Any

import pytest

from dask_k8s_jupyter.clusters.helmcluster import HelmCluster
from dask_k8s_jupyter.clusters.helmrelease import ReleaseRecord, parse_record, pick_release
from dask_k8s_jupyter.clusters.helmscale import (
    choose_addresses,
    choose_leavers,
    match_workers,
    retire_before_scaling_down,
)
from dask_k8s_jupyter.errors import InvalidSpecError, WorkerGroupNotFoundError

RECORD = {
    "name": "mine",
    "namespace": "team",
    "version": 3,
    "info": {"status": "deployed"},
    "chart": {"metadata": {"name": "dask", "version": "2024.1.1"}},
}


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("release_name", [None, "", 7, "Mine", "a,b", "-a"]),
        ("namespace", ["", "Team A", 7]),
        ("port_forward_cluster_ip", ["yes", 99999, -1, 8786.0]),
        ("scheduler_name", ["", None, 7, "The Scheduler"]),
        ("worker_name", ["", None, 7]),
        ("node_host", ["", 7]),
        ("node_port", [0, 99999, "30786", True]),
        ("name", ["", 7]),
    ],
)
def test_a_bad_argument_is_named_before_anybody_is_asked(argument: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidSpecError, match=rf"^{argument}: "):
            HelmCluster(**{"release_name": "mine", "asynchronous": True, argument: value})


@pytest.mark.parametrize("name", [None, 7, "", ".team"])
def test_a_bad_name_is_named(name: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"^(release_)?name: "):
        HelmCluster.from_name(name, asynchronous=True)


def build_secret(packed: bytes) -> dict[str, Any]:
    twice = base64.b64encode(base64.b64encode(packed)).decode()
    return {"metadata": {"namespace": "team"}, "data": {"release": twice}}


@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_a_record_is_read_packed_or_not(pack: Any) -> None:
    record = parse_record(build_secret(pack(json.dumps(RECORD).encode())))
    assert record == ReleaseRecord("mine", "team", 3, "deployed", "dask", "2024.1.1")


@pytest.mark.parametrize(
    "secret",
    [
        {"metadata": {}, "data": {}},
        {"metadata": {}, "data": {"release": "%%%"}},
        build_secret(b"no json"),
        build_secret(gzip.compress(b"{}")),
        build_secret(b"\x1f\x8bbroken"),
    ],
)
def test_a_record_that_cannot_be_read_is_no_record(secret: dict[str, Any]) -> None:
    assert parse_record(secret) is None


def item(name: str, *, release: str | None = None, label: str = "release") -> dict[str, Any]:
    labels = {} if release is None else {label: release}
    return {"metadata": {"name": name, "namespace": "team", "labels": labels}}


def annotated(name: str, release: str, namespace: str = "team") -> dict[str, Any]:
    annotations = {
        "meta.helm.sh/release-name": release,
        "meta.helm.sh/release-namespace": namespace,
    }
    # As the chart labels in the style of Kubernetes: no label names the release.
    labels = {"app.kubernetes.io/instance": "dask-scheduler"}
    return {"metadata": {"name": name, "annotations": annotations, "labels": labels}}


NAMES = ("mine-dask-scheduler", "mine-dask-worker", "mine-dask-worker-high-mem")


@pytest.mark.parametrize(
    "make",
    [
        lambda name: item(name, release="mine"),
        lambda name: item(name, release="mine", label="app.kubernetes.io/instance"),
        lambda name: annotated(name, "mine"),
    ],
    ids=["label", "instance", "annotation"],
)
def test_a_release_is_found_by_label_or_annotation(make: Any) -> None:
    deployments = [make(name) for name in NAMES]
    others = [annotated("yours-dask-scheduler", "yours"), item("jupyter")]
    release = pick_release("team", "mine", [*others, *deployments], [make(NAMES[0])])
    assert release is not None
    assert release.scheduler["metadata"]["name"] == NAMES[0]
    assert sorted(release.workers) == ["", "high-mem"]
    assert release.find_workers(None)["metadata"]["name"] == NAMES[1]
    assert release.find_workers("high-mem") is release.find_workers(NAMES[2])
    with pytest.raises(WorkerGroupNotFoundError, match=r"^worker_group: .* no worker group 'gpu'"):
        release.find_workers("gpu")


@pytest.mark.parametrize(
    ("deployments", "services"),
    [
        ([], []),
        ([item(NAMES[0], release="mine")], []),
        ([item(NAMES[1], release="mine")], [item(NAMES[0], release="mine")]),
        ([annotated(NAMES[0], "mine", "elsewhere")], [annotated(NAMES[0], "mine", "elsewhere")]),
    ],
    ids=["nothing", "no Service", "no scheduler", "of another namespace"],
)
def test_what_is_no_whole_cluster_is_none(deployments: list[Any], services: list[Any]) -> None:
    assert pick_release("team", "mine", deployments, services) is None


def test_components_may_be_called_otherwise() -> None:
    deployments = [item("dask-boss", release="mine"), item("dask-hand", release="mine")]
    release = pick_release("team", "mine", deployments, [deployments[0]], "boss", "hand")
    assert release is not None
    assert list(release.workers) == [""]


def pod(name: str, ip: str | None) -> dict[str, Any]:
    return {"metadata": {"name": name}, "status": {"podIP": ip} if ip else {}}


def test_pods_without_workers_go_first_then_those_that_do_least() -> None:
    pods = [pod("a", "10.0.0.1"), pod("b", "10.0.0.2"), pod("c", "10.0.0.3"), pod("d", None)]
    workers = {
        "tcp://10.0.0.1:1": {"metrics": {"memory": 5, "task_counts": {"executing": 1}}},
        "tcp://10.0.0.2:1": {"metrics": {"memory": 9}},
        "tcp://10.0.0.3:1": {"metrics": {"memory": 4}},
        "tcp://10.0.0.3:2": {"metrics": {"memory": 4}},
    }
    for stay, gone in ((3, ["d"]), (2, ["d", "c"]), (1, ["d", "c", "b"]), (9, [])):
        leavers = choose_leavers(pods, workers, stay)
        assert [each["metadata"]["name"] for each in leavers] == gone


def test_workers_belong_to_pods_by_name_then_by_any_address() -> None:
    two_stacks = {"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}, {"ip": "fd00::2"}]}
    pods = [
        pod("a", "10.0.0.1"),
        {"metadata": {"name": "b"}, "status": two_stacks},
        pod("c", "192.168.0.1"),  # these two share their node's network
        pod("d", "192.168.0.1"),
    ]
    workers: dict[str, Any] = {
        "tcp://10.0.0.1:1": {"name": "tcp://10.0.0.1:1"},
        "tcp://[fd00::2]:1": {},
        "tcp://192.168.0.1:1": {"name": "d"},
        "tcp://192.168.0.1:2": {"name": 7},
        "tcp://10.9.9.9:1": {},
    }
    assert match_workers(pods, workers) == {
        "a": {"tcp://10.0.0.1:1"},
        "b": {"tcp://[fd00::2]:1"},
        "c": {"tcp://192.168.0.1:2"},
        "d": {"tcp://192.168.0.1:1", "tcp://192.168.0.1:2"},
    }
    # Whose the unnamed one is nobody knows: it is retired when no Pod stays that it may run in.
    assert choose_addresses(pods, pods[3:], workers) == {"tcp://192.168.0.1:1"}
    assert choose_addresses(pods, pods[2:], workers) == {
        "tcp://192.168.0.1:1",
        "tcp://192.168.0.1:2",
    }


class Kubernetes:
    """One Deployment with two Pods."""

    async def list(self, kind: Any, namespace: str, label_selector: str) -> Any:
        owner = "uid-of-deployment" if kind.plural == "replicasets" else "uid-of-set"
        names = ["set"] if kind.plural == "replicasets" else ["a", "b"]
        items = [
            {
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "uid": "uid-of-set" if name == "set" else name,
                    "ownerReferences": [{"uid": owner}],
                },
                "status": {"podIP": f"10.0.0.{number}"},
            }
            for number, name in enumerate(names)
        ]
        return SimpleNamespace(items=items)

    async def patch(self, kind: Any, name: str, patch: Any, namespace: str) -> None:
        pass


class Scheduler:
    """Two workers, whose results nobody but the other can take."""

    async def identity(self) -> Any:
        return {"workers": {f"tcp://10.0.0.{number}:1": {} for number in range(2)}}

    async def retire_workers(self, workers: list[str], **how: bool) -> dict[str, Any]:
        return {} if len(workers) == 2 else dict.fromkeys(workers)


@pytest.mark.parametrize(("n_workers", "is_told"), [(1, False), (0, True)])
async def test_results_that_nobody_could_take_are_not_lost_silently(
    n_workers: int, is_told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    deployment = {
        "metadata": {"name": "workers", "namespace": "team", "uid": "uid-of-deployment"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "dask"}}},
    }
    kubernetes: Any = Kubernetes()
    await retire_before_scaling_down(kubernetes, Scheduler(), deployment, n_workers)
    said = "results that 2 of the workers of Deployment team/workers hold"
    assert (said in caplog.text) is is_told


def test_a_release_has_to_be_named() -> None:
    with pytest.raises(InvalidSpecError, match=r"^release_name: "):
        HelmCluster(asynchronous=True)
