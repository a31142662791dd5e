"""Waits for one of several clusters in a namespace."""

from __future__ import annotations

from dask_resources import Dask

from dask_k8s_operator.resources.kinds import DASK_CLUSTERS


async def wait_one_ready(dask: Dask, name: str, replicas: int) -> None:
    """Wait until a cluster says that it is ready with so many workers, whatever others do."""

    async def is_ready() -> bool:
        status = await dask.status(DASK_CLUSTERS, name)
        conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
        is_whole = status.get("ready") == f"{replicas}/{replicas}"
        return is_whole and conditions.get("Ready") == "True"

    await dask.wait_until(is_ready, timeout_s=120, what=f"DaskCluster {name} is ready")
