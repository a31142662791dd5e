"""Fields that kubectl or Helm applied become ours, so that a next release can take them away."""

from __future__ import annotations

from typing import Any

import pytest

from dask_k8s_jupyter.clusters.apply import merge_appliers
from dask_k8s_jupyter.clusters.jobs import make_job_spec
from dask_k8s_jupyter.clusters.spec import make_cluster_spec
from dask_k8s_jupyter.errors import InvalidSpecError

OURS = "dask-k8s"


def entry(manager: str, fields: dict[str, Any], operation: str = "Apply", **more: str) -> Any:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


CONTROLLER = entry("kube-controller-manager", {"f:metadata": {}}, "Update")
STATUS = entry("kubectl", {"f:status": {}}, "Update", subresource="status")


@pytest.mark.parametrize(
    ("entries", "merged"),
    [
        ([], []),
        ([entry(OURS, {"f:spec": {}})], [entry(OURS, {"f:spec": {}})]),
        ([CONTROLLER, STATUS], [CONTROLLER, STATUS]),
        ([entry("kubectl", {"f:spec": {"f:a": {}}})], [entry(OURS, {"f:spec": {"f:a": {}}})]),
        (
            [entry("kubectl-client-side-apply", {"f:spec": {"f:a": {}}}, "Update")],
            [entry(OURS, {"f:spec": {"f:a": {}}})],
        ),
        (
            [
                CONTROLLER,
                entry(OURS, {"f:spec": {"f:a": {}}}),
                entry("kubectl-client-side-apply", {"f:spec": {"f:b": {"f:c": {}}}}, "Update"),
                entry("helm", {"f:spec": {"f:b": {".": {}}}}),
            ],
            [CONTROLLER, entry(OURS, {"f:spec": {"f:a": {}, "f:b": {"f:c": {}, ".": {}}}})],
        ),
    ],
)
def test_fields_of_other_appliers_become_ours_and_those_of_controllers_stay(
    entries: list[Any], merged: list[Any]
) -> None:
    assert merge_appliers(entries, OURS) == merged


def test_a_job_without_a_command_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match="command"):
        make_job_spec(make_cluster_spec("nightly"), [], image="acme/dask:7")
