"""Service names and the Pods behind them, written where the sitecustomize of processes reads them.

Guarantees that a name leads to ready Pods only, to the address of the Service (where nobody
listens) while there is none, and to a replaced Pod as soon as it is ready; a reader sees the old
file or the new one, never half of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Object = Mapping[str, Any]


def is_ready(pod: Object) -> bool:
    """Whether a Pod is to get connections."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def has_address(pod: Object | None) -> bool:
    """Whether a Service could lead to a Pod at all, ready or not."""
    return pod is not None and bool((pod.get("status") or {}).get("podIP"))


def find_endpoints(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The Pods that a Service leads to."""
    spec, namespace = service["spec"], service["metadata"]["namespace"]
    selector = (spec.get("selector") or {}).items()
    if not selector:
        return []
    return [
        pod
        for pod in pods
        if pod["metadata"]["namespace"] == namespace
        and selector <= (pod["metadata"].get("labels") or {}).items()
        and has_address(pod)
        and (spec.get("publishNotReadyAddresses") or is_ready(pod))
    ]


def find_target_port(port: Object, pod: Object) -> int | None:
    """Number of the Pod's port that a Service's port leads to; None when it has no such name."""
    target = port.get("targetPort") or port["port"]
    if isinstance(target, int) or str(target).isdigit():
        return int(target)
    for container in pod["spec"]["containers"]:
        for known in container.get("ports") or ():
            if known.get("name") == target:
                return int(known["containerPort"])
    return None


def find_all_endpoints(
    services: Iterable[Object], pods: Iterable[Object]
) -> list[tuple[Object, list[Object]]]:
    """Services that lead to Pods, each with the Pods that it leads to."""
    by_namespace: dict[str, list[Object]] = {}
    for pod in pods:
        by_namespace.setdefault(pod["metadata"]["namespace"], []).append(pod)
    return [
        (service, find_endpoints(service, by_namespace.get(service["metadata"]["namespace"], ())))
        for service in services
        if service["spec"].get("type") != "ExternalName"
    ]


def build_line(service: Object, endpoints: Sequence[Object]) -> str:
    """One line of the file: ``NAMESPACE NAME IP,IP PORT=TARGET,...``."""
    metadata, spec = service["metadata"], service["spec"]
    addresses = [pod["status"]["podIP"] for pod in endpoints] or [spec.get("clusterIP", "")]
    ports = []
    for port in spec.get("ports") or ():
        target = find_target_port(port, endpoints[0]) if endpoints else None
        if target is not None and target != port["port"]:
            ports.append(f"{port['port']}={target}")
    return f"{metadata['namespace']} {metadata['name']} {','.join(addresses)} {','.join(ports)}\n"


def write_services(path: Path, behind: Iterable[tuple[Object, Sequence[Object]]]) -> None:
    """Write the file of all Services, unless it would not change."""
    text = "".join(build_line(service, endpoints) for service, endpoints in behind)
    if path.exists() and path.read_text() == text:
        return
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)
