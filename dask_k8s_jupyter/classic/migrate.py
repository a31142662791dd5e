"""Leads from a classic Pod template to a DaskCluster of the operator. Pure.

Guarantees that what the template says of image, environment, resources, volumes and placement
holds in the DaskCluster too. Refuses to invent: what only classic clusters have (their own
tolerations and node affinity) is left out.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any

from dask_k8s_jupyter.clusters.spec import DEFAULT_IMAGE, make_cluster_spec

from .podtemplate import PodTemplate, read_pod_template

Manifest = dict[str, Any]
_ADDRESSES = ("$(DASK_SCHEDULER_ADDRESS)", "${DASK_SCHEDULER_ADDRESS}")


def to_cluster_spec(
    pod_template: Any,
    name: str,
    n_workers: int | None = None,
    scheduler_pod_template: Any = None,
    *,
    idle_timeout: float = 0,
    scheduler_service_type: str = "ClusterIP",
) -> Manifest:
    """Turn a classic Pod template into a DaskCluster.

    Parameters
    ----------
    pod_template
        Pod of a worker, as the classic ``KubeCluster`` takes it.
    name
        Name of the cluster.
    n_workers
        Workers of the default group; None for 1.
    scheduler_pod_template
        Pod of the scheduler; None for that of the workers.
    idle_timeout
        Seconds without work until the cluster is deleted; 0: never.
    scheduler_service_type
        ClusterIP, NodePort or LoadBalancer.

    Raises
    ------
    InvalidSpecError
        When an argument cannot become a valid cluster; the message names it.

    Examples
    --------
    >>> from dask_k8s_jupyter.classic import make_pod_spec, to_cluster_spec
    >>> cluster = to_cluster_spec(make_pod_spec("acme/dask:7", env={"A": "1"}), "demo", n_workers=2)
    >>> cluster["kind"], cluster["spec"]["worker"]["spec"]["containers"][0]["args"][:4]
    ('DaskCluster', ['dask', 'worker', '--name', '$(DASK_WORKER_NAME)'])
    """
    worker = read_pod_template("pod_template", pod_template)
    scheduler = worker
    if scheduler_pod_template is not None:
        scheduler = read_pod_template("scheduler_pod_template", scheduler_pod_template)
    cluster = make_cluster_spec(
        name,
        image=worker["spec"]["containers"][0].get("image") or DEFAULT_IMAGE,
        n_workers=n_workers,
        idle_timeout=idle_timeout,
        scheduler_service_type=scheduler_service_type,
    )
    usual = cluster["spec"]["scheduler"]["spec"]["containers"][0]
    cluster["spec"]["worker"]["spec"] = _build_worker(worker)
    cluster["spec"]["scheduler"]["spec"] = _build_scheduler(scheduler, usual)
    for section, template in (("worker", worker), ("scheduler", scheduler)):
        metadata = _read_metadata(template)
        if metadata:
            cluster["spec"][section]["metadata"] = metadata
    return cluster


def _build_worker(template: PodTemplate) -> Manifest:
    spec = copy.deepcopy(template["spec"]).to_dict()
    container = spec["containers"][0]
    key = "args" if container.get("args") or not container.get("command") else "command"
    container[key] = _rewrite(container.get(key) or ["dask", "worker"])
    container.setdefault("name", "worker")
    return dict(spec)


def _build_scheduler(template: PodTemplate, usual: Manifest) -> Manifest:
    """The template's Pod with the scheduler's own command, ports and probes."""
    spec: Manifest = copy.deepcopy(template["spec"]).to_dict()
    # A scheduler that ends is started again; classic Pods are not.
    spec.pop("restartPolicy", None)
    container = spec["containers"][0]
    if not container.get("args"):
        container.pop("command", None)
    own = ("name", "args", "ports", "readinessProbe", "livenessProbe")
    container.update({key: usual[key] for key in own})
    container.setdefault("image", usual["image"])
    return spec


def _rewrite(words: list[str]) -> list[str]:
    """Today's spelling of the command, and the name that the operator gives the worker.

    Examples
    --------
    >>> _rewrite(["dask-worker", "$(DASK_SCHEDULER_ADDRESS)", "--name", "x", "--nthreads", "2"])
    ['dask', 'worker', '--name', '$(DASK_WORKER_NAME)', '--nthreads', '2']
    """
    rewritten: list[str] = []
    remaining = iter(str(word) for word in words)
    for word in remaining:
        if word == "--name":
            next(remaining, None)
        elif word == "dask-worker":
            rewritten += ["dask", "worker"]
        elif word not in _ADDRESSES and not word.startswith("--name="):
            rewritten.append(word)
    named = ["--name", "$(DASK_WORKER_NAME)"]
    for at, pair in enumerate(itertools.pairwise(rewritten)):
        if pair == ("dask", "worker"):
            return [*rewritten[: at + 2], *named, *rewritten[at + 2 :]]
    return [*rewritten, *named]


def _read_metadata(template: PodTemplate) -> Manifest:
    metadata = template.get("metadata") or {}
    return {key: dict(metadata[key]) for key in ("labels", "annotations") if metadata.get(key)}
