"""What the operator's benchmark makes, and how it counts what is written.

Guarantees that the bare loops send the Pods that the operator makes, but for the labels by which
it would take them for its own. Refuses to know where pretended nodes come from.
"""

from __future__ import annotations

import re
from typing import Any

from dask_k8s_operator.resources import builders

NOWHERE = {"schedulerName": "nobody"}
# What the operator writes; of Pods not their statuses, which are the nodes'.
WRITTEN = {"pods", "services", "secrets", "configmaps", "daskclusters", "daskworkergroups"}


def build_pod_spec(placement: dict[str, Any]) -> dict[str, Any]:
    """Build a Pod that costs nothing; ``placement`` is the part of its spec that says where."""
    return {
        "containers": [{"name": "main", "image": "registry.invalid/nothing:1"}],
        "terminationGracePeriodSeconds": 0,
        **placement,
    }


def build_placement(node_selector: str, toleration: str) -> dict[str, Any]:
    """Build the part of a Pod's spec that sends it to pretended nodes.

    Examples
    --------
    >>> build_placement("type=kwok", "kwok.x-k8s.io/node")["nodeSelector"]
    {'type': 'kwok'}
    """
    label, _, value = node_selector.partition("=")
    return {
        "nodeSelector": {label: value},
        "tolerations": [{"key": toleration, "operator": "Exists"}],
    }


def build_cluster(name: str, placement: dict[str, Any]) -> dict[str, Any]:
    """Build a cluster without workers whose scheduler never runs: nobody has to be asked."""
    return {
        "metadata": {"name": name},
        "spec": {
            "scheduler": {"spec": build_pod_spec(NOWHERE), "service": {}},
            "worker": {"replicas": 0, "spec": build_pod_spec(placement)},
        },
    }


def build_bare_pods(group: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Build a group's worker Pods that no operator knows."""
    pods = builders.build_worker_pods(group, (f"{index:010x}" for index in range(number)))
    for pod in pods:
        labels = pod["metadata"]["labels"]
        pod["metadata"]["labels"] = {f"bare.{key}": value for key, value in labels.items()}
        pod["metadata"]["labels"] |= {"benchmark": "bare"}
    return pods


def count_writes(metrics: str) -> float:
    """Count the writes of what operators write in an API server's own metrics.

    Examples
    --------
    >>> line = 'apiserver_request_total{code="201",resource="pods",subresource="",verb="POST"} 7'
    >>> count_writes(line), count_writes(line.replace("POST", "LIST"))
    (7.0, 0.0)
    """
    total = 0.0
    for line in metrics.splitlines():
        if line.startswith("apiserver_request_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            # Nodes write statuses, and delete once more what is gone already.
            is_missing = labels["verb"] == "DELETE" and labels["code"] == "404"
            is_nodes = labels["resource"] == "pods" and (labels["subresource"] or is_missing)
            is_write = labels["verb"] in ("POST", "PUT", "PATCH", "APPLY", "DELETE")
            if is_write and labels["resource"] in WRITTEN and not is_nodes:
                total += float(line.rpartition(" ")[2])
    return total
