"""Of two groups of one cluster only the one that shrinks gives workers up."""

from __future__ import annotations

import pytest
from dask_resources import Dask, executed, run_slowly

from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS
from dask_k8s_operator.resources.names import WORKER_GROUP_LABEL

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")


async def workers_of(dask: Dask, group: str) -> dict[str, str]:
    """The uids of a group's worker Pods by name."""
    pods = [pod["metadata"] for pod in await dask.pods(f"{WORKER_GROUP_LABEL}={group}")]
    return {pod["name"]: pod["uid"] for pod in pods}


async def test_an_additional_group_shrinks_by_its_own_workers_though_others_hold_less(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(2))
    worker = dask.cluster_spec(2)["worker"]
    await dask.create(DASK_WORKER_GROUPS, "demo-extra", {"cluster": "demo", "worker": worker})
    await dask.wait_ready("demo", 4)
    others = await workers_of(dask, "demo-default")
    extra = await workers_of(dask, "demo-extra")
    async with dask.connected("demo") as client:
        await client.wait_for_workers(4)
        # The others are idle and hold nothing: by that alone they would be the ones to go.
        held = [
            client.submit(
                run_slowly,
                number,
                seconds=0,
                workers=[name],
                allow_other_workers=True,
                pure=False,
            )
            for number, name in enumerate([*extra, *extra])
        ]
        assert await client.gather(held) == [0, 1, 2, 3]
        await dask.scale(DASK_WORKER_GROUPS, "demo-extra", 1)
        await dask.wait_ready("demo", 3)
        left = await workers_of(dask, "demo-extra")
        assert left.items() < extra.items()
        assert await workers_of(dask, "demo-default") == others
        # Handed over, not computed again.
        assert await client.gather(held) == [0, 1, 2, 3]
        assert await executed(client) == [0, 1, 2, 3]
    assert "WorkLost" not in await dask.events()
    assert (await dask.get(DASK_CLUSTERS, "demo"))["spec"]["worker"]["replicas"] == 2
