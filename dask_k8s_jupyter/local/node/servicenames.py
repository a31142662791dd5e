"""Service names and the Pods behind them, written where the sitecustomize of processes reads them.

Guarantees that a name leads to ready Pods only, to the address of the Service (where nobody
listens) while there is none, and to a replaced Pod as soon as it is ready; a reader sees the old
file or the new one, never half of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..backends import Object, find_target_port, gets_connections, has_address, selects


def find_endpoints(service: Object, pods: Iterable[Object]) -> list[Object]:
    """The Pods that a Service leads to."""
    return [
        pod
        for pod in pods
        if selects(service, pod) and has_address(pod) and gets_connections(service, pod)
    ]


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
