"""What Deployments and ReplicaSets need, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from dask_k8s_jupyter.local.controllers.decide import (
    build_pod,
    build_replica_set,
    decide_deployment,
    decide_replica_set,
    find_controller,
    hash_template,
)

TEMPLATE = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"image": "one"}]}}


def deployment(replicas: int = 2, image: str = "one", strategy: str = "RollingUpdate") -> Any:
    template = {**TEMPLATE, "spec": {"containers": [{"image": image}]}}
    return {
        "metadata": {"name": "d", "namespace": "n", "uid": "ud", "generation": 4},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "x"}},
            "template": template,
            "strategy": {"type": strategy},
        },
    }


def replica_set(image: str, replicas: int, ready: int) -> Any:
    owner = deployment(image=image)
    digest = hash_template(owner["spec"]["template"])
    built = build_replica_set(owner, digest, replicas, 1)
    built["metadata"]["uid"] = f"u-{image}"
    built["status"] = {"replicas": replicas, "readyReplicas": ready}
    return built


def pod(name: str, *, ready: bool = True, cost: str | None = None, born: str = "1") -> Any:
    annotations = {} if cost is None else {"controller.kubernetes.io/pod-deletion-cost": cost}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {
            "name": name,
            "annotations": annotations,
            "creationTimestamp": f"2026-01-01T00:00:0{born}Z",
        },
        "status": {"phase": "Running", "conditions": conditions},
    }


def test_a_new_deployment_gets_a_replica_set_that_belongs_to_it() -> None:
    plan = decide_deployment(deployment(), [])
    assert plan.create is not None
    assert plan.create["spec"]["replicas"] == 2
    assert find_controller(plan.create, "Deployment") == ("n", "d")
    digest = plan.create["metadata"]["labels"]["pod-template-hash"]
    assert plan.create["spec"]["selector"]["matchLabels"] == {
        "app": "x",
        "pod-template-hash": digest,
    }
    made = build_pod({**plan.create, "metadata": {**plan.create["metadata"], "uid": "u"}}, "p")
    assert made["metadata"]["labels"]["pod-template-hash"] == digest


@pytest.mark.parametrize(
    ("own", "strategy", "creates", "sizes"),
    [
        ([("one", 2, 2)], "RollingUpdate", True, {}),
        ([("one", 2, 2)], "Recreate", False, {"one": 0}),
        ([("one", 0, 0)], "Recreate", True, {}),
        ([("one", 2, 2), ("two", 2, 1)], "RollingUpdate", False, {"two": 2}),
        ([("one", 2, 2), ("two", 2, 2)], "RollingUpdate", False, {"one": 0, "two": 2}),
        ([("one", 0, 0), ("two", 1, 1)], "RollingUpdate", False, {"two": 2}),
    ],
    ids=["new", "recreate", "recreated", "not ready", "ready", "grows"],
)
def test_old_pods_go_when_the_new_ones_are_ready(
    own: Any, strategy: str, creates: bool, sizes: dict[str, int]
) -> None:
    sets = [replica_set(*each) for each in own]
    names = {image: each["metadata"]["name"] for (image, *_), each in zip(own, sets, strict=True)}
    plan = decide_deployment(deployment(image="two", strategy=strategy), sets)
    assert (plan.create is not None) == creates
    assert plan.sizes == {names[image]: size for image, size in sizes.items()}


def test_the_status_counts_and_says_when_it_is_there() -> None:
    status = decide_deployment(deployment(), [replica_set("one", 2, 1)]).status
    assert (status["replicas"], status["readyReplicas"], status["updatedReplicas"]) == (2, 1, 2)
    assert status["observedGeneration"] == 4
    assert [each["status"] for each in status["conditions"]] == ["False", "True"]
    done = decide_deployment(deployment(), [replica_set("one", 2, 2)]).status
    assert [each["reason"] for each in done["conditions"]] == [
        "MinimumReplicasAvailable",
        "NewReplicaSetAvailable",
    ]


@pytest.mark.parametrize(
    ("pods", "replicas", "missing", "surplus"),
    [
        ([], 3, 3, []),
        ([pod("a"), pod("b")], 2, 0, []),
        ([pod("a"), pod("b", ready=False)], 1, 0, ["b"]),
        ([pod("a"), pod("b", cost="-9")], 1, 0, ["b"]),
        ([pod("a", born="1"), pod("b", born="2")], 1, 0, ["b"]),
        ([pod("a", cost="5"), pod("b"), pod("c", cost="bad")], 1, 0, ["b", "c"]),
        ([{"metadata": {"name": "a"}, "status": {"phase": "Failed"}}], 1, 1, []),
    ],
)
def test_pods_are_made_and_go_in_their_order(
    pods: list[Any], replicas: int, missing: int, surplus: list[str]
) -> None:
    owner = {"metadata": {"name": "r", "namespace": "n"}, "spec": {"replicas": replicas}}
    plan = decide_replica_set(owner, pods)
    assert plan.missing == missing
    assert [each["metadata"]["name"] for each in plan.surplus] == surplus
