"""What a KubeCluster was asked for: arguments, over Dask's configuration, over defaults.

Guarantees that every value has its type, and that a bad one is named before anything is created.
Refuses to ask Kubernetes anything.
"""

from __future__ import annotations

import copy
import enum
import getpass
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dask_k8s_jupyter import config
from dask_k8s_jupyter.errors import InvalidSpecError
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS
from dask_k8s_operator.resources.names import CLUSTER_NAME_LABEL, MAX_CLUSTER_NAME_LENGTH

from .checks import (
    check_count,
    check_flag,
    check_name,
    check_namespace,
    check_port,
    check_seconds,
)
from .spec import make_cluster_spec

Manifest = dict[str, Any]

# No maximum means what the scheduler's load asks for, bounded against a slip.
UNBOUNDED_WORKERS = 1000
SPEC_KEY = "kubernetes.custom-cluster-spec"
_INTO_THE_SPEC = "Write it into the spec: `make_cluster_spec` makes one that you can change"
_INTO_THE_CONFIGURED_SPEC = (
    "That spec is in Dask's configuration: write it there, give a spec of your own "
    f"(`custom_cluster_spec=`), or do without: `dask.config.set({{'{SPEC_KEY}': None}})`"
)


class CreateMode(enum.Enum):
    """What to do when a cluster of that name exists already, or does not."""

    CREATE_ONLY = "CREATE_ONLY"
    CREATE_OR_CONNECT = "CREATE_OR_CONNECT"
    CONNECT_ONLY = "CONNECT_ONLY"


@dataclass(frozen=True)
class Settings:
    """What a KubeCluster was asked for, complete.

    Parameters
    ----------
    name
        Name of the cluster.
    namespace
        None for that of the kubeconfig's context or of the Pod.
    spec
        The whole DaskCluster to create.
    create_mode
        What to do when it exists already, or does not.
    delete_created, delete_connected
        Whether close() deletes a cluster that we created, one that we connected to.
    resource_timeout_s
        How long a start may take.
    port_forward
        None decides by where we run.
    forward_port
        Local port for the dashboard; None for any free one.
    keep_on_failure
        Whether what was created stays when the start fails.
    """

    name: str
    namespace: str | None
    spec: Manifest
    create_mode: CreateMode
    delete_created: bool
    delete_connected: bool
    resource_timeout_s: float
    port_forward: bool | None
    forward_port: int | None
    keep_on_failure: bool = False


def resolve_settings(
    *,
    name: str | None = None,
    namespace: str | None = None,
    create_mode: CreateMode | str | None = None,
    shutdown_on_close: bool | None = None,
    resource_timeout: float | None = None,
    port_forward_cluster_ip: bool | None = None,
    scheduler_forward_port: int | None = None,
    custom_cluster_spec: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    keep_on_failure: bool = False,
    **options: Any,
) -> Settings:
    """Resolve the arguments of a KubeCluster; None means what the configuration says.

    Examples
    --------
    >>> resolve_settings(name="demo", n_workers=2).spec["spec"]["worker"]["replicas"]
    2
    """
    mode = parse_create_mode(config.get("create-mode", create_mode))
    connects = mode is CreateMode.CONNECT_ONLY
    spec = _resolve_spec(name, custom_cluster_spec, options, connects=connects)
    owns = _flag("shutdown-on-close", "shutdown_on_close", shutdown_on_close)
    return Settings(
        name=spec["metadata"]["name"],
        namespace=check_namespace(config.get("namespace", namespace)),
        spec=spec,
        create_mode=mode,
        delete_created=bool(owns),
        # Connecting never owns unless this very call says so: configuration speaks of creating.
        delete_connected=bool(shutdown_on_close),
        resource_timeout_s=check_seconds(
            "resource_timeout", config.get("resource-timeout", resource_timeout)
        ),
        port_forward=_flag(
            "port-forward-cluster-ip", "port_forward_cluster_ip", port_forward_cluster_ip
        ),
        forward_port=_check_forward_port(
            config.get("scheduler-forward-port", scheduler_forward_port)
        ),
        keep_on_failure=check_flag("keep_on_failure", keep_on_failure),
    )


def parse_create_mode(mode: CreateMode | str) -> CreateMode:
    """Read a create mode; configuration spells it as text.

    Examples
    --------
    >>> parse_create_mode("connect-only")
    <CreateMode.CONNECT_ONLY: 'CONNECT_ONLY'>
    """
    if isinstance(mode, CreateMode):
        return mode
    try:
        return CreateMode(str(mode).upper().replace("-", "_"))
    except ValueError:
        known = ", ".join(each.value for each in CreateMode)
        raise InvalidSpecError(f"create_mode: {mode!r} is none of {known}") from None


def resolve_bounds(minimum: int | None, maximum: int | None) -> tuple[int, int]:
    """Resolve the bounds of adaptive scaling; None means 0, and what the configuration says.

    Examples
    --------
    >>> resolve_bounds(None, 4)
    (0, 4)
    """
    low = 0 if minimum is None else check_count("minimum", minimum)
    most = config.get("count.max", maximum)
    if most is None:
        return low, max(low, UNBOUNDED_WORKERS)
    if check_count("maximum", most) < low:
        raise InvalidSpecError(f"minimum: {low} is above the maximum, {most}")
    return low, most


def read_cluster_spec(
    spec: str | os.PathLike[str] | Mapping[str, Any], argument: str = "custom_cluster_spec"
) -> Manifest:
    """Read a whole DaskCluster from a dict, a YAML file or YAML text, and check what it is.

    Parameters
    ----------
    spec
        The dict, the path or the text.
    argument
        What the person calls it, for messages.

    Raises
    ------
    InvalidSpecError
        When it is no DaskCluster.

    Examples
    --------
    >>> read_cluster_spec("{kind: DaskCluster, metadata: {name: demo}, spec: {}}")["metadata"]
    {'name': 'demo'}
    """
    document = spec if isinstance(spec, Mapping) else _read_yaml(spec, argument)
    if not isinstance(document, Mapping) or document.get("kind") != DASK_CLUSTERS.kind:
        raise InvalidSpecError(f"{argument}: a {DASK_CLUSTERS.kind} is needed")
    metadata = document.get("metadata")
    name = metadata.get("name", "") if isinstance(metadata, Mapping) else ""
    check_name(f"{argument} metadata.name", name)
    return dict(document)


def _read_yaml(source: str | os.PathLike[str], argument: str) -> Any:
    """Read YAML from a file; what has several lines, or begins as a mapping, is the text itself."""
    try:
        is_text = isinstance(source, str) and ("\n" in source or source.lstrip()[:1] == "{")
        text = str(source) if is_text else Path(source).expanduser().read_text()
        return yaml.safe_load(text)
    except (OSError, TypeError, ValueError, RuntimeError, yaml.YAMLError) as error:
        what = "the text" if isinstance(source, str) and "\n" in source else repr(source)
        raise InvalidSpecError(f"{argument}: {what} cannot be read: {error}") from error


def _resolve_spec(
    name: str | None, given: Any, options: Mapping[str, Any], *, connects: bool
) -> Manifest:
    """Resolve what to create; where one only connects, nothing but its name counts.

    A name that is given goes before that of a configured spec, and always where one connects: a
    person who names one cluster must never get, nor delete, another one.
    """
    if given is not None:
        _refuse_both(options, "custom_cluster_spec", _INTO_THE_SPEC)
        spec = read_cluster_spec(given)
        return spec if name is None or not connects else _rename(spec, name)
    configured = config.get("custom-cluster-spec")
    if not configured or (connects and name is not None):
        return _make_spec(config.get("name", name), **options)
    if not connects:
        _refuse_both(options, SPEC_KEY, _INTO_THE_CONFIGURED_SPEC)
    spec = read_cluster_spec(configured, SPEC_KEY)
    return spec if name is None else _rename(spec, name)


def _refuse_both(options: Mapping[str, Any], beside: str, fix: str) -> None:
    """What a whole spec says cannot be said beside it too; ``jupyter=False`` says nothing."""
    said = [option for option, value in options.items() if value is not None and value is not False]
    if said:
        raise InvalidSpecError(f"{said[0]}: cannot be given beside {beside}", fix=fix)


def _rename(spec: Manifest, template: str) -> Manifest:
    """Give a DaskCluster another name, also where its Service selects its Pods by it."""
    renamed = copy.deepcopy(spec)
    before = renamed["metadata"]["name"]
    name = check_name("name", build_name(template))
    renamed["metadata"] = {**renamed["metadata"], "name": name}
    section: Any = renamed
    for key in ("spec", "scheduler", "service", "selector"):
        section = section.get(key) if isinstance(section, Mapping) else None
    if isinstance(section, dict) and section.get(CLUSTER_NAME_LABEL) == before:
        section[CLUSTER_NAME_LABEL] = name
    return renamed


def build_name(template: str) -> str:
    """Fill in a name's template: ``{user}``, ``{uuid}`` and environment variables.

    Examples
    --------
    >>> build_name("demo")
    'demo'
    """
    if not isinstance(template, str) or "{" not in template:
        return template
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a Pod may run as a user whom nobody named
        user = "user"
    unique = uuid.uuid4().hex[:10]
    values = {key: str(value) for key, value in os.environ.items()} | {"uuid": unique}
    try:
        filled = template.format(**values | {"user": user})
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InvalidSpecError(f"name: {template!r} cannot be filled in: {error!r}") from error
    # A user's name may hold what a cluster's may not; what makes it unique stands at the end.
    safe = re.sub(r"[^a-z0-9-]+", "-", filled.lower())
    if len(safe) > MAX_CLUSTER_NAME_LENGTH:
        safe = safe[: MAX_CLUSTER_NAME_LENGTH - len(unique) - 1] + "-" + unique
    return safe.strip("-")


def _make_spec(
    template: str,
    *,
    image: str | None = None,
    n_workers: int | None = None,
    resources: Mapping[str, Any] | None = None,
    env: Any = None,
    worker_command: Any = None,
    scheduler_service_type: str | None = None,
    idle_timeout: float | None = None,
    jupyter: bool | None = None,
    tls: bool | None = None,
    **of_one_role: Any,
) -> Manifest:
    return make_cluster_spec(
        build_name(template),
        image=config.get("image", image),
        n_workers=config.get("count.start", n_workers),
        resources=config.get("resources", resources),
        env=config.get("env", env),
        worker_command=config.get("worker-command", worker_command),
        scheduler_service_type=config.get("scheduler-service-type", scheduler_service_type),
        idle_timeout=config.get("idle-timeout", idle_timeout) or 0,
        jupyter=config.get("scheduler-jupyter", jupyter),
        tls=config.get("tls", tls),
        **of_one_role,
    )


def _flag(key: str, argument: str, override: bool | None) -> bool | None:
    flag = config.get(key, override)
    return None if flag is None else check_flag(argument, flag)


def _check_forward_port(port: int | None) -> int | None:
    return None if port is None else check_port("scheduler_forward_port", port)
