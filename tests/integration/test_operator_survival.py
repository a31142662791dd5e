"""The operator goes on: past an API server that restarts, tokens that end, nodes that are lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dask_resources import Dask, run_slowly
from operator_program import Program

from dask_k8s_jupyter.local import LocalKubernetes
from dask_k8s_operator.controller.apply import Applier
from dask_k8s_operator.controller.cache import Cache
from dask_k8s_operator.controller.doubts import Doubts
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ConflictError, KubeError
from dask_k8s_operator.reconcile.plan import Plan
from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, PODS, SERVICE_ACCOUNTS, Kind

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")

DEFINITIONS = Kind(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)
BINDINGS = Kind(
    "rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False
)
NODES = Kind("", "v1", "nodes", "Node", namespaced=False)
ACCOUNT = "operator"
OPERATOR_NAMESPACE = "dask-operator"


class Machine:
    """An embedded Kubernetes without an operator, and one beside it that has a token in a file."""

    def __init__(self, kube: LocalKubernetes, client: KubeClient, folder: Path) -> None:
        self.kube, self.client, self.token_file = kube, client, folder / "token"
        self.kubeconfig = folder / "config"
        self.program = Program("one", "default", self.kubeconfig, folder / "log")

    async def start(self) -> None:
        for definition in build_crds():
            await self.client.create(DEFINITIONS, definition)
        await self.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": ACCOUNT}}, "default")
        subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": "default"}
        role = {"apiGroup": BINDINGS.group, "kind": "ClusterRole", "name": "cluster-admin"}
        binding = {"metadata": {"name": ACCOUNT}, "subjects": [subject], "roleRef": role}
        await self.client.create(BINDINGS, binding)
        config = yaml.safe_load(self.kube.kubeconfig.read_text())
        config["users"][0]["user"] = {"tokenFile": str(self.token_file)}
        self.kubeconfig.write_text(yaml.safe_dump(config))
        await self.renew_token()
        await self.program.start()

    async def renew_token(self) -> str:
        """Put a new token into the file; returns it."""
        path = f"{SERVICE_ACCOUNTS.path('default', ACCOUNT)}/token"
        answer = await self.client.request("POST", path, body={"spec": {}})
        token = str(answer["status"]["token"])
        self.token_file.write_text(token)
        return token

    async def count_calls(self, verb: str, code: int) -> float:
        """How often the operator has asked for clusters so, by its own count."""
        _, text = await self.program.ask("/metrics")
        sample = f'code="{code}",resource="daskclusters",verb="{verb}"}} '
        counts = [line.rpartition(" ")[2] for line in text.splitlines() if sample in line]
        return sum(map(float, counts))


@pytest.fixture
def kube(request: pytest.FixtureRequest) -> Iterator[LocalKubernetes]:
    """A Kubernetes of one test's own: others would suffer what happens to it."""
    with LocalKubernetes.in_thread(operator=False) as kube:
        yield kube


@pytest.fixture
async def machine(kube: LocalKubernetes, tmp_path: Path) -> AsyncIterator[Machine]:
    async with await KubeClient.connect(kubeconfig=str(kube.kubeconfig)) as client:
        machine = Machine(kube, client, tmp_path)
        await machine.start()
        yield machine
        with contextlib.suppress(ProcessLookupError):
            await machine.program.end()


@pytest.mark.local_only("there the API server may be restarted, and tokens end at once")
async def test_watches_survive_a_token_that_ends_and_an_api_server_that_restarts(
    machine, dask_image, wait_until
):
    dask = Dask(machine.client, "default", dask_image, wait_until)
    old = machine.token_file.read_text()
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1))
    await dask.wait_ready("demo", 1)
    assert await machine.count_calls("list", 200) == 1

    machine.kube.faults.expire_token(old)
    machine.kube.faults.drop_watches()

    async def is_refused() -> bool:
        return await machine.count_calls("watch", 401) > 0

    await wait_until(is_refused)
    await machine.renew_token()
    await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"replicas": 2}})
    await dask.wait_ready("demo", 2)

    await machine.kube.restart_api(down_s=1.0)
    await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"replicas": 1}})
    await dask.wait_ready("demo", 1)
    # Some watches may still be in the pause after a try that failed.
    await wait_until(machine.program.is_at_work)
    assert machine.program.process.returncode is None
    # What was missed meanwhile came by the watches: nothing was read anew.
    assert await machine.count_calls("list", 200) == 1


async def test_the_status_of_a_cluster_is_not_written_to_its_namesake(dask):
    """An operator may not know yet that the cluster which it looks at was made anew."""
    spec = {**dask.cluster_spec(0), "suspend": True}
    made = await dask.create(DASK_CLUSTERS, "demo", spec)
    seen = {**made, "metadata": {**made["metadata"], "uid": "that-of-an-earlier-one"}}
    cache = Cache()
    doubts = Doubts(dask.client, cache)
    applier = Applier(dask.client, cache, doubts, clock=time.time, random_hex=secrets.token_hex)
    plan = Plan(status={"phase": "Error", "message": "of an earlier one"})
    with pytest.raises(ConflictError):
        await applier.apply(DASK_CLUSTERS, seen, plan)
    status = await dask.status(DASK_CLUSTERS, "demo")
    assert status.get("message") != "of an earlier one"
    await applier.apply(DASK_CLUSTERS, made, Plan(status={"phase": "Suspended"}))


async def _operators(client: KubeClient) -> dict[str, int]:
    """The operator's Pods by uid, and how often their container was started again."""
    pods = (await client.list(PODS, OPERATOR_NAMESPACE)).items
    return {
        pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"]
        for pod in pods
    }


@pytest.mark.alone("nobody else can do without the API server")
@pytest.mark.current_only("the embedded one is restarted above")
@pytest.mark.skipif(
    "DASK_TEST_API_OUTAGE" not in os.environ,
    reason="DASK_TEST_API_OUTAGE names no command that kills the API server and starts it again",
)
async def test_the_operator_works_on_after_the_api_server_was_killed(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1))
    await dask.wait_ready("demo", 1)
    (before,) = await dask.pods()
    operators = await _operators(dask.client)
    outage = await asyncio.create_subprocess_shell(os.environ["DASK_TEST_API_OUTAGE"])
    failures = 0
    while outage.returncode is None:
        try:
            await dask.client.get(PODS, before["metadata"]["name"], dask.namespace)
        except KubeError:
            failures += 1
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(outage.wait(), 0.1)
    assert outage.returncode == 0
    assert failures
    await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"replicas": 2}})
    await dask.wait_ready("demo", 2)
    after = {pod["metadata"]["uid"]: pod for pod in await dask.pods()}
    kept = after[before["metadata"]["uid"]]
    assert kept["status"]["containerStatuses"][0]["restartCount"] == 0
    assert await _operators(dask.client) == operators
    async with dask.connected("demo") as client:
        await client.wait_for_workers(2)


HELD = "dask-k8s-jupyter.test/held"


async def test_a_worker_whose_node_is_lost_is_replaced_at_once_and_its_results_computed_again(dask):
    """Its process is gone and its Pod never ends, as where nobody answers for the node."""
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(2))
    await dask.wait_ready("demo", 2)
    async with dask.connected("demo") as client:
        await client.wait_for_workers(2)
        held = client.map(run_slowly, range(10), seconds=0, pure=False)
        await client.gather(held)
        lost = min(pod["metadata"]["name"] for pod in await dask.pods())
        await dask.edit(PODS, lost, metadata={"finalizers": [HELD]})
        await dask.client.delete(PODS, lost, dask.namespace)

        async def is_replaced() -> bool:
            others = [pod for pod in await dask.pods() if pod["metadata"]["name"] != lost]
            status = await dask.status(DASK_CLUSTERS, "demo")
            return len(others) == 2 and status["ready"] == "2/2"

        try:
            await dask.wait_until(is_replaced)
            assert "deletionTimestamp" in (await dask.get(PODS, lost))["metadata"]
            assert await client.gather(held) == list(range(10))
            await client.wait_for_workers(2)
        finally:
            await dask.edit(PODS, lost, metadata={"finalizers": None})


@pytest.fixture
async def lost_node(kube_client: KubeClient, namespace: str) -> AsyncIterator[str]:
    """Name of a node that nobody runs."""
    taints = [{"key": HELD, "effect": "NoSchedule"}]
    name = f"lost-{namespace}"
    await kube_client.create(NODES, {"metadata": {"name": name}, "spec": {"taints": taints}})
    yield name
    await kube_client.delete(NODES, name)


@pytest.mark.current_only("it takes the minute after which a node is taken for lost")
async def test_a_scheduler_whose_node_is_lost_is_given_up_and_made_anew(dask, lost_node):
    spec = dask.cluster_spec(1)
    spec["scheduler"]["spec"]["nodeName"] = lost_node
    await dask.create(DASK_CLUSTERS, "demo", spec)

    async def is_there() -> Any:
        return await dask.get(PODS, "demo-scheduler")

    lost = (await dask.wait_until(is_there))["metadata"]["uid"]
    await dask.client.delete(PODS, "demo-scheduler", dask.namespace)
    await dask.edit(DASK_CLUSTERS, "demo", spec={"scheduler": {"spec": {"nodeName": None}}})
    await dask.wait_ready("demo", 1, timeout_s=240)
    assert (await dask.get(PODS, "demo-scheduler"))["metadata"]["uid"] != lost
    await dask.wait_event("NodeLost", "taken for lost")
