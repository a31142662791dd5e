"""What an administrator chooses: how new workers come, and which namespaces are served."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dask_resources import Dask
from operator_program import Program

from dask_k8s_jupyter.local import LocalKubernetes
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ForbiddenError
from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.kinds import (
    CUSTOM_RESOURCE_DEFINITIONS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    EVENTS,
    NAMESPACES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
)
from dask_k8s_operator.resources.times import parse_time

pytestmark = [
    pytest.mark.filterwarnings("ignore:Mismatched versions"),
    pytest.mark.local_only("an operator that is installed serves every namespace already"),
]

MANIFESTS = Path(__file__).parents[2] / "operator" / "manifests"
ALLOCATION = "DASK_KUBERNETES__CONTROLLER__WORKER_ALLOCATION__"


@pytest.fixture(scope="module")
def kube() -> Iterator[LocalKubernetes]:
    """A Kubernetes that knows Dask's resources and has no operator."""
    with LocalKubernetes.in_thread(operator=False, cpus=8) as kube:
        asyncio.run(define(kube))
        yield kube


async def define(kube: LocalKubernetes) -> None:
    async with await KubeClient.connect(kubeconfig=str(kube.kubeconfig)) as client:
        for definition in build_crds():
            await client.create(CUSTOM_RESOURCE_DEFINITIONS, definition)


@pytest.fixture
async def client(kube: LocalKubernetes) -> AsyncIterator[KubeClient]:
    """Its administrator."""
    async with await KubeClient.connect(kubeconfig=str(kube.kubeconfig)) as client:
        yield client


@pytest.fixture
async def places(
    client: KubeClient, namespace: str, dask_image: str, wait_until: Any
) -> AsyncIterator[list[Dask]]:
    """Dask resources in three fresh namespaces."""
    names = [f"{namespace}-{number}" for number in range(3)]
    for name in names:
        await client.create(NAMESPACES, {"metadata": {"name": name}})
    yield [Dask(client, name, dask_image, wait_until) for name in names]
    for name in names:
        await client.delete(NAMESPACES, name)


@pytest.fixture
async def program(
    kube: LocalKubernetes, places: list[Dask], tmp_path: Path
) -> AsyncIterator[Program]:
    """An operator for the first of the namespaces, not yet started."""
    program = Program("one", places[0].namespace, kube.kubeconfig, tmp_path / "log")
    yield program
    with contextlib.suppress(ProcessLookupError):
        await program.end()


async def test_workers_are_made_in_batches_with_a_pause_between(program, places):
    dask, size, delay_s = places[0], 2, 2
    # One as Dask's configuration has it, the other as a flag.
    environment = {f"{ALLOCATION}BATCH_SIZE": str(size)}
    await program.start(f"--worker-batch-delay={delay_s}", **environment)
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(5))
    await dask.wait_ready("demo", 5)
    made_s = sorted(parse_time(p["metadata"]["creationTimestamp"]) for p in await dask.pods())
    batches = [made_s[start : start + size] for start in range(0, len(made_s), size)]
    for earlier, later in itertools.pairwise(batches):
        assert later[0] - earlier[-1] >= delay_s, made_s
    events = (await dask.client.list(EVENTS, dask.namespace)).items
    counts = {e["message"]: e.get("count", 1) for e in events if e["reason"] == "ScaledUp"}
    assert counts == {"2 workers added": 2, "1 worker added": 1}
    async with dask.connected("demo") as client:
        await client.wait_for_workers(5)


async def test_two_named_namespaces_are_served_and_a_third_is_left_alone(
    program, places, wait_until
):
    first, second, third = places
    # What an operator of all namespaces would have come to first.
    await third.create(DASK_CLUSTERS, "demo", third.cluster_spec(1))
    await program.start(f"--namespace={second.namespace}")
    for dask, workers in ((first, 0), (second, 1)):
        await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(workers))
    await first.wait_ready("demo", 0)
    await second.wait_ready("demo", 1)
    async with second.connected("demo") as client:
        assert await client.submit(sum, [1, 2]) == 3
    _, text = await program.ask("/readyz")
    watched = set(re.findall(r"watch of \w+ in (\S+): ok", text))
    assert watched == {first.namespace, second.namespace}
    await assert_untouched(third)
    assert await program.end() == 0
    assert program.log.read_text().rstrip().endswith("stopped")
    # Whatever it has made goes on without it.
    assert {pod["status"]["phase"] for pod in await second.pods()} == {"Running"}


async def assert_untouched(dask: Dask) -> None:
    """Nobody has said a word of the cluster in a namespace, nor made anything for it."""
    assert await dask.status(DASK_CLUSTERS, "demo") == {}
    for kind in (DASK_WORKER_GROUPS, PODS):
        assert (await dask.client.list(kind, dask.namespace)).items == []


def build_single_namespace(namespace: str, image: str, folder: Path) -> list[dict[str, Any]]:
    """What ``kubectl apply -k`` applies, the namespace changed where its comment says so."""
    copied = Path(shutil.copytree(MANIFESTS, folder / "manifests")) / "single-namespace"
    path = copied / "kustomization.yaml"
    text, changes = re.subn("(?m)^namespace: .*$", f"namespace: {namespace}", path.read_text())
    assert changes == 1
    path.write_text(text)
    run = ["kubectl", "kustomize", str(copied)]
    built = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60).stdout
    manifests = [manifest for manifest in yaml.safe_load_all(built) if manifest]
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            manifest["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return manifests


def apply(kube: LocalKubernetes, manifests: list[dict[str, Any]]) -> None:
    """Apply manifests as an administrator does."""
    run = ["kubectl", f"--kubeconfig={kube.kubeconfig}", "apply", "-f", "-"]
    text = yaml.safe_dump_all(manifests)
    ended = subprocess.run(run, input=text, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


async def connect_as_operator(kube: LocalKubernetes, dask: Dask, folder: Path) -> KubeClient:
    """Connect with a token of the operator's account of a namespace."""
    path = f"{SERVICE_ACCOUNTS.path(dask.namespace, 'dask-operator')}/token"
    issued = await dask.client.request("POST", path, body={"spec": {}})
    config = yaml.safe_load(kube.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": issued["status"]["token"]}
    kubeconfig = folder / "as-operator"
    kubeconfig.write_text(yaml.safe_dump(config))
    return await KubeClient.connect(kubeconfig=str(kubeconfig))


async def test_the_manifests_of_one_namespace_serve_it_with_no_right_elsewhere(
    kube, places, dask_image, tmp_path
):
    own, other, _ = places
    await other.create(DASK_CLUSTERS, "demo", other.cluster_spec(1))
    manifests = build_single_namespace(own.namespace, dask_image, tmp_path)
    beyond = {m["kind"] for m in manifests if m["metadata"].get("namespace") != own.namespace}
    assert beyond == {"CustomResourceDefinition"}
    apply(kube, manifests)
    await own.create(DASK_CLUSTERS, "demo", own.cluster_spec(2))
    await own.wait_ready("demo", 2)
    async with own.connected("demo") as client:
        assert await client.submit(sum, [1, 2]) == 3
    # The scheduler is asked with a token that a Secret holds.
    await own.scale(DASK_CLUSTERS, "demo", 1)
    await own.wait_ready("demo", 1)
    await own.wait_event("Retired", "1 worker retired")

    async with await connect_as_operator(kube, own, tmp_path) as as_operator:
        assert (await as_operator.list(DASK_CLUSTERS, own.namespace)).items
        for kind in (DASK_CLUSTERS, PODS):
            for place in (other.namespace, None):
                with pytest.raises(ForbiddenError):
                    await as_operator.list(kind, place)
        with pytest.raises(ForbiddenError):
            await as_operator.get(SECRETS, "demo-agent", other.namespace)
        with pytest.raises(ForbiddenError):
            await as_operator.create(PODS, {"metadata": {"name": "x"}}, other.namespace)
        with pytest.raises(ForbiddenError):
            await as_operator.list(SECRETS, own.namespace)
    await assert_untouched(other)
