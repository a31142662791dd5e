"""What is edited while it runs reaches what is there, with real Dask processes and no work lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from distributed import Client, get_worker
from distributed.security import Security

from dask_k8s_operator.kube import KubeClient, PortForward
from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_WORKER_GROUPS,
    EVENTS,
    PODS,
    SECRETS,
    SERVICES,
)
from dask_k8s_operator.resources.names import RETIRING_ANNOTATION, SPEC_HASH_ANNOTATION

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")

WORKERS = "dask.org/component=worker"


def run_slowly(number: int, seconds: float) -> int:
    import time

    get_worker().log_event("executed", number)
    time.sleep(seconds)
    return number


# Workers cannot import this file: so it travels by value.
run_slowly.__module__ = "__main__"


class Dask:
    """What the tests do with Dask resources in their namespace."""

    def __init__(self, client: KubeClient, namespace: str, image: str, wait_until: Any) -> None:
        self.client, self.namespace, self.image = client, namespace, image
        self.wait_until = wait_until

    def container(self, name: str, *args: str, **more: Any) -> dict[str, Any]:
        base = {"name": name, "image": self.image, "imagePullPolicy": "IfNotPresent"}
        return {**base, "args": list(args), **more}

    def cluster_spec(self, replicas: int, **changes: Any) -> dict[str, Any]:
        probe = {"httpGet": {"port": 8787, "path": "/health"}, "periodSeconds": 1}
        scheduler = self.container("scheduler", "dask", "scheduler", readinessProbe=probe)
        worker = self.container(
            "worker", "dask", "worker", "--name", "$(DASK_WORKER_NAME)", "--nthreads=1"
        )
        # A second to end in, so that tests do not wait half a minute for Pods that are going.
        grace = {"terminationGracePeriodSeconds": 1}
        return {
            "worker": {"replicas": replicas, "spec": {"containers": [worker], **grace}},
            "scheduler": {"spec": {"containers": [scheduler], **grace}, "service": {}},
            **changes,
        }

    async def create(self, kind: Any, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}}
        return await self.client.create(kind, {**body, "spec": spec}, self.namespace)

    async def edit(self, kind: Any, name: str, **body: Any) -> dict[str, Any]:
        return await self.client.patch(kind, name, body, self.namespace)

    async def get(self, kind: Any, name: str) -> dict[str, Any] | None:
        try:
            return await self.client.get(kind, name, self.namespace)
        except NotFoundError:
            return None

    async def status(self, kind: Any, name: str) -> dict[str, Any]:
        return ((await self.get(kind, name)) or {}).get("status") or {}

    async def condition(self, kind: Any, name: str, type_: str) -> tuple[str, str]:
        conditions = (await self.status(kind, name)).get("conditions", ())
        found = next((c for c in conditions if c["type"] == type_), {})
        return found.get("status", ""), found.get("reason", "")

    async def pods(self, label: str = WORKERS) -> list[dict[str, Any]]:
        return (await self.client.list(PODS, self.namespace, label_selector=label)).items

    async def events(self) -> dict[str, str]:
        listed = (await self.client.list(EVENTS, self.namespace)).items
        return {event["reason"]: event["message"] for event in listed}

    async def wait_ready(self, name: str, replicas: int, timeout_s: float = 60) -> None:
        async def is_ready() -> bool:
            status = await self.status(DASK_CLUSTERS, name)
            conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
            return (
                conditions.get("Ready") == "True"
                and status.get("ready") == f"{replicas}/{replicas}"
                and len(await self.pods()) == replicas
            )

        await self.wait_until(is_ready, timeout_s=timeout_s)

    @contextlib.asynccontextmanager
    async def connected(self, name: str, security: Any = None) -> AsyncIterator[Client]:
        forward = PortForward(self.client, self.namespace, port=8786, pod=f"{name}-scheduler")
        scheme = "tls" if security else "tcp"
        async with (
            forward as (host, port),
            Client(f"{scheme}://{host}:{port}", asynchronous=True, security=security) as client,
        ):
            yield client


@pytest.fixture
def dask(kube_client: KubeClient, namespace: str, dask_image: str, wait_until: Any) -> Dask:
    return Dask(kube_client, namespace, dask_image, wait_until)


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

    await dask.wait_until(lambda: labelled("a"))
    service = await dask.get(SERVICES, "demo-scheduler") or {}
    assert [port["port"] for port in service["spec"]["ports"]] == [8786]
    assert service["spec"]["clusterIP"]
    await dask.edit(DASK_CLUSTERS, "demo", metadata={"labels": {"team": None}})
    await dask.wait_until(lambda: labelled(None))
    assert uids == {pod["metadata"]["uid"] for pod in await dask.pods("dask.org/cluster-name=demo")}


async def test_a_shrinking_busy_group_takes_back_loses_nothing_and_rolls(dask):
    """Eight workers hold the only copies and are busy: the group shrinks to two, grows, rolls."""
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(8))
    await dask.wait_ready("demo", 8)
    async with dask.connected("demo") as client:
        await client.wait_for_workers(8)
        held = client.map(run_slowly, range(100, 140), seconds=0, pure=False)
        await client.gather(held)
        busy = client.map(run_slowly, range(20), seconds=2.5, pure=False)
        await asyncio.sleep(0.5)
        before = {pod["metadata"]["name"] for pod in await dask.pods()}
        await dask.edit(DASK_WORKER_GROUPS, "demo-default", spec={"worker": {"replicas": 2}})

        async def marked() -> int:
            marks = [pod["metadata"].get("annotations", {}) for pod in await dask.pods()]
            return sum(RETIRING_ANNOTATION in mark for mark in marks)

        await dask.wait_until(lambda: _is(marked, 6), timeout_s=20)
        await dask.edit(DASK_WORKER_GROUPS, "demo-default", spec={"worker": {"replicas": 4}})
        await dask.wait_ready("demo", 4)
        after = {pod["metadata"]["name"] for pod in await dask.pods()}
        assert after < before
        assert "TakenBack" in await dask.events()
        await client.wait_for_workers(4)

        # The new spec rolls through the four while they work.
        worker = dask.cluster_spec(1)["worker"]["spec"]
        worker["containers"][0]["env"] = [{"name": "EDITION", "value": "2"}]
        await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"spec": worker}})
        most_out = 0

        async def has_rolled() -> bool:
            nonlocal most_out
            pods = await dask.pods()
            names = {pod["metadata"]["name"] for pod in pods}
            most_out = max(most_out, 4 - len([p for p in pods if _is_ready(p)]))
            return len(pods) == 4 and not names & after and all(map(_is_ready, pods))

        await dask.wait_until(has_rolled, timeout_s=90)
        assert most_out <= 1
        editions = await client.run(lambda: __import__("os").environ.get("EDITION"))
        assert set(editions.values()) == {"2"}
        assert await client.gather(busy) == list(range(20))
        assert await client.gather(held) == list(range(100, 140))
        executed = [event for _, event in await client.get_events("executed")]
        assert sorted(executed) == [*range(20), *range(100, 140)]
    await dask.wait_until(
        lambda: _is(lambda: dask.condition(DASK_CLUSTERS, "demo", "Updated"), ("True", "UpToDate"))
    )


async def _is(question: Any, answer: Any) -> bool:
    return bool(await question() == answer)


def _is_ready(pod: dict[str, Any]) -> bool:
    """Ready and not meant to go."""
    metadata = pod["metadata"]
    is_going = RETIRING_ANNOTATION in metadata.get("annotations", {})
    conditions = pod.get("status", {}).get("conditions", ())
    is_ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return is_ready and not is_going and "deletionTimestamp" not in metadata


async def test_a_scheduler_spec_waits_for_idle_a_drain_has_its_limit_and_all_can_be_suspended(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(2))
    await dask.wait_ready("demo", 2)
    first = (await dask.get(PODS, "demo-scheduler"))["metadata"]["uid"]
    async with dask.connected("demo") as client:
        await client.wait_for_workers(2)
        busy = client.map(run_slowly, range(2), seconds=60, pure=False)

        async def are_running() -> bool:
            return len(await client.get_events("executed") or ()) == 2

        # Before, the scheduler has no work and might be replaced at once.
        await dask.wait_until(are_running)
        scheduler = dask.cluster_spec(1)["scheduler"]["spec"]
        scheduler["containers"][0]["env"] = [{"name": "EDITION", "value": "2"}]
        await dask.edit(DASK_CLUSTERS, "demo", spec={"scheduler": {"spec": scheduler}})
        outdated = ("False", "SchedulerOutdated")
        await dask.wait_until(
            lambda: _is(lambda: dask.condition(DASK_CLUSTERS, "demo", "Updated"), outdated)
        )
        # A task of a minute is cut short after two seconds, and that is said.
        await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"replicas": 1, "retireTimeout": 2}})
        await dask.wait_ready("demo", 1)
        assert "retireTimeout" in (await dask.events())["WorkLost"]
        assert (await dask.get(PODS, "demo-scheduler"))["metadata"]["uid"] == first
        await client.cancel(busy)
        del busy

    await dask.edit(DASK_CLUSTERS, "demo", spec={"suspend": True})

    async def is_suspended() -> bool:
        phase = (await dask.status(DASK_CLUSTERS, "demo")).get("phase")
        return phase == "Suspended" and not await dask.pods("dask.org/cluster-name=demo")

    await dask.wait_until(is_suspended, timeout_s=40)
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

    await dask.wait_until(is_third, timeout_s=60)
    await dask.wait_ready("demo", 1, timeout_s=90)
    workers = await dask.pods()
    assert all(SPEC_HASH_ANNOTATION in pod["metadata"]["annotations"] for pod in workers)


# A client without TLS; and one with TLS that trusts anybody and shows no certificate.
PLAIN = """
from distributed import Client
try:
    Client("tcp://{host}:8786", timeout=5)
except OSError as error:
    print("refused:", error)
"""
BARE = """
import socket, ssl
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
try:
    with context.wrap_socket(socket.create_connection(("{host}", 8786), timeout=10)) as wire:
        wire.recv(1)
except ssl.SSLError as error:
    print("refused:", error)
"""


async def test_an_encrypted_cluster_works_for_its_own_and_refuses_a_third_pod(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(2, tls=True))
    address = f"demo-scheduler.{dask.namespace}.svc.cluster.local:8786"
    runner = dask.container("job", "python", "-c", "import distributed as d; print(d.Client())")
    job = {"job": {"spec": {"containers": [runner]}}, "cluster": {"spec": dask.cluster_spec(0)}}
    job["cluster"]["spec"]["tls"] = True
    await dask.create(DASK_JOBS, "etl", job)
    await dask.wait_ready("demo", 2)
    assert (await dask.status(DASK_CLUSTERS, "demo"))["schedulerAddress"] == f"tls://{address}"
    secret = await dask.get(SECRETS, "demo-tls") or {}
    texts = {key: _decode(value) for key, value in secret["data"].items()}
    assert [owner["name"] for owner in secret["metadata"]["ownerReferences"]] == ["demo"]

    host = address.partition(":")[0]
    for name, code in (("plain", PLAIN.format(host=host)), ("bare", BARE.format(host=host))):
        container = dask.container("third", "python", "-c", code)
        spec = {"containers": [container], "restartPolicy": "Never"}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        await dask.client.create(PODS, body, dask.namespace)
    security = Security(
        tls_ca_file=texts["ca.crt"],
        tls_client_cert=texts["tls.crt"],
        tls_client_key=texts["tls.key"],
        require_encryption=True,
    )
    async with dask.connected("demo", security) as client:
        await client.wait_for_workers(2)
        assert all(worker.startswith("tls://") for worker in client.scheduler_info()["workers"])
        futures = client.map(run_slowly, range(8), seconds=0.2, pure=False)
        assert await client.submit(sum, futures) == sum(range(8))
        # The agent is asked over HTTP as before.
        await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"replicas": 1}})
        await dask.wait_ready("demo", 1)
        assert await client.gather(futures) == list(range(8))

    async def have_ended() -> bool:
        pods = [await dask.get(PODS, name) for name in ("plain", "bare")]
        return all(pod and pod["status"]["phase"] == "Succeeded" for pod in pods)

    await dask.wait_until(have_ended, timeout_s=60)
    for name in ("plain", "bare"):
        assert "refused:" in await dask.client.logs(name, dask.namespace)
    successful = "Successful"
    await dask.wait_until(lambda: _is(lambda: _job_state(dask, "etl"), successful), timeout_s=60)
    assert "<Client: 'tls://" in await dask.client.logs("etl-runner", dask.namespace)


def _decode(value: str) -> str:
    import base64

    return base64.b64decode(value).decode()


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
    await dask.create(DASK_JOBS, "endless", job_of(sleeps, activeDeadlineSeconds=20))
    await dask.create(DASK_JOBS, "brief", job_of(done, ttlSecondsAfterFinished=1, suspend=True))
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1))
    scales = {"cluster": "demo", "minimum": 1, "maximum": 2}
    await dask.create(DASK_AUTOSCALERS, "demo", scales)
    await dask.create(DASK_AUTOSCALERS, "younger", scales)
    await dask.wait_until(
        lambda: _is(lambda: dask.condition(DASK_JOBS, "brief", "Suspended"), ("True", "Suspended"))
    )
    assert await dask.get(DASK_CLUSTERS, "brief") is None
    await dask.edit(DASK_JOBS, "brief", spec={"suspend": False})

    taken = ("False", "GroupTaken")
    await dask.wait_until(
        lambda: _is(lambda: dask.condition(DASK_AUTOSCALERS, "younger", "Active"), taken)
    )
    assert (await dask.condition(DASK_AUTOSCALERS, "demo", "Active"))[1] != "GroupTaken"

    async def is_brief_gone() -> bool:
        return await dask.get(DASK_JOBS, "brief") is None

    await dask.wait_until(is_brief_gone, timeout_s=60)

    async def have_failed() -> bool:
        states = {await _job_state(dask, name) for name in ("unlucky", "endless")}
        return states == {"Failed"}

    await dask.wait_until(have_failed, timeout_s=90)
    unlucky = await dask.status(DASK_JOBS, "unlucky")
    endless = await dask.status(DASK_JOBS, "endless")
    assert unlucky["failures"] == 2
    assert "no luck" in unlucky["message"]
    assert "activeDeadlineSeconds of 20" in endless["message"]

    async def has_ended() -> bool:
        runner = await dask.get(PODS, "endless-runner")
        return bool(runner and runner["status"]["phase"] == "Failed")

    # Stopped, with its cluster gone and its log kept.
    await dask.wait_until(has_ended, timeout_s=30)
    assert "here" in await dask.client.logs("endless-runner", dask.namespace)
    await dask.wait_until(lambda: _is(lambda: dask.get(DASK_CLUSTERS, "unlucky"), None))
    assert await dask.get(DASK_CLUSTERS, "endless") is None
