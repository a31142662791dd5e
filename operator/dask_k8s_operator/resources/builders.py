"""Builders of what belongs to a Dask cluster: Pods, Service, default worker group, Events.

Guarantees the contract of names, labels, environment and owners, and never changes its arguments.
Refuses to invent randomness (names' digits and tokens are arguments) and to judge a user's PodSpec.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from . import names
from .agent_objects import add_agent
from .kinds import DASK_CLUSTERS, DASK_JOBS, DASK_WORKER_GROUPS
from .owners import owner_reference
from .passing import build_passed_on, dump_applied_spec, hash_spec, passed_on_annotations
from .tls import is_encrypted, scheme_of, tls_environment
from .versions import format_as_of

Manifest = dict[str, Any]


def build_scheduler_pod(cluster: Manifest, authority: str | None = None) -> Manifest:
    """Build a cluster's scheduler Pod, with the agent as a preload of its first container.

    Parameters
    ----------
    cluster
        The DaskCluster as read from the API.
    authority
        Whose certificates an encrypted one holds, None when that is not known.
    """
    name, section = cluster["metadata"]["name"], cluster["spec"]["scheduler"]
    pod = _build_pod(
        cluster,
        section,
        name=names.scheduler_name(name),
        metadata=build_scheduler_metadata(cluster),
        owner=owner_reference(DASK_CLUSTERS, cluster),
    )
    pod["metadata"]["annotations"][names.SPEC_HASH_ANNOTATION] = hash_scheduler_spec(cluster)
    container = scheduler_container(pod)
    container["env"] = add_agent(container.get("env") or [], names.agent_name(name))
    if is_encrypted(cluster):
        _encrypt(pod, name, authority)
    return pod


def build_scheduler_metadata(cluster: Manifest) -> dict[str, dict[str, str]]:
    """Build labels and annotations of a cluster's scheduler Pod."""
    reserved = _reserved(cluster["metadata"]["name"], names.SCHEDULER)
    own = cluster["spec"]["scheduler"].get("metadata") or {}
    return build_passed_on(cluster["metadata"], own, reserved | {names.ISTIO_INJECT_LABEL: "false"})


def hash_scheduler_spec(cluster: Manifest) -> str:
    """Hash what a scheduler Pod is made from."""
    return hash_spec([cluster["spec"]["scheduler"]["spec"], is_encrypted(cluster)])


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
    if not spec.get("selector"):
        spec["selector"] = _reserved(metadata["name"], names.SCHEDULER)
    if not spec.get("ports"):
        ports = {
            names.COMM_PORT_NAME: names.COMM_PORT,
            names.DASHBOARD_PORT_NAMES[0]: names.DASHBOARD_PORT,
        }
        spec["ports"] = [{"name": port, "port": n, "targetPort": n} for port, n in ports.items()]
    passed_on = build_service_metadata(cluster)
    passed_on["annotations"][names.APPLIED_SPEC_ANNOTATION] = dump_applied_spec(spec)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": names.scheduler_name(metadata["name"]),
            "namespace": metadata["namespace"],
            **passed_on,
            "ownerReferences": [owner_reference(DASK_CLUSTERS, cluster)],
        },
        "spec": spec,
    }


def build_service_metadata(cluster: Manifest) -> dict[str, dict[str, str]]:
    """Build labels and annotations of a cluster's Service."""
    reserved = _reserved(cluster["metadata"]["name"], names.SCHEDULER)
    own = cluster["spec"]["scheduler"].get("metadata") or {}
    return build_passed_on(cluster["metadata"], own, reserved)


def build_default_group(cluster: Manifest) -> Manifest:
    """Build the worker group that a cluster makes for itself from ``spec.worker``."""
    metadata = cluster["metadata"]
    passed_on = build_default_group_metadata(cluster)
    passed_on["annotations"][names.AGREED_REPLICAS_ANNOTATION] = str(replicas_of(cluster))
    passed_on["annotations"][names.AS_OF_ANNOTATION] = format_as_of(cluster)
    return {
        "apiVersion": DASK_WORKER_GROUPS.api_version,
        "kind": DASK_WORKER_GROUPS.kind,
        "metadata": {
            "name": names.default_group_name(metadata["name"]),
            "namespace": metadata["namespace"],
            **passed_on,
            "ownerReferences": [owner_reference(DASK_CLUSTERS, cluster)],
        },
        "spec": {
            "cluster": metadata["name"],
            "worker": copy.deepcopy(cluster["spec"]["worker"]),
        },
    }


def replicas_of(item: Manifest) -> int:
    """Read how many workers a cluster or a group asks for.

    Examples
    --------
    >>> replicas_of({"spec": {"worker": {}}})
    1
    """
    return int(item["spec"]["worker"].get("replicas", 1))


def build_default_group_metadata(cluster: Manifest) -> dict[str, dict[str, str]]:
    """Build labels and annotations of a cluster's default group."""
    reserved = _reserved(cluster["metadata"]["name"], names.WORKER_GROUP)
    own = cluster["spec"]["worker"].get("metadata") or {}
    return build_passed_on(cluster["metadata"], own, reserved)


def build_worker_pod(group: Manifest, hex_digits: str, cluster: Manifest | None = None) -> Manifest:
    """Build one worker Pod of a group.

    Parameters
    ----------
    group
        The DaskWorkerGroup as read from the API.
    hex_digits
        Ten random hexadecimal digits for the name.
    cluster
        Its DaskCluster; one with ``tls`` gets encrypted workers.
    """
    metadata, cluster_name = group["metadata"], group["spec"]["cluster"]
    name = names.worker_name(metadata["name"], hex_digits)
    pod = _build_pod(
        group,
        group["spec"]["worker"],
        name=name,
        metadata=build_worker_metadata(group),
        owner=owner_reference(DASK_WORKER_GROUPS, group),
    )
    pod["metadata"]["annotations"][names.SPEC_HASH_ANNOTATION] = hash_worker_spec(group)
    address = names.scheduler_address(cluster_name, metadata["namespace"], scheme_of(cluster))
    for container in pod["spec"]["containers"]:
        defaults = {names.WORKER_NAME_VARIABLE: name, "DASK_SCHEDULER_ADDRESS": address}
        container["env"] = _with_defaults(container.get("env") or [], _literals(defaults))
    if cluster is not None and is_encrypted(cluster):
        # The scheduler's, not the newest: made beside a scheduler of another authority it goes with
        # that one, whatever it found in the Secret.
        authority = (cluster.get("status") or {}).get("schedulerAuthority")
        _encrypt(pod, cluster_name, authority)
    return pod


def build_worker_pods(
    group: Manifest, hex_digits: Iterable[str], cluster: Manifest | None = None
) -> list[Manifest]:
    """Build worker Pods of a group that differ by their names alone; they share all else.

    A thousand at once: copied one by one, the first would wait a tenth of a second for the last.

    Parameters
    ----------
    group, cluster
        As of ``build_worker_pod``.
    hex_digits
        Ten random hexadecimal digits for each.
    """
    group_name, digits = group["metadata"]["name"], list(hex_digits)
    if not digits:
        return []
    first = build_worker_pod(group, digits[0], cluster)
    return [first, *(_rename_worker(first, names.worker_name(group_name, d)) for d in digits[1:])]


def _rename_worker(pod: Manifest, name: str) -> Manifest:
    own = {"name": names.WORKER_NAME_VARIABLE, "value": pod["metadata"]["name"]}
    containers = [
        {**container, "env": [{**v, "value": name} if v == own else v for v in container["env"]]}
        for container in pod["spec"]["containers"]
    ]
    metadata = {**pod["metadata"], "name": name}
    return {**pod, "metadata": metadata, "spec": {**pod["spec"], "containers": containers}}


def build_worker_metadata(group: Manifest) -> dict[str, dict[str, str]]:
    """Build labels and annotations of a group's worker Pods."""
    reserved = _reserved(group["spec"]["cluster"], names.WORKER) | {
        names.WORKER_GROUP_LABEL: group["metadata"]["name"],
        names.ISTIO_INJECT_LABEL: "false",
    }
    own = group["spec"]["worker"].get("metadata") or {}
    return build_passed_on(group["metadata"], own, reserved)


def hash_worker_spec(group: Manifest) -> str:
    """Hash what a group's worker Pods are made from."""
    return hash_spec(group["spec"]["worker"]["spec"])


def build_runner_pod(job: Manifest) -> Manifest:
    """Build a job's runner Pod; a bare ``Client()`` in it finds the job's cluster."""
    metadata = job["metadata"]
    pod = _build_pod(
        job,
        job["spec"]["job"],
        name=names.runner_name(metadata["name"]),
        metadata=build_passed_on(
            metadata,
            job["spec"]["job"].get("metadata") or {},
            _reserved(metadata["name"], names.JOB_RUNNER) | {names.ISTIO_INJECT_LABEL: "false"},
        ),
        owner=owner_reference(DASK_JOBS, job),
    )
    cluster = job["spec"]["cluster"]
    address = names.scheduler_address(metadata["name"], metadata["namespace"], scheme_of(cluster))
    for container in pod["spec"]["containers"]:
        defaults = _literals({"DASK_SCHEDULER_ADDRESS": address})
        container["env"] = _with_defaults(container.get("env") or [], defaults)
    if is_encrypted(cluster):
        _encrypt(pod, metadata["name"])
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


def worker_selector(cluster: str, group: str) -> str:
    """Label selector of a group's worker Pods, as in ``status.selector``."""
    labels = _reserved(cluster, names.WORKER) | {names.WORKER_GROUP_LABEL: group}
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _build_pod(
    parent: Manifest,
    section: Manifest,
    *,
    name: str,
    metadata: dict[str, dict[str, str]],
    owner: Manifest,
) -> Manifest:
    spec = copy.deepcopy(section["spec"])
    for container in spec["containers"]:
        # So that a crash says why in the Pod's status, and from there in ours.
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": parent["metadata"]["namespace"],
            **metadata,
            "ownerReferences": [owner],
        },
        "spec": spec,
    }


def _reserved(cluster: str, component: str) -> dict[str, str]:
    return {names.CLUSTER_NAME_LABEL: cluster, names.COMPONENT_LABEL: component}


def _encrypt(pod: Manifest, cluster: str, authority: str | None = None) -> None:
    if authority:
        pod["metadata"]["annotations"][names.AUTHORITY_ANNOTATION] = authority
    for container in pod["spec"]["containers"]:
        container["env"] = _with_defaults(container.get("env") or [], tls_environment(cluster))


def _literals(values: dict[str, str]) -> list[Manifest]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _with_defaults(env: Iterable[Manifest], defaults: Iterable[Manifest]) -> list[Manifest]:
    env = list(env)
    given = {variable["name"] for variable in env}
    # First, so that the user's own variables may refer to them as $(NAME).
    return [variable for variable in defaults if variable["name"] not in given] + env
