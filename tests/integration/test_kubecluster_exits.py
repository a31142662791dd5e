"""What stays when a process ends without closing its clusters: nothing that it created."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dask_k8s_jupyter import KubeCluster
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS

WaitUntil = Callable[..., Awaitable[Any]]
SCRIPT = """
import sys, warnings
from dask_k8s_jupyter import KubeCluster
warnings.simplefilter("ignore")
options = {"namespace": sys.argv[1], "image": sys.argv[2], "n_workers": 0}
"""
FORGETFUL = SCRIPT + "cluster = KubeCluster(name='forgotten', **options)\nprint(cluster.name)"
# The cluster is there a second before its maker hears of it.
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
IMPATIENT = SCRIPT + (
    "from dask_k8s_jupyter.clusters import fitting\n"
    "fitting.ROOM_PATIENCE_S = 600\n"
    "options['resources'] = {'requests': {'memory': '100Ti'}}\n"
    "KubeCluster(name='interrupted', resource_timeout=600, **options)"
)


async def _names(client: KubeClient, namespace: str) -> list[str]:
    clusters = (await client.list(DASK_CLUSTERS, namespace)).items
    return [cluster["metadata"]["name"] for cluster in clusters]


def _run(script: str, namespace: str, image: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, namespace, image],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


async def test_a_process_that_ends_takes_its_clusters_with_it(
    kube_client: KubeClient, namespace: str, dask_image: str
) -> None:
    process = _run(FORGETFUL, namespace, dask_image)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-1] == "forgotten"
    assert await _names(kube_client, namespace) == []


@pytest.mark.parametrize("before", ["", SLOW_ANSWERS], ids=["waiting", "creating"])
async def test_ctrl_c_while_starting_takes_back_what_was_created(
    before: str,
    kube_client: KubeClient,
    namespace: str,
    dask_image: str,
    wait_until: WaitUntil,
) -> None:
    process = _run(before + IMPATIENT, namespace, dask_image)

    async def is_created() -> bool:
        return await _names(kube_client, namespace) == ["interrupted"]

    await wait_until(is_created, 90, "the cluster is created")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=90)
    assert "KeyboardInterrupt" in err
    assert await _names(kube_client, namespace) == []


@pytest.mark.filterwarnings("ignore:Mismatched versions found")
async def test_a_name_can_be_used_again_at_once(namespace: str, dask_image: str) -> None:
    for _ in range(2):
        async with KubeCluster(
            name="demo",
            namespace=namespace,
            image=dask_image,
            n_workers=0,
            quiet=True,
            asynchronous=True,
        ) as cluster:
            assert cluster.session.is_new
