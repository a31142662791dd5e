"""From what a person asked for in the browser to a DaskCluster. Pure but for Dask's configuration.

Guarantees that ``cpu`` and ``memory`` are a worker's, as the form says: the scheduler is not held
to them.
"""

from __future__ import annotations

from typing import Any

from dask_k8s_jupyter import config
from dask_k8s_jupyter.clusters.spec import make_cluster_spec, make_worker_spec

from .validate import CreateRequest


def build_requested_cluster(request: CreateRequest) -> dict[str, Any]:
    """Build the resource that makes a request come true.

    Examples
    --------
    >>> spec = build_requested_cluster(CreateRequest("a", "demo", 2, "1", None, "dask:1", None))
    >>> spec["spec"]["worker"]["replicas"]
    2
    """
    image = config.get("image", request.image)
    env, command = config.get("env"), config.get("worker-command")
    amounts = {"cpu": request.cpu, "memory": request.memory}
    limits = {resource: amount for resource, amount in amounts.items() if amount is not None}
    cluster = make_cluster_spec(
        request.name,
        image,
        request.n_workers,
        env=env,
        worker_command=command,
        scheduler_service_type=config.get("scheduler-service-type"),
        idle_timeout=config.get("idle-timeout") or 0,
    )
    # Requested as well as limited: what is promised to a worker is there for it.
    resources = {"limits": limits, "requests": limits} if limits else config.get("resources")
    cluster["spec"]["worker"] = make_worker_spec(image, request.n_workers, resources, env, command)
    return cluster
