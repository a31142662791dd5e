"""The agent in a real scheduler process, asked by the operator's own client."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from dask_resources import executed, run_when_told, tell
from distributed import Client, Scheduler, get_worker
from ports import hold_port

from dask_k8s_operator.controller.loop import read_agent_source
from dask_k8s_operator.resources.agent_protocol import PRELOAD
from dask_k8s_operator.scheduler import SchedulerClient, SchedulerPlace

pytestmark = pytest.mark.local_only("processes on this machine, no Kubernetes in it")
TOKEN = "a-token-of-the-test"


@pytest.fixture(scope="session", autouse=True)
def operator() -> None:
    """No operator is needed here, nor a Kubernetes."""


class Processes:
    """A scheduler with the agent and its workers, as processes on loopback."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.http_port = hold_port(), hold_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.running: list[subprocess.Popen[bytes]] = []
        self.place = SchedulerPlace(f"http://127.0.0.1:{self.http_port}", TOKEN)

    def start(self, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", "dask", *arguments]
        env = {
            **os.environ,
            "DASK_CONFIG": str(self.folder),
            # Workers import this module for its tasks, and with it what it imports.
            "PYTHONPATH": str(Path(__file__).parent),
            **environment,
        }
        with (self.folder / f"{arguments[0]}-{len(self.running)}.log").open("wb") as log:
            self.running.append(subprocess.Popen(command, env=env, stdout=log, stderr=log))

    def start_scheduler(self, **environment: str) -> None:
        environment.setdefault("DASK_DISTRIBUTED__SCHEDULER__PRELOAD", json.dumps([PRELOAD]))
        environment.setdefault("DASK_DISTRIBUTED__SCHEDULER__PRELOAD_ARGV", "[]")
        self.start(
            "scheduler",
            f"--host=127.0.0.1:{self.port}",
            f"--dashboard-address=127.0.0.1:{self.http_port}",
            DASK_K8S_AGENT=read_agent_source(),
            DASK_K8S_AGENT_TOKEN=TOKEN,
            **environment,
        )

    def start_workers(self, count: int) -> None:
        for number in range(count):
            self.start(
                "worker", self.address, f"--name=w{number}", "--nthreads=1", "--no-dashboard"
            )

    def connect(self) -> Client:
        """A client of the scheduler, which may take its time to start."""
        return Client(self.address, asynchronous=True, timeout=120)

    def close(self) -> None:
        for process in reversed(self.running):
            process.kill()
            process.wait()


@pytest.fixture
async def processes(tmp_path: Path) -> AsyncIterator[Processes]:
    found = Processes(tmp_path)
    yield found
    await asyncio.to_thread(found.close)


@pytest.fixture
async def schedulers() -> AsyncIterator[SchedulerClient]:
    async with SchedulerClient() as client:
        yield client


async def ask(method: str, url: str, token: str | None) -> int:
    headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, headers=headers, data=b'{"workers": []}') as response,
    ):
        await response.read()
        return response.status


def run_slowly(number: int, seconds: float) -> tuple[int, str]:
    import time

    get_worker().log_event("executed", number)
    time.sleep(seconds)
    return number, str(get_worker().name)


async def test_a_drained_worker_finishes_and_hands_over_and_nothing_runs_twice(
    processes, schedulers, wait_until
):
    processes.start_scheduler()
    processes.start_workers(4)
    async with processes.connect() as client:
        await client.wait_for_workers(4)
        # One result that only a victim holds, and more tasks than fit at once.
        held = client.submit(run_slowly, -1, 0, workers=["w0"])
        await held
        futures = client.map(run_when_told, range(24), seconds=0.5, gate="drains", pure=False)

        async def have_begun() -> bool:
            return len(await executed(client)) == 5

        await wait_until(have_begun)
        report = await schedulers.report(processes.place)
        assert report.has_agent
        assert any(worker.processing for worker in report.workers)
        info = await client.run(lambda dask_worker: (dask_worker.name, dask_worker.address))
        victims = tuple(address for name, address in info.values() if name in ("w0", "w1"))

        assert await schedulers.drain(processes.place, victims, has_agent=True) is None
        await tell(client, "drains")

        async def are_drained() -> bool:
            assert await schedulers.drain(processes.place, victims, has_agent=True) is None
            states = {
                w.address: w.drain for w in (await schedulers.report(processes.place)).workers
            }
            return all(states[address] == "drained" for address in victims)

        await wait_until(are_drained)
        for process in processes.running[1:3]:
            process.kill()
        assert await client.gather(futures) == list(range(24))
        assert (await held)[0] == -1
        assert await executed(client) == [-1, *range(24)]


async def test_results_that_no_other_worker_can_take_are_told(processes, schedulers, wait_until):
    processes.start_scheduler()
    processes.start_workers(1)
    async with processes.connect() as client:
        future = client.submit(run_slowly, 1, 0)
        await future
        (worker,) = (await schedulers.report(processes.place)).workers

        async def is_stranded() -> bool:
            await schedulers.drain(processes.place, (worker.address,), has_agent=True)
            (now,) = (await schedulers.report(processes.place)).workers
            return now.drain == "no-recipients"

        await wait_until(is_stranded)
        assert (await future)[0] == 1


async def test_idleness_and_the_target_are_told_and_begin_anew_with_work(
    processes, schedulers, wait_until
):
    processes.start_scheduler()
    processes.start_workers(1)
    async with processes.connect() as client:
        await client.wait_for_workers(1)
        await schedulers.idle_s(processes.place)

        async def is_idle_for_a_while() -> bool:
            return ((await schedulers.idle_s(processes.place)).value or 0) > 0.5

        await wait_until(is_idle_for_a_while)
        began = time.monotonic()
        await client.submit(run_slowly, 1, 0)
        idle_s = (await schedulers.idle_s(processes.place)).value
        assert idle_s <= time.monotonic() - began
        futures = client.map(run_slowly, range(50), seconds=1, pure=False)

        async def could_use_more() -> bool:
            return ((await schedulers.adaptive_target(processes.place)).value or 0) > 3

        await wait_until(could_use_more)
        await client.cancel(futures)


def describe(dask_scheduler: Scheduler) -> dict[str, Any]:
    """What the agent might have changed, but for what differs between two schedulers anyway."""
    workers = dask_scheduler.workers
    groups = ("running", "idle", "saturated", "idle_task_count")
    found = {group: getattr(dask_scheduler, group) for group in groups}
    return {
        **{
            group: sorted(workers[getattr(w, "address", w)].name for w in found[group])
            for group in found
        },
        "statuses": {ws.name: ws.status.name for ws in workers.values()},
        "processing": {ws.name: len(ws.processing) for ws in workers.values()},
        "results": {ws.name: len(ws.has_what) for ws in workers.values()},
        "tasks": sorted(map(str, dask_scheduler.tasks)),
        "extensions": {k: type(v).__qualname__ for k, v in dask_scheduler.extensions.items()},
        "handlers": sorted({*dask_scheduler.handlers, *dask_scheduler.stream_handlers}),
        "plugins": sorted(re.sub(r"[0-9a-f-]{8,}", "", name) for name in dask_scheduler.plugins),
        "policies": sorted(type(p).__qualname__ for p in dask_scheduler.extensions["amm"].policies),
        "periodic": sorted(re.sub(r"\d{4,}", "", k) for k in dask_scheduler.periodic_callbacks),
        "idle_timeout": dask_scheduler.idle_timeout,
        "no_workers_timeout": dask_scheduler.no_workers_timeout,
        "transitions": dask_scheduler.transition_counter,
        "log": len(dask_scheduler.transition_log),
    }


async def test_a_scheduler_that_is_only_asked_is_like_one_without_the_agent(
    processes, schedulers, tmp_path
):
    (tmp_path / "plain").mkdir()
    plain = Processes(tmp_path / "plain")
    try:
        plain.start_scheduler(DASK_DISTRIBUTED__SCHEDULER__PRELOAD="[]")
        processes.start_scheduler()
        found = [await work_and_describe(each, schedulers) for each in (plain, processes)]
    finally:
        await asyncio.to_thread(plain.close)
    (without, _), (before, after) = found
    assert before["results"] == {"w0": 1, "w1": 1}
    assert before["transitions"] > 0
    assert before == without
    assert after == before


async def work_and_describe(
    processes: Processes, schedulers: SchedulerClient
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A scheduler that holds a result on each worker, before and after the agent is asked."""
    processes.start_workers(2)
    async with processes.connect() as client:
        await client.wait_for_workers(2)
        held = [client.submit(run_slowly, n, 0, workers=[f"w{n}"], pure=True) for n in (0, 1)]
        await client.gather(held)
        before = await client.run_on_scheduler(describe)
        for _ in range(3):
            await schedulers.report(processes.place)
            await schedulers.idle_s(processes.place)
            await schedulers.adaptive_target(processes.place)
        return before, await client.run_on_scheduler(describe)


async def test_only_the_token_opens_the_agent(processes, schedulers, wait_until):
    processes.start_scheduler()
    url = processes.place.url

    async def is_up() -> bool:
        try:
            return await ask("GET", f"{url}/dask-k8s/workers", TOKEN) == 200
        except aiohttp.ClientError:
            return False

    await wait_until(is_up)
    for path, method in [("workers", "GET"), ("drain", "POST"), ("idle", "GET")]:
        for token in (None, "", "another"):
            assert await ask(method, f"{url}/dask-k8s/{path}", token) == 401
    assert await ask("GET", f"{url}/dask-k8s/drain", TOKEN) == 405
    report = await schedulers.report(SchedulerPlace(url, "another"))
    assert report.problem
    assert report.may_recover


async def test_the_preloads_of_the_images_own_files_run_too(processes, wait_until):
    marker = processes.folder / "marker"
    preload = processes.folder / "mine.py"
    preload.write_text(
        f"from pathlib import Path\ndef dask_setup(scheduler):\n"
        f"    Path({str(marker)!r}).write_text(scheduler.address)\n"
    )
    (processes.folder / "dask.yaml").write_text(
        f"distributed:\n  scheduler:\n    preload: [{str(preload)!r}]\n    preload-argv: [[]]\n"
    )
    processes.start_scheduler()
    # A file is there before its text is.
    assert await wait_until(lambda: marker.exists() and marker.read_text()) == processes.address


@pytest.mark.parametrize("has_routes", [True, False])
async def test_without_the_agent_dasks_own_routes_are_used_where_they_are(
    processes, schedulers, wait_until, has_routes
):
    routes = "['distributed.http.scheduler.api', 'distributed.http.health']"
    environment = {"DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": routes} if has_routes else {}
    processes.start_scheduler(DASK_DISTRIBUTED__SCHEDULER__PRELOAD="[]", **environment)
    processes.start_workers(2)
    async with processes.connect() as client:
        await client.wait_for_workers(2)
        report = await schedulers.report(processes.place)
        assert not report.has_agent
        if not has_routes:
            assert not report.may_recover
            assert "cannot be asked" in report.problem
            return
        assert len(report.workers) == 2
        gone = report.workers[0].address
        assert await schedulers.drain(processes.place, (gone,), has_agent=False) is None
        left = (await schedulers.report(processes.place)).workers
        assert gone not in [worker.address for worker in left]
