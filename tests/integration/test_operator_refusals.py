"""The definitions refuse what the operator could not make true, and name the field."""

from __future__ import annotations

from typing import Any

import pytest

from dask_k8s_operator.kube.errors import InvalidError
from dask_k8s_operator.resources.kinds import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS
from dask_k8s_operator.resources.names import MAX_CLUSTER_NAME_LENGTH, MAX_GROUP_NAME_LENGTH


def autoscaler(minimum: int, maximum: int) -> dict[str, Any]:
    return {"cluster": "nobody", "minimum": minimum, "maximum": maximum}


def build_group(dask: Any) -> dict[str, Any]:
    # Of a cluster that is not there, so that nothing starts.
    return {"cluster": "nobody", "worker": dask.cluster_spec(0)["worker"]}


async def test_an_autoscaler_has_no_minimum_above_its_maximum(dask):
    with pytest.raises(InvalidError, match=r"spec\b.*minimum must not be greater than maximum"):
        await dask.create(DASK_AUTOSCALERS, "demo", autoscaler(3, 2))
    await dask.create(DASK_AUTOSCALERS, "demo", autoscaler(2, 2))
    with pytest.raises(InvalidError, match=r"spec\b.*minimum must not be greater than maximum"):
        await dask.edit(DASK_AUTOSCALERS, "demo", spec={"maximum": 1})
    with pytest.raises(InvalidError, match=r"spec\.cluster\b.*cannot be changed"):
        await dask.edit(DASK_AUTOSCALERS, "demo", spec={"cluster": "another"})
    assert (await dask.get(DASK_AUTOSCALERS, "demo"))["spec"] == autoscaler(2, 2)


async def test_a_group_does_not_change_its_cluster(dask):
    await dask.create(DASK_WORKER_GROUPS, "demo", build_group(dask))
    with pytest.raises(InvalidError, match=r"spec\.cluster\b.*cannot be changed"):
        await dask.edit(DASK_WORKER_GROUPS, "demo", spec={"cluster": "another"})
    await dask.edit(DASK_WORKER_GROUPS, "demo", spec={"worker": {"retireTimeout": 7}})
    spec = (await dask.get(DASK_WORKER_GROUPS, "demo"))["spec"]
    assert (spec["cluster"], spec["worker"]["retireTimeout"]) == ("nobody", 7)


@pytest.mark.parametrize(("before", "after"), [({}, True), ({"tls": True}, False)])
async def test_encryption_is_for_the_life_of_a_cluster(dask, before, after):
    # Suspended, it starts nothing.
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(0, suspend=True, **before))
    with pytest.raises(InvalidError, match=r"spec\.tls\b.*cannot be changed"):
        await dask.edit(DASK_CLUSTERS, "demo", spec={"tls": after})
    assert (await dask.get(DASK_CLUSTERS, "demo"))["spec"]["tls"] is not after


@pytest.mark.parametrize(
    ("kind", "length"),
    [
        (DASK_CLUSTERS, MAX_CLUSTER_NAME_LENGTH),
        (DASK_WORKER_GROUPS, MAX_GROUP_NAME_LENGTH),
        (DASK_AUTOSCALERS, MAX_GROUP_NAME_LENGTH),
    ],
)
async def test_a_name_from_which_no_others_could_be_made_is_refused(dask, kind, length):
    specs = {
        DASK_CLUSTERS: dask.cluster_spec(0, suspend=True),
        DASK_WORKER_GROUPS: build_group(dask),
        DASK_AUTOSCALERS: autoscaler(0, 1),
    }
    with pytest.raises(InvalidError, match=f"the name may have at most {length} characters"):
        await dask.create(kind, "d" * (length + 1), specs[kind])
    with pytest.raises(InvalidError, match="the name may have lower-case letters, digits and"):
        await dask.create(kind, "de.mo", specs[kind])
    assert await dask.create(kind, "d" * length, specs[kind])
