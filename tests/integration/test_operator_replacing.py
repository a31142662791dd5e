"""Workers that end, crash or are evicted are made anew, with the reason and with growing pauses."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dask_resources import WORKERS, Dask, run_slowly
from distributed import Client

from dask_k8s_operator.kube import Informer
from dask_k8s_operator.reconcile.workergroup import REPLACE_BASE_S
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS, EVENTS, PODS
from dask_k8s_operator.resources.times import parse_time

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")

# Kubernetes tells of whole seconds only.
ROUNDED_S = 1


def exit_soon(code: int, dask_worker: Any) -> None:
    """End the worker's process, after it has answered."""
    dask_worker.loop.call_later(0.1, os._exit, code)


# Workers cannot import this file: so it travels by value.
exit_soon.__module__ = "__main__"


async def worker_uids(dask: Dask) -> dict[str, str]:
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in await dask.pods()}


@contextlib.asynccontextmanager
async def following_ends(dask: Dask) -> AsyncIterator[dict[str, float]]:
    """When the workers ended, by name; a watch tells it also of those that are gone soon after."""
    ends: dict[str, float] = {}

    def note(_old: Any, pod: dict[str, Any] | None) -> None:
        for status in (pod or {}).get("status", {}).get("containerStatuses", ()):
            ended = status.get("state", {}).get("terminated", {}).get("finishedAt")
            if pod and ended:
                ends[pod["metadata"]["name"]] = parse_time(ended) or 0.0

    informer = Informer(dask.client, PODS, dask.namespace, label_selector=WORKERS, on_change=note)
    task = asyncio.ensure_future(informer.run())
    await informer.wait_synced()
    try:
        yield ends
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def end_worker(client: Client, name: str, code: int) -> None:
    """End a worker's process."""
    known = await client.scheduler.identity(n_workers=-1)
    addresses = {str(worker["name"]): address for address, worker in known["workers"].items()}
    await client.run(exit_soon, code, workers=[addresses[name]])


async def evict(dask: Dask, name: str) -> None:
    path = f"{PODS.path(dask.namespace, name)}/eviction"
    metadata = {"name": name, "namespace": dask.namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    await dask.client.request("POST", path, body=body)


async def wait_replaced(dask: Dask, before: dict[str, str], gone: set[str]) -> float:
    """Wait for others in the places of those that are gone; gives when the last one was made."""

    async def made() -> list[str] | None:
        pods = [pod["metadata"] for pod in await dask.pods()]
        names = {pod["name"] for pod in pods}
        fresh = [pod["creationTimestamp"] for pod in pods if pod["name"] not in before]
        are_replaced = len(names) == len(before) and not names & gone and len(fresh) == len(gone)
        return fresh if are_replaced else None

    times = await dask.wait_until(made)
    await dask.wait_ready("demo", len(before))
    after = await worker_uids(dask)
    assert {n: u for n, u in before.items() if n not in gone}.items() <= after.items()
    return max(parse_time(time) or 0.0 for time in times)


async def wait_told(dask: Dask, reason: str, *words: str) -> None:
    """Wait for an Event among several of a reason."""

    async def is_told() -> bool:
        events = (await dask.client.list(EVENTS, dask.namespace)).items
        said = [event["message"] for event in events if event["reason"] == reason]
        return any(all(word in message for word in words) for message in said)

    await dask.wait_until(is_told, what=f"an Event {reason} that says {words}")


def build_spec(dask: Dask, replicas: int) -> dict[str, Any]:
    spec = dask.cluster_spec(replicas)
    # Else the node itself starts the process again, in the same Pod.
    spec["worker"]["spec"]["restartPolicy"] = "Never"
    return spec


async def test_workers_that_failed_or_were_evicted_are_replaced(dask):
    await dask.create(DASK_CLUSTERS, "demo", build_spec(dask, 3))
    await dask.wait_ready("demo", 3)
    before = await worker_uids(dask)
    failed, evicted, _ = sorted(before)
    async with following_ends(dask) as ends, dask.connected("demo") as client:
        await client.wait_for_workers(3)
        held = client.map(run_slowly, range(9), seconds=0, pure=False)
        await client.gather(held)
        await end_worker(client, failed, 3)
        await evict(dask, evicted)
        made_s = await wait_replaced(dask, before, {failed, evicted})
        assert made_s - ends[failed] >= REPLACE_BASE_S - ROUNDED_S
        await wait_told(dask, "Replaced", "1 worker ended", failed, "exit code 3")
        # One that is gone leaves no log to be read: nobody waits.
        await wait_told(dask, "ScaledUp", "1 worker added")
        assert (await dask.status(DASK_WORKER_GROUPS, "demo-default"))["replacements"] == 1
        await client.wait_for_workers(3)
        assert await client.gather(held) == list(range(9))


async def test_a_worker_that_its_node_ends_for_good_is_replaced_and_the_reason_is_told(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(2))
    await dask.wait_ready("demo", 2)
    before = await worker_uids(dask)
    ended, _ = sorted(before)
    async with dask.connected("demo") as client:
        await client.wait_for_workers(2)
        held = client.map(run_slowly, range(6), seconds=0, pure=False)
        await client.gather(held)
        # The node fails the whole Pod, as it does when it evicts: it starts nothing in it again.
        await dask.client.patch(PODS, ended, {"spec": {"activeDeadlineSeconds": 1}}, dask.namespace)
        await wait_replaced(dask, before, {ended})
        await wait_told(dask, "Replaced", "1 worker ended", ended, "DeadlineExceeded")
        await client.wait_for_workers(2)
        assert await client.gather(held) == list(range(6))


@pytest.mark.current_only("half a minute goes by, while a test of the decisions says the same")
async def test_workers_that_fail_again_and_again_are_replaced_ever_later(dask):
    await dask.create(DASK_CLUSTERS, "demo", build_spec(dask, 1))
    await dask.wait_ready("demo", 1)
    async with following_ends(dask) as ends, dask.connected("demo") as client:
        for attempt, code in enumerate((3, 4)):
            await client.wait_for_workers(1)
            before = await worker_uids(dask)
            (failed,) = before
            await end_worker(client, failed, code)
            made_s = await wait_replaced(dask, before, {failed})
            assert made_s - ends[failed] >= REPLACE_BASE_S * 2**attempt - ROUNDED_S
            await wait_told(dask, "Replaced", "1 worker ended", failed, f"exit code {code}")
            status = await dask.status(DASK_WORKER_GROUPS, "demo-default")
            assert status["replacements"] == attempt + 1
