"""What a classic KubeCluster was asked for: arguments, over Dask's configuration, over defaults.

Guarantees that every value has its type, and that a bad one is named before anything is created.
Refuses to ask Kubernetes anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dask_k8s_jupyter import config
from dask_k8s_jupyter.clusters.checks import SERVICE_TYPES, build_env, check_count, check_name
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
    affinity: str
    service_type: str
    wait_timeout_s: float | None


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
) -> ClassicSettings:
    """Resolve the arguments of a classic KubeCluster; None means what the configuration says.

    ``connects`` is for a cluster that exists: it needs no template.

    Examples
    --------
    >>> pod = {"spec": {"containers": [{"image": "acme/dask:7"}]}}
    >>> resolve_classic_settings(pod_template=pod, name="demo", n_workers=2).n_workers
    2
    """
    retries = config.get(
        "scheduler-service-name-resolution-retries", scheduler_service_name_resolution_retries
    )
    if check_count("scheduler_service_name_resolution_retries", retries) < 1:
        raise InvalidSpecError("scheduler_service_name_resolution_retries: 1 or more is needed")
    worker = None if connects else _read_worker_template(pod_template)
    template = config.get("worker-name") or config.get("name")
    full_name = build_name(template if name is None else name)
    env = config.get("env", env)
    build_env(env)
    return ClassicSettings(
        name=check_name("name", full_name),
        namespace=config.get("namespace", namespace),
        worker=worker,
        scheduler=_read_scheduler_template(scheduler_pod_template, worker),
        n_workers=check_count("n_workers", config.get("count.start", n_workers)),
        env=env,
        deploy_mode=_check_one("deploy_mode", config.get("deploy-mode", deploy_mode), DEPLOY_MODES),
        host=config.get("host", host),
        port=check_count("port", config.get("port", port)),
        interface=config.get("interface", interface),
        dashboard_address=config.get("dashboard-address", dashboard_address),
        protocol=_check_one(
            "protocol", str(config.get("protocol", protocol)).split("://")[0], ("tcp", "tls")
        ),
        idle_timeout=_build_timeout(config.get("idle-timeout", idle_timeout)),
        affinity=_check_one("apply_default_affinity", apply_default_affinity, AFFINITIES),
        service_type=_check_one(
            "kubernetes.scheduler-service-type", config.get("scheduler-service-type"), SERVICE_TYPES
        ),
        wait_timeout_s=_read_seconds(
            config.get("scheduler-service-wait-timeout", scheduler_service_wait_timeout)
        ),
    )


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


def _build_timeout(idle_timeout: Any) -> str | None:
    if not idle_timeout:
        return None
    return f"{idle_timeout} s" if isinstance(idle_timeout, (int, float)) else str(idle_timeout)


def _read_seconds(timeout: Any) -> float | None:
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or timeout < 0:
        raise InvalidSpecError(
            f"scheduler_service_wait_timeout: seconds, 0 or more, are needed, not {timeout!r}"
        )
    return float(timeout) or None
