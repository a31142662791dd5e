"""What the doctor makes of what it sees."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dask_k8s_jupyter.clusters import findings
from dask_k8s_jupyter.clusters.operatorstate import OperatorState, judge_operator
from dask_k8s_jupyter.clusters.permissions import PURPOSES, Need, build_grant
from dask_k8s_jupyter.clusters.rollout import judge_rollout
from dask_k8s_operator.resources.kinds import PODS

NOW = datetime(2026, 11, 20, 10, 0, tzinfo=timezone.utc)
HERE = {"python": "3.11.2", "dask": "2026.8.0", "distributed": "2026.8.0"}


@pytest.mark.parametrize(
    ("version", "outcome"),
    [
        ({"major": "1", "minor": "36", "gitVersion": "v1.36.0"}, "ok"),
        ({"major": "1", "minor": "25+", "gitVersion": "v1.25.9-gke"}, "ok"),
        ({"major": "1", "minor": "24", "gitVersion": "v1.24.0"}, "failed"),
        ({"major": "", "minor": ""}, "ok"),
        ({}, "ok"),
    ],
)
def test_a_kubernetes_that_does_not_check_resources_is_too_old(
    version: dict[str, str], outcome: str
) -> None:
    found = findings.judge_version(version)
    assert found.outcome == outcome
    assert bool(found.fix) is (outcome == "failed")


@pytest.mark.parametrize(
    ("installed", "ours", "outcome", "fix"),
    [
        ("0.1.0", "0.1.0", "ok", ""),
        ("0.1.0", "0.2.0", "warning", "operator install"),
        ("0.9.0", "0.10.0", "warning", "operator install"),
        ("0.2.0", "0.1.0", "warning", "pip install 'dask-k8s-jupyter>=0.2.0'"),
        (None, "0.1.0", "warning", "operator install"),
    ],
)
def test_definitions_of_another_release_are_told_with_who_has_to_move(
    installed: str | None, ours: str, outcome: str, fix: str
) -> None:
    found = findings.judge_release(installed, ours)
    assert found.outcome == outcome
    assert fix in (found.fix or "")


@pytest.mark.parametrize(
    ("there", "outcome", "said"),
    [
        ({}, "ok", "as here"),
        ({"python": "3.11.9.final.0"}, "ok", "as here"),
        ({"python": "3.12.1.final.0"}, "failed", "Python 3.12 there and 3.11 here"),
        ({"dask": "2026.3.0"}, "warning", "dask 2026.3.0 there and 2026.8.0 here"),
        (
            {"dask": "2026.3.0", "distributed": "2026.3.0", "python": "3.10.0"},
            "failed",
            "Python 3.10 there and 3.11 here; dask 2026.3.0",
        ),
    ],
)
def test_an_image_with_other_versions_is_told_with_both_numbers(
    there: dict[str, str], outcome: str, said: str
) -> None:
    found = findings.judge_versions("acme/dask:7", {**HERE, **there}, HERE)
    assert (found.outcome, said in found.message) == (outcome, True)
    if outcome != "ok":
        assert found.fix is not None
        assert "dask:2026.8.0-py3.11" in found.fix


@pytest.mark.parametrize(
    ("status", "text", "outcome"),
    [
        (200, "<html>Dask: Status</html>", "ok"),
        (200, "<p>Dask needs bokeh>=3.1.0 for the dashboard.</p>", "warning"),
        (404, "not here", "failed"),
        (500, "", "failed"),
    ],
)
def test_a_dashboard_is_judged_by_what_it_answers(status: int, text: str, outcome: str) -> None:
    assert findings.judge_dashboard(status, text, "it opens").outcome == outcome


@pytest.mark.parametrize(
    ("template", "environ", "is_well"),
    [
        ("{scheme}://{host}:{port}/status", {}, True),
        ("/user/{JUPYTERHUB_USER}/proxy/{port}/status", {"JUPYTERHUB_USER": "ada"}, True),
        ("/user/{JUPYTERHUB_USER}/proxy/{port}/status", {}, False),
        ("/{}/status", {}, False),
        ("{", {}, False),
    ],
)
def test_a_link_that_cannot_be_filled_in_is_told(
    template: str, environ: dict[str, str], is_well: bool
) -> None:
    assert (findings.judge_dashboard_link(template, environ) is None) is is_well


def test_a_missing_permission_is_named_with_the_command_that_grants_it() -> None:
    purpose = PURPOSES[0]
    found = findings.judge_permission(purpose, purpose.needs, "team-a", "ada")
    assert found.outcome == "failed"
    assert "missing is create, delete daskclusters.kubernetes.dask.org" in found.message
    assert "--clusterrole=dask-user --user=ada" in (found.fix or "")


def test_what_one_can_live_without_is_a_warning() -> None:
    optional = next(purpose for purpose in PURPOSES if not purpose.is_essential)
    found = findings.judge_permission(optional, optional.needs, "team-a", None)
    assert found.outcome == "warning"


@pytest.mark.parametrize(
    ("user", "subject"),
    [
        (None, "--user=YOU"),
        ("ada@example.org", "--user=ada@example.org"),
        ("system:serviceaccount:team-a:default-editor", "--serviceaccount=team-a:default-editor"),
    ],
)
def test_a_grant_names_who_we_are(user: str | None, subject: str) -> None:
    assert build_grant(user, "team-a", "dask-user").endswith(subject)


def test_a_need_says_verbs_and_resource() -> None:
    assert str(Need(("get", "list"), PODS, "log")) == "get, list pods/log"


def make_lease(age_s: float, holder: str = "dask-operator-7f9") -> dict[str, Any]:
    renewed = NOW - timedelta(seconds=age_s)
    spec = {
        "holderIdentity": holder,
        "renewTime": renewed.isoformat().replace("+00:00", "Z"),
        "leaseDurationSeconds": 10,
    }
    return {"spec": spec}


def make_deployment(available: int = 1, **status: Any) -> dict[str, Any]:
    counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": available}
    return {
        "metadata": {"name": "dask-operator", "namespace": "ops", "generation": 2},
        "spec": {
            "replicas": 1,
            "template": {
                "spec": {"containers": [{"name": "operator", "image": "acme/operator:1"}]}
            },
        },
        "status": {"observedGeneration": 2, **counts, **status},
    }


def make_pod(reason: str = "", message: str = "", **status: Any) -> dict[str, Any]:
    container = {"state": {"waiting": {"reason": reason, "message": message}} if reason else {}}
    return {
        "metadata": {"name": "dask-operator-x", "namespace": "ops"},
        "spec": {"containers": [{"image": "acme/operator:1"}]},
        "status": {"containerStatuses": [container], **status},
    }


READY = {"conditions": [{"type": "Ready", "status": "True"}]}


@pytest.mark.parametrize(
    ("lease", "deployments", "pods", "outcome", "said"),
    [
        (make_lease(1), None, None, "running", "dask-operator-7f9 leads (seen 1 s ago)"),
        (make_lease(19), None, None, "running", "19 s"),
        (make_lease(600), None, None, "broken", "last sign 10 min ago"),
        (make_lease(60, ""), None, None, "broken", "No operator leads since 1 min"),
        (
            make_lease(600),
            [make_deployment(0)],
            [make_pod("ImagePullBackOff", "no such image")],
            "broken",
            "ImagePullBackOff: no such image",
        ),
        # One that is alive by its lease is alive, though its Deployment changes right now.
        (make_lease(1), [make_deployment(0)], [], "running", "leads"),
        (None, None, None, "unknown", "you may not see"),
        (None, [], [], "missing", "no operator"),
        (None, [make_deployment()], [], "running", "ops/dask-operator runs"),
        (None, [make_deployment(0)], [], "broken", "0 of 1 Pods are ready"),
        (None, [], [make_pod(**READY)], "running", "ops/dask-operator-x runs"),
        (None, [], [make_pod()], "broken", "is not ready"),
    ],
)
def test_an_operator_is_judged_by_what_is_to_be_seen(
    lease: Any, deployments: Any, pods: Any, outcome: str, said: str
) -> None:
    state = judge_operator(lease, deployments, pods, NOW)
    assert (state.outcome, said in state.message) == (outcome, True), state


@pytest.mark.parametrize(
    ("outcome", "judged"),
    [("running", "ok"), ("missing", "failed"), ("broken", "failed"), ("unknown", "unknown")],
)
def test_an_operator_that_does_not_run_comes_with_what_to_do(outcome: Any, judged: str) -> None:
    found = findings.judge_operator_state(OperatorState(outcome, "It is so"), "ops")
    assert found.outcome == judged
    assert bool(found.fix) is (judged != "ok")


LEAVING = {**make_pod(), "metadata": {"name": "old", "deletionTimestamp": "2026-11-20T10:00:00Z"}}
UNSCHEDULED = {"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}
REFUSED = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}


@pytest.mark.parametrize(
    ("deployment", "pods", "reason", "trouble"),
    [
        (None, [], "the Deployment is being made", ""),
        (make_deployment(observedGeneration=1), [], "has yet to see", ""),
        (make_deployment(), [], "", ""),
        (make_deployment(replicas=2), [LEAVING], "Pod old of the earlier release", ""),
        (make_deployment(replicas=2), [], "a Pod of the earlier release has still to go", ""),
        (make_deployment(0), [], "0 of 1 Pods are ready", ""),
        (make_deployment(0), [make_pod("ContainerCreating")], "0 of 1", ""),
        (make_deployment(0), [make_pod("ErrImagePull", "no\nimage")], "ErrImagePull: no image", ""),
        (make_deployment(0), [make_pod("ImagePullBackOff")], "ImagePull", "ImagePullBackOff"),
        (make_deployment(0), [make_pod("CrashLoopBackOff")], "CrashLoop", "CrashLoopBackOff"),
        (make_deployment(0), [make_pod(conditions=[UNSCHEDULED])], "Insufficient cpu", ""),
        (make_deployment(0, conditions=[REFUSED]), [], "exceeded quota", "ReplicaFailure"),
    ],
)
def test_a_rollout_says_what_it_waits_for(
    deployment: Any, pods: list[Any], reason: str, trouble: str
) -> None:
    rollout = judge_rollout(deployment, pods)
    assert rollout.is_ready is (not reason)
    assert reason in rollout.reason
    assert rollout.trouble == trouble
