"""Dask's full traffic through the way to the scheduler: large transfers, many small tasks."""

from __future__ import annotations

import asyncio
import operator

import pytest

from dask_k8s_jupyter import KubeCluster

pytestmark = pytest.mark.filterwarnings(
    "ignore:Mismatched versions found", "ignore:Sending large graph", "ignore:Large object"
)

MEGABYTE = 1 << 20
# An event loop that is held longer than this misses heartbeats and clicks.
BLOCKED_S = 2.0


async def _measure_longest_block(until: asyncio.Event) -> float:
    loop, longest_s = asyncio.get_running_loop(), 0.0
    while not until.is_set():
        began = loop.time()
        await asyncio.sleep(0.01)
        longest_s = max(longest_s, loop.time() - began)
    return longest_s


async def _carry(namespace: str, image: str, pieces: int, piece_bytes: int, tasks: int) -> float:
    """Send pieces there and fetch them back, run small tasks; returns the longest block."""
    is_over = asyncio.Event()
    async with (
        KubeCluster(
            name="demo",
            namespace=namespace,
            image=image,
            n_workers=1,
            port_forward_cluster_ip=True,
            quiet=True,
            asynchronous=True,
        ) as cluster,
        cluster.get_client() as client,
    ):
        await cluster.wait_for_workers(1, timeout=60)
        watching = asyncio.ensure_future(_measure_longest_block(is_over))
        for number in range(pieces):
            sent = bytes([number]) * piece_bytes
            piece = await client.scatter(sent, direct=False, hash=False)
            size = client.submit(len, piece, pure=False)
            assert await size == piece_bytes
            fetched = await client.gather(piece, direct=False)
            assert fetched == sent
            del piece, size, fetched, sent
        added = await client.gather(client.map(operator.neg, range(tasks)))
        assert sum(added) == -sum(range(tasks))
        is_over.set()
        return await watching


async def test_transfers_and_small_tasks_pass_without_holding_the_event_loop(
    namespace: str, dask_image: str
) -> None:
    assert await _carry(namespace, dask_image, 2, 32 * MEGABYTE, 1000) < BLOCKED_S


@pytest.mark.current_only("2 GB each way takes its time, and says most about a real tunnel")
async def test_two_gigabytes_and_ten_thousand_tasks_pass(namespace: str, dask_image: str) -> None:
    assert await _carry(namespace, dask_image, 16, 128 * MEGABYTE, 10_000) < BLOCKED_S
