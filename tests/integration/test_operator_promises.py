"""What the operator promises beyond the common ways, with real Dask processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from dask_resources import WORKERS, Dask, executed, run_slowly, run_when_told, tell

from dask_k8s_jupyter.local import LocalKubernetes
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.reconcile.observedgroup import UNREACHABLE_TIMEOUT_S
from dask_k8s_operator.resources.kinds import (
    CONFIG_MAPS,
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_WORKER_GROUPS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    PODS,
    SECRETS,
    SERVICES,
    Kind,
)
from dask_k8s_operator.resources.names import COMPONENT_LABEL, WORKER_GROUP_LABEL
from dask_k8s_operator.resources.times import parse_time

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")

OPERATOR_NAMESPACE = "dask-operator"
ALL_PODS = "dask.org/cluster-name=demo"
OURS = (DASK_CLUSTERS, DASK_WORKER_GROUPS, DASK_AUTOSCALERS, PODS, SERVICES, SECRETS, CONFIG_MAPS)


async def what_is_left(dask: Dask) -> set[str]:
    """Names of all that belongs to a cluster of whatever name."""
    names: set[str] = set()
    for kind in OURS:
        listed = await dask.client.list(kind, dask.namespace)
        names |= {f"{kind.kind} {name}" for name in names_of(listed.items)}
    # Kubernetes gives every namespace one of its own.
    return names - {"ConfigMap kube-root-ca.crt"}


async def owners_of(dask: Dask, kind: Kind, name: str) -> list[str]:
    item = await dask.get(kind, name) or {"metadata": {}}
    return [owner["name"] for owner in item["metadata"].get("ownerReferences", ())]


def names_of(pods: list[dict[str, Any]]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}


def processes_by_name(dask_scheduler: Any) -> dict[str, str]:
    """Addresses of the worker processes that the scheduler knows."""
    return {str(worker.name): worker.address for worker in dask_scheduler.workers.values()}


def stop_when_left(client: str, dask_scheduler: Any) -> None:
    """Stop the scheduler's process when a client has gone, which would wait for it else."""
    if client in dask_scheduler.clients:
        dask_scheduler.loop.call_later(0.1, stop_when_left, client, dask_scheduler)
    else:
        os.kill(os.getpid(), signal.SIGSTOP)


# The scheduler cannot import this file: so they travel by value.
processes_by_name.__module__ = stop_when_left.__module__ = "__main__"


async def test_two_worker_processes_of_one_pod_count_as_one_and_go_together(dask):
    # Several processes need a nanny each.
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(2, "--nworkers=2"))
    await dask.wait_ready("demo", 2)
    async with dask.connected("demo") as client:
        await client.wait_for_workers(4, timeout=90)
        before = names_of(await dask.pods())
        processes = await client.run_on_scheduler(processes_by_name)
        assert set(processes) == {f"{pod}-{number}" for pod in before for number in (0, 1)}

        def on_each(function: Any, first: int, **arguments: Any) -> list[Any]:
            return [
                client.submit(
                    function,
                    first + number,
                    workers=[address],
                    # Bound to it, neither task nor result could go elsewhere.
                    allow_other_workers=True,
                    pure=False,
                    **arguments,
                )
                for number, address in enumerate(processes.values())
            ]

        held = on_each(run_slowly, 0, seconds=0)
        await client.gather(held)
        holders = await client.who_has(held)
        assert {address for each in holders.values() for address in each} == {*processes.values()}
        busy = on_each(run_when_told, 10, seconds=1, gate="told")

        async def are_running() -> bool:
            return len(await executed(client)) == 8

        await dask.wait_until(are_running)
        await dask.scale(DASK_CLUSTERS, "demo", 1)

        async def one_marked() -> set[str] | None:
            marked = await dask.marked()
            return marked if len(marked) == 1 else None

        (kept,) = before - await dask.wait_until(one_marked)
        await tell(client, "told")
        await dask.wait_ready("demo", 1)
        assert names_of(await dask.pods()) == {kept}
        await dask.wait_event("Retired", "1 worker retired")

        async def are_left() -> bool:
            processes = await client.run_on_scheduler(processes_by_name)
            return set(processes) == {f"{kept}-0", f"{kept}-1"}

        await dask.wait_until(are_left)
        assert await client.gather(held) == [0, 1, 2, 3]
        assert await client.gather(busy) == [10, 11, 12, 13]
        assert await executed(client) == [0, 1, 2, 3, 10, 11, 12, 13]
    assert "WorkLost" not in await dask.events()


async def test_an_autoscaler_of_a_named_group_scales_that_one_alone_and_leaves_its_count(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1))
    worker = dask.cluster_spec(1)["worker"]
    await dask.create(DASK_WORKER_GROUPS, "demo-extra", {"cluster": "demo", "worker": worker})
    await dask.wait_ready("demo", 2)
    default = names_of(await dask.pods(f"{WORKER_GROUP_LABEL}=demo-default"))
    scales = {"cluster": "demo", "workerGroup": "demo-extra", "minimum": 1, "maximum": 3}
    await dask.create(DASK_AUTOSCALERS, "extra", scales)

    async def counts() -> dict[str, int]:
        groups = (await dask.client.list(DASK_WORKER_GROUPS, dask.namespace)).items
        return {g["metadata"]["name"]: g["spec"]["worker"]["replicas"] for g in groups}

    await dask.wait_for(lambda: owners_of(dask, DASK_AUTOSCALERS, "extra"), ["demo"])
    async with dask.connected("demo") as client:
        # They wait until they are told, so that the autoscaler has no reason to shrink meanwhile.
        busy = client.map(run_when_told, range(100), seconds=0, gate="told", pure=False)
        await dask.wait_ready("demo", 4)
        assert await counts() == {"demo-default": 1, "demo-extra": 3}
        before = names_of(await dask.pods())
        await dask.client.delete(DASK_AUTOSCALERS, "extra", dask.namespace)
        await dask.wait_for(lambda: dask.get(DASK_AUTOSCALERS, "extra"), None)
        await tell(client, "told")
        assert await client.gather(busy) == list(range(100))
    # That the operator has looked at both groups since, their Pods show.
    edited = {"metadata": {"labels": {"edited": "since"}}}
    await dask.edit(DASK_CLUSTERS, "demo", **edited)
    await dask.edit(DASK_WORKER_GROUPS, "demo-extra", **edited)

    async def were_looked_at() -> bool:
        return len(await dask.pods(f"{WORKERS},edited=since")) == 4

    await dask.wait_until(were_looked_at)
    await dask.wait_ready("demo", 4)
    assert await counts() == {"demo-default": 1, "demo-extra": 3}
    assert names_of(await dask.pods()) == before
    assert default == names_of(await dask.pods(f"{WORKER_GROUP_LABEL}=demo-default"))
    assert (await dask.get(DASK_CLUSTERS, "demo"))["spec"]["worker"]["replicas"] == 1


async def test_a_running_job_can_be_suspended_resumed_and_deleted_with_its_cluster(dask):
    script = "import time; from distributed import Client; Client(); print('here'); time.sleep(600)"
    runner = dask.container("job", "python", "-uc", script)
    pod = {"containers": [runner], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
    spec = {"job": {"spec": pod}, "cluster": {"spec": dask.cluster_spec(1)}}
    await dask.create(DASK_JOBS, "etl", spec)

    async def running() -> str | None:
        """The uid of the runner that has reached the scheduler."""
        runner = await dask.get(PODS, "etl-runner")
        is_running = runner and runner["status"].get("phase") == "Running"
        if not is_running or (await dask.status(DASK_JOBS, "etl"))["jobStatus"] != "Running":
            return None
        log = await dask.client.logs("etl-runner", dask.namespace)
        return runner["metadata"]["uid"] if "here" in log else None

    first = await dask.wait_until(running, timeout_s=150)
    await dask.edit(DASK_JOBS, "etl", spec={"suspend": True})

    await dask.wait_for(lambda: what_is_left(dask), set())
    await dask.wait_condition(DASK_JOBS, "etl", "Suspended", "True", "Suspended")
    suspended = await dask.status(DASK_JOBS, "etl")
    assert "startTime" not in suspended
    assert "suspended" in suspended["message"]
    # What was ended on purpose is no failure that counts.
    assert "failures" not in suspended

    await dask.edit(DASK_JOBS, "etl", spec={"suspend": False})
    assert await dask.wait_until(running, timeout_s=150) != first
    await dask.wait_condition(DASK_JOBS, "etl", "Suspended", "False", "Resumed")
    assert (await dask.status(DASK_JOBS, "etl"))["startTime"]
    await dask.wait_ready("etl", 1)

    await dask.client.delete(DASK_JOBS, "etl", dask.namespace, propagation="Background")
    await dask.wait_for(lambda: what_is_left(dask), set())
    assert await dask.get(DASK_JOBS, "etl") is None


@pytest.fixture
def stoppable_kube(request: pytest.FixtureRequest, kubeconfig: Path) -> Iterator[Path]:
    """Path of the kubeconfig of a Kubernetes that nobody else needs the operator of."""
    if request.config.getoption("--kube") == "current":
        yield kubeconfig  # the mark keeps the others out
        return
    with LocalKubernetes.in_thread(operator=True, cpus=8) as kube:
        yield kube.kubeconfig


@pytest.fixture
async def stoppable_dask(
    stoppable_kube: Path, kubeconfig: Path, namespace: str, dask_image: str, wait_until: Any
) -> AsyncIterator[Dask]:
    """Dask resources whose operator is there again for whoever comes next."""
    async with await KubeClient.connect(kubeconfig=str(stoppable_kube)) as client:
        if stoppable_kube != kubeconfig:
            await client.create(NAMESPACES, {"metadata": {"name": namespace}})
        deployments = (await client.list(DEPLOYMENTS, OPERATOR_NAMESPACE)).items
        yield Dask(client, namespace, dask_image, wait_until)
        for deployment in deployments:
            await scale_operator(client, deployment, deployment["spec"]["replicas"])

        async def is_as_before() -> bool:
            listed = (await client.list(DEPLOYMENTS, OPERATOR_NAMESPACE)).items
            available = [d.get("status", {}).get("availableReplicas") for d in listed]
            return available == [d["spec"]["replicas"] for d in deployments]

        await wait_until(is_as_before)


async def scale_operator(client: KubeClient, deployment: dict[str, Any], replicas: int) -> None:
    body, name = {"spec": {"replicas": replicas}}, deployment["metadata"]["name"]
    await client.patch(DEPLOYMENTS, name, body, OPERATOR_NAMESPACE, subresource="scale")


async def stop_operator(dask: Dask) -> None:
    """Stop the operator for good: a Deployment's, or the bare Pod of the embedded Kubernetes."""
    for deployment in (await dask.client.list(DEPLOYMENTS, OPERATOR_NAMESPACE)).items:
        await scale_operator(dask.client, deployment, 0)
    for name in names_of((await dask.client.list(PODS, OPERATOR_NAMESPACE)).items):
        with contextlib.suppress(NotFoundError):
            await dask.client.delete(PODS, name, OPERATOR_NAMESPACE)

    async def has_ended() -> bool:
        return not (await dask.client.list(PODS, OPERATOR_NAMESPACE)).items

    await dask.wait_until(has_ended)


@pytest.mark.alone("nobody else can do without the operator")
async def test_a_cluster_can_be_deleted_while_the_operator_is_down(stoppable_dask):
    dask = stoppable_dask
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1))
    worker = dask.cluster_spec(1)["worker"]
    await dask.create(DASK_WORKER_GROUPS, "demo-extra", {"cluster": "demo", "worker": worker})
    scales = {"cluster": "demo", "workerGroup": "demo-extra", "minimum": 1, "maximum": 2}
    await dask.create(DASK_AUTOSCALERS, "extra", scales)
    await dask.wait_ready("demo", 2)
    await dask.wait_for(lambda: owners_of(dask, DASK_AUTOSCALERS, "extra"), ["demo"])
    await stop_operator(dask)
    for kind in OURS:
        for item in (await dask.client.list(kind, dask.namespace)).items:
            assert not item["metadata"].get("finalizers"), item["metadata"]["name"]
    await dask.client.delete(DASK_CLUSTERS, "demo", dask.namespace, propagation="Background")

    await dask.wait_for(lambda: what_is_left(dask), set())
    assert not (await dask.client.list(PODS, OPERATOR_NAMESPACE)).items


async def test_a_deleted_default_group_comes_back_and_late_annotations_reach_pods_and_service(dask):
    spec = dask.cluster_spec(2)
    for section in ("scheduler", "worker"):
        spec[section]["metadata"] = {"annotations": {"written-by": section}}
    await dask.create(DASK_CLUSTERS, "demo", spec)
    await dask.wait_ready("demo", 2)
    first, before = await dask.get(DASK_WORKER_GROUPS, "demo-default"), names_of(await dask.pods())
    await dask.client.delete(DASK_WORKER_GROUPS, "demo-default", dask.namespace)

    async def is_anew() -> bool:
        group = await dask.get(DASK_WORKER_GROUPS, "demo-default")
        is_other = group and group["metadata"]["uid"] != first["metadata"]["uid"]
        return bool(is_other and not before & names_of(await dask.pods()))

    await dask.wait_until(is_anew)
    await dask.wait_ready("demo", 2)
    uids = {pod["metadata"]["uid"] for pod in await dask.pods(ALL_PODS)}
    late = {"annotations": {"edition": "2", "written-by": "cluster"}}
    await dask.edit(DASK_CLUSTERS, "demo", metadata=late)

    async def annotated() -> set[tuple[str | None, ...]]:
        found = [pod["metadata"] for pod in await dask.pods(ALL_PODS)]
        keys = ("edition", "written-by")
        return {
            (pod["labels"][COMPONENT_LABEL], *map(pod["annotations"].get, keys)) for pod in found
        }

    # A section's own metadata wins over that of the cluster.
    reached = {("scheduler", "2", "scheduler"), ("worker", "2", "worker")}
    await dask.wait_for(annotated, reached)

    async def has_service() -> bool:
        service = await dask.get(SERVICES, "demo-scheduler")
        annotations = service["metadata"].get("annotations", {})
        return [annotations.get(key) for key in ("edition", "written-by")] == ["2", "scheduler"]

    await dask.wait_until(has_service)
    # All of it while everything runs on.
    assert {pod["metadata"]["uid"] for pod in await dask.pods(ALL_PODS)} == uids


CONNECTS = """
import json, urllib.request
from distributed import Client

status = json.loads({status!r})
with Client(status["schedulerAddress"]) as client:
    assert client.submit(sum, [1, 2]).result(timeout=60) == 3
with urllib.request.urlopen(status["dashboardAddress"]) as page:
    assert page.url == status["dashboardAddress"], page.url
    assert b"Dask" in page.read()
print("connected")
"""


async def test_the_addresses_in_the_status_are_those_to_connect_to(dask, run_inside):
    spec = dask.cluster_spec(1)
    spec["scheduler"]["spec"]["containers"][0]["args"] = ["dask", "scheduler"]
    await dask.create(DASK_CLUSTERS, "demo", spec)
    await dask.wait_ready("demo", 1)
    status = json.dumps(await dask.status(DASK_CLUSTERS, "demo"))
    log = await run_inside(CONNECTS.format(status=status), [])
    assert log.splitlines()[-1] == "connected"


@pytest.mark.current_only(
    "it takes the minute after which workers go without their scheduler's word"
)
async def test_workers_of_a_silent_scheduler_go_after_its_time_the_youngest_first(dask):
    spec = dask.cluster_spec(1)
    # The first process of a container cannot be stopped from inside: let another one be that.
    spec["scheduler"]["spec"]["shareProcessNamespace"] = True
    await dask.create(DASK_CLUSTERS, "demo", spec)
    await dask.wait_ready("demo", 1)
    (elder,) = await dask.pods()
    # Kubernetes tells of whole seconds only which of two is the younger.
    made_s = parse_time(elder["metadata"]["creationTimestamp"])
    await dask.wait_until(lambda: time.time() > made_s + 2)
    await dask.scale(DASK_CLUSTERS, "demo", 2)
    await dask.wait_ready("demo", 2)
    async with dask.connected("demo") as client:
        await client.wait_for_workers(2, timeout=60)
        await client.run_on_scheduler(stop_when_left, client.id)
    await dask.wait_condition(DASK_CLUSTERS, "demo", "SchedulerReady", "False", "SchedulerStarting")
    await dask.scale(DASK_CLUSTERS, "demo", 1)

    async def said() -> dict[str, Any] | None:
        status = await dask.status(DASK_WORKER_GROUPS, "demo-default")
        found = {c["type"]: c for c in status.get("conditions", ())}.get("AgentReady", {})
        is_said = (found.get("status"), found.get("reason")) == ("False", "SchedulerUnreachable")
        return {**status, "said": found["message"]} if is_said else None

    status = await dask.wait_until(said)
    assert "does not answer" in status["said"]
    unreachable = ("False", "SchedulerUnreachable")
    await dask.wait_condition(DASK_CLUSTERS, "demo", "AgentReady", *unreachable)
    # Until then nobody goes.
    assert len(await dask.pods()) == 2

    async def has_one() -> bool:
        return len(await dask.pods()) == 1

    await dask.wait_until(has_one, timeout_s=150)
    assert names_of(await dask.pods()) == names_of([elder])
    await dask.wait_event("WorkLost", "1 worker removed without asking the scheduler")
    events = (await dask.client.list(EVENTS, dask.namespace)).items
    (lost,) = [event for event in events if event["reason"] == "WorkLost"]
    assert lost["type"] == "Warning"
    assert lost["involvedObject"]["name"] == "demo-default"
    silent_s = parse_time(lost["firstTimestamp"]) - parse_time(status["unreachableSince"])
    assert silent_s >= UNREACHABLE_TIMEOUT_S
