"""Builds the resources that a person asks for: DaskCluster, worker groups, autoscalers. Pure.

Guarantees that what is built passes the API's own checks, or InvalidSpecError names the argument.
Refuses to read configuration: defaults here are those of the documentation.
"""

from __future__ import annotations

import copy
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from dask_k8s_jupyter.errors import InvalidSpecError
from dask_k8s_jupyter.state.words import parse_quantity
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS

DEFAULT_IMAGE = "ghcr.io/dask/dask:latest"
DEFAULT_WORKER_COMMAND = "dask worker"
SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")

Manifest = dict[str, Any]
Env = Sequence[Mapping[str, Any]] | Mapping[str, str] | None
Resources = Mapping[str, Any] | None
Command = str | Sequence[str]


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
        What starts a worker; a list, or text that is split as a shell does.
    scheduler_service_type
        ClusterIP, NodePort or LoadBalancer.
    idle_timeout
        Seconds without work until the cluster is deleted; 0: never.
    jupyter
        Also run a Jupyter server in the scheduler.

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
    if scheduler_service_type not in SERVICE_TYPES:
        raise InvalidSpecError(
            f"scheduler_service_type: {scheduler_service_type!r} is none of {SERVICE_TYPES}"
        )
    spec: Manifest = {
        "worker": make_worker_spec(
            image, 1 if n_workers is None else n_workers, resources, env, worker_command
        ),
        "scheduler": {
            "spec": {"containers": [_scheduler_container(image, resources, env, jupyter)]},
            "service": _scheduler_service(name, scheduler_service_type),
        },
    }
    if idle_timeout:
        spec["idleTimeout"] = _idle_timeout_s(idle_timeout)
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
        "args": [
            *_split("worker_command", worker_command),
            "--name",
            "$(DASK_WORKER_NAME)",
            *_limits_as_options(checked),
        ],
        "env": build_env(env),
        "resources": checked,
        "ports": [_port("http-dashboard", names.WORKER_DASHBOARD_PORT)],
    }
    return {"replicas": n_workers, "spec": {"containers": [container]}}


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
    if resources is not None:
        container["resources"] = check_resources(resources)
    if worker_command is not None:
        command = _split("worker_command", worker_command)
        container["args"] = [*command, "--name", "$(DASK_WORKER_NAME)"]
    if resources is not None or worker_command is not None:
        kept = _without_limit_options(container.get("args") or [])
        container["args"] = [*kept, *_limits_as_options(container.get("resources") or {})]
    return varied


def build_worker_group(name: str, cluster: str, worker: Mapping[str, Any]) -> Manifest:
    """Build a DaskWorkerGroup from its full name and a ``worker`` section."""
    return {
        "apiVersion": DASK_WORKER_GROUPS.api_version,
        "kind": DASK_WORKER_GROUPS.kind,
        "metadata": {"name": name},
        "spec": {"cluster": cluster, "worker": dict(worker)},
    }


def build_autoscaler(cluster: str, minimum: int, maximum: int) -> Manifest:
    """Build the DaskAutoscaler of a cluster; it has the cluster's name."""
    return {
        "apiVersion": DASK_AUTOSCALERS.api_version,
        "kind": DASK_AUTOSCALERS.kind,
        "metadata": {"name": cluster},
        "spec": {"cluster": cluster, "minimum": minimum, "maximum": maximum},
    }


def build_env(env: Env) -> list[Manifest]:
    """Build a container's ``env`` from name-to-value, or from a list as in a Pod.

    Examples
    --------
    >>> build_env({"EXTRA": 1})
    [{'name': 'EXTRA', 'value': '1'}]
    """
    if env is None:
        return []
    if isinstance(env, Mapping):
        return [{"name": str(name), "value": str(value)} for name, value in env.items()]
    if isinstance(env, str) or not all(
        isinstance(item, Mapping) and "name" in item for item in env
    ):
        raise InvalidSpecError(f"env: give a dict, or a list of dicts with 'name', not {env!r}")
    return [dict(item) for item in env]


def check_name(argument: str, name: str, max_length: int = names.MAX_CLUSTER_NAME_LENGTH) -> str:
    """Return a valid name, or raise InvalidSpecError that says what is wrong with it."""
    if not isinstance(name, str):
        raise InvalidSpecError(f"{argument}: a text is needed, not {name!r}")
    complaint = names.explain_bad_name(name, max_length)
    if complaint:
        raise InvalidSpecError(f"{argument}: {complaint}")
    return name


def check_count(argument: str, count: int) -> int:
    """Return a whole number from 0 on, or raise InvalidSpecError."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise InvalidSpecError(f"{argument}: a whole number, 0 or more, is needed, not {count!r}")
    return count


def check_image(image: str) -> str:
    """Return the name of an image, or raise InvalidSpecError."""
    if not isinstance(image, str) or not image or image.strip() != image or " " in image:
        raise InvalidSpecError(f"image: {image!r} is not the name of an image")
    return image


def check_resources(resources: Resources) -> Manifest:
    """Return ``resources`` of a container, checked down to the quantities.

    Examples
    --------
    >>> check_resources({"limits": {"memory": "4Gi"}})
    {'limits': {'memory': '4Gi'}}
    """
    checked: Manifest = {}
    for bound, amounts in (resources or {}).items():
        if bound not in ("limits", "requests", "claims"):
            raise InvalidSpecError(f"resources: {bound!r} is neither 'limits' nor 'requests'")
        if bound == "claims":
            checked[bound] = amounts
            continue
        if not isinstance(amounts, Mapping):
            raise InvalidSpecError(f"resources: {bound} should be a dict, not {amounts!r}")
        for resource, amount in amounts.items():
            if parse_quantity(amount) is None:
                raise InvalidSpecError(
                    f"resources: {bound}.{resource} is {amount!r}; write 2, 500m, 4Gi or 512Mi"
                )
        checked[bound] = {resource: str(amount) for resource, amount in amounts.items()}
    return checked


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


def _split(argument: str, command: Command) -> list[str]:
    words = shlex.split(command) if isinstance(command, str) else [str(word) for word in command]
    if not words:
        raise InvalidSpecError(f"{argument}: a command is needed")
    return words


def _limits_as_options(resources: Manifest) -> list[str]:
    """Tell the worker what Kubernetes will hold it to; left alone, it takes the whole node's."""
    limits = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    options: list[str] = []
    cores = parse_quantity(limits.get("cpu"))
    if cores:
        options += ["--nthreads", str(max(1, math.ceil(cores)))]
    memory_bytes = parse_quantity(limits.get("memory"))
    if memory_bytes:
        options += ["--memory-limit", f"{int(memory_bytes)}B"]
    return options


def _without_limit_options(args: Sequence[str]) -> list[str]:
    kept: list[str] = []
    words = iter(args)
    for word in words:
        if word in ("--nthreads", "--memory-limit"):
            next(words, None)
        else:
            kept.append(word)
    return kept


def _idle_timeout_s(idle_timeout: float) -> int:
    if isinstance(idle_timeout, bool) or not isinstance(idle_timeout, (int, float)):
        raise InvalidSpecError(f"idle_timeout: seconds are needed, not {idle_timeout!r}")
    if idle_timeout < 0:
        raise InvalidSpecError(f"idle_timeout: {idle_timeout!r} is below 0")
    return math.ceil(idle_timeout)
