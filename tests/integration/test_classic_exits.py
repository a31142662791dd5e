"""What stays of a classic cluster whose process was interrupted or killed: nothing that runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dask_k8s_jupyter.classic import KubeCluster, make_pod_spec

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")

WaitUntil = Callable[..., Awaitable[Any]]
KubectlJson = Callable[..., Any]
Start = Callable[..., "subprocess.Popen[str]"]

SCRIPT = """
import sys, time
from dask_k8s_jupyter.classic import KubeCluster, make_pod_spec

namespace, image, memory = sys.argv[1:]
template = make_pod_spec(
    image, memory_request=memory, extra_container_config={"imagePullPolicy": "IfNotPresent"}
)
template.spec.containers[0].args[-1] = "5"  # the death time-out, which a nanny would begin early
template.spec.containers[0].args.append("--no-nanny")
cluster = KubeCluster(template, name="outside", namespace=namespace, n_workers=1)
cluster.wait_for_workers(1, timeout=60)
print("it is there", flush=True)
time.sleep(600)
"""


@pytest.fixture
def start(kubeconfig: Path, namespace: str, dask_image: str) -> Iterator[Start]:
    """Start the script in a process of its own."""
    processes: list[subprocess.Popen[str]] = []

    def start(memory: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, namespace, dask_image, memory],
            env={
                **os.environ,
                "KUBECONFIG": str(kubeconfig),
                "DASK_KUBERNETES__OWNER_TIMEOUT": "4s",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


async def test_ctrl_c_while_starting_leaves_nothing(
    start: Start, kubectl_json: KubectlJson, wait_until: WaitUntil
) -> None:
    process = start("100Ti")
    await wait_until(lambda: kubectl_json("get", "pods")["items"], 30, "the scheduler's Pod")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in said
    staying = [
        pod
        for pod in kubectl_json("get", "pods")["items"]
        if "deletionTimestamp" not in pod["metadata"]
    ]
    assert staying == []


async def test_a_killed_process_takes_its_cluster_along_and_frees_its_name(
    start: Start,
    kubectl_json: KubectlJson,
    wait_until: WaitUntil,
    namespace: str,
    dask_image: str,
) -> None:
    process = start("64Mi")
    assert process.stdout is not None
    assert process.stdout.readline() == "it is there\n"
    process.kill()

    def phases() -> set[str]:
        return {pod["status"].get("phase", "") for pod in kubectl_json("get", "pods")["items"]}

    await wait_until(lambda: phases() <= {"Succeeded", "Failed"}, 60, "all Pods have ended")
    async with KubeCluster(
        make_pod_spec(dask_image, extra_container_config={"imagePullPolicy": "IfNotPresent"}),
        name="outside",
        namespace=namespace,
        asynchronous=True,
    ) as cluster:
        assert cluster.scheduler_address
