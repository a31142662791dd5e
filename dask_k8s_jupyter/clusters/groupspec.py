"""Builds what is added to a cluster that is there: worker groups and their autoscalers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import DASK_AUTOSCALERS, DASK_WORKER_GROUPS

Manifest = dict[str, Any]


def build_worker_group(name: str, cluster: str, worker: Mapping[str, Any]) -> Manifest:
    """Build a DaskWorkerGroup from its full name and a ``worker`` section."""
    return {
        "apiVersion": DASK_WORKER_GROUPS.api_version,
        "kind": DASK_WORKER_GROUPS.kind,
        "metadata": {"name": name},
        "spec": {"cluster": cluster, "worker": dict(worker)},
    }


def build_autoscaler(
    cluster: str, minimum: int, maximum: int, group: str | None = None
) -> Manifest:
    """Build the DaskAutoscaler of a worker group, by the group's full name; None: the default one.

    Examples
    --------
    >>> build_autoscaler("demo", 0, 4)["spec"]
    {'cluster': 'demo', 'minimum': 0, 'maximum': 4}
    >>> build_autoscaler("demo", 0, 4, "demo-gpu")["spec"]["workerGroup"]
    'demo-gpu'
    """
    full_name = group or names.default_group_name(cluster)
    is_default = full_name == names.default_group_name(cluster)
    return {
        "apiVersion": DASK_AUTOSCALERS.api_version,
        "kind": DASK_AUTOSCALERS.kind,
        "metadata": {"name": name_autoscalers(cluster, full_name)[0]},
        "spec": {
            "cluster": cluster,
            "minimum": minimum,
            "maximum": maximum,
            **({} if is_default else {"workerGroup": full_name}),
        },
    }


def name_autoscalers(cluster: str, group: str) -> list[str]:
    """Names for the autoscaler of a group, the first choice first: somebody may have taken that.

    The default group's has the cluster's name, that of another group has the group's full name,
    which is also what a cluster may be called.

    Examples
    --------
    >>> name_autoscalers("demo", "demo-default"), name_autoscalers("demo", "demo-gpu")
    (['demo', 'demo-default'], ['demo-gpu', 'demo-gpu-autoscaler'])
    """
    if group == names.default_group_name(cluster):
        return [cluster, group]
    choices = [group, f"{group}-autoscaler"]
    return [name for name in choices if len(name) <= names.MAX_GROUP_NAME_LENGTH]
