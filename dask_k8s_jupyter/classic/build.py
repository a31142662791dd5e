"""Builds the Pods, the Service and the disruption budget of a classic cluster. Pure.

Guarantees the labels and names that the operator's clusters have too, so that the same selectors
find them. A template's own fields stay as they are: what is added is added beside them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import dask.config

from dask_k8s_jupyter.clusters.checks import build_env
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import PODS, SERVICES, Kind

from .podspec import DEATH_TIMEOUT_S
from .podtemplate import PodTemplate
from .presence import TIMEOUT_VARIABLE

Manifest = dict[str, Any]

POD_DISRUPTION_BUDGETS = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
# Tells classic clusters from those of the operator.
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
CLASSIC = "dask-classic"
# On the scheduler Pod: what later workers are made from, by whoever connects.
TEMPLATE_ANNOTATION = "dask.org/worker-template"
# On a worker Pod: what the worker is called in Dask.
WORKER_NAME_ANNOTATION = "dask.org/worker-name"
PRESENCE_VARIABLE = "DASK_K8S_PRESENCE"
DEDICATED_KEYS = ("k8s.dask.org/dedicated", "k8s.dask.org_dedicated")
PURPOSE_LABEL = "k8s.dask.org/node-purpose"
# What starts a worker, as dask and dask-cuda spell it today and as they did.
WORKER_STARTS = (
    ("dask", "worker"),
    ("dask-worker",),
    ("dask", "cuda", "worker"),
    ("dask-cuda-worker",),
)
AFFINITIES = ("required", "preferred", "none")


def build_worker_pod(
    template: PodTemplate,
    *,
    cluster: str,
    pod_name: str,
    worker_name: Any,
    scheduler_address: str,
    env: Mapping[str, Any] | None = None,
    affinity: str = "preferred",
    owner: Manifest | None = None,
) -> Manifest:
    """Build the Pod of one worker.

    Parameters
    ----------
    template
        What the person gave.
    cluster
        Name of the cluster.
    pod_name, worker_name
        What the Pod is called, and the worker in Dask.
    scheduler_address
        Where the worker finds its scheduler.
    env
        More environment.
    affinity
        ``"required"``, ``"preferred"`` or ``"none"``: for nodes that are kept for Dask workers.
    owner
        Object whose end ends the Pod; None for none.
    """
    pod = _build_pod(template, cluster, names.WORKER, env, affinity, owner)
    pod["metadata"]["name"] = pod_name
    pod["metadata"]["annotations"][WORKER_NAME_ANNOTATION] = str(worker_name)
    container = pod["spec"]["containers"][0]
    _set_env(container, "DASK_SCHEDULER_ADDRESS", scheduler_address)
    words = [str(word) for word in container.get("args") or container.get("command") or []]
    key = "args" if container.get("args") or not container.get("command") else "command"
    added = ["--name", str(worker_name)]
    if is_dask_worker(words) and read_option(words, "--death-timeout") is None:
        added += ["--death-timeout", str(DEATH_TIMEOUT_S)]
    container[key] = [*words, *added]
    return pod


def build_scheduler_pod(
    template: PodTemplate,
    worker_template: PodTemplate,
    *,
    cluster: str,
    env: Mapping[str, Any] | None = None,
    affinity: str = "preferred",
    protocol: str = "tcp",
    idle_timeout: str | None = None,
    owner_timeout_s: float | None = None,
    owner: Manifest | None = None,
) -> Manifest:
    """Build the Pod of the scheduler.

    Parameters
    ----------
    template, worker_template
        What the person gave for the scheduler and for workers.
    cluster, env, affinity, owner
        As in ``build_worker_pod``.
    protocol
        ``"tcp"`` or ``"tls"``.
    idle_timeout
        How long without work until the scheduler ends, such as ``"30 minutes"``; None: never.
    owner_timeout_s
        How long without a word from a cluster manager or a client; None: for ever.
    """
    pod = _build_pod(template, cluster, names.SCHEDULER, env, affinity, owner)
    pod["metadata"]["name"] = names.scheduler_name(cluster)
    pod["metadata"]["annotations"][TEMPLATE_ANNOTATION] = json.dumps(worker_template)
    container = pod["spec"]["containers"][0]
    _set_scheduler_command(container, protocol, idle_timeout)
    if owner_timeout_s:
        _end_with_owner(container, owner_timeout_s)
    container["ports"] = [
        {"name": names.COMM_PORT_NAME, "containerPort": names.COMM_PORT},
        {"name": "http-dashboard", "containerPort": names.DASHBOARD_PORT},
    ]
    container["readinessProbe"] = {
        "httpGet": {"path": "/health", "port": names.DASHBOARD_PORT},
        "periodSeconds": 1,
        "timeoutSeconds": 5,
        "failureThreshold": 60,
    }
    container.pop("livenessProbe", None)
    return pod


def _set_scheduler_command(container: Manifest, protocol: str, idle_timeout: str | None) -> None:
    if not container.get("args"):
        container.pop("command", None)
    container["name"] = names.SCHEDULER
    container["args"] = ["dask", "scheduler", "--host", f"{protocol}://0.0.0.0"]
    container["args"] += ["--port", str(names.COMM_PORT)]
    container["args"] += ["--dashboard-address", f":{names.DASHBOARD_PORT}"]
    if idle_timeout:
        container["args"] += ["--idle-timeout", idle_timeout]


def _end_with_owner(container: Manifest, timeout_s: float) -> None:
    """Let the scheduler run ``presence``; a preload's name is logged, so it is one line."""
    source = files("dask_k8s_jupyter.classic").joinpath("presence.py").read_text("utf-8")
    _set_env(container, PRESENCE_VARIABLE, source)
    _set_env(container, TIMEOUT_VARIABLE, f"{timeout_s:g}")
    container["args"] += [
        "--preload",
        f"exec(__import__('os').environ['{PRESENCE_VARIABLE}'], globals())",
    ]


def build_scheduler_service(
    cluster: str, service_type: str, owner: Manifest, template: Mapping[str, Any] | None = None
) -> Manifest:
    """Build the Service of the scheduler; ``template`` is merged over what is usual."""
    usual = {
        "apiVersion": SERVICES.api_version,
        "kind": SERVICES.kind,
        "metadata": {"labels": _labels(cluster, names.SCHEDULER)},
        "spec": {
            "type": service_type,
            "ports": [
                _service_port(names.COMM_PORT_NAME, names.COMM_PORT),
                _service_port("http-dashboard", names.DASHBOARD_PORT),
            ],
        },
    }
    service: Manifest = dask.config.merge(usual, dict(template or {}))
    service["spec"]["selector"] = _selector(cluster)
    return _owned(service, names.scheduler_name(cluster), owner)


def build_disruption_budget(
    cluster: str, owner: Manifest, template: Mapping[str, Any] | None = None
) -> Manifest:
    """Build the budget that keeps the scheduler where it is while nodes are drained."""
    usual = {
        "apiVersion": POD_DISRUPTION_BUDGETS.api_version,
        "kind": POD_DISRUPTION_BUDGETS.kind,
        "metadata": {"labels": _labels(cluster, names.SCHEDULER)},
        "spec": {"minAvailable": 1},
    }
    budget: Manifest = dask.config.merge(usual, dict(template or {}))
    budget["spec"]["selector"] = {"matchLabels": _selector(cluster)}
    return _owned(budget, names.scheduler_name(cluster), owner)


def build_owner_reference(owner: Manifest) -> Manifest:
    """Build what makes an object end with its owner."""
    return {
        "apiVersion": owner.get("apiVersion", PODS.api_version),
        "kind": owner.get("kind", PODS.kind),
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }


def is_dask_worker(words: list[str]) -> bool:
    """Whether a container's words start a Dask worker, on CPUs or on GPUs.

    Examples
    --------
    >>> is_dask_worker(["dask-worker", "--nthreads", "2"]), is_dask_worker(["sleep", "9"])
    (True, False)
    >>> is_dask_worker(["dask", "cuda", "worker"])
    True
    """
    spelled = [tuple(words[at : at + 3]) for at in range(len(words))]
    return any(part[: len(start)] == start for part in spelled for start in WORKER_STARTS)


def read_option(words: list[str], option: str) -> str | None:
    """Read the value of an option of a command line; None when it is not there."""
    for word, following in zip(words, [*words[1:], None], strict=True):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def describe_worker(template: PodTemplate) -> Manifest:
    """Read from a worker's template what SpecCluster counts threads and memory by."""
    container = template["spec"]["containers"][0]
    words = [str(word) for word in container.get("args") or container.get("command") or []]
    described: Manifest = {}
    threads = read_option(words, "--nthreads")
    if threads is not None and threads.isdigit():
        described["nthreads"] = int(threads)
    memory_limit = read_option(words, "--memory-limit")
    if memory_limit:
        described["memory_limit"] = memory_limit
    return described


def _build_pod(
    template: PodTemplate,
    cluster: str,
    component: str,
    env: Mapping[str, Any] | None,
    affinity: str,
    owner: Manifest | None,
) -> Manifest:
    pod = copy.deepcopy(template.to_dict())
    pod["apiVersion"], pod["kind"] = PODS.api_version, PODS.kind
    metadata = pod.setdefault("metadata", {})
    for gone in ("name", "generateName", "namespace"):
        metadata.pop(gone, None)
    metadata["labels"] = {**(metadata.get("labels") or {}), **_labels(cluster, component)}
    metadata["annotations"] = dict(metadata.get("annotations") or {})
    if owner is not None:
        metadata["ownerReferences"] = [build_owner_reference(owner)]
    spec = pod["spec"]
    spec.setdefault("restartPolicy", "Never")
    spec["containers"][0].setdefault("name", f"dask-{component}")
    for each in build_env(env):
        _put_env(spec["containers"][0], each)
    spec["tolerations"] = [
        *(spec.get("tolerations") or []),
        *(
            {"key": key, "operator": "Equal", "value": component, "effect": "NoSchedule"}
            for key in DEDICATED_KEYS
        ),
    ]
    if affinity != "none":
        _add_affinity(spec, component, affinity)
    return pod


def _add_affinity(spec: Manifest, component: str, affinity: str) -> None:
    """For the nodes that are kept for us, beside what the template itself asks for."""
    purpose = {"key": PURPOSE_LABEL, "operator": "In", "values": [component]}
    node = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    if affinity == "preferred":
        preferred = node.setdefault("preferredDuringSchedulingIgnoredDuringExecution", [])
        preferred.append({"weight": 100, "preference": {"matchExpressions": [purpose]}})
        return
    required = node.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    # The terms of a selector are alternatives: each one has to ask for it.
    terms = required.setdefault("nodeSelectorTerms", [{}])
    for term in terms:
        term.setdefault("matchExpressions", []).append(purpose)


def _set_env(container: Manifest, name: str, value: Any) -> None:
    _put_env(container, {"name": name, "value": value})


def _put_env(container: Manifest, item: Manifest) -> None:
    others = [each for each in container.get("env") or [] if each.get("name") != item["name"]]
    container["env"] = [*others, item]


def _labels(cluster: str, component: str) -> Manifest:
    return {
        "app": "dask",
        MANAGED_BY_LABEL: CLASSIC,
        names.CLUSTER_NAME_LABEL: cluster,
        names.COMPONENT_LABEL: component,
    }


def _selector(cluster: str) -> Manifest:
    return {names.CLUSTER_NAME_LABEL: cluster, names.COMPONENT_LABEL: names.SCHEDULER}


def _service_port(name: str, port: int) -> Manifest:
    return {"name": name, "protocol": "TCP", "port": port, "targetPort": port}


def _owned(item: Manifest, name: str, owner: Manifest) -> Manifest:
    item["metadata"] = {**(item.get("metadata") or {}), "name": name}
    item["metadata"]["ownerReferences"] = [build_owner_reference(owner)]
    return item
