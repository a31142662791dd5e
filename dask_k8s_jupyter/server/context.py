"""Where the sidebar stands: the namespace, what may be done there, what is in the way.

Guarantees an answer also where nothing works: then the problem says what does not. Refuses to
write.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from dask_k8s_jupyter import config
from dask_k8s_jupyter.clusters import actions
from dask_k8s_jupyter.errors import DaskKubernetesError
from dask_k8s_jupyter.state import Problem, build_problem
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ForbiddenError, KubeError
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DASK_WORKER_GROUPS, NAMESPACES

from .hub import StoreHub
from .validate import choose_namespace

# What a person may do is said by what it takes: scaling changes the worker group.
_NEEDED = {
    "create": ("create", DASK_CLUSTERS),
    "scale": ("patch", DASK_WORKER_GROUPS),
    "delete": ("delete", DASK_CLUSTERS),
}
# Somebody may have brought another kubeconfig since ours was read.
_MENDED_BY_KUBECONFIG = ("api-unreachable", "unauthorized")
DEFAULT_WORKERS = 2
DEFAULT_CPU = "1"
DEFAULT_MEMORY = "2Gi"


async def observe_context(hub: StoreHub, namespace: str) -> dict[str, Any]:
    """Draw the context of a namespace; an empty one means that of the connection."""
    context = await _observe(hub, namespace)
    if (context["problem"] or {}).get("code") in _MENDED_BY_KUBECONFIG:
        with contextlib.suppress(KubeError):  # what is in the way is said already
            if await hub.check_again():
                return await _observe(hub, namespace)
    return context


async def _observe(hub: StoreHub, namespace: str) -> dict[str, Any]:
    try:
        client = await hub.client()
    except KubeError as error:
        return _build_context(choose_namespace(namespace), problem=build_problem(error))
    namespace = choose_namespace(namespace, client)
    try:
        await actions.preflight(client, namespace, actions.NEEDED_TO_SEE)
        namespaces = await _observe_namespaces(client)
        may = await _review(client, namespace)
    except (KubeError, DaskKubernetesError) as error:
        return _build_context(namespace, problem=build_problem(error))
    return _build_context(namespace, namespaces, may)


async def _review(client: KubeClient, namespace: str) -> dict[str, bool]:
    reviews = (client.can_i(verb, kind, namespace) for verb, kind in _NEEDED.values())
    return dict(zip(_NEEDED, await asyncio.gather(*reviews), strict=True))


async def _observe_namespaces(client: KubeClient) -> list[str] | None:
    """All namespaces; None where we may not list them, as most people may not."""
    try:
        listed = await client.list(NAMESPACES)
    except ForbiddenError:
        return None
    return sorted(namespace["metadata"]["name"] for namespace in listed.items)


def _build_context(
    namespace: str,
    namespaces: list[str] | None = None,
    may: dict[str, bool] | None = None,
    problem: Problem | None = None,
) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "namespaces": namespaces,
        "defaults": {
            "image": config.get("image"),
            "n_workers": config.get("count.start") or DEFAULT_WORKERS,
            "cpu": DEFAULT_CPU,
            "memory": DEFAULT_MEMORY,
            "name": "dask",
        },
        "problem": problem.to_json() if problem else None,
        "can": may or dict.fromkeys(_NEEDED, False),
    }
