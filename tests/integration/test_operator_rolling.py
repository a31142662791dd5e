"""A changed worker spec rolls through a busy group, and editing again holds it in the middle."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dask_resources import WORKERS, Dask, executed, is_ready, run_when_told, tell
from distributed import Client, Future

from dask_k8s_operator.kube import Informer
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS, PODS

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")

NUMBER = 8
MOST_OUT = 2  # a quarter
FORMER, LATER = "1", "2"


class Watcher:
    """The fewest ready workers there ever were, by every change that Kubernetes tells."""

    def __init__(self, dask: Dask) -> None:
        self.fewest_ready = NUMBER
        self.informer = Informer(
            dask.client, PODS, dask.namespace, label_selector=WORKERS, on_change=self._note
        )

    def _note(self, _old: Any, _new: Any) -> None:
        # While all are read for the first time there are fewer.
        if self.informer.is_synced:
            ready = sum(map(is_ready, self.informer.objects.values()))
            self.fewest_ready = min(self.fewest_ready, ready)


@contextlib.asynccontextmanager
async def watching(dask: Dask) -> AsyncIterator[Watcher]:
    watcher = Watcher(dask)
    task = asyncio.ensure_future(watcher.informer.run())
    await watcher.informer.wait_synced()
    try:
        yield watcher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def put_edition(dask: Dask, edition: str) -> None:
    worker = (await dask.get(DASK_CLUSTERS, "demo"))["spec"]["worker"]["spec"]
    worker["containers"][0]["env"] = [{"name": "EDITION", "value": edition}]
    await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"spec": worker}})


def edition_of(pod: dict[str, Any]) -> str:
    variables = pod["spec"]["containers"][0]["env"]
    return next(str(v["value"]) for v in variables if v["name"] == "EDITION")


async def editions(dask: Dask) -> dict[str, str]:
    """The edition of every ready worker by its Pod's uid."""
    return {pod["metadata"]["uid"]: edition_of(pod) for pod in await dask.pods() if is_ready(pod)}


async def progress(dask: Dask) -> str:
    status = await dask.status(DASK_WORKER_GROUPS, "demo-default")
    updated = {c["type"]: c for c in status.get("conditions", ())}["Updated"]
    is_at_work = (updated["status"], updated["reason"]) == ("False", "RollingUpdate")
    return str(updated["message"]) if is_at_work else ""


async def keep_busy(dask: Dask, client: Client, names: list[str]) -> list[Future]:
    """Have each of some workers run a task that ends when it is told to, not too soon."""
    busy = [
        client.submit(
            run_when_told,
            number,
            seconds=0,
            gate="told",
            workers=[name],
            allow_other_workers=True,
            pure=False,
        )
        for number, name in enumerate(names)
    ]

    async def are_running() -> bool:
        return len(await executed(client)) == len(busy)

    await dask.wait_until(are_running)
    return busy


async def wait_all_have(dask: Dask, edition: str) -> None:
    """Wait until every worker is ready, with the same edition."""

    async def have_it() -> bool:
        return sorted((await editions(dask)).values()) == [edition] * NUMBER

    await dask.wait_until(have_it, timeout_s=150)


async def wait_held(dask: Dask) -> None:
    """Wait until the idle ones are replaced; then as many of the others go as may be out."""

    async def is_held() -> bool:
        pods = await dask.pods()  # one read, those that still end included
        ready = sorted(edition_of(pod) for pod in pods if is_ready(pod))
        wanted = [FORMER] * (NUMBER - 2 * MOST_OUT) + [LATER] * MOST_OUT
        return len(pods) == NUMBER and ready == wanted

    said = f"{MOST_OUT} of {NUMBER} workers have the new spec"
    await dask.wait_for(lambda: progress(dask), said)
    await dask.wait_until(is_held)


async def test_a_roll_takes_a_quarter_at_once_and_is_held_by_editing_back(dask):
    spec = dask.cluster_spec(NUMBER)
    spec["worker"]["spec"]["containers"][0]["env"] = [{"name": "EDITION", "value": FORMER}]
    await dask.create(DASK_CLUSTERS, "demo", spec)
    await dask.wait_ready("demo", NUMBER)
    before = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in await dask.pods()}
    async with dask.connected("demo") as client:
        await client.wait_for_workers(NUMBER)
        busy_names = sorted(before)[MOST_OUT:]
        busy_uids = {before[name] for name in busy_names}
        busy = await keep_busy(dask, client, busy_names)
        async with watching(dask) as watcher:
            await put_edition(dask, LATER)
            await wait_held(dask)
            marked = await dask.marked()
            assert len(marked) == MOST_OUT
            assert marked <= set(busy_names)

            await put_edition(dask, FORMER)
            await wait_all_have(dask, FORMER)
            await dask.wait_condition(DASK_CLUSTERS, "demo", "Updated", "True", "UpToDate")
            # Who was only on the way out stays, and who was replaced is replaced again.
            former = await editions(dask)
            assert set(former.values()) == {FORMER}
            assert busy_uids == set(former) & set(before.values())
            await dask.wait_event("TakenBack", "meant to go")

            await put_edition(dask, LATER)
            await tell(client, "told")
            await wait_all_have(dask, LATER)
            await dask.wait_ready("demo", NUMBER)
            assert watcher.fewest_ready >= NUMBER - MOST_OUT
        await dask.wait_condition(DASK_CLUSTERS, "demo", "Updated", "True", "UpToDate")
        assert await client.gather(busy) == list(range(len(busy)))
        assert await executed(client) == list(range(len(busy)))
        await client.wait_for_workers(NUMBER)
        found = await client.run(lambda: __import__("os").environ.get("EDITION"))
        assert list(found.values()) == [LATER] * NUMBER
