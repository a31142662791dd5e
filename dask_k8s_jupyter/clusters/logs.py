"""Reads what the Pods of a cluster wrote.

Guarantees an answer for every Pod, if only the API's own sentence about why there is no log yet.
Refuses to follow: that is for whoever shows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ApiError, KubeError
from dask_k8s_operator.resources.kinds import PODS
from dask_k8s_operator.resources.names import CLUSTER_NAME_LABEL

Pod = Mapping[str, Any]
FAILING_LOG_LINES = 20


async def read_cluster_logs(
    client: KubeClient, namespace: str, name: str, tail_lines: int | None = None
) -> dict[str, str]:
    """Read the log of every Pod of a cluster, by the Pod's name.

    Parameters
    ----------
    client
        Connection to the API.
    namespace, name
        The cluster.
    tail_lines
        How many of the last lines; None for all.
    """
    pods = sorted(pod["metadata"]["name"] for pod in await _list_pods(client, namespace, name))
    texts = await asyncio.gather(*(_read(client, namespace, pod, tail_lines) for pod in pods))
    return dict(zip(pods, texts, strict=True))


async def read_failing_log(client: KubeClient, namespace: str, name: str) -> str:
    """Read the last lines of the Pod that keeps a cluster from starting, if it wrote any."""
    try:
        pods = await _list_pods(client, namespace, name)
    except KubeError:
        return ""
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"]), reverse=True):
        statuses = (pod.get("status") or {}).get("containerStatuses") or []
        for status in statuses:
            if is_failing(status):
                text = await read_crash(client, namespace, pod["metadata"]["name"], status)
                return "\n".join(text.splitlines()[-FAILING_LOG_LINES:])
    return ""


def is_failing(status: Mapping[str, Any]) -> bool:
    """Whether a container has ended badly, now or before its last restart."""
    states = (status.get("state") or {}, status.get("lastState") or {})
    return any((state.get("terminated") or {}).get("exitCode") for state in states)


async def _list_pods(client: KubeClient, namespace: str, name: str) -> list[Pod]:
    selector = f"{CLUSTER_NAME_LABEL}={name}"
    return list((await client.list(PODS, namespace, label_selector=selector)).items)


async def _read(client: KubeClient, namespace: str, pod: str, tail_lines: int | None) -> str:
    try:
        return await client.logs(pod, namespace, tail_lines=tail_lines)
    except ApiError as error:
        return error.message


async def read_crash(
    client: KubeClient, namespace: str, pod: str, status: Mapping[str, Any]
) -> str:
    """The log of the container that ended; once it runs again, that is the previous one."""
    runs_again = "running" in (status.get("state") or {})
    for previous in (runs_again, not runs_again):
        try:
            text = await client.logs(
                pod,
                namespace,
                container=status["name"],
                tail_lines=FAILING_LOG_LINES,
                previous=previous,
            )
        except KubeError:
            continue
        if text.strip():
            return text
    return ""
