"""Which way leads to a scheduler behind a Service, as a table; and what a Pod's status means."""

from __future__ import annotations

from typing import Any

import pytest

from dask_k8s_jupyter.clusters.podwatch import judge_pod
from dask_k8s_jupyter.clusters.servicereach import Wish, build_proxied_link, choose_way
from dask_k8s_jupyter.errors import (
    ClusterStartError,
    CommandNotFoundError,
    ImageNotFoundError,
    PodCrashedError,
    PodDoesNotFitError,
)

NODES = [
    {"status": {"addresses": [{"type": "InternalIP", "address": "10.1.0.1"}]}},
    {"status": {"addresses": [{"type": "ExternalIP", "address": "192.0.2.1"}]}},
]


def service(kind: str, *, ingress: Any = None, node_port: int | None = None) -> dict[str, Any]:
    ports = [
        {"name": "x-scheduler", "port": 8786, "targetPort": 8786},
        {"name": "x-webui", "port": 80, "targetPort": 8787},
    ]
    if node_port:
        ports[0]["nodePort"] = node_port
    return {
        "metadata": {"name": "x", "namespace": "n"},
        "spec": {"type": kind, "ports": ports},
        "status": {"loadBalancer": {"ingress": ingress} if ingress else {}},
    }


@pytest.mark.parametrize(
    ("given", "port", "wish", "inside", "expected"),
    [
        (service("ClusterIP"), 8786, Wish(), True, ("x.n.svc.cluster.local", 8786)),
        (service("ClusterIP"), 8787, Wish(), True, ("x.n.svc.cluster.local", 80)),
        (service("ClusterIP"), 8786, Wish(), False, None),
        (service("ClusterIP"), 8786, Wish(port_forward=True), True, None),
        (service("ClusterIP"), 8786, Wish(port_forward=False), False,
         ("x.n.svc.cluster.local", 8786)),
        (service("LoadBalancer", ingress=[{"ip": "192.0.2.9"}]), 8786, Wish(), False,
         ("192.0.2.9", 8786)),
        (service("LoadBalancer", ingress=[{"hostname": "lb"}]), 8787, Wish(), False, ("lb", 80)),
        (service("LoadBalancer"), 8786, Wish(), False, None),
        (service("NodePort", node_port=30001), 8786, Wish(), False, ("192.0.2.1", 30001)),
        (service("NodePort", node_port=30001), 8787, Wish(), False, None),
        (service("NodePort", node_port=30001), 8786, Wish(node_host="h"), True, ("h", 30001)),
        (service("NodePort", node_port=30001), 8786, Wish(node_port=5), False, ("192.0.2.1", 5)),
        (service("NodePort"), 8786, Wish(), True, ("x.n.svc.cluster.local", 8786)),
    ],
)  # fmt: skip
def test_the_way_depends_on_service_wish_and_place(
    given: Any, port: int, wish: Wish, inside: bool, expected: Any
) -> None:
    assert choose_way(given, port, wish, inside=inside, nodes=NODES) == expected


def test_without_nodes_there_is_a_tunnel() -> None:
    assert choose_way(service("NodePort", node_port=30001), 8786, Wish(), inside=False) is None


def test_a_dashboard_is_linked_through_the_notebook_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASK_K8S_JUPYTER_BASE_URL", raising=False)
    assert build_proxied_link(None) == ""
    assert build_proxied_link(("127.0.0.1", 5)) == "http://127.0.0.1:5/status"
    monkeypatch.setenv("DASK_K8S_JUPYTER_BASE_URL", "/notebook/ns/me/")
    assert build_proxied_link(("127.0.0.1", 5)) == "/notebook/ns/me/proxy/5/status"


def pod(policy: str = "Never", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"restartPolicy": policy}, "status": status}


def container(**state: Any) -> list[dict[str, Any]]:
    return [{"name": "c", "state": state}]


CRASHED = container(terminated={"exitCode": 1})
NO_COMMAND = 'exec: "dask-worker": executable file not found in $PATH'


@pytest.mark.parametrize(
    ("given", "outcome", "error"),
    [
        (pod(), "waiting", ClusterStartError),
        (pod(conditions=[{"type": "Ready", "status": "True"}]), "ready", ClusterStartError),
        (
            pod(
                conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]
            ),
            "unschedulable",
            PodDoesNotFitError,
        ),
        (
            pod(containerStatuses=container(waiting={"reason": "ImagePullBackOff"})),
            "failed",
            ImageNotFoundError,
        ),
        (
            pod("Always", containerStatuses=container(waiting={"reason": "CrashLoopBackOff"})),
            "failed",
            PodCrashedError,
        ),
        (
            pod(
                containerStatuses=container(
                    terminated={"exitCode": 128, "reason": "StartError", "message": NO_COMMAND}
                )
            ),
            "failed",
            CommandNotFoundError,
        ),
        (pod(containerStatuses=CRASHED), "failed", PodCrashedError),
        (pod("Always", containerStatuses=CRASHED), "waiting", ClusterStartError),
        (pod(initContainerStatuses=CRASHED), "failed", PodCrashedError),
        (pod(phase="Failed", reason="Evicted"), "failed", PodCrashedError),
    ],
)
def test_a_pods_status_says_whether_it_starts(given: Any, outcome: str, error: type) -> None:
    verdict = judge_pod(given)
    assert (verdict.outcome, verdict.error) == (outcome, error)
