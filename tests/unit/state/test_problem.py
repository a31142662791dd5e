"""A failure is told in the words of its exception."""

from __future__ import annotations

import pytest

from dask_k8s_jupyter.errors import NameTakenError
from dask_k8s_jupyter.state.problem import build_operator_silent_problem, build_problem
from dask_k8s_operator.kube import errors as kube
from dask_k8s_operator.resources.kinds import GROUP

LISTING = kube.Target("list", "daskclusters", GROUP, "team-a")


def answer(status, reason="", message="no"):
    body = f'{{"kind": "Status", "reason": "{reason}", "message": "{message}"}}'
    return kube.build_api_error(status, body.encode(), LISTING)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (kube.NoKubeconfigError("no kubeconfig: /none does not exist"), "no-kubeconfig"),
        (kube.ApiUnreachableError("https://10.0.0.1", "timed out"), "api-unreachable"),
        (answer(401), "unauthorized"),
        (answer(403, "Forbidden", "user cannot list resource"), "forbidden"),
        (answer(404), "crds-missing"),
        (answer(409, "AlreadyExists"), "name-taken"),
        (answer(422, "Invalid"), "invalid"),
        (NameTakenError("DaskCluster team-a/demo exists already"), "name-taken"),
        (RuntimeError("of any other kind"), "error"),
    ],
)
def test_every_failure_has_its_code_and_says_itself(failure, code):
    problem = build_problem(failure)
    assert problem.code == code
    assert problem.title
    assert problem.message
    assert problem.to_json().keys() == {"code", "title", "message", "fix"}


def test_what_to_do_stands_apart_from_what_happened():
    problem = build_problem(NameTakenError("DaskCluster team-a/demo exists already"))
    assert problem.message == "DaskCluster team-a/demo exists already"
    assert "KubeCluster.from_name" in (problem.fix or "")


def test_the_operators_silence_names_the_cluster_and_counts_the_others():
    one = build_operator_silent_problem([("team-a", "demo")])
    assert one.code == "operator-silent"
    assert "team-a/demo." in one.message
    assert one.fix
    three = build_operator_silent_problem([("team-a", "demo"), ("b", "c"), ("d", "e")])
    assert "team-a/demo and 2 more" in three.message
