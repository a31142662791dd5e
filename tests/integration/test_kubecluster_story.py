"""KubeCluster from outside: create, compute, scale, adapt, close; and what it survives."""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from distributed import Client

from dask_k8s_jupyter import KubeCluster, make_cluster_spec
from dask_k8s_jupyter.errors import ClusterNotFoundError, NameTakenError, WorkerGroupNotFoundError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    PODS,
)

# Client and image may differ in the last digit of Python's version.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")

WaitUntil = Callable[..., Awaitable[Any]]


def test_a_cluster_is_made_computes_scales_adapts_and_goes(
    namespace: str, dask_image: str, kubectl_json: Callable[..., Any]
) -> None:
    cluster = KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=2,
        worker_command="dask worker",
        quiet=True,
    )
    with cluster.get_client() as client:
        assert client.submit(operator.add, 1, 2).result(timeout=120) == 3
        cluster.wait_for_workers(2, timeout=120)
        cluster.scale(4)
        cluster.wait_for_workers(4, timeout=120)
        assert sum(client.gather(client.map(operator.neg, range(100)))) == -4950
        cluster.adapt(minimum=1, maximum=4)
        assert kubectl_json("get", "daskautoscaler", "demo")["spec"] == {
            "cluster": "demo",
            "minimum": 1,
            "maximum": 4,
        }
        cluster.scale(3)
        assert kubectl_json("get", "daskautoscalers")["items"] == []
        logs = cluster.get_logs()
        assert "Scheduler at" in logs["demo-scheduler"]
    cluster.close()
    assert kubectl_json("get", "daskclusters")["items"] == []


async def test_it_works_in_an_event_loop_and_several_side_by_side(
    namespace: str, dask_image: str
) -> None:
    async def compute(name: str) -> int:
        async with (
            KubeCluster(
                name=name,
                namespace=namespace,
                image=dask_image,
                n_workers=1,
                quiet=True,
                asynchronous=True,
            ) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            return await client.submit(operator.mul, 6, 7)

    assert await asyncio.gather(compute("one"), compute("two")) == [42, 42]


async def test_connecting_never_owns(
    namespace: str, dask_image: str, kube_client: KubeClient
) -> None:
    common = {"namespace": namespace, "quiet": True, "asynchronous": True}
    owner = await KubeCluster(name="shared", image=dask_image, n_workers=0, **common)
    guest = await KubeCluster.from_name("shared", **common)
    await guest.scale(1)
    await guest.close()
    group = await kube_client.get(DASK_WORKER_GROUPS, "shared-default", namespace)
    assert group["spec"]["worker"]["replicas"] == 1
    again = await KubeCluster(name="shared", **common)  # CREATE_OR_CONNECT
    await again.close()
    await kube_client.get(DASK_CLUSTERS, "shared", namespace)
    with pytest.raises(NameTakenError, match="shared exists already"):
        await KubeCluster(name="shared", create_mode="CREATE_ONLY", **common)
    await owner.close()
    with pytest.raises(NotFoundError):
        await kube_client.get(DASK_CLUSTERS, "shared", namespace)
    with pytest.raises(ClusterNotFoundError, match=f"no DaskCluster {namespace}/shared"):
        await KubeCluster.from_name("shared", **common)


async def test_worker_groups_come_scale_and_go(
    namespace: str, dask_image: str, kube_client: KubeClient
) -> None:
    async with KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=0,
        env={"COLOUR": "blue"},
        quiet=True,
        asynchronous=True,
    ) as cluster:
        await cluster.add_worker_group("extra", n_workers=1, resources={"limits": {"cpu": "1"}})
        await cluster.wait_for_workers(1, timeout=120)
        group = await kube_client.get(DASK_WORKER_GROUPS, "demo-extra", namespace)
        container = group["spec"]["worker"]["spec"]["containers"][0]
        assert {"name": "COLOUR", "value": "blue"} in container["env"]
        await cluster.scale(0, worker_group="extra")
        group = await kube_client.get(DASK_WORKER_GROUPS, "demo-extra", namespace)
        assert group["spec"]["worker"]["replicas"] == 0
        await cluster.delete_worker_group("extra")
        with pytest.raises(NotFoundError):
            await kube_client.get(DASK_WORKER_GROUPS, "demo-extra", namespace)
        with pytest.raises(WorkerGroupNotFoundError, match=r"^worker_group: .*'extra'"):
            await cluster.scale(1, worker_group="extra")


async def test_adapting_without_bounds_sends_no_nulls(
    namespace: str, dask_image: str, kube_client: KubeClient
) -> None:
    async with KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=0,
        quiet=True,
        asynchronous=True,
    ) as cluster:
        await cluster.adapt()
        autoscaler = await kube_client.get(DASK_AUTOSCALERS, "demo", namespace)
        assert autoscaler["spec"]["minimum"] == 0
        assert autoscaler["spec"]["maximum"] > 0


async def test_it_survives_a_scheduler_that_is_replaced(
    namespace: str, dask_image: str, kube_client: KubeClient, wait_until: WaitUntil
) -> None:
    async with KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=1,
        quiet=True,
        asynchronous=True,
    ) as cluster:
        await cluster.wait_for_workers(1, timeout=120)
        before = await kube_client.get(PODS, "demo-scheduler", namespace)
        old_id = cluster.scheduler_info["id"]
        await kube_client.delete(PODS, "demo-scheduler", namespace, grace_period_s=0)

        async def is_replaced() -> bool:
            try:
                pod = await kube_client.get(PODS, "demo-scheduler", namespace)
            except NotFoundError:
                return False
            return bool(pod["metadata"]["uid"] != before["metadata"]["uid"])

        await wait_until(is_replaced, what="the scheduler Pod is made again")
        await wait_until(lambda: cluster.scheduler_info["id"] != old_id, what="it knows the other")
        await cluster.wait_for_workers(1, timeout=120)
        async with Client(cluster, asynchronous=True) as client:
            assert await client.submit(operator.add, 1, 2) == 3


async def test_a_whole_spec_may_come_from_a_dict(
    namespace: str, dask_image: str, kube_client: KubeClient
) -> None:
    spec = make_cluster_spec("custom", image=dask_image, n_workers=0)
    spec["metadata"]["labels"] = {"team": "blue"}
    async with KubeCluster(
        custom_cluster_spec=spec, namespace=namespace, quiet=True, asynchronous=True
    ):
        cluster = await kube_client.get(DASK_CLUSTERS, "custom", namespace)
        assert cluster["metadata"]["labels"]["team"] == "blue"


def test_it_says_what_it_waits_for_unless_it_is_quiet(
    namespace: str, dask_image: str, scheduler_host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with KubeCluster(name="demo", namespace=namespace, image=dask_image, n_workers=0):
        lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Created DaskCluster {namespace}/demo"
    ready = f"The scheduler of {namespace}/demo is ready: http://{scheduler_host}:"
    assert lines[-1].startswith(ready)
    with KubeCluster(name="other", namespace=namespace, image=dask_image, n_workers=0, quiet=True):
        assert capsys.readouterr().out == ""
