"""What Jobs and the Endpoints of Services need, as tables."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dask_k8s_jupyter.local.backends import selects
from dask_k8s_jupyter.local.controllers.decide_job import (
    INDEX,
    Ended,
    JobPlan,
    build_job_pod,
    count_ends,
    decide_job,
)
from dask_k8s_jupyter.local.controllers.endpoints import build_endpoints, group_by_ports
from dask_k8s_jupyter.local.controllers.slices import build_slices

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)


def text(seconds_ago: float = 0) -> str:
    return (NOW - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


def job(status: Any = None, policy: str = "Never", **spec: Any) -> Any:
    return {
        "metadata": {"name": "j", "namespace": "n", "uid": "uj"},
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 6,
            "template": {"spec": {"restartPolicy": policy, "containers": [{"name": "c"}]}},
            **spec,
        },
        "status": status or {},
    }


def pod(
    name: str,
    phase: str = "Running",
    *,
    ended_ago: float = 0,
    restarts: int = 0,
    index: int | None = None,
    ending: bool = False,
) -> Any:
    metadata: dict[str, Any] = {"name": name, "uid": name, "namespace": "n"}
    if index is not None:
        metadata["annotations"] = {INDEX: str(index)}
    if ending:
        metadata["deletionTimestamp"] = text()
    state = {"terminated": {"finishedAt": text(ended_ago)}} if phase == "Failed" else {}
    container = {"restartCount": restarts, "state": state}
    return {"metadata": metadata, "status": {"phase": phase, "containerStatuses": [container]}}


def decide(job: Any, *pods: Any) -> JobPlan:
    return decide_job(job, pods, count_ends(job, pods, Ended()), NOW, 10.0)


def types(plan: JobPlan) -> list[tuple[str, str]]:
    conditions = plan.status.get("conditions") or ()
    return [(each["type"], each["reason"]) for each in conditions]


@pytest.mark.parametrize(
    ("spec", "pods", "missing", "surplus"),
    [
        ({}, [], 1, 0),
        ({"completions": 5, "parallelism": 2}, [], 2, 0),
        ({"completions": 5, "parallelism": 2}, [pod("a"), pod("b", "Succeeded")], 1, 0),
        ({"completions": 2, "parallelism": 5}, [pod("b", "Succeeded")], 1, 0),
        ({"completions": 5, "parallelism": 1}, [pod("a"), pod("b")], 0, 1),
        ({"completions": 5, "parallelism": 0}, [pod("a")], 0, 1),
        ({"completions": None, "parallelism": 3}, [pod("a")], 2, 0),
        # Once one has succeeded, nobody else begins.
        ({"completions": None, "parallelism": 3}, [pod("a"), pod("b", "Succeeded")], 0, 0),
        ({}, [pod("a", "Failed", ended_ago=60)], 1, 0),
        ({}, [pod("a", "Failed", ended_ago=1)], 0, 0),
        # A Pod that somebody deletes is replaced at once.
        ({}, [pod("a", ending=True)], 1, 0),
        ({"podReplacementPolicy": "Failed"}, [pod("a", ending=True)], 1, 0),
        ({"suspend": True}, [], 0, 0),
        ({"suspend": True}, [pod("a")], 0, 1),
    ],
)
def test_a_job_has_as_many_pods_as_it_needs(spec, pods, missing, surplus):
    plan = decide(job(**spec), *pods)
    assert (len(plan.missing), len(plan.surplus)) == (missing, surplus)
    assert not [type_ for type_, _ in types(plan) if type_ != "Suspended"]


@pytest.mark.parametrize(
    ("given", "pods", "conditions"),
    [
        (
            job(),
            [pod("a", "Succeeded")],
            [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")],
        ),
        (
            job(completions=1, parallelism=2),
            [pod("a", "Succeeded"), pod("b")],
            [("SuccessCriteriaMet", "CompletionsReached")],
        ),
        (
            job(completions=None, parallelism=2),
            [pod("a", "Succeeded"), pod("b", "Succeeded")],
            [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")],
        ),
        (
            job(backoffLimit=1),
            [pod("a", "Failed"), pod("b", "Failed")],
            [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")],
        ),
        (job(backoffLimit=2), [pod("a", "Failed"), pod("b", "Failed")], []),
        (
            job(policy="OnFailure", backoffLimit=2),
            [pod("a", restarts=2)],
            [("FailureTarget", "BackoffLimitExceeded")],
        ),
        (job(policy="OnFailure", backoffLimit=2), [pod("a", restarts=1)], []),
        (
            job({"startTime": text(10)}, activeDeadlineSeconds=10),
            [],
            [("FailureTarget", "DeadlineExceeded"), ("Failed", "DeadlineExceeded")],
        ),
        (
            job({"startTime": text(10)}, activeDeadlineSeconds=10),
            [pod("a")],
            [("FailureTarget", "DeadlineExceeded")],
        ),
        (job({"startTime": text(9)}, activeDeadlineSeconds=10), [pod("a")], []),
        (job(suspend=True), [], [("Suspended", "JobSuspended")]),
        (job(), [pod("a")], []),
    ],
)
def test_a_job_ends_with_the_conditions_of_kubernetes(given, pods, conditions):
    assert types(decide(given, *pods)) == conditions


def test_a_job_that_is_resumed_starts_anew_and_says_so():
    suspended = decide(job(suspend=True), pod("a"))
    assert suspended.status["startTime"] is None
    resumed = decide(job(suspended.status))
    assert resumed.status["startTime"] == text()
    (condition,) = resumed.status["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "JobResumed")
    again = decide(job(resumed.status))
    assert again.status["conditions"] == resumed.status["conditions"]


def test_what_ended_counts_once_also_when_its_pod_has_been_deleted():
    given = job(completions=3)
    first = count_ends(given, [pod("a", "Succeeded"), pod("b", "Failed")], Ended())
    second = count_ends(given, [pod("c", "Succeeded"), pod("b", "Failed")], first)
    plan = decide_job(given, [], second, NOW, 10.0)
    assert (plan.status["succeeded"], plan.status["failed"]) == (2, 1)


@pytest.mark.parametrize(
    ("ttl", "age", "plan"),
    [
        (None, 100, JobPlan()),
        (60, 50, JobPlan(look_again_s=10.0)),
        (60, 60, JobPlan(is_outlived=True)),
        (0, 0, JobPlan(is_outlived=True)),
    ],
)
def test_a_job_that_is_over_goes_when_its_time_to_live_is_over(ttl, age, plan):
    condition = {"type": "Complete", "status": "True", "lastTransitionTime": text(age)}
    given = job({"conditions": [condition]}, ttlSecondsAfterFinished=ttl)
    assert decide(given, pod("a", "Failed")) == plan


def test_the_pause_after_failures_doubles():
    failed = [pod("a", "Failed", ended_ago=30), pod("b", "Failed", ended_ago=5)]
    assert decide(job(), *failed).look_again_s == 15.0
    assert decide(job(activeDeadlineSeconds=7), *failed).look_again_s == 7.0


def test_every_index_is_done_once():
    given = job(completions=4, parallelism=2, completionMode="Indexed")
    pods = [pod("a", "Succeeded", index=0), pod("b", index=2)]
    plan = decide(given, *pods)
    assert (plan.missing, plan.status["completedIndexes"]) == ([1], "0")
    built = build_job_pod(given, 1, "abcde")
    assert built["metadata"]["name"] == "j-1-abcde"
    assert built["metadata"]["annotations"] == built["metadata"]["labels"] == {INDEX: "1"}
    assert built["spec"]["containers"][0]["env"] == [{"name": "JOB_COMPLETION_INDEX", "value": "1"}]
    rest = [pod(str(i), "Succeeded", index=i) for i in (1, 2, 3)]
    assert decide(given, pods[0], *rest).status["completedIndexes"] == "0-3"


def service(**spec: Any) -> Any:
    ports = [{"name": "web", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    metadata = {"name": "s", "namespace": "n", "labels": {"a": "b"}}
    return {"metadata": metadata, "spec": {"selector": {"app": "x"}, "ports": ports, **spec}}


def backend(name: str, port: int = 8000, *, ready: bool = True, ending: bool = False) -> Any:
    built = pod(name, ending=ending)
    built["metadata"]["labels"] = {"app": "x"}
    built["spec"] = {
        "nodeName": "local",
        "containers": [{"ports": [{"name": "http", "containerPort": port}]}],
    }
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    built["status"] |= {"podIP": f"127.64.1.{name}", "conditions": [condition]}
    return built


@pytest.mark.parametrize(
    ("spec", "pods", "subsets"),
    [
        ({}, [], []),
        ({}, [backend("1"), backend("2")], [(8000, ["1", "2"], [])]),
        ({}, [backend("1"), backend("2", ready=False)], [(8000, ["1"], ["2"])]),
        ({}, [backend("1", ending=True)], [(8000, [], ["1"])]),
        ({"publishNotReadyAddresses": True}, [backend("1", ready=False)], [(8000, ["1"], [])]),
        ({}, [backend("1"), backend("2", 9000)], [(8000, ["1"], []), (9000, ["2"], [])]),
    ],
)
def test_endpoints_tell_who_is_ready_behind_a_service(spec, pods, subsets):
    built = build_endpoints(service(**spec), pods)
    found = [
        (
            subset["ports"][0]["port"],
            [each["targetRef"]["name"] for each in subset.get("addresses") or ()],
            [each["targetRef"]["name"] for each in subset.get("notReadyAddresses") or ()],
        )
        for subset in built["subsets"]
    ]
    assert found == subsets
    assert built["metadata"]["labels"]["a"] == "b"


@pytest.mark.parametrize(
    ("spec", "pods", "conditions"),
    [
        ({}, [], [[]]),
        ({}, [backend("1")], [[(True, True, False)]]),
        ({}, [backend("1", ready=False)], [[(False, False, False)]]),
        ({}, [backend("1", ending=True)], [[(False, True, True)]]),
        ({"publishNotReadyAddresses": True}, [backend("1", ready=False)], [[(True, True, False)]]),
        ({}, [backend("1"), backend("2", 9000)], [[(True, True, False)], [(True, True, False)]]),
    ],
)
def test_slices_tell_of_every_pod_whether_it_is_ready(spec, pods, conditions):
    given = service(**spec)
    given["metadata"]["uid"] = "us"
    built = build_slices(given, group_by_ports(given, pods))
    found = [
        [tuple(each["conditions"].values()) for each in piece["endpoints"]]
        for piece in built.values()
    ]
    assert found == conditions
    labels = [piece["metadata"]["labels"] for piece in built.values()]
    assert {each["kubernetes.io/service-name"] for each in labels} == {"s"}


def test_a_service_leads_to_pods_of_its_namespace_that_it_selects():
    assert selects(service(), backend("1"))
    elsewhere = backend("1")
    elsewhere["metadata"]["namespace"] = "other"
    assert not selects(service(), elsewhere)
    assert not selects(service(selector={"app": "y"}), backend("1"))
    assert not selects(service(selector=None), backend("1"))
