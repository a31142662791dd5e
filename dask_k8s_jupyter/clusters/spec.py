"""Builds the DaskCluster that a person asks for, and its sections. Pure.

Guarantees that what is built passes the API's own checks, or InvalidSpecError names the argument.
Refuses to read configuration: defaults here are those of the documentation.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

from dask_k8s_jupyter.state.words import parse_quantity
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS

from .checks import (
    Command,
    Env,
    Manifest,
    Resources,
    build_env,
    check_command,
    check_count,
    check_flag,
    check_image,
    check_name,
    check_resources,
    check_seconds,
    check_service_type,
    merge_env,
)

DEFAULT_IMAGE = "ghcr.io/dask/dask:latest"
DEFAULT_WORKER_COMMAND = "dask worker"
# What a worker with GPUs starts with, unless it is told a command: as dask-cuda spells it today.
CUDA_WORKER_COMMAND = "dask cuda worker"
WORKER_NAME_OPTIONS = ("--name", "$(DASK_WORKER_NAME)")


def make_cluster_spec(
    name: str,
    image: str = DEFAULT_IMAGE,
    n_workers: int | None = None,
    resources: Resources = None,
    env: Env = None,
    worker_command: Command = DEFAULT_WORKER_COMMAND,
    scheduler_service_type: str = "ClusterIP",
    idle_timeout: float = 0,
    jupyter: bool = False,
    *,
    scheduler_image: str | None = None,
    worker_image: str | None = None,
    scheduler_resources: Resources = None,
    worker_resources: Resources = None,
    scheduler_env: Env = None,
    worker_env: Env = None,
    tls: bool = False,
) -> Manifest:
    """Build a DaskCluster from a few common options.

    Parameters
    ----------
    name
        Name of the cluster.
    image
        Image of the scheduler and the workers.
    n_workers
        Workers of the default group; None for 1.
    resources
        ``{"limits": {"cpu": "2", "memory": "4Gi"}, "requests": …}`` of the scheduler and of every
        worker. Workers get as many threads as they have cores, and their memory limit.
    env
        Environment of the scheduler and the workers: name to value, or a list as in a Pod.
    worker_command
        What starts a worker; a list, or text that is split as a shell does. Workers with GPUs start
        with ``dask cuda worker`` unless told otherwise.
    scheduler_service_type
        ClusterIP, NodePort or LoadBalancer.
    idle_timeout
        Seconds without work until the cluster is deleted; 0: never.
    jupyter
        Also run a Jupyter server in the scheduler.
    scheduler_image, worker_image, scheduler_resources, worker_resources
        Of the scheduler or of the workers alone, in place of ``image`` and ``resources``.
    scheduler_env, worker_env
        Added to ``env``, for the scheduler or the workers alone.
    tls
        Encrypt all of Dask's traffic, with certificates of the cluster's own.

    Raises
    ------
    InvalidSpecError
        When an argument cannot become a valid cluster; the message names it.

    Examples
    --------
    >>> spec = make_cluster_spec("demo", n_workers=2, resources={"limits": {"cpu": "2"}})
    >>> spec["spec"]["worker"]["spec"]["containers"][0]["args"]
    ['dask', 'worker', '--name', '$(DASK_WORKER_NAME)', '--nthreads', '2']
    """
    check_name("name", name)
    check_image(image)
    check_resources(resources)
    common = build_env(env)
    worker = make_worker_spec(
        _own_image(image, worker_image, "worker_image"),
        1 if n_workers is None else n_workers,
        _either(resources, worker_resources, "worker_resources"),
        merge_env(common, build_env(worker_env, "worker_env")),
        worker_command,
    )
    scheduler = make_scheduler_spec(
        name,
        merge_env(common, build_env(scheduler_env, "scheduler_env")),
        _either(resources, scheduler_resources, "scheduler_resources"),
        _own_image(image, scheduler_image, "scheduler_image"),
        scheduler_service_type,
        jupyter,
    )
    return _build_cluster(name, {"worker": worker, "scheduler": scheduler}, idle_timeout, tls)


def _own_image(common: str, own: str | None, argument: str) -> str:
    return common if own is None else check_image(own, argument)


def _build_cluster(name: str, spec: Manifest, idle_timeout: float, tls: bool) -> Manifest:
    if check_flag("tls", tls):
        spec["tls"] = True
    if idle_timeout:
        seconds = check_seconds("idle_timeout", idle_timeout, may_be_zero=True)
        spec["idleTimeout"] = math.ceil(seconds)
    return {
        "apiVersion": DASK_CLUSTERS.api_version,
        "kind": DASK_CLUSTERS.kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def make_worker_spec(
    image: str = DEFAULT_IMAGE,
    n_workers: int = 3,
    resources: Resources = None,
    env: Env = None,
    worker_command: Command = DEFAULT_WORKER_COMMAND,
) -> Manifest:
    """Build the ``worker`` section of a cluster or of a worker group.

    Parameters
    ----------
    image, resources, env, worker_command
        As in ``make_cluster_spec``.
    n_workers
        How many workers.

    Examples
    --------
    >>> make_worker_spec(n_workers=2)["replicas"]
    2
    """
    check_count("n_workers", n_workers)
    checked = check_resources(resources)
    container = {
        "name": names.WORKER,
        "image": check_image(image),
        "imagePullPolicy": "IfNotPresent",
        "args": _worker_args(worker_command, checked),
        "env": build_env(env),
        "resources": checked,
        "ports": [_port("http-dashboard", names.WORKER_DASHBOARD_PORT)],
    }
    return {"replicas": n_workers, "spec": {"containers": [container]}}


def make_scheduler_spec(
    cluster_name: str,
    env: Env = None,
    resources: Resources = None,
    image: str = DEFAULT_IMAGE,
    scheduler_service_type: str = "ClusterIP",
    jupyter: bool = False,
) -> Manifest:
    """Build the ``scheduler`` section of a cluster.

    Parameters
    ----------
    cluster_name
        Name of the cluster, which its Service selects by.
    env, resources, image, scheduler_service_type, jupyter
        As in ``make_cluster_spec``, of the scheduler alone.

    Examples
    --------
    >>> make_scheduler_spec("demo", scheduler_service_type="NodePort")["service"]["type"]
    'NodePort'
    """
    check_name("cluster_name", cluster_name)
    service_type = check_service_type(scheduler_service_type)
    container = _scheduler_container(image, resources, env, check_flag("jupyter", jupyter))
    return {
        "spec": {"containers": [container]},
        "service": _scheduler_service(cluster_name, service_type),
    }


def vary_worker_spec(
    worker: Mapping[str, Any],
    n_workers: int,
    image: str | None = None,
    resources: Resources = None,
    env: Env = None,
    worker_command: Command | None = None,
) -> Manifest:
    """Build a ``worker`` section from another one; None keeps what that one has.

    Parameters
    ----------
    worker
        The section to begin with, such as that of the cluster.
    n_workers, image, resources, env, worker_command
        As in ``make_worker_spec``.

    Examples
    --------
    >>> varied = vary_worker_spec(make_worker_spec(), 5, image="acme/dask:7")
    >>> varied["replicas"], varied["spec"]["containers"][0]["image"]
    (5, 'acme/dask:7')
    """
    varied = copy.deepcopy(dict(worker))
    varied["replicas"] = check_count("n_workers", n_workers)
    container = varied["spec"]["containers"][0]
    if image is not None:
        container["image"] = check_image(image)
    if env is not None:
        container["env"] = build_env(env)
    command = worker_command
    if command is None:
        before = container.get("resources") or {}
        command = _find_command(container.get("args") or [], before)
    if resources is not None:
        container["resources"] = check_resources(resources)
    if command is not None:
        container["args"] = _worker_args(command, container.get("resources") or {})
    return varied


def count_gpus(resources: Mapping[str, Any]) -> int:
    """Count the NVIDIA GPUs, whole or in slices, that a container's resources give it.

    Examples
    --------
    >>> count_gpus({"limits": {"nvidia.com/gpu": "2"}})
    2
    """
    limits = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    kinds = ("nvidia.com/gpu", "nvidia.com/mig-")
    amounts = [parse_quantity(amount) for key, amount in limits.items() if key.startswith(kinds)]
    return int(sum(amount or 0 for amount in amounts))


def _either(common: Resources, own: Resources, argument: str) -> Resources:
    return common if own is None else check_resources(own, argument)


def _scheduler_container(image: str, resources: Resources, env: Env, jupyter: bool) -> Manifest:
    health = {"httpGet": {"port": "http-dashboard", "path": "/health"}}
    return {
        "name": names.SCHEDULER,
        "image": check_image(image),
        "imagePullPolicy": "IfNotPresent",
        "args": ["dask", "scheduler", "--host", "0.0.0.0", *(["--jupyter"] if jupyter else [])],  # noqa: S104
        "env": build_env(env),
        "resources": check_resources(resources),
        "ports": [
            _port(names.COMM_PORT_NAME, names.COMM_PORT),
            _port("http-dashboard", names.DASHBOARD_PORT),
        ],
        # A second is how long a person gladly waits for Running; the probe costs a scheduler 1 ms.
        "readinessProbe": {
            **health,
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 60,
        },
        # A scheduler whose event loop a large graph holds for minutes is busy, not dead.
        "livenessProbe": {
            **health,
            "initialDelaySeconds": 15,
            "periodSeconds": 20,
            "timeoutSeconds": 10,
            "failureThreshold": 15,
        },
    }


def _scheduler_service(cluster: str, service_type: str) -> Manifest:
    return {
        "type": service_type,
        "selector": {
            names.CLUSTER_NAME_LABEL: cluster,
            names.COMPONENT_LABEL: names.SCHEDULER,
        },
        "ports": [
            _service_port(names.COMM_PORT_NAME, names.COMM_PORT),
            _service_port("http-dashboard", names.DASHBOARD_PORT),
        ],
    }


def _port(name: str, port: int) -> Manifest:
    return {"name": name, "containerPort": port, "protocol": "TCP"}


def _service_port(name: str, port: int) -> Manifest:
    return {"name": name, "protocol": "TCP", "port": port, "targetPort": name}


def _worker_args(command: Command, resources: Manifest) -> list[str]:
    words = check_command("worker_command", command)
    if words == DEFAULT_WORKER_COMMAND.split() and count_gpus(resources):
        words = CUDA_WORKER_COMMAND.split()
    return [*words, *WORKER_NAME_OPTIONS, *_limits_as_options(resources, words)]


def _limits_as_options(resources: Manifest, words: Sequence[str]) -> list[str]:
    """Tell the worker what Kubernetes will hold it to; left alone, it takes the whole node's.

    What the command says itself stays. dask-cuda starts a process for each GPU, with one thread.
    """
    limits = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    is_cuda = list(words[:3]) == CUDA_WORKER_COMMAND.split() or words[0] == "dask-cuda-worker"
    options: list[str] = []
    cores = parse_quantity(limits.get("cpu"))
    if cores and not is_cuda and not _says(words, "--nthreads"):
        options += ["--nthreads", str(max(1, math.ceil(cores)))]
    memory_bytes = parse_quantity(limits.get("memory"))
    if memory_bytes and not _says(words, "--memory-limit"):
        processes = max(1, count_gpus(resources)) if is_cuda else 1
        options += ["--memory-limit", f"{int(memory_bytes / processes)}B"]
    return options


def _says(words: Sequence[str], option: str) -> bool:
    return any(word == option or word.startswith(f"{option}=") for word in words)


def _find_command(args: Sequence[str], resources: Manifest) -> list[str] | None:
    """The command that ``_worker_args`` made these from; None when a person wrote them."""
    for end in range(1, len(args)):
        command, options = list(args[:end]), list(args[end:])
        if options == [*WORKER_NAME_OPTIONS, *_limits_as_options(resources, command)]:
            is_chosen = command == CUDA_WORKER_COMMAND.split()
            return DEFAULT_WORKER_COMMAND.split() if is_chosen else command
    return None
