"""Options that say what a cluster should be like: read, checked, turned into resources.

Guarantees that a value keeps every ``=`` after the first, and that what is wrong is said by the
option's own name. Refuses to reach for Kubernetes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from dask_k8s_jupyter.errors import InvalidSpecError

Command = TypeVar("Command", bound=Callable[..., Any])
Manifest = dict[str, Any]

SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")


@dataclass(frozen=True)
class WorkerOptions:
    """What the options say of a worker, checked; None where they say nothing.

    Parameters
    ----------
    image
        Image of workers and scheduler.
    n_workers
        How many workers.
    resources
        ``{"limits": …, "requests": …}``.
    env
        Name to value.
    worker_command
        What starts a worker.
    """

    image: str
    n_workers: int
    resources: Manifest
    env: Any
    worker_command: Any


def worker_options(n_workers: int) -> Callable[[Command], Command]:
    """Add the options of a worker; ``n_workers`` is how many there are unless told otherwise."""

    def add(command: Command) -> Command:
        for option in (
            click.option("--worker-command", help="What starts a worker; else `dask worker`."),
            click.option(
                "--env",
                "-e",
                multiple=True,
                metavar="NAME=VALUE",
                callback=_read_env,
                help="Environment variable of all Pods; may be repeated.",
            ),
            click.option(
                "--resources",
                metavar="JSON",
                callback=_read_resources,
                help='As in a Pod, for all Pods: \'{"limits": {"memory": "4Gi"}}\'.',
            ),
            click.option("--memory", help="Memory of each worker, such as 4Gi."),
            click.option("--cpu", help="CPU of each worker, such as 2 or 500m."),
            click.option(
                "--n-workers",
                type=click.IntRange(min=0),
                default=n_workers,
                show_default=True,
                help="How many workers.",
            ),
            click.option("--image", help="Image of all Pods; else the configured one."),
        ):
            command = option(command)
        return command

    return add


def cluster_options(command: Command) -> Command:
    """Add the options of a whole cluster that workers do not have."""
    for option in (
        click.option("--tls/--no-tls", default=None, help="Encrypt all that its parts say."),
        click.option("--jupyter", is_flag=True, help="Run Jupyter in the scheduler too."),
        click.option(
            "--idle-timeout",
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help="Delete the cluster after so long without work; else never.",
        ),
        click.option(
            "--scheduler-service-type",
            type=click.Choice(SERVICE_TYPES),
            help="How the scheduler can be reached; else ClusterIP.",
        ),
    ):
        command = option(command)
    return command


def resolve_worker(
    *,
    image: str | None,
    n_workers: int,
    cpu: str | None,
    memory: str | None,
    resources: Manifest | None,
    env: Mapping[str, str] | None,
    worker_command: str | None,
) -> WorkerOptions:
    """Resolve the options of a worker over Dask's configuration.

    Raises
    ------
    InvalidSpecError
        When both ways to say what a worker may use are used.
    """
    from dask_k8s_jupyter import config

    amounts = {"cpu": cpu, "memory": memory}
    limits = {resource: amount for resource, amount in amounts.items() if amount is not None}
    if limits and resources is not None:
        raise InvalidSpecError("--resources says it all: give that, or --cpu and --memory")
    # Requested as well as limited: what is promised to a worker is there for it.
    asked = {"limits": limits, "requests": limits} if limits else resources
    return WorkerOptions(
        image=config.get("image", image),
        n_workers=n_workers,
        resources=config.get("resources", asked),
        env=config.get("env", env),
        worker_command=config.get("worker-command", worker_command),
    )


def build_cluster(
    name: str,
    *,
    scheduler_service_type: str | None,
    idle_timeout: float | None,
    jupyter: bool,
    tls: bool | None,
    **worker: Any,
) -> Manifest:
    """Build a DaskCluster from the options.

    ``--cpu`` and ``--memory`` are a worker's; ``--resources`` is the scheduler's too.
    """
    from dask_k8s_jupyter import config
    from dask_k8s_jupyter.clusters.spec import make_cluster_spec

    wanted = resolve_worker(**worker)
    is_for_all = worker["cpu"] is None and worker["memory"] is None
    return make_cluster_spec(
        name,
        wanted.image,
        wanted.n_workers,
        env=wanted.env,
        worker_command=wanted.worker_command,
        scheduler_service_type=config.get("scheduler-service-type", scheduler_service_type),
        idle_timeout=config.get("idle-timeout", idle_timeout) or 0,
        jupyter=jupyter or config.get("scheduler-jupyter"),
        worker_resources=wanted.resources,
        scheduler_resources=wanted.resources if is_for_all else None,
        tls=config.get("tls", tls),
    )


def parse_env(items: Iterable[str]) -> dict[str, str]:
    """Read environment variables; all that follows the first ``=`` is the value.

    Examples
    --------
    >>> parse_env(["OPTS=a=b", "EMPTY="])
    {'OPTS': 'a=b', 'EMPTY': ''}
    """
    env: dict[str, str] = {}
    for item in items:
        name, separator, value = item.partition("=")
        if not separator or not name.strip():
            raise ValueError(f"{item!r} is not NAME=VALUE")
        env[name] = value
    return env


def parse_resources(text: str) -> Manifest:
    """Read a container's resources from JSON.

    Examples
    --------
    >>> parse_resources('{"limits": {"cpu": "2"}}')
    {'limits': {'cpu': '2'}}
    """
    try:
        resources = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{text!r} is not JSON: {error}") from error
    if not isinstance(resources, dict):
        raise ValueError(f"{text!r} is no JSON object with limits or requests")
    return resources


def _read_env(
    context: click.Context, parameter: click.Parameter, items: tuple[str, ...]
) -> dict[str, str] | None:
    try:
        return parse_env(items) or None
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


def _read_resources(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> Manifest | None:
    try:
        return None if text is None else parse_resources(text)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error
