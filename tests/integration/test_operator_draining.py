"""Workers leave, stay after all and are replaced while they work: nothing is lost or run twice."""

from __future__ import annotations

from typing import Any

import pytest
from dask_resources import Dask, executed, is_ready, run_slowly, run_when_told, tell
from distributed import Client

from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")


@pytest.fixture
def spec_on_the_node(request: pytest.FixtureRequest, dask: Dask) -> Any:
    """Build the spec of a cluster whose workers all share their node's address."""

    def build(replicas: int) -> dict[str, Any]:
        if request.config.getoption("--kube") == "local":
            # There every Pod has a loopback address of its own, and this one is the machine's.
            return dask.cluster_spec(replicas, "--no-nanny", "--host=127.0.0.1")
        spec = dask.cluster_spec(replicas, "--no-nanny")
        network = {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
        spec["worker"]["spec"].update(network)
        return spec

    return build


async def test_a_busy_group_shrinks_takes_back_and_rolls_without_loss_or_repetition(
    dask, spec_on_the_node
):
    """Eight workers on one address hold the only copies and are busy, and six of them go."""
    await dask.create(DASK_CLUSTERS, "demo", spec_on_the_node(8))
    await dask.wait_ready("demo", 8)
    async with dask.connected("demo") as client:
        await client.wait_for_workers(8)
        known = await client.scheduler.identity(n_workers=-1)
        hosts = {address.rsplit(":", 1)[0] for address in known["workers"]}
        assert len(hosts) == 1
        held = client.map(run_slowly, range(100, 140), seconds=0, pure=False)
        await client.gather(held)
        busy = client.map(run_slowly, range(24), seconds=0.5, pure=False)
        await dask.scale(DASK_CLUSTERS, "demo", 2)
        await dask.wait_ready("demo", 2)
        assert await client.gather(busy) == list(range(24))
        assert await client.gather(held) == list(range(100, 140))
        assert await executed(client) == [*range(24), *range(100, 140)]
        group = await dask.get(DASK_WORKER_GROUPS, "demo-default")
        assert group["spec"]["worker"]["replicas"] == 2

        later = await take_back(dask, client)
        await roll(dask, 3)
        await client.wait_for_workers(3)
        editions = await client.run(lambda: __import__("os").environ.get("EDITION"))
        assert list(editions.values()) == ["2"] * 3
        assert await client.gather(later) == list(range(200, 212))
        assert await client.gather(held) == list(range(100, 140))
        assert await executed(client) == [*range(24), *range(100, 140), *range(200, 212)]
    await dask.wait_condition(DASK_CLUSTERS, "demo", "Updated", "True", "UpToDate")


async def take_back(dask: Dask, client: Client) -> Any:
    """Three of four busy workers have to go, and two of them may stay after all."""
    await dask.scale(DASK_WORKER_GROUPS, "demo-default", 4)
    await dask.wait_ready("demo", 4)
    await client.wait_for_workers(4)
    before = await dask.names(PODS)
    busy = client.map(run_when_told, range(200, 212), seconds=2.5, gate="taken back", pure=False)
    await dask.wait_until(lambda: have_begun(client, range(200, 212), 4))
    await dask.scale(DASK_WORKER_GROUPS, "demo-default", 1)
    await dask.wait_until(lambda: has_marked(dask, 3))
    await dask.scale(DASK_WORKER_GROUPS, "demo-default", 3)
    await dask.wait_event("TakenBack")
    await tell(client, "taken back")
    await dask.wait_ready("demo", 3)
    assert await dask.names(PODS) < before
    return busy


async def roll(dask: Dask, workers: int) -> None:
    """A new spec reaches the workers, one at a time, while they work."""
    before = await dask.names(PODS, "dask.org/component=worker")
    await change_worker_spec(dask)
    most_out = 0

    async def has_rolled() -> bool:
        nonlocal most_out
        pods = await dask.pods()
        most_out = max(most_out, workers - sum(map(is_ready, pods)))
        names = {pod["metadata"]["name"] for pod in pods}
        return len(pods) == workers and not names & before and all(map(is_ready, pods))

    await dask.wait_until(has_rolled, timeout_s=150)
    assert most_out <= 1


async def change_worker_spec(dask: Dask) -> None:
    cluster = await dask.get(DASK_CLUSTERS, "demo") or {}
    worker = cluster["spec"]["worker"]["spec"]
    worker["containers"][0]["env"] = [{"name": "EDITION", "value": "2"}]
    await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"spec": worker}})


async def have_begun(client: Client, tasks: range, number: int) -> bool:
    return sum(task in tasks for task in await executed(client)) >= number


async def has_marked(dask: Dask, number: int) -> bool:
    return len(await dask.marked()) >= number


@pytest.mark.alone("who waits for the operator meanwhile would take it for silent")
@pytest.mark.current_only("there a Deployment brings the deleted operator back")
async def test_an_operator_that_dies_at_any_step_resumes_and_repeats_nothing(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(3))
    await dask.wait_ready("demo", 3)
    async with dask.connected("demo") as client:
        await client.wait_for_workers(3)
        # While workers retire.
        first = client.map(run_when_told, range(9), seconds=2, gate="first", pure=False)
        await dask.wait_until(lambda: have_begun(client, range(9), 3))
        await dask.scale(DASK_WORKER_GROUPS, "demo-default", 1)
        await dask.wait_until(lambda: has_marked(dask, 2))
        await kill_operator(dask)
        await tell(client, "first")
        await dask.wait_ready("demo", 1)
        assert await client.gather(first) == list(range(9))
        # While those that retire are wanted again.
        await dask.scale(DASK_WORKER_GROUPS, "demo-default", 3)
        await dask.wait_ready("demo", 3)
        await client.wait_for_workers(3)
        second = client.map(run_when_told, range(9, 18), seconds=2, gate="second", pure=False)
        await dask.wait_until(lambda: have_begun(client, range(9, 18), 3))
        await dask.scale(DASK_WORKER_GROUPS, "demo-default", 1)
        await dask.wait_until(lambda: has_marked(dask, 2))
        await dask.scale(DASK_WORKER_GROUPS, "demo-default", 3)
        await kill_operator(dask)
        await dask.wait_for(dask.marked, set())
        await tell(client, "second")
        await dask.wait_ready("demo", 3)
        # While a new spec rolls.
        before = await dask.names(PODS, "dask.org/component=worker")
        third = client.map(run_when_told, range(18, 24), seconds=2, gate="third", pure=False)
        await dask.wait_until(lambda: have_begun(client, range(18, 24), 3))
        await change_worker_spec(dask)
        await dask.wait_until(lambda: has_marked(dask, 1))
        await kill_operator(dask)
        await tell(client, "third")

        async def has_rolled() -> bool:
            pods = await dask.pods()
            names = {pod["metadata"]["name"] for pod in pods}
            return len(pods) == 3 and not names & before and all(map(is_ready, pods))

        await dask.wait_until(has_rolled, timeout_s=150)
        assert await client.gather([*second, *third]) == list(range(9, 24))
        assert await executed(client) == list(range(24))


async def kill_operator(dask: Dask) -> None:
    for pod in (await dask.client.list(PODS, "dask-operator")).items:
        name = pod["metadata"]["name"]
        await dask.client.delete(PODS, name, "dask-operator", grace_period_s=0)
