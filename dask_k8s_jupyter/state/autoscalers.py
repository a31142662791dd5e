"""Which autoscaler scales which worker group. Pure.

An autoscaler belongs to the group that it names, whatever it is called itself. Of several for one
group the oldest scales, as the operator has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dask_k8s_operator.resources.names import default_group_name

Resource = dict[str, Any]


def find_autoscalers(
    autoscalers: Iterable[Resource], namespace: str, cluster: str, group: str | None = None
) -> list[Resource]:
    """Find the autoscalers of a worker group, the one that scales first.

    Parameters
    ----------
    autoscalers
        All that there are, of any namespace.
    namespace, cluster
        The cluster.
    group
        Full name of the group; None for the default one.

    Examples
    --------
    >>> found = {"metadata": {"name": "any", "namespace": "a"}, "spec": {"cluster": "demo"}}
    >>> [each["metadata"]["name"] for each in find_autoscalers([found], "a", "demo")]
    ['any']
    >>> find_autoscalers([found], "a", "demo", "demo-gpu")
    []
    """
    wanted = (namespace, cluster, group or default_group_name(cluster))
    found = [each for each in autoscalers if _target(each) == wanted and not _is_going(each)]
    return sorted(found, key=_seniority)


def index_autoscalers(
    autoscalers: Iterable[Resource], namespace: str, cluster: str
) -> dict[str, Resource]:
    """The autoscaler that scales each worker group of a cluster, by the group's full name.

    One that is being deleted scales nothing.

    Parameters
    ----------
    autoscalers
        All that there are, of any namespace.
    namespace, cluster
        The cluster.

    Examples
    --------
    >>> found = {"metadata": {"name": "any", "namespace": "a"}, "spec": {"cluster": "demo"}}
    >>> list(index_autoscalers([found], "a", "demo"))
    ['demo-default']
    """
    indexed: dict[str, Resource] = {}
    for autoscaler in autoscalers:
        place, name, group = _target(autoscaler)
        if (place, name) != (namespace, cluster) or _is_going(autoscaler):
            continue
        indexed[group] = min(indexed.get(group, autoscaler), autoscaler, key=_seniority)
    return indexed


def _target(autoscaler: Resource) -> tuple[str, str, str]:
    spec = autoscaler.get("spec") or {}
    cluster = str(spec.get("cluster") or "")
    group = str(spec.get("workerGroup") or default_group_name(cluster))
    return str(autoscaler["metadata"].get("namespace", "")), cluster, group


def _is_going(autoscaler: Resource) -> bool:
    return "deletionTimestamp" in autoscaler["metadata"]


def _seniority(autoscaler: Resource) -> tuple[str, str]:
    metadata = autoscaler["metadata"]
    return str(metadata.get("creationTimestamp", "")), str(metadata["name"])
