"""Builders of what belongs to a Dask cluster: Pods, Service, default worker group, agent, Events.

Guarantees the contract of names, labels, environment and owners, and never changes its arguments.
Refuses to invent randomness (names' digits and tokens are arguments) and to judge a user's PodSpec.
"""

from __future__ import annotations

import ast
import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from . import names
from .agent_protocol import (
    PRELOAD,
    PRELOAD_ARGV_VARIABLE,
    PRELOAD_VARIABLE,
    SOURCE_VARIABLE,
    TOKEN_VARIABLE,
)
from .kinds import DASK_CLUSTERS, DASK_JOBS, DASK_WORKER_GROUPS, Kind

Manifest = dict[str, Any]

# Bookkeeping of other tools, about the parent only.
_PRIVATE_ANNOTATIONS = (
    "kopf.zalando.org",
    "kubectl.kubernetes.io",
    names.AGREED_REPLICAS_ANNOTATION,
)


def build_scheduler_pod(cluster: Manifest) -> Manifest:
    """Build a cluster's scheduler Pod, with the agent as a preload of its first container."""
    name, section = cluster["metadata"]["name"], cluster["spec"]["scheduler"]
    pod = _build_pod(
        cluster,
        section,
        name=names.scheduler_name(name),
        reserved=_reserved(name, names.SCHEDULER) | {names.ISTIO_INJECT_LABEL: "false"},
        owner=owner_reference(DASK_CLUSTERS, cluster),
    )
    container = scheduler_container(pod)
    container["env"] = _with_agent(container.get("env") or [], names.agent_name(name))
    return pod


def scheduler_container(pod: Manifest) -> Manifest:
    """Container of a scheduler Pod that runs the scheduler: the one so named, else the first.

    Examples
    --------
    >>> scheduler_container({"spec": {"containers": [{"name": "log"}, {"name": "scheduler"}]}})
    {'name': 'scheduler'}
    """
    containers: list[Manifest] = pod["spec"]["containers"]
    return next((c for c in containers if c.get("name") == names.SCHEDULER), containers[0])


def build_scheduler_service(cluster: Manifest) -> Manifest:
    """Build a cluster's Service; selector and ports are filled in only where the user gave none."""
    metadata = cluster["metadata"]
    spec = copy.deepcopy(cluster["spec"]["scheduler"]["service"])
    reserved = _reserved(metadata["name"], names.SCHEDULER)
    if not spec.get("selector"):
        spec["selector"] = dict(reserved)
    if not spec.get("ports"):
        ports = {
            names.COMM_PORT_NAME: names.COMM_PORT,
            names.DASHBOARD_PORT_NAMES[0]: names.DASHBOARD_PORT,
        }
        spec["ports"] = [{"name": port, "port": n, "targetPort": n} for port, n in ports.items()]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": names.scheduler_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": {**(metadata.get("labels") or {}), **reserved},
            "annotations": passed_on_annotations(metadata),
            "ownerReferences": [owner_reference(DASK_CLUSTERS, cluster)],
        },
        "spec": spec,
    }


def build_default_group(cluster: Manifest) -> Manifest:
    """Build the worker group that a cluster makes for itself from ``spec.worker``."""
    metadata = cluster["metadata"]
    replicas = cluster["spec"]["worker"].get("replicas", 1)
    return {
        "apiVersion": DASK_WORKER_GROUPS.api_version,
        "kind": DASK_WORKER_GROUPS.kind,
        "metadata": {
            "name": names.default_group_name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": {
                **(metadata.get("labels") or {}),
                **_reserved(metadata["name"], names.WORKER_GROUP),
            },
            "annotations": {
                **passed_on_annotations(metadata),
                names.AGREED_REPLICAS_ANNOTATION: str(replicas),
            },
            "ownerReferences": [owner_reference(DASK_CLUSTERS, cluster)],
        },
        "spec": {
            "cluster": metadata["name"],
            "worker": copy.deepcopy(cluster["spec"]["worker"]),
        },
    }


def build_worker_pod(group: Manifest, hex_digits: str) -> Manifest:
    """Build one worker Pod of a group.

    Parameters
    ----------
    group
        The DaskWorkerGroup as read from the API.
    hex_digits
        Ten random hexadecimal digits for the name.
    """
    metadata, cluster = group["metadata"], group["spec"]["cluster"]
    name = names.worker_name(metadata["name"], hex_digits)
    pod = _build_pod(
        group,
        group["spec"]["worker"],
        name=name,
        reserved=_reserved(cluster, names.WORKER)
        | {names.WORKER_GROUP_LABEL: metadata["name"], names.ISTIO_INJECT_LABEL: "false"},
        owner=owner_reference(DASK_WORKER_GROUPS, group),
    )
    address = names.scheduler_address(cluster, metadata["namespace"])
    for container in pod["spec"]["containers"]:
        defaults = {"DASK_WORKER_NAME": name, "DASK_SCHEDULER_ADDRESS": address}
        container["env"] = _with_defaults(container.get("env") or [], defaults)
    return pod


def build_runner_pod(job: Manifest) -> Manifest:
    """Build a job's runner Pod; a bare ``Client()`` in it finds the job's cluster."""
    metadata = job["metadata"]
    pod = _build_pod(
        job,
        job["spec"]["job"],
        name=names.runner_name(metadata["name"]),
        reserved=_reserved(metadata["name"], names.JOB_RUNNER)
        | {names.ISTIO_INJECT_LABEL: "false"},
        owner=owner_reference(DASK_JOBS, job),
    )
    address = names.scheduler_address(metadata["name"], metadata["namespace"])
    for container in pod["spec"]["containers"]:
        defaults = {"DASK_SCHEDULER_ADDRESS": address}
        container["env"] = _with_defaults(container.get("env") or [], defaults)
    # The schema's default; an object stored under another schema may lack it.
    pod["spec"].setdefault("restartPolicy", "OnFailure")
    return pod


def build_job_cluster(job: Manifest) -> Manifest:
    """Build the DaskCluster of a job; it has the job's name."""
    metadata, section = job["metadata"], job["spec"]["cluster"]
    own = section.get("metadata") or {}
    return {
        "apiVersion": DASK_CLUSTERS.api_version,
        "kind": DASK_CLUSTERS.kind,
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": {**(metadata.get("labels") or {}), **(own.get("labels") or {})},
            "annotations": {
                **passed_on_annotations(metadata),
                **passed_on_annotations(own),
            },
            "ownerReferences": [owner_reference(DASK_JOBS, job)],
        },
        "spec": copy.deepcopy(section["spec"]),
    }


def build_agent_config_map(cluster: Manifest, source: str) -> Manifest:
    """Build the ConfigMap with the text of the agent."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _agent_metadata(cluster),
        "data": {names.AGENT_SOURCE_KEY: source},
    }


def build_agent_secret(cluster: Manifest, token: str) -> Manifest:
    """Build the Secret with the token that the agent asks for."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _agent_metadata(cluster),
        "type": "Opaque",
        "stringData": {names.AGENT_TOKEN_KEY: token},
    }


def build_event(
    involved: Manifest, *, name: str, event_type: str, reason: str, message: str, time: str
) -> Manifest:
    """Build a Kubernetes Event about an object; ``event_type`` is Normal or Warning."""
    metadata = involved["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": metadata["namespace"]},
        "involvedObject": {
            "apiVersion": involved["apiVersion"],
            "kind": involved["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata.get("uid", ""),
        },
        "type": event_type,
        "reason": reason,
        # The API server refuses more than 1024 bytes.
        "message": message.encode()[:1020].decode(errors="ignore"),
        "firstTimestamp": time,
        "lastTimestamp": time,
        "count": 1,
        "source": {"component": "dask-operator"},
    }


def owner_reference(kind: Kind, owner: Manifest) -> Manifest:
    """Reference that lets Kubernetes delete the child with its owner, operator or no operator."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_owned_by(child: Manifest, owner: Manifest) -> bool:
    """Whether ``owner`` itself, not a namesake of before, owns ``child``."""
    uid = owner["metadata"]["uid"]
    references = child["metadata"].get("ownerReferences") or []
    return any(reference.get("uid") == uid for reference in references)


def is_of_namesake(child: Manifest, kind: Kind, owner: Manifest) -> bool:
    """Whether an earlier owner of the same kind has the child: it goes with that one."""
    references = child["metadata"].get("ownerReferences") or []
    return not is_owned_by(child, owner) and any(
        reference.get("kind") == kind.kind and reference.get("apiVersion") == kind.api_version
        for reference in references
    )


def adopting_references(child: Manifest, kind: Kind, owner: Manifest) -> list[Manifest]:
    """Owner references of a child that was made by hand, with its owner among them."""
    references = list(child["metadata"].get("ownerReferences") or [])
    is_controlled = any(reference.get("controller") for reference in references)
    return [*references, {**owner_reference(kind, owner), "controller": not is_controlled}]


def worker_selector(cluster: str, group: str) -> str:
    """Label selector of a group's worker Pods, as in ``status.selector``."""
    labels = _reserved(cluster, names.WORKER) | {names.WORKER_GROUP_LABEL: group}
    return ",".join(f"{key}={value}" for key, value in labels.items())


def passed_on_annotations(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Annotations that children get too: all but bookkeeping about the parent.

    Examples
    --------
    >>> passed_on_annotations({"annotations": {"team": "a", "kopf.zalando.org/x": "y"}})
    {'team': 'a'}
    """
    annotations = metadata.get("annotations") or {}
    return {k: v for k, v in annotations.items() if not k.startswith(_PRIVATE_ANNOTATIONS)}


def _build_pod(
    parent: Manifest,
    section: Manifest,
    *,
    name: str,
    reserved: dict[str, str],
    owner: Manifest,
) -> Manifest:
    metadata, own = parent["metadata"], section.get("metadata") or {}
    spec = copy.deepcopy(section["spec"])
    for container in spec["containers"]:
        # So that a crash says why in the Pod's status, and from there in ours.
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": metadata["namespace"],
            "labels": {
                **(metadata.get("labels") or {}),
                **(own.get("labels") or {}),
                **reserved,
            },
            "annotations": {**passed_on_annotations(metadata), **passed_on_annotations(own)},
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _reserved(cluster: str, component: str) -> dict[str, str]:
    return {names.CLUSTER_NAME_LABEL: cluster, names.COMPONENT_LABEL: component}


def _agent_metadata(cluster: Manifest) -> Manifest:
    metadata = cluster["metadata"]
    return {
        "name": names.agent_name(metadata["name"]),
        "namespace": metadata["namespace"],
        "labels": _reserved(metadata["name"], names.SCHEDULER),
        "ownerReferences": [owner_reference(DASK_CLUSTERS, cluster)],
    }


def _with_defaults(env: Iterable[Manifest], defaults: Mapping[str, str]) -> list[Manifest]:
    env = list(env)
    given = {variable["name"] for variable in env}
    # First, so that the user's own variables may refer to them as $(NAME).
    return [{"name": k, "value": v} for k, v in defaults.items() if k not in given] + env


def _with_agent(env: list[Manifest], agent: str) -> list[Manifest]:
    given: dict[str, Manifest] = {variable["name"]: variable for variable in env}
    preload = given.get(PRELOAD_VARIABLE, {})
    if "valueFrom" in preload:
        # What is not known here cannot be extended: the user's preload runs, ours does not.
        return env
    preloads = [*_literal_list(preload.get("value")), PRELOAD]
    argv = _literal_list(given.get(PRELOAD_ARGV_VARIABLE, {}).get("value"))
    if argv and not isinstance(argv[0], str):
        # One list of arguments for each preload: the lengths must agree.
        argv = [*argv, []]
    ours: list[Manifest] = [
        {
            "name": SOURCE_VARIABLE,
            "valueFrom": {"configMapKeyRef": {"name": agent, "key": names.AGENT_SOURCE_KEY}},
        },
        {
            "name": TOKEN_VARIABLE,
            "valueFrom": {"secretKeyRef": {"name": agent, "key": names.AGENT_TOKEN_KEY}},
        },
        {"name": PRELOAD_VARIABLE, "value": json.dumps(preloads)},
        {"name": PRELOAD_ARGV_VARIABLE, "value": json.dumps(argv)},
    ]
    replaced = {variable["name"] for variable in ours}
    return [variable for variable in env if variable["name"] not in replaced] + ours


def _literal_list(value: str | None) -> list[Any]:
    # As dask.config reads a variable: a Python literal, else the text itself.
    if not value:
        return []
    try:
        parsed = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        parsed = value
    return list(parsed) if isinstance(parsed, (list, tuple)) else [parsed]
