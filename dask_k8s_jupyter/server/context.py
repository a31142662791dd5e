"""Where the sidebar stands: the namespace, what may be done there, what is in the way.

Guarantees an answer also where nothing works: then the problem says what does not. Refuses to
write.
"""

from __future__ import annotations

from typing import Any

from dask_k8s_jupyter import config
from dask_k8s_jupyter.clusters import actions
from dask_k8s_jupyter.errors import DaskKubernetesError
from dask_k8s_jupyter.state import Problem, build_problem
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ForbiddenError, KubeError
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, NAMESPACES

from .hub import StoreHub
from .validate import check_namespace

WRITE_VERBS = ("create", "patch", "delete")
DEFAULT_WORKERS = 2
DEFAULT_CPU = "1"
DEFAULT_MEMORY = "2Gi"


async def observe_context(hub: StoreHub, namespace: str) -> dict[str, Any]:
    """Draw the context of a namespace; an empty one means that of the connection."""
    if namespace:
        check_namespace(namespace)
    try:
        client = await hub.client()
    except KubeError as error:
        return _build_context(namespace or "default", problem=build_problem(error))
    namespace = namespace or config.get("namespace") or client.namespace
    try:
        await actions.preflight(client, namespace)
        namespaces = await _observe_namespaces(client)
        may = {verb: await client.can_i(verb, DASK_CLUSTERS, namespace) for verb in WRITE_VERBS}
    except (KubeError, DaskKubernetesError) as error:
        return _build_context(namespace, problem=build_problem(error))
    return _build_context(namespace, namespaces, may)


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
    allowed = may or dict.fromkeys(WRITE_VERBS, False)
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
        "can": {
            "create": allowed["create"],
            "scale": allowed["patch"],
            "delete": allowed["delete"],
        },
        "quota": None,
    }
