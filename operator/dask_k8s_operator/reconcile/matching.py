"""Which worker processes run in which Pod.

A worker tells its scheduler a name and an address. The name is the Pod's own wherever the worker
was started with ``--name $(DASK_WORKER_NAME)``; several processes of one Pod carry a number behind
it. The address is the Pod's, unless the Pod shares its node's (``hostNetwork``) or the worker was
given another one to be reached at (``--contact-address``).

Guarantees that a worker which carries the name of a Pod of its cluster is that Pod's and nobody
else's, whatever it listens on; all others go by address, whatever they are called. Refuses to tell
apart workers without a name of ours that share an address: each of their Pods has all of them, so
that none goes before all are drained, and none is drained that may be one of a Pod which stays.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping

from ..resources.agent_protocol import SchedulerReport, WorkerLoad
from ..resources.names import WORKER_NAME_VARIABLE
from .plan import Manifest

Workers = tuple[WorkerLoad, ...]

# Several processes of one Pod are NAME-0, NAME-1 and so on.
_NUMBERED = re.compile(r"(.+)-\d+")


def match_workers(report: SchedulerReport, pods: Iterable[Manifest]) -> Mapping[str, Workers]:
    """Find the workers of each Pod, by the Pods' names.

    Parameters
    ----------
    report
        What the scheduler says.
    pods
        Worker Pods of the whole cluster: one that is left out has its workers counted as those of
        the others on its address.

    Examples
    --------
    >>> pod = {"metadata": {"name": "a"}, "spec": {"containers": [{}]}, "status": {}}
    >>> report = SchedulerReport((WorkerLoad("tcp://some-node:1", name="a-0"),))
    >>> [worker.address for worker in match_workers(report, [pod])["a"]]
    ['tcp://some-node:1']
    """
    pods = list(pods)
    pod_of = _owners_of_names(pods)
    by_pod: dict[str, list[WorkerLoad]] = defaultdict(list)
    by_host: dict[str, list[WorkerLoad]] = defaultdict(list)
    for worker in report.workers:
        numbered = _NUMBERED.fullmatch(worker.name)
        owner = pod_of.get(worker.name) or (numbered and pod_of.get(numbered[1]))
        if owner:
            by_pod[owner].append(worker)
        elif worker.host:
            by_host[worker.host].append(worker)
    for host, candidates in _candidates_on(by_host, pods, by_pod).items():
        for name in candidates:
            by_pod[name] += by_host[host]
    return {name: tuple(workers) for name, workers in by_pod.items()}


def _candidates_on(
    hosts: Container[str], pods: list[Manifest], by_name: Mapping[str, object]
) -> dict[str, list[str]]:
    """Find the Pods that the nameless workers on each address may be of."""
    found: dict[str, list[Manifest]] = defaultdict(list)
    for pod in pods:
        for host in _hosts(pod):
            if host in hosts:
                found[host].append(pod)
    # The only container of a Pod names all its workers or none: who has some by name has them all.
    settled = {_name(p) for p in pods if _name(p) in by_name and len(p["spec"]["containers"]) == 1}
    return {
        host: [_name(pod) for pod in there if _name(pod) not in settled] or list(map(_name, there))
        for host, there in found.items()
    }


def _name(pod: Manifest) -> str:
    return str(pod["metadata"]["name"])


def _owners_of_names(pods: list[Manifest]) -> dict[str, str]:
    claims = [(called, _name(pod)) for pod in pods for called in _worker_names(pod)]
    times = Counter(called for called, _ in claims)
    # A name that a user gave to all Pods of a group tells none from another.
    return {called: pod for called, pod in claims if times[called] == 1}


def _worker_names(pod: Manifest) -> set[str]:
    """What the workers of a Pod are called, if they are called as they are told to."""
    variables = [v for c in pod["spec"]["containers"] for v in c.get("env") or ()]
    given = {v.get("value") for v in variables if v["name"] == WORKER_NAME_VARIABLE}
    return {_name(pod), *(value for value in given if value)}


def _hosts(pod: Manifest) -> set[str]:
    # On two stacks a worker may listen on the address that is not the Pod's first.
    status = pod.get("status") or {}
    addresses = [status.get("podIP"), *(each.get("ip") for each in status.get("podIPs") or ())]
    return {address for address in addresses if address}
