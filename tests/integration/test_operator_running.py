"""The operator as a program: its turn, its probes, its numbers, its plugins."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from operator_program import Program

from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, LEASES

SAMPLE = Path(__file__).parents[2] / "docs" / "sample-plugin"


@pytest.fixture
async def programs(namespace, kubeconfig, tmp_path) -> AsyncIterator[dict[str, Program]]:
    made = {n: Program(n, namespace, kubeconfig, tmp_path / f"{n}.log") for n in ("one", "two")}
    try:
        yield made
    finally:
        for program in made.values():
            with contextlib.suppress(ProcessLookupError):
                await program.end()


async def test_of_two_operators_one_works_and_one_that_ends_or_is_killed_is_followed(
    programs, namespace, kube_client, wait_until
):
    first, second = programs["one"], programs["two"]
    await first.start()
    await wait_until(first.is_at_work, what="the first leads")

    async def read_lease() -> dict[str, Any]:
        return (await kube_client.get(LEASES, "dask-operator", namespace))["spec"]

    await second.start()

    async def waits(program: Program, leader: str) -> bool:
        status, text = await program.ask("/readyz")
        return status == 200 and f"waits for its turn; {leader} has the lease" in text

    await wait_until(lambda: waits(second, "one"))
    assert "watch of" not in (await second.ask("/readyz"))[1]
    assert "dask_k8s_operator_leading 0.0" in (await second.ask("/metrics"))[1]
    lease = await read_lease()
    assert (lease["holderIdentity"], lease["leaseDurationSeconds"]) == ("one", 10)

    first.process.kill()
    await first.process.wait()
    # How soon, a test of the election says in its own time: processors may be taken by others.
    await wait_until(second.is_at_work)
    lease = await read_lease()
    assert (lease["holderIdentity"], lease["leaseTransitions"]) == ("two", 1)

    # One that ends in order lets go: nobody waits for the end of its lease.
    await first.start()
    await wait_until(lambda: waits(first, "two"))
    assert await second.end() == 0
    assert (await read_lease()).get("holderIdentity") != "two"
    await wait_until(first.is_at_work)


async def test_the_numbers_say_what_it_does(programs, namespace, wait_until):
    program = programs["one"]
    await program.start("--log-format=json")
    await wait_until(program.is_at_work)
    assert (await program.ask("/healthz")) == (200, "ok\n")
    samples = (
        "dask_k8s_operator_leading 1.0",
        'dask_k8s_operator_api_calls_total{code="200",resource="daskclusters",verb="list"} 1.0',
        'dask_k8s_operator_objects{kind="DaskCluster"} 0.0',
        'dask_k8s_operator_queue_depth{state="due"} 0.0',
        'dask_k8s_operator_workers{state="retiring"} 0.0',
        'dask_k8s_operator_watch_connected{kind="Pod"} 1.0',
        "dask_k8s_operator_api_throttled_total 0.0",
        "process_resident_memory_bytes",
    )

    async def are_written() -> bool:
        _, text = await program.ask("/metrics")
        return all(sample in text for sample in samples)

    # It is ready when it has read everything, a moment before its watches are connected.
    await wait_until(are_written)
    said = '"message": "everything is read; at work"'
    await wait_until(lambda: said in program.log.read_text())


def install_sample_plugin(target: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    options = ("--no-deps", "--no-build-isolation", "--target", str(target))
    arguments = [uv, "pip", "install", "--quiet", "--python", sys.executable, *options, SAMPLE]
    subprocess.run(arguments, check=True, timeout=120)


def install_broken_plugin(target: Path) -> None:
    (target / "a_broken_plugin.py").write_text("raise RuntimeError('it was never tested')\n")
    metadata = target / "a_broken_plugin-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: a-broken-plugin\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[dask_operator_plugin]\nbroken = a_broken_plugin\n")


async def test_a_plugins_handlers_run_beside_the_operator_and_a_broken_plugin_is_named(
    programs, namespace, kube_client, wait_until, tmp_path
):
    target = tmp_path / "plugins"
    install_sample_plugin(target)
    install_broken_plugin(target)
    program = programs["one"]
    # The installed operator serves every namespace: what this one would do itself is done there.
    await program.start(PYTHONPATH=str(target), COST_CENTRE="physics")
    await wait_until(program.is_at_work)
    _, text = await program.ask("/readyz")
    assert "plugin cost-centre: ok" in text
    assert "plugin broken: RuntimeError: it was never tested" in text
    assert "plugin broken (a_broken_plugin) cannot be loaded" in program.log.read_text()

    pod = {"containers": [{"name": "x", "image": "registry.invalid/no-such-image:1"}]}
    spec = {"worker": {"replicas": 0, "spec": pod}, "scheduler": {"spec": pod, "service": {}}}
    await kube_client.create(DASK_CLUSTERS, {"metadata": {"name": "demo"}, "spec": spec}, namespace)

    async def is_noted() -> bool:
        cluster = await kube_client.get(DASK_CLUSTERS, "demo", namespace)
        noted = cluster["metadata"].get("annotations", {}).get("example.org/cost-centre")
        return noted == "physics" and "phase" in cluster.get("status", {})

    await wait_until(is_noted)
    assert await program.end() == 0


async def test_everybody_may_ask_who_leads(kube_client, wait_until):
    # Of the installed operator: the one of the manifests.
    async def holder() -> str | None:
        try:
            lease = await kube_client.get(LEASES, "dask-operator", "dask-operator")
        except NotFoundError:
            return None
        return lease["spec"].get("holderIdentity")

    assert await wait_until(holder)
    review = {
        "spec": {
            "user": "somebody",
            "groups": ["system:authenticated"],
            "resourceAttributes": {
                "verb": "get",
                "group": "coordination.k8s.io",
                "resource": "leases",
                "namespace": "dask-operator",
                "name": "dask-operator",
            },
        }
    }
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    assert (await kube_client.request("POST", path, body=review))["status"]["allowed"]
