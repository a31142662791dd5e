"""The agent drains, and takes back, on the oldest distributed that we promise, one between, and the
newest: each in an environment of its own, kept in a folder for the next time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ports import hold_port

from dask_k8s_operator.controller.loop import read_agent_source
from dask_k8s_operator.resources.agent_protocol import PRELOAD
from dask_k8s_operator.scheduler import SchedulerClient, SchedulerPlace

pytestmark = pytest.mark.local_only("processes on this machine, no Kubernetes in it")
TOKEN = "a-token-of-the-test"
OLDEST, BETWEEN, NEWEST = "2024.1.1", "2025.4.1", "installed"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dask-k8s-tests"


@pytest.fixture(scope="session", autouse=True)
def operator() -> None:
    """No operator is needed here, nor a Kubernetes."""


@pytest.fixture(params=[OLDEST, BETWEEN, NEWEST])
def python(request: pytest.FixtureRequest) -> str:
    """A Python that has this release of distributed."""
    if request.param == NEWEST:
        return sys.executable
    folder = CACHE / f"distributed-{request.param}"
    found = folder / "bin" / "python"
    if (folder / "complete").exists() and found.exists():
        return str(found)
    try:
        _build_environment(folder, request.param)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        pytest.skip(f"no environment with distributed {request.param} can be built: {said[-300:]}")
    return str(found)


def _build_environment(folder: Path, release: str) -> None:
    uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    wanted = [f"distributed=={release}", f"dask=={release}"]
    commands = [
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder],
        [uv, "pip", "install", "--quiet", "--python", folder / "bin" / "python", *wanted],
    ]
    for command in commands:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
    (folder / "complete").touch()


class Cluster:
    """A cluster with the agent, and its client, in a process of one release."""

    def __init__(self, python: str, folder: Path) -> None:
        http_port = hold_port()
        self.place = SchedulerPlace(f"http://127.0.0.1:{http_port}", TOKEN)
        self._command = [python, str(Path(__file__).with_name("agent_client.py"))]
        self._command.append(f"127.0.0.1:{http_port}")
        self._environment = {
            **os.environ,
            "DASK_CONFIG": str(folder),
            "PYTHONPATH": "",
            "DASK_DISTRIBUTED__SCHEDULER__PRELOAD": json.dumps([PRELOAD]),
            "DASK_DISTRIBUTED__SCHEDULER__PRELOAD_ARGV": "[]",
            "DASK_K8S_AGENT": read_agent_source(),
            "DASK_K8S_AGENT_TOKEN": TOKEN,
        }

    async def __aenter__(self) -> Cluster:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, **pipes
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def hear(self) -> dict[str, Any]:
        """What the client says next."""
        assert self._process.stdout
        line = await asyncio.wait_for(self._process.stdout.readline(), 240)
        return dict(json.loads(line))

    async def go_on(self) -> dict[str, Any]:
        """Let the client go on, and hear what it says."""
        assert self._process.stdin
        self._process.stdin.write(b"\n")
        return await self.hear()


async def test_the_agent_drains_and_takes_back_without_repetition(python, tmp_path, wait_until):
    async with SchedulerClient() as schedulers, Cluster(python, tmp_path) as cluster:
        going, back = (await cluster.hear())["workers"]

        async def drains() -> dict[str, str | None]:
            report = await schedulers.report(cluster.place)
            assert report.has_agent
            return {worker.address: worker.drain for worker in report.workers}

        assert await schedulers.drain(cluster.place, (going, back), has_agent=True) is None
        assert (await schedulers.idle_s(cluster.place)).tasks > 0

        async def are_drained() -> bool:
            states = await drains()
            return states[going] == states[back] == "drained"

        await wait_until(are_drained)

        async def is_taken_back() -> bool:
            await schedulers.undrain(cluster.place, (back,))
            return (await drains())[back] is None

        await wait_until(is_taken_back)
        assert (await drains())[going] == "drained"
        assert await cluster.go_on() == {"results": list(range(24)), "held": -1}
        answer = await cluster.go_on()
        assert answer["again"] == 99
        assert sorted(answer["executed"]) == [-1, *range(24), 99]
