"""Every failure becomes words that a person can act on."""

from __future__ import annotations

import pytest

from dask_k8s_jupyter import errors
from dask_k8s_jupyter.errors import DaskKubernetesError, explain
from dask_k8s_operator.kube import errors as kube
from dask_k8s_operator.kube.errors import Target

CREATE = Target("create", "daskclusters", "kubernetes.dask.org", "team-a", "demo")
LIST_ALL = Target("list", "daskclusters", "kubernetes.dask.org")
NO_RIGHT = (
    'daskclusters.kubernetes.dask.org is forbidden: User "ann" cannot create resource '
    '"daskclusters" in API group "kubernetes.dask.org" in the namespace "team-a"'
)


@pytest.mark.parametrize(
    ("exc", "code", "words"),
    [
        (kube.NoKubeconfigError("no kubeconfig: /x does not exist"), "no-kubeconfig", ["/x"]),
        (kube.ApiUnreachableError("https://k", "refused"), "api-unreachable", ["https://k"]),
        (kube.UnauthorizedError(401, "", "who?", target=CREATE), "unauthorized", ["create"]),
        (
            kube.ForbiddenError(403, "Forbidden", NO_RIGHT, target=CREATE),
            "forbidden",
            ["create", "daskclusters.kubernetes.dask.org", "team-a", "dask-user"],
        ),
        (
            kube.ForbiddenError(403, "Forbidden", NO_RIGHT, target=LIST_ALL),
            "forbidden",
            ["in all namespaces", "clusterrolebinding"],
        ),
        (
            kube.ForbiddenError(403, "Forbidden", "exceeded quota: small", target=CREATE),
            "refused",
            ["exceeded quota: small"],
        ),
        (
            kube.UnsupportedKindError(404, "NotFound", "404", target=CREATE),
            "crds-missing",
            ["daskclusters.kubernetes.dask.org", "kubectl apply"],
        ),
        (
            kube.NotFoundError(404, "NotFound", "gone", {"name": "demo"}, CREATE),
            "not-found",
            ["team-a/demo"],
        ),
        (
            kube.NotFoundError(
                404, "NotFound", "gone", {"name": "team-a", "kind": "namespaces"}, CREATE
            ),
            "not-found",
            ["There is no namespace team-a", "kubectl create ns team-a"],
        ),
        (
            kube.AlreadyExistsError(409, "AlreadyExists", "", target=CREATE),
            "name-taken",
            ["team-a/demo"],
        ),
        (
            kube.InvalidError(422, "Invalid", "spec.worker: Required", target=CREATE),
            "invalid",
            ["spec.worker: Required"],
        ),
        (kube.ApiError(500, "", "etcd is away", target=CREATE), "error", ["etcd is away"]),
        (ValueError("a name is needed"), "error", ["a name is needed"]),
        (ValueError(), "error", ["ValueError"]),
    ],
)
def test_failures_are_explained(exc: Exception, code: str, words: list[str]) -> None:
    error = explain(exc)
    assert error.code == code
    assert error.__cause__ is exc
    for word in words:
        assert word in str(error)


def test_what_is_explained_already_stays_as_it_is() -> None:
    error = errors.NameTakenError("default/demo exists")
    assert explain(error) is error


def _all_errors(root: type[DaskKubernetesError]) -> list[type[DaskKubernetesError]]:
    return [root, *(each for child in root.__subclasses__() for each in _all_errors(child))]


@pytest.mark.parametrize("error_type", _all_errors(DaskKubernetesError))
def test_each_has_a_code_a_title_and_its_place_in_the_drawing(
    error_type: type[DaskKubernetesError],
) -> None:
    error = error_type("default/demo failed.")
    assert error.title
    assert error.message == "default/demo failed."
    drawing = errors.__doc__ or ""
    line = next(line for line in drawing.splitlines() if f"{error_type.__name__} " in line)
    assert error.code in line


def test_codes_are_unique() -> None:
    codes = [error_type.code for error_type in _all_errors(DaskKubernetesError)]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("error_type", "builtin"),
    [
        (errors.NameTakenError, ValueError),
        (errors.InvalidSpecError, ValueError),
        (errors.ClusterNotFoundError, LookupError),
        (errors.WorkerGroupNotFoundError, LookupError),
        (errors.WorkerGroupNotFoundError, ValueError),
        (errors.WorkerGroupNotFoundError, errors.ClusterNotFoundError),
        (errors.StartTimeoutError, TimeoutError),
    ],
)
def test_some_are_also_what_python_calls_them(
    error_type: type[DaskKubernetesError], builtin: type[Exception]
) -> None:
    with pytest.raises(builtin):
        raise error_type("default/demo")


def test_the_last_log_lines_end_the_message() -> None:
    error = errors.PodCrashedError("default/demo cannot start", log="Traceback\nKeyError: 1")
    assert str(error).endswith("Its last lines:\nTraceback\nKeyError: 1")
