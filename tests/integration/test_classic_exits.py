"""What stays of a classic cluster whose process was interrupted or killed: nothing that runs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dask_k8s_jupyter.classic import KubeCluster, make_pod_spec

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")

WaitUntil = Callable[..., Awaitable[Any]]
KubectlJson = Callable[..., Any]
Start = Callable[..., Awaitable["Started"]]

SCRIPT = """
import sys, time
from dask_k8s_jupyter.clusters import fitting
from dask_k8s_jupyter.classic import KubeCluster, make_pod_spec

fitting.ROOM_PATIENCE_S = 600
namespace, image, memory = sys.argv[1:]
template = make_pod_spec(
    image, memory_request=memory, extra_container_config={"imagePullPolicy": "IfNotPresent"}
)
template.spec.containers[0].args[-1] = "15"  # the death time-out, which a nanny would begin early
template.spec.containers[0].args.append("--no-nanny")
cluster = KubeCluster(template, name="outside", namespace=namespace, n_workers=1)
client = cluster.get_client()  # on a busy machine the notes of the cluster manager may be late
cluster.wait_for_workers(1, timeout=90)
print("it is there", flush=True)
time.sleep(600)
"""
# A Pod is there a second before its maker hears of it.
SLOW_ANSWERS = """
import asyncio
from dask_k8s_operator.kube import KubeClient
create = KubeClient.create
async def create_slowly(*args, **more):
    made = await create(*args, **more)
    await asyncio.sleep(1)
    return made
KubeClient.create = create_slowly
"""


class Started:
    """The script in a process of its own; its complaints go to a file, so that it never waits."""

    def __init__(self, process: asyncio.subprocess.Process, complaints: Path) -> None:
        self.process, self.complaints = process, complaints

    async def read_line(self) -> str:
        """Its next line; empty when it has ended."""
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), 180)
        return line.decode()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()


@pytest.fixture
async def start(namespace: str, dask_image: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Start the script."""
    started: list[Started] = []

    async def start(memory: str, before: str = "") -> Started:
        complaints = tmp_path / f"stderr-{len(started)}"
        with complaints.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                before + SCRIPT,
                namespace,
                dask_image,
                memory,
                env={
                    **os.environ,
                    "DASK_KUBERNETES__OWNER_TIMEOUT": "4s",
                },
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
            )
        started.append(Started(process, complaints))
        return started[-1]

    yield start
    for each in started:
        await each.kill()


@pytest.mark.parametrize("before", ["", SLOW_ANSWERS], ids=["waiting", "creating"])
async def test_ctrl_c_while_starting_leaves_nothing(
    before: str, start: Start, kubectl_json: KubectlJson, wait_until: WaitUntil
) -> None:
    started = await start("100Ti", before)
    await wait_until(lambda: kubectl_json("get", "pods")["items"], 90, "the scheduler's Pod")
    started.process.send_signal(signal.SIGINT)
    await asyncio.wait_for(started.process.wait(), 90)
    assert "KeyboardInterrupt" in started.complaints.read_text()
    pods = kubectl_json("get", "pods")["items"]
    assert [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]] == []


async def test_a_killed_process_takes_its_cluster_along_and_frees_its_name(
    start: Start,
    kubectl_json: KubectlJson,
    wait_until: WaitUntil,
    namespace: str,
    dask_image: str,
) -> None:
    started = await start("64Mi")
    assert await started.read_line() == "it is there\n", started.complaints.read_text()
    await started.kill()

    def phases() -> set[str]:
        return {pod["status"].get("phase", "") for pod in kubectl_json("get", "pods")["items"]}

    await wait_until(lambda: phases() <= {"Succeeded", "Failed"}, 90, "all Pods have ended")
    async with KubeCluster(
        make_pod_spec(dask_image, extra_container_config={"imagePullPolicy": "IfNotPresent"}),
        name="outside",
        namespace=namespace,
        asynchronous=True,
    ) as cluster:
        assert cluster.scheduler_address
