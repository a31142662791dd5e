"""The stories of the notebook, told by a Pod inside the cluster with the user's role alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

SCRIPT = """
import asyncio, operator
import dask.array as da
from dask_k8s_jupyter import KubeCluster

common = dict(image={image!r}, quiet=True, asynchronous=True)

async def compute_scale_and_rest():
    async with KubeCluster(name="inside", n_workers=2, **common) as cluster:
        async with cluster.get_client() as client:
            numbers = da.random.random((2_000, 2_000), chunks=(500, 500))
            mean = await client.compute(numbers.mean())
            assert 0.49 < mean < 0.51, mean
        assert cluster.scheduler_address.startswith("tcp://inside-scheduler."), "no tunnel inside"
        await cluster.scale(1)
        await cluster.adapt(minimum=1, maximum=2)
        await cluster.suspend()
        await cluster.wait(timeout=120)
        await cluster.resume()
        async with cluster.get_client() as client:
            assert await client.submit(operator.add, 1, 2) == 3

async def encrypt():
    async with KubeCluster(name="sealed", n_workers=1, tls=True, **common) as cluster:
        assert cluster.scheduler_address.startswith("tls://sealed-scheduler."), "no tunnel inside"
        async with cluster.get_client() as client:
            assert await client.submit(operator.mul, 6, 7) == 42
        guest = await KubeCluster.from_name("sealed", quiet=True, asynchronous=True)
        async with guest.get_client() as client:
            assert await client.submit(operator.add, 2, 2) == 4
        await guest.close()

async def tell():
    await asyncio.gather(compute_scale_and_rest(), encrypt())

asyncio.run(tell())
print("the story is told")
"""


async def test_a_pod_with_the_users_role_makes_uses_and_closes_clusters(
    run_inside: Callable[..., Awaitable[str]],
    kubectl: Callable[..., str],
    dask_image: str,
    wait_until: Callable[..., Awaitable[Any]],
) -> None:
    told = await run_inside(SCRIPT.format(image=dask_image), "dask-user")
    assert told.splitlines()[-1] == "the story is told"
    await wait_until(lambda: not kubectl("get", "dsk", "-o", "name"), what="the clusters are gone")
