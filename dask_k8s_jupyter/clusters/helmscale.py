"""Scales a Deployment of workers down without losing what they hold.

Kubernetes chooses which Pods of a Deployment go. So before it is asked to, the workers that hold
least are retired by the scheduler, and their Pods are marked as the cheapest to delete
(``controller.kubernetes.io/pod-deletion-cost``).

Guarantees that only Pods of the very Deployment are chosen, and that a warning says what could not
be handed over. Refuses to stand in the way: where the scheduler does not answer or we may not mark
Pods, Kubernetes chooses alone, and a warning says so.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import KubeError
from dask_k8s_operator.resources.kinds import PODS, Kind

logger = logging.getLogger(__name__)
Manifest = Mapping[str, Any]

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
CHEAPEST = "-1000"
REPLICA_SETS = Kind("apps", "v1", "replicasets", "ReplicaSet")


def match_workers(
    pods: Iterable[Manifest], workers: Mapping[str, Mapping[str, Any]]
) -> dict[str, set[str]]:
    """Find the addresses of the workers of each Pod, by the Pods' names.

    A worker that is called as a Pod is that Pod's, all others go by address. Pods that share an
    address (``hostNetwork``) have all the workers there.

    Examples
    --------
    >>> pod = {"metadata": {"name": "a"}, "status": {"podIPs": [{"ip": "fd00::1"}]}}
    >>> match_workers([pod], {"tcp://[fd00::1]:1": {}, "tcp://10.0.0.9:1": {"name": "a"}})["a"] == {
    ...     "tcp://[fd00::1]:1", "tcp://10.0.0.9:1"}
    True
    """
    pods = list(pods)
    names = {str(pod["metadata"]["name"]) for pod in pods}
    matched: dict[str, set[str]] = {name: set() for name in names}
    for address, worker in workers.items():
        called = str(worker.get("name", ""))
        if called in names:
            matched[called].add(address)
            continue
        for pod in pods:
            if _host(address) in _hosts(pod):
                matched[str(pod["metadata"]["name"])].add(address)
    return matched


def choose_leavers(
    pods: Iterable[Manifest], workers: Mapping[str, Mapping[str, Any]], n_workers: int
) -> list[Manifest]:
    """Choose the Pods that should go: those without a worker first, then those that hold least.

    Parameters
    ----------
    pods
        All Pods of the Deployment that are there to stay.
    workers
        What the scheduler says of its workers, by their address.
    n_workers
        How many Pods should stay.

    Examples
    --------
    >>> pods = [{"metadata": {"name": n}, "status": {"podIP": ip}}
    ...         for n, ip in (("a", "10.0.0.1"), ("b", "10.0.0.2"))]
    >>> held = {"tcp://10.0.0.1:1": {"metrics": {"memory": 9}}, "tcp://10.0.0.2:1": {}}
    >>> [pod["metadata"]["name"] for pod in choose_leavers(pods, held, 1)]
    ['b']
    """
    pods = list(pods)
    matched = match_workers(pods, workers)

    def load(pod: Manifest) -> tuple[int, float]:
        loads = [_load(workers[each]) for each in matched[pod["metadata"]["name"]]]
        if not loads:
            return -1, 0.0
        return sum(busy for busy, _ in loads), sum(held for _, held in loads)

    ordered = sorted(pods, key=lambda pod: (load(pod), pod["metadata"]["name"]))
    return ordered[: max(0, len(ordered) - n_workers)]


async def retire_before_scaling_down(
    client: KubeClient, scheduler: Any, deployment: Manifest, n_workers: int
) -> None:
    """Retire the workers that will go, and mark their Pods, when a Deployment is to shrink.

    Parameters
    ----------
    client
        Connection to the API.
    scheduler
        ``distributed.core.rpc`` of the scheduler.
    deployment
        The Deployment as it is now.
    n_workers
        How many workers it should have.
    """
    if n_workers >= int(deployment["spec"].get("replicas", 1)):
        return
    where = f"{deployment['metadata']['namespace']}/{deployment['metadata']['name']}"
    try:
        pods = await _list_pods(client, deployment)
        workers = (await scheduler.identity())["workers"]
        leavers = choose_leavers(pods, workers, n_workers)
        await asyncio.gather(*(_mark(client, pod) for pod in leavers))
        await _retire(scheduler, where, choose_addresses(pods, leavers, workers))
    except (KubeError, OSError) as error:
        logger.warning("Kubernetes chooses which workers of Deployment %s go: %s", where, error)


def choose_addresses(
    pods: Iterable[Manifest], leavers: Iterable[Manifest], workers: Mapping[str, Mapping[str, Any]]
) -> set[str]:
    """Choose the workers to retire: those of Pods that leave, and of no Pod that stays."""
    matched = match_workers(pods, workers)
    leaving = {str(pod["metadata"]["name"]) for pod in leavers}
    chosen = {address for name in leaving for address in matched[name]}
    for name, addresses in matched.items():
        if name not in leaving:
            chosen -= addresses
    return chosen


async def _retire(scheduler: Any, where: str, addresses: set[str]) -> None:
    """Let workers hand over what they hold; say what nobody could take."""
    if not addresses:
        return
    wanted = sorted(addresses)
    retired = await scheduler.retire_workers(workers=wanted, close_workers=False, remove=False)
    stuck = addresses - set(retired)
    if stuck:
        logger.warning(
            "No other worker could take the results that %d of the workers of Deployment %s hold; "
            "they go all the same, and what is still needed of it is computed again: %s",
            len(stuck),
            where,
            ", ".join(sorted(stuck)),
        )


def _load(worker: Mapping[str, Any]) -> tuple[int, float]:
    """How many tasks a worker runs, and how many bytes it holds."""
    metrics = worker.get("metrics") or {}
    states = metrics.get("task_counts") or {}
    busy = int(states.get("executing", metrics.get("executing", 0)))
    return busy, float(metrics.get("managed_bytes", metrics.get("memory", 0)))


async def _list_pods(client: KubeClient, deployment: Manifest) -> list[Manifest]:
    """List the Pods of a Deployment; groups of one chart may share their labels, not an owner."""
    namespace = deployment["metadata"]["namespace"]
    labels = deployment["spec"]["selector"]["matchLabels"]
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    pods = (await client.list(PODS, namespace, label_selector=selector)).items
    sets = (await client.list(REPLICA_SETS, namespace, label_selector=selector)).items
    own = {each["metadata"]["uid"] for each in sets if _is_owned(each, deployment)}
    return [
        pod
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any(owner["uid"] in own for owner in pod["metadata"].get("ownerReferences") or ())
    ]


def _is_owned(item: Manifest, owner: Manifest) -> bool:
    references = item["metadata"].get("ownerReferences") or ()
    return any(each["uid"] == owner["metadata"]["uid"] for each in references)


async def _mark(client: KubeClient, pod: Manifest) -> None:
    patch = {"metadata": {"annotations": {DELETION_COST: CHEAPEST}}}
    metadata = pod["metadata"]
    await client.patch(PODS, metadata["name"], patch, metadata["namespace"])


def _host(address: str) -> str:
    return urlsplit(address).hostname or ""


def _hosts(pod: Manifest) -> set[str]:
    # On two stacks a worker may listen on the address that is not the Pod's first.
    status = pod.get("status") or {}
    addresses = [status.get("podIP"), *(each.get("ip") for each in status.get("podIPs") or ())]
    return {str(address) for address in addresses if address}
