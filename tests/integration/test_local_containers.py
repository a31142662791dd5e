"""One container with real processes, and the moments at which its end may come."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dask_k8s_jupyter.local.node import logs, server
from dask_k8s_jupyter.local.node.containers import Container
from dask_k8s_jupyter.local.node.scene import PodScene
from dask_k8s_jupyter.local.node.settings import NodeSettings
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import PODS

pytestmark = pytest.mark.local_only("it is about the embedded node alone")

MakeContainer = Callable[..., Container]
SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]


@pytest.fixture
def make_container(tmp_path: Path) -> MakeContainer:
    """Make a container of a Pod that no API knows; keywords go into its spec."""

    async def no_variables(spec: Any) -> dict[str, str]:
        return {}

    def make(policy: str = "Always", **more: Any) -> Container:
        metadata = {"name": "p", "namespace": "n", "uid": "u"}
        settings = NodeSettings("local", "127.0.0.1", tmp_path, "m", "", b"", ("127.0.0.1", 1), {})
        scene = PodScene(
            settings,
            {"metadata": metadata, "spec": {"terminationGracePeriodSeconds": 5}},
            "127.0.0.1",
            tmp_path,
            SimpleNamespace(record=lambda *args: None),  # type: ignore[arg-type]
            SimpleNamespace(),  # type: ignore[arg-type]
            {},
            no_variables,
            lambda: None,
        )
        return Container({"name": "main", "image": "any:1", **more}, policy, scene)

    return make


async def test_a_container_told_to_end_while_its_process_is_made_ends(
    make_container: MakeContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    spawn, reached, go_on = asyncio.create_subprocess_exec, asyncio.Event(), asyncio.Event()

    async def spawn_slowly(*args: Any, **more: Any) -> asyncio.subprocess.Process:
        reached.set()
        await go_on.wait()
        return await spawn(*args, **more)

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spawn_slowly)
    container = make_container(command=SLEEP)
    life = asyncio.ensure_future(container.run())
    await reached.wait()
    await container.stop(5.0)
    go_on.set()
    await asyncio.wait_for(life, 90)
    # SIGTERM, as for any other that is told to end.
    assert container.status.state["terminated"]["exitCode"] == 143


@pytest.mark.parametrize(
    "spec", [{"command": ["echo", "a\0b"]}, {"command": ["a\0b"]}, {"workingDir": "/a\0b"}]
)
async def test_a_zero_byte_is_a_start_error(make_container: MakeContainer, spec: Any) -> None:
    container = make_container("Never", **{"command": ["true"], **spec})
    await asyncio.wait_for(container.run(), 90)
    ended = container.status.state["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)


async def test_a_followed_log_ends_when_its_client_leaves(
    kube_client: KubeClient,
    namespace: str,
    dask_image: str,
    wait_until: Callable[..., Awaitable[Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    following: list[Path] = []

    async def read_log(path: Path, **more: Any) -> AsyncIterator[bytes]:
        following.append(path)
        try:
            async for block in logs.read_log(path, **more):
                yield block
        finally:
            following.remove(path)

    monkeypatch.setattr(server, "read_log", read_log)
    script = ["sh", "-c", "echo hello; sleep 600"]
    main = {"name": "main", "image": dask_image, "command": script}
    spec = {"containers": [main], "terminationGracePeriodSeconds": 0}
    await kube_client.create(PODS, {"metadata": {"name": "talker"}, "spec": spec}, namespace)

    async def runs() -> bool:
        pod = await kube_client.get(PODS, "talker", namespace)
        return bool(pod["status"]["phase"] == "Running")

    await wait_until(runs)
    async with aclosing(kube_client.stream_logs("talker", namespace)) as lines:  # type: ignore[type-var]
        assert (await anext(aiter(lines))).startswith("hello")
        assert following
    # Nothing more is written: only looking whether the client is there can end it.
    await wait_until(lambda: not following)
