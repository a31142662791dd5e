"""Encrypted clusters, and clusters that rest: suspend and resume."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from distributed import Client

from dask_k8s_jupyter import KubeCluster
from dask_k8s_jupyter.errors import ClusterSuspendedError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import PODS

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")


async def test_an_encrypted_cluster_just_works(namespace: str, dask_image: str) -> None:
    common: dict[str, Any] = {"namespace": namespace, "quiet": True, "asynchronous": True}
    async with KubeCluster(
        name="demo", image=dask_image, n_workers=1, tls=True, **common
    ) as cluster:
        assert cluster.scheduler_address.startswith("tls://")
        await cluster.wait_for_workers(1, timeout=120)
        async with cluster.get_client() as client:
            assert await client.submit(operator.add, 1, 2) == 3
        address, security = cluster.scheduler_address, cluster.security
        async with Client(address, security=security, asynchronous=True) as bare:
            assert await bare.submit(operator.add, 2, 2) == 4
        guest = await KubeCluster.from_name("demo", **common)
        try:
            async with guest.get_client() as client:
                workers = list(client.scheduler_info()["workers"])
                assert await client.submit(operator.mul, 6, 7) == 42
            assert all(worker.startswith("tls://") for worker in workers)
        finally:
            await guest.close()


async def test_a_cluster_rests_and_works_again(
    namespace: str, dask_image: str, kube_client: KubeClient
) -> None:
    common: dict[str, Any] = {"namespace": namespace, "quiet": True, "asynchronous": True}
    async with KubeCluster(name="demo", image=dask_image, n_workers=1, **common) as cluster:
        await cluster.wait(timeout=120)
        await cluster.suspend()
        await cluster.wait(timeout=120)
        assert (await kube_client.list(PODS, namespace)).items == []
        with pytest.raises(ClusterSuspendedError, match="suspended"):
            await KubeCluster.from_name("demo", **common)
        await cluster.resume()
        await cluster.wait_for_workers(1, timeout=120)
        async with cluster.get_client() as client:
            assert await client.submit(operator.add, 1, 2) == 3
