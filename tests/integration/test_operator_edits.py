"""What is edited while it runs reaches what is there, with real Dask processes."""

from __future__ import annotations

from typing import Any

import pytest
from dask_resources import Dask, run_slowly

from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    PODS,
    SERVICES,
)
from dask_k8s_operator.resources.names import SPEC_HASH_ANNOTATION

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")


async def test_labels_and_the_service_follow_while_everything_runs(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1))
    await dask.wait_ready("demo", 1)
    uids = {pod["metadata"]["uid"] for pod in await dask.pods("dask.org/cluster-name=demo")}
    await dask.edit(DASK_CLUSTERS, "demo", metadata={"labels": {"team": "a"}})
    service = {"service": {"ports": [{"name": "tcp-comm", "port": 8786, "targetPort": 8786}]}}
    await dask.edit(DASK_CLUSTERS, "demo", spec={"scheduler": service})

    async def labelled(value: str | None) -> bool:
        pods = await dask.pods("dask.org/cluster-name=demo")
        service = await dask.get(SERVICES, "demo-scheduler") or {}
        found = [item["metadata"]["labels"].get("team") for item in (*pods, service)]
        return len(found) == 3 and set(found) == {value}

    async def served() -> list[int]:
        service = await dask.get(SERVICES, "demo-scheduler") or {}
        assert service["spec"]["clusterIP"]
        return [port["port"] for port in service["spec"]["ports"]]

    await dask.wait_until(lambda: labelled("a"))
    await dask.wait_for(served, [8786])
    await dask.edit(DASK_CLUSTERS, "demo", metadata={"labels": {"team": None}})
    await dask.wait_until(lambda: labelled(None))
    assert uids == {pod["metadata"]["uid"] for pod in await dask.pods("dask.org/cluster-name=demo")}


async def test_a_scheduler_spec_waits_for_idle_a_drain_has_its_limit_and_all_can_be_suspended(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(2))
    await dask.wait_ready("demo", 2)
    first = (await dask.get(PODS, "demo-scheduler"))["metadata"]["uid"]
    async with dask.connected("demo") as client:
        await client.wait_for_workers(2)
        busy = client.map(run_slowly, range(2), seconds=600, pure=False)

        async def are_running() -> bool:
            return len(await client.get_events("executed") or ()) == 2

        # Before, the scheduler has no work and might be replaced at once.
        await dask.wait_until(are_running)
        scheduler = dask.cluster_spec(1)["scheduler"]["spec"]
        scheduler["containers"][0]["env"] = [{"name": "EDITION", "value": "2"}]
        await dask.edit(DASK_CLUSTERS, "demo", spec={"scheduler": {"spec": scheduler}})
        outdated = ("False", "SchedulerOutdated")
        await dask.wait_condition(DASK_CLUSTERS, "demo", "Updated", *outdated)
        # A task of ten minutes is cut short after two seconds, and that is said.
        await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"replicas": 1, "retireTimeout": 2}})
        await dask.wait_ready("demo", 1)
        await dask.wait_event("WorkLost", "retireTimeout")
        assert (await dask.get(PODS, "demo-scheduler"))["metadata"]["uid"] == first
        await client.cancel(busy)
        del busy

    await dask.edit(DASK_CLUSTERS, "demo", spec={"suspend": True})

    async def is_suspended() -> bool:
        phase = (await dask.status(DASK_CLUSTERS, "demo")).get("phase")
        return phase == "Suspended" and not await dask.pods("dask.org/cluster-name=demo")

    await dask.wait_until(is_suspended)
    assert await dask.get(SERVICES, "demo-scheduler")
    await dask.edit(DASK_CLUSTERS, "demo", spec={"suspend": False})
    await dask.wait_ready("demo", 1)
    pod = await dask.get(PODS, "demo-scheduler") or {}
    assert {"name": "EDITION", "value": "2"} in pod["spec"]["containers"][0]["env"]
    second = pod["metadata"]["uid"]

    # Now nobody uses the scheduler: a changed spec is applied after a few seconds without work.
    scheduler["containers"][0]["env"][0]["value"] = "3"
    await dask.edit(DASK_CLUSTERS, "demo", spec={"scheduler": {"spec": scheduler}})

    async def is_third() -> bool:
        pod = await dask.get(PODS, "demo-scheduler")
        return pod is not None and pod["metadata"]["uid"] != second

    await dask.wait_until(is_third)
    await dask.wait_ready("demo", 1)
    workers = await dask.pods()
    assert all(SPEC_HASH_ANNOTATION in pod["metadata"]["annotations"] for pod in workers)


async def _job_state(dask: Dask, name: str) -> str | None:
    return (await dask.status(DASK_JOBS, name)).get("jobStatus")


async def test_jobs_are_tried_again_stopped_and_removed_and_autoscalers_do_not_fight(dask):
    """Three jobs side by side, and two autoscalers of one group."""
    fails = dask.container("job", "python", "-c", "raise SystemExit('no luck')")
    sleeps = dask.container("job", "python", "-uc", "import time; print('here'); time.sleep(600)")
    done = dask.container("job", "python", "-c", "print('done')")
    cluster = {"spec": dask.cluster_spec(0)}
    never = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1}

    def job_of(container: dict[str, Any], **spec: Any) -> dict[str, Any]:
        return {"job": {"spec": {"containers": [container], **never}}, "cluster": cluster, **spec}

    await dask.create(DASK_JOBS, "unlucky", job_of(fails, backoffLimit=1))
    await dask.create(DASK_JOBS, "endless", job_of(sleeps))
    await dask.create(DASK_JOBS, "brief", job_of(done, ttlSecondsAfterFinished=1, suspend=True))
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1))
    scales = {"cluster": "demo", "minimum": 1, "maximum": 2}
    await dask.create(DASK_AUTOSCALERS, "demo", scales)
    await dask.create(DASK_AUTOSCALERS, "younger", scales)
    await dask.wait_condition(DASK_JOBS, "brief", "Suspended", "True", "Suspended")
    assert await dask.get(DASK_CLUSTERS, "brief") is None
    await dask.edit(DASK_JOBS, "brief", spec={"suspend": False})

    taken = ("False", "GroupTaken")
    await dask.wait_condition(DASK_AUTOSCALERS, "younger", "Active", *taken)
    assert (await dask.condition(DASK_AUTOSCALERS, "demo", "Active"))[1] != "GroupTaken"

    async def is_brief_gone() -> bool:
        return await dask.get(DASK_JOBS, "brief") is None

    await dask.wait_until(is_brief_gone, timeout_s=150)

    async def has_begun() -> bool:
        runner = await dask.get(PODS, "endless-runner")
        is_running = bool(runner and runner["status"].get("phase") == "Running")
        return is_running and "here" in await dask.client.logs("endless-runner", dask.namespace)

    # Only now: it would end before it has begun where the machine is slow.
    await dask.wait_until(has_begun, timeout_s=150)
    await dask.edit(DASK_JOBS, "endless", spec={"activeDeadlineSeconds": 1})

    async def have_failed() -> bool:
        states = {await _job_state(dask, name) for name in ("unlucky", "endless")}
        return states == {"Failed"}

    await dask.wait_until(have_failed, timeout_s=150)
    unlucky = await dask.status(DASK_JOBS, "unlucky")
    endless = await dask.status(DASK_JOBS, "endless")
    assert unlucky["failures"] == 2
    assert "no luck" in unlucky["message"]
    assert "activeDeadlineSeconds of 1" in endless["message"]

    async def has_ended() -> bool:
        runner = await dask.get(PODS, "endless-runner")
        return bool(runner and runner["status"]["phase"] == "Failed")

    # Stopped, with its cluster gone and its log kept.
    await dask.wait_until(has_ended)
    assert "here" in await dask.client.logs("endless-runner", dask.namespace)
    for name in ("unlucky", "endless"):
        await dask.wait_for(lambda name=name: dask.get(DASK_CLUSTERS, name), None)
