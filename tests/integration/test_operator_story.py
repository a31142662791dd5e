"""The operator with real Dask processes: what is asked for becomes true, and no work is lost."""

from __future__ import annotations

import pytest
from dask_resources import Dask, run_slowly

from dask_k8s_operator.resources.kinds import (
    CONFIG_MAPS,
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_WORKER_GROUPS,
    PODS,
    SECRETS,
    SERVICES,
)

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")

OURS = (DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS, SERVICES, SECRETS)


async def test_a_deleted_pod_or_service_is_made_again(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(2))
    await dask.wait_ready("demo", 2)
    worker = sorted(await dask.names(PODS, "dask.org/component=worker"))[0]
    scheduler = (await dask.get(PODS, "demo-scheduler"))["metadata"]["uid"]
    await dask.client.delete(PODS, worker, dask.namespace)
    await dask.client.delete(PODS, "demo-scheduler", dask.namespace)
    await dask.client.delete(SERVICES, "demo-scheduler", dask.namespace)

    async def is_anew() -> bool:
        pod = await dask.get(PODS, "demo-scheduler")
        service = await dask.get(SERVICES, "demo-scheduler")
        is_other = pod and service and pod["metadata"]["uid"] != scheduler
        return bool(is_other and worker not in await dask.names(PODS))

    await dask.wait_until(is_anew)
    await dask.wait_ready("demo", 2)
    async with dask.connected("demo") as client:
        await client.wait_for_workers(2, timeout=60)


async def test_deleting_a_cluster_leaves_nothing_and_its_name_can_be_used_again_at_once(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1))
    spec = dask.cluster_spec(1)["worker"]
    await dask.create(DASK_WORKER_GROUPS, "demo-extra", {"cluster": "demo", "worker": spec})
    await dask.wait_ready("demo", 2)
    await dask.client.delete(DASK_CLUSTERS, "demo", dask.namespace, propagation="Background")
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1))
    await dask.wait_ready("demo", 1)
    await dask.scale(DASK_CLUSTERS, "demo", 0)
    await dask.wait_ready("demo", 0)
    # The scheduler was asked, with the new cluster's token: the worker did not go unasked.
    await dask.wait_event("Retired")
    await dask.client.delete(DASK_CLUSTERS, "demo", dask.namespace, propagation="Background")

    async def is_gone() -> bool:
        left = [await dask.names(kind) for kind in OURS]
        return not any(left) and await dask.get(CONFIG_MAPS, "demo-agent") is None

    await dask.wait_until(is_gone)


async def test_an_autoscaler_follows_the_load_within_its_limits(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1))
    await dask.wait_ready("demo", 1)
    await dask.create(DASK_AUTOSCALERS, "demo", {"cluster": "demo", "minimum": 1, "maximum": 3})

    async def wanted() -> int | None:
        return (await dask.status(DASK_AUTOSCALERS, "demo")).get("desiredReplicas")

    async with dask.connected("demo") as client:
        # More than one worker could do while the others start, however slowly they do.
        busy = client.map(run_slowly, range(600), seconds=0.5, pure=False)
        await dask.wait_ready("demo", 3)
        await dask.wait_for(wanted, 3)
        assert await client.gather(busy[:10]) == list(range(10))
        await client.cancel(busy)
        del busy
    cluster = await dask.get(DASK_CLUSTERS, "demo")
    assert cluster["spec"]["worker"]["replicas"] == 1

    async def shrinks() -> bool:
        return (await wanted() or 0) < 3

    await dask.wait_until(shrinks)


JOB = "from distributed import Client; assert Client().submit(sum, [1, 2]).result() == 3"


@pytest.mark.parametrize(
    ("code", "policy", "outcome"),
    [(JOB, "OnFailure", "Successful"), ("raise SystemExit('no data')", "Never", "Failed")],
)
async def test_a_job_ends_with_its_runners_log_and_without_its_cluster(dask, code, policy, outcome):
    runner = dask.container("job", "python", "-c", code)
    spec = {
        "job": {"spec": {"containers": [runner], "restartPolicy": policy}},
        "cluster": {"metadata": {"labels": {"team": "a"}}, "spec": dask.cluster_spec(1)},
    }
    await dask.create(DASK_JOBS, "etl", spec)
    seen = set()

    async def has_ended() -> bool:
        state = (await dask.status(DASK_JOBS, "etl")).get("jobStatus")
        seen.add(state)
        return state == outcome

    await dask.wait_until(has_ended, timeout_s=180)
    assert seen <= {None, "JobCreated", "ClusterCreated", "Running", outcome}
    status = await dask.status(DASK_JOBS, "etl")
    assert (status["clusterName"], status["jobRunnerPodName"]) == ("etl", "etl-runner")
    assert status["startTime"] <= status["endTime"]

    async def is_cluster_gone() -> bool:
        return await dask.names(PODS) == {"etl-runner"}

    await dask.wait_until(is_cluster_gone)
    if outcome == "Failed":
        assert "no data" in status["message"]
        assert "no data" in await dask.client.logs("etl-runner", dask.namespace)


@pytest.mark.parametrize(
    ("worker", "message", "reason"),
    [
        ({"args": ["no-such-program"]}, ["no-such-program"], "CommandNotFound"),
        ({"image": "missing"}, ["no-such-image"], "ImagePull"),
        (
            {"args": ["python", "-c", "raise SystemExit('my last words')"]},
            ["exit code 1", "my last words"],
            "CrashLoopBackOff",
        ),
        (
            {"resources": {"requests": {"memory": "900Ti"}}},
            ["Insufficient memory"],
            "Unschedulable",
        ),
        ({"resources": {"requests": {"memory": "a lot"}}}, ["was refused"], "CreateRefused"),
    ],
)
async def test_a_worker_that_cannot_start_says_why(dask, missing_image, worker, message, reason):
    spec = dask.cluster_spec(2)
    if worker.get("image"):
        worker = {"image": missing_image}
    spec["worker"]["spec"]["containers"][0].update(worker)
    await dask.create(DASK_CLUSTERS, "demo", spec)

    async def is_said() -> bool:
        status = await dask.status(DASK_WORKER_GROUPS, "demo-default")
        conditions = {c["type"]: c for c in status.get("conditions", ())}
        said = status.get("message", "")
        # One that crashes is ready for the moments in which it runs: all of it in one look.
        return bool(
            conditions
            and reason in conditions["Ready"]["reason"]
            and all(m in said for m in message)
            and status["ready"] == "0/2"
            and conditions["Degraded"]["status"] == str(reason != "Unschedulable")
        )

    await dask.wait_until(is_said)

    async def does_the_cluster_say_it_too() -> bool:
        of_cluster = (await dask.status(DASK_CLUSTERS, "demo")).get("message", "")
        return all(part in of_cluster for part in message)

    await dask.wait_until(does_the_cluster_say_it_too)


async def test_an_idle_cluster_goes_by_itself_and_says_so(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1, idleTimeout=4))
    await dask.wait_until(lambda: _exists(dask))

    async def is_gone() -> bool:
        return await dask.get(DASK_CLUSTERS, "demo") is None

    await dask.wait_until(is_gone)
    await dask.wait_event("IdleTimeout")


async def _exists(dask: Dask) -> bool:
    return (await dask.status(DASK_CLUSTERS, "demo")).get("phase") is not None


async def test_a_group_made_before_its_cluster_waits_and_is_adopted(dask):
    spec = {"cluster": "late", "worker": dask.cluster_spec(1)["worker"]}
    await dask.create(DASK_WORKER_GROUPS, "late-extra", spec)
    await dask.wait_message(DASK_WORKER_GROUPS, "late-extra", "waits for DaskCluster")
    await dask.create(DASK_CLUSTERS, "late", dask.cluster_spec(0))
    await dask.wait_ready("late", 1)
    owners = (await dask.get(DASK_WORKER_GROUPS, "late-extra"))["metadata"]["ownerReferences"]
    assert [owner["name"] for owner in owners] == ["late"]
