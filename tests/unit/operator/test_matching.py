"""Workers are matched to their Pods one to one: by name first, then by address."""

import pytest

from dask_k8s_operator.reconcile.matching import match_workers
from dask_k8s_operator.resources.agent_protocol import SchedulerReport, WorkerLoad

NODE = "10.9.9.9"
FIRST, SECOND = "demo-default-worker-0000000001", "demo-default-worker-0000000002"
OTHER = "demo-gpu-worker-00000000ff"


def named(pod, name):
    pod["spec"]["containers"][0]["env"] = [{"name": "DASK_WORKER_NAME", "value": name}]
    return pod


CASES = {
    "by address alone, as older agents tell it": (
        [("", "10.0.0.1"), ("", "10.0.0.2")],
        {"a": ("10.0.0.1", None), "b": ("10.0.0.2", None)},
        {"a": [0], "b": [1]},
    ),
    "a worker without --name is called by its address": (
        [("tcp://10.0.0.1:1", "10.0.0.1")],
        {"a": ("10.0.0.1", None)},
        {"a": [0]},
    ),
    "both on their node's address": (
        [(SECOND, NODE), (FIRST, NODE)],
        {FIRST: (NODE, None), SECOND: (NODE, None)},
        {FIRST: [1], SECOND: [0]},
    ),
    "the one that has not connected yet has nobody else's worker": (
        [(FIRST, NODE)],
        {FIRST: (NODE, None), SECOND: (NODE, None)},
        {FIRST: [0]},
    ),
    "a worker of another group on the same node": (
        [(OTHER, NODE), (f"{OTHER}-1", NODE), (FIRST, NODE)],
        {FIRST: (NODE, None), OTHER: (NODE, None)},
        {FIRST: [2], OTHER: [0, 1]},
    ),
    "a name with the Pod's inside": (
        [(f"gpu-{FIRST}", "10.0.0.1"), (f"gpu-{SECOND}-0", "10.0.0.2")],
        {FIRST: ("10.0.0.1", None), SECOND: ("10.0.0.2", None)},
        {FIRST: [0], SECOND: [1]},
    ),
    "a name like a Pod's of which nobody knows": (
        [(OTHER, NODE)],
        {FIRST: (NODE, None), SECOND: ("10.0.0.2", None)},
        {FIRST: [0]},
    ),
    "nameless beside a Pod that has its own by name": (
        [(FIRST, NODE), ("", NODE)],
        {FIRST: (NODE, None), SECOND: (NODE, None)},
        {FIRST: [0], SECOND: [1]},
    ),
    "nameless beside a named one, with no other Pod there": (
        [(FIRST, NODE), ("", NODE)],
        {FIRST: (NODE, None)},
        {FIRST: [0, 1]},
    ),
    "a contact address that is a name": (
        [(FIRST, "worker-1.example.org"), (SECOND, "worker-2.example.org")],
        {FIRST: ("10.0.0.1", None), SECOND: ("10.0.0.2", None)},
        {FIRST: [0], SECOND: [1]},
    ),
    "several processes of one Pod": (
        [(f"{FIRST}-0", NODE), (f"{FIRST}-1", NODE), (f"{SECOND}-0", NODE)],
        {FIRST: (NODE, None), SECOND: (NODE, None)},
        {FIRST: [0, 1], SECOND: [2]},
    ),
    "a name that the user gave, exactly before with a number": (
        [("x", NODE), ("x-1", NODE), ("x-1-0", NODE)],
        {"a": (NODE, "x"), "b": (NODE, "x-1")},
        {"a": [0], "b": [1, 2]},
    ),
    "a name that the user gave to all": (
        [("gpu", "10.0.0.2")],
        {"a": ("10.0.0.1", "gpu"), "b": ("10.0.0.2", "gpu")},
        {"b": [0]},
    ),
    "nameless on one address: each Pod waits for both": (
        [("", NODE), ("", NODE)],
        {"a": (NODE, None), "b": (NODE, None)},
        {"a": [0, 1], "b": [0, 1]},
    ),
}


@pytest.mark.parametrize(("workers", "pods", "matched"), CASES.values(), ids=CASES)
def test_workers_belong_to_pods_by_name_then_by_address(make, workers, pods, matched):
    loads = tuple(
        WorkerLoad(f"tcp://{host}:{port}", name=name) for port, (name, host) in enumerate(workers)
    )
    made = [make.pod(name, ip=ip) for name, (ip, _) in pods.items()]
    for pod, (_, given) in zip(made, pods.values(), strict=True):
        if given:
            named(pod, given)
    found = match_workers(SchedulerReport(loads), made)
    assert {pod: [loads.index(w) for w in ws] for pod, ws in found.items() if ws} == matched


def test_on_two_stacks_a_worker_may_listen_on_either_address(make):
    pod = make.pod("a", ip="10.0.0.1")
    pod["status"]["podIPs"] = [{"ip": "10.0.0.1"}, {"ip": "fd00::5"}]
    report = SchedulerReport((WorkerLoad("tcp://10.0.0.1:1"), WorkerLoad("tcp://[fd00::5]:1")))
    assert len(match_workers(report, [pod])["a"]) == 2
