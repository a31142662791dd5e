"""What a classic KubeCluster was asked for: arguments, over Dask's configuration, over defaults.

Guarantees that every value has its type, and that a bad one is named before anything is created.
Refuses to ask Kubernetes anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dask.utils import parse_timedelta

from dask_k8s_jupyter import config
from dask_k8s_jupyter.clusters.checks import (
    SERVICE_TYPES,
    build_env,
    check_count,
    check_name,
    check_namespace,
    check_port,
    check_seconds,
    check_text,
)
from dask_k8s_jupyter.clusters.settings import build_name
from dask_k8s_jupyter.errors import InvalidSpecError

from .build import AFFINITIES
from .podtemplate import PodTemplate, read_pod_template

DEPLOY_MODES = ("remote", "local")


@dataclass(frozen=True)
class ClassicSettings:
    """What a classic KubeCluster was asked for, complete.

    Parameters
    ----------
    name
        Name of the cluster.
    namespace
        None for that of the kubeconfig's context or of the Pod.
    worker, scheduler
        Pod templates; None where one connects to what exists.
    n_workers
        Workers to begin with.
    env
        More environment of all Pods.
    deploy_mode
        ``"remote"``: the scheduler is a Pod; ``"local"``: it runs in this process.
    host, port, interface, dashboard_address
        Where a local scheduler listens.
    protocol
        ``"tcp"`` or ``"tls"``.
    idle_timeout
        As Dask takes it; None: never.
    owner_timeout_s
        When a scheduler Pod ends that nobody speaks to; None: never.
    affinity
        ``"required"``, ``"preferred"`` or ``"none"``.
    service_type
        Of the scheduler's Service.
    wait_timeout_s
        How long the scheduler may take to start; None: any time.
    """

    name: str
    namespace: str | None
    worker: PodTemplate | None
    scheduler: PodTemplate | None
    n_workers: int
    env: Mapping[str, Any]
    deploy_mode: str
    host: str
    port: int
    interface: str | None
    dashboard_address: str
    protocol: str
    idle_timeout: str | None
    owner_timeout_s: float | None
    affinity: str
    service_type: str
    wait_timeout_s: float | None

    def build_local_options(self) -> dict[str, Any]:
        """Build what a scheduler in this process is started with."""
        return {
            "host": self.host,
            "port": self.port,
            "interface": self.interface,
            "protocol": f"{self.protocol}://",
            "dashboard_address": self.dashboard_address,
            "idle_timeout": self.idle_timeout,
        }


def resolve_classic_settings(
    *,
    pod_template: Any = None,
    scheduler_pod_template: Any = None,
    name: str | None = None,
    namespace: str | None = None,
    n_workers: int | None = None,
    env: Mapping[str, Any] | None = None,
    host: str | None = None,
    port: int | None = None,
    interface: str | None = None,
    protocol: str | None = None,
    dashboard_address: str | None = None,
    idle_timeout: Any = None,
    deploy_mode: str | None = None,
    scheduler_service_wait_timeout: float | None = None,
    scheduler_service_name_resolution_retries: int | None = None,
    apply_default_affinity: str = "preferred",
    connects: bool = False,
    ends_with_owner: bool = True,
) -> ClassicSettings:
    """Resolve the arguments of a classic KubeCluster; None means what the configuration says.

    ``connects`` is for a cluster that exists: it needs no template. ``ends_with_owner`` is false
    for one that is to go on when its cluster manager has gone.

    Examples
    --------
    >>> pod = {"spec": {"containers": [{"image": "acme/dask:7"}]}}
    >>> resolve_classic_settings(pod_template=pod, name="demo", n_workers=2).n_workers
    2
    """
    _check_retries(scheduler_service_name_resolution_retries)
    worker = None if connects else _read_worker_template(pod_template)
    return ClassicSettings(
        name=_resolve_name(name),
        namespace=check_namespace(config.get("namespace", namespace)),
        worker=worker,
        scheduler=_read_scheduler_template(scheduler_pod_template, worker),
        n_workers=check_count("n_workers", config.get("count.start", n_workers)),
        env=_resolve_env(env),
        deploy_mode=_check_one("deploy_mode", config.get("deploy-mode", deploy_mode), DEPLOY_MODES),
        host=check_text("host", config.get("host", host)),
        port=_resolve_port(port),
        interface=_resolve_interface(interface),
        dashboard_address=_resolve_dashboard_address(dashboard_address),
        protocol=_resolve_protocol(protocol),
        idle_timeout=_resolve_idle_timeout(idle_timeout),
        owner_timeout_s=_resolve_owner_timeout() if ends_with_owner else None,
        affinity=_check_one("apply_default_affinity", apply_default_affinity, AFFINITIES),
        service_type=_resolve_service_type(),
        wait_timeout_s=_resolve_wait_timeout(scheduler_service_wait_timeout),
    )


def _check_retries(given: int | None) -> None:
    retries = config.get("scheduler-service-name-resolution-retries", given)
    if check_count("scheduler_service_name_resolution_retries", retries) < 1:
        raise InvalidSpecError("scheduler_service_name_resolution_retries: 1 or more is needed")


def _resolve_name(given: str | None) -> str:
    template = config.get("worker-name") or config.get("name")
    return check_name("name", build_name(template if given is None else given))


def _resolve_env(given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    env: Mapping[str, Any] = config.get("env", given)
    build_env(env)
    return env


def _resolve_port(given: int | None) -> int:
    port = check_count("port", config.get("port", given))
    return port and check_port("port", port)


def _resolve_interface(given: str | None) -> str | None:
    interface = config.get("interface", given)
    return None if interface is None else check_text("interface", interface)


def _resolve_dashboard_address(given: Any) -> str:
    address = config.get("dashboard-address", given)
    if isinstance(address, int):
        return f":{address and check_port('dashboard_address', address)}"
    return check_text("dashboard_address", address)


def _resolve_protocol(given: str | None) -> str:
    scheme = str(config.get("protocol", given)).split("://")[0]
    return _check_one("protocol", scheme, ("tcp", "tls"))


def _resolve_service_type() -> str:
    key = "scheduler-service-type"
    return _check_one(f"kubernetes.{key}", config.get(key), SERVICE_TYPES)


def _resolve_owner_timeout() -> float | None:
    return _parse_time("kubernetes.owner-timeout", config.get("owner-timeout"))


def _parse_time(argument: str, said: Any) -> float | None:
    """Read seconds, or text such as ``"5 minutes"``; None for what is empty or 0: never."""
    if isinstance(said, timedelta):
        said = said.total_seconds()
    if said is None or said == "" or said == 0:
        return None
    try:
        is_time = isinstance(said, (str, int, float)) and not isinstance(said, bool)
        time_s = float(parse_timedelta(said, default="s")) if is_time else -1.0
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
        time_s = -1.0
    if time_s < 0 or not math.isfinite(time_s):
        raise InvalidSpecError(f"{argument}: a time such as '5 minutes' is needed, not {said!r}")
    return time_s or None


def _read_worker_template(given: Any) -> PodTemplate:
    if given is not None:
        return read_pod_template("pod_template", given)
    for key in ("worker-template", "worker-template-path"):
        configured = config.get(key)
        if configured:
            return read_pod_template(f"kubernetes.{key}", configured)
    raise InvalidSpecError(
        "pod_template: a Pod template for workers is needed",
        fix="Give one, as make_pod_spec(image=…) makes it, or set kubernetes.worker-template-path",
    )


def _read_scheduler_template(given: Any, worker: PodTemplate | None) -> PodTemplate | None:
    if given is not None:
        return read_pod_template("scheduler_pod_template", given)
    configured = config.get("scheduler-template")
    if configured:
        return read_pod_template("kubernetes.scheduler-template", configured)
    return worker


def _check_one(argument: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InvalidSpecError(f"{argument}: {value!r} is none of {', '.join(known)}")
    return str(value)


def _resolve_idle_timeout(given: Any) -> str | None:
    timeout_s = _parse_time("idle_timeout", config.get("idle-timeout", given))
    return None if timeout_s is None else f"{timeout_s:.12g} s"


def _resolve_wait_timeout(given: Any) -> float | None:
    argument = "scheduler_service_wait_timeout"
    timeout = config.get("scheduler-service-wait-timeout", given)
    return check_seconds(argument, timeout, may_be_zero=True) or None
