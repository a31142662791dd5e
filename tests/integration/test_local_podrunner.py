"""A Pod on a node whose API fails, a start that is interrupted: nothing is stuck, nothing stays."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dask_k8s_jupyter.local import LocalKubernetes
from dask_k8s_jupyter.local.node import pods
from dask_k8s_jupyter.local.node.pods import PodRunner
from dask_k8s_jupyter.local.node.settings import NodeSettings
from dask_k8s_operator.kube.errors import ApiUnreachableError

pytestmark = pytest.mark.local_only("it is about the embedded Kubernetes alone")

MakeRunner = Callable[..., PodRunner]


class Api:
    """Takes writes while it is not away; knows what was written last, and has nothing to read."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {}
        self.is_away = False
        self.is_deleted = False

    def _fail(self) -> None:
        if self.is_away:
            raise ApiUnreachableError("https://api", "it is away")

    async def get(self, *args: Any) -> None:
        raise ApiUnreachableError("https://api", "it is away")

    async def patch(self, kind: Any, name: str, body: Any, *args: Any, **more: Any) -> None:
        self._fail()
        self.status = body["status"]

    async def delete(self, *args: Any, **more: Any) -> None:
        self._fail()
        self.is_deleted = True

    @property
    def phase(self) -> str | None:
        return self.status.get("phase")

    @property
    def waiting(self) -> dict[str, Any]:
        (container,) = self.status.get("containerStatuses") or [{"state": {}}]
        found: dict[str, Any] = container["state"].get("waiting") or {}
        return found


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    """An API of its own, and a node that tries again soon."""
    monkeypatch.setattr(pods, "_RETRY_S", 0.02)
    return Api()


@pytest.fixture
def make_runner(api: Api, tmp_path: Path) -> MakeRunner:
    """Make the runner of a Pod with one container; keywords go into its spec."""

    def make(folder: Path = tmp_path / "pod", **more: Any) -> PodRunner:
        spec = {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "containers": [{"name": "main", "image": "any:1", "command": ["true"], **more}],
        }
        metadata = {"name": "p", "namespace": "n", "uid": f"test-{os.getpid()}"}
        return PodRunner(
            {"metadata": metadata, "spec": spec},
            "127.0.0.1",
            folder,
            settings=NodeSettings("l", "127.0.0.1", tmp_path, "m", "", b"", ("127.0.0.1", 1), {}),
            client=api,  # type: ignore[arg-type]
            events=SimpleNamespace(record=lambda *args: None),  # type: ignore[arg-type]
            session=SimpleNamespace(),  # type: ignore[arg-type]
        )

    return make


async def _until(is_true: Callable[[], Any]) -> None:
    async def look() -> None:
        while not is_true():  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    await asyncio.wait_for(look(), 90)


async def _delete(runner: PodRunner, life: asyncio.Future[None]) -> None:
    marked = {**runner.pod["metadata"], "deletionGracePeriodSeconds": 0}
    runner.note_deletion({**runner.pod, "metadata": marked})
    await asyncio.wait_for(life, 90)


async def test_the_last_status_and_the_removal_are_written_though_the_api_was_away(
    api: Api, make_runner: MakeRunner
) -> None:
    runner = make_runner()
    api.is_away = True
    life = asyncio.ensure_future(runner.run())
    await _until(lambda: runner.is_over)
    assert api.phase is None
    api.is_away = False
    await _until(lambda: api.phase == "Succeeded")
    api.is_away = True
    deleting = asyncio.ensure_future(_delete(runner, life))
    await asyncio.sleep(0.1)
    assert not deleting.done()
    api.is_away = False
    await deleting
    assert api.is_deleted


async def test_a_pod_that_the_node_cannot_run_has_failed_and_can_be_deleted(
    api: Api, make_runner: MakeRunner, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    runner = make_runner(folder=tmp_path / "file" / "pod")
    life = asyncio.ensure_future(runner.run())
    await _until(lambda: api.phase == "Failed")
    assert api.status["reason"] == "NodeError"
    assert "Not a directory" in api.status["message"]
    await _delete(runner, life)
    assert api.is_deleted


async def test_a_configmap_that_cannot_be_read_is_waited_for(
    api: Api, make_runner: MakeRunner
) -> None:
    runner = make_runner(envFrom=[{"configMapRef": {"name": "cm"}}])
    life = asyncio.ensure_future(runner.run())
    await _until(lambda: api.waiting.get("reason") == "CreateContainerConfigError")
    assert 'configmap "cm" could not be read' in api.waiting["message"]
    await _delete(runner, life)


def test_a_start_that_is_interrupted_leaves_nothing_behind() -> None:
    began = threading.Event()
    folders: list[Path] = []

    class Slow(LocalKubernetes):
        async def _start_parts(self, network: Any) -> None:
            folders.append(self.folder)
            began.set()
            await asyncio.sleep(60)

    def interrupt() -> None:
        began.wait(90)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt), Slow.in_thread():
        pytest.fail("it started")
    thread.join()
    assert not folders[0].exists()
