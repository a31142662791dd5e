"""Keeps Endpoints and EndpointSlices of every Service with a selector: who is behind it.

Guarantees that a Pod is among the addresses only while it is ready (or the Service publishes Pods
that are not), and that the Endpoints of a deleted Service go. Leaves alone the Endpoints of
Services without a selector, which belong to whoever wrote them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from dask_k8s_operator.kube.errors import ConflictError, NotFoundError
from dask_k8s_operator.resources.kinds import Kind

from ..backends import find_target_port, gets_connections, has_address, selects
from .remembering import Key, Object, RememberingApi
from .slices import write_slices

ENDPOINTS = Kind("", "v1", "endpoints", "Endpoints")
_MANAGED = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
_HEADLESS = "service.kubernetes.io/headless"


def build_endpoints(service: Object, pods: Sequence[Object]) -> Object:
    """Build the Endpoints of a Service from the Pods that it selects.

    Examples
    --------
    >>> spec = {"selector": {"a": "b"}, "ports": [{"port": 80, "protocol": "TCP"}]}
    >>> service = {"metadata": {"name": "s", "namespace": "n"}, "spec": spec}
    >>> build_endpoints(service, [])["subsets"]
    []
    """
    metadata, spec = service["metadata"], service["spec"]
    labels = {**(metadata.get("labels") or {}), **_MANAGED}
    if spec.get("clusterIP") == "None":
        labels[_HEADLESS] = ""
    subsets = [
        {**_sort_addresses(service, grouped), "ports": [dict(port) for port in ports]}
        for ports, grouped in group_by_ports(service, pods)
        if ports
    ]
    name = {"name": metadata["name"], "namespace": metadata["namespace"], "labels": labels}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": name, "subsets": subsets}


def group_by_ports(
    service: Object, pods: Sequence[Object]
) -> list[tuple[tuple[Any, ...], list[Object]]]:
    """The Pods behind a Service that have an address, by the ports that it leads to."""
    found: dict[tuple[Any, ...], list[Object]] = defaultdict(list)
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        if has_address(pod):
            found[_find_ports(service["spec"], pod)].append(pod)
    return sorted(found.items())


def _sort_addresses(service: Object, pods: Sequence[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = defaultdict(list)
    for pod in pods:
        is_given = gets_connections(service, pod)
        found["addresses" if is_given else "notReadyAddresses"].append(_build_address(pod))
    return found


def _build_address(pod: Object) -> Object:
    metadata = pod["metadata"]
    target = {key: metadata[key] for key in ("namespace", "name", "uid")}
    return {
        "ip": pod["status"]["podIP"],
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": {"kind": "Pod", **target},
    }


def _find_ports(spec: Object, pod: Object) -> tuple[Any, ...]:
    """Ports of a Pod behind those of a Service, as pairs that can be sorted."""
    ports = []
    for port in spec.get("ports") or ():
        number = find_target_port(port, pod)
        if number is not None:
            name = {"name": port["name"]} if port.get("name") else {}
            given = {**name, "port": number, "protocol": port.get("protocol", "TCP")}
            ports.append(tuple(given.items()))
    return tuple(ports)


async def reconcile_service(api: RememberingApi, key: Key, service: Object) -> None:
    """Write the Endpoints and EndpointSlices of a Service, unless they say so already."""
    spec = service["spec"]
    if not spec.get("selector") or spec.get("type") == "ExternalName":
        return
    pods = [pod for pod in api.informers["Pod"].objects.values() if selects(service, pod)]
    await write_slices(api, key, service, group_by_ports(service, pods))
    wanted = build_endpoints(service, pods)
    known = api.informers["Endpoints"].objects.get(key[1:])
    if known is None:
        await api.create(key, ENDPOINTS, wanted)
        return
    labels = known["metadata"].get("labels") or {}
    is_same = (known.get("subsets") or []) == wanted["subsets"]
    if not is_same or labels != wanted["metadata"]["labels"]:
        body = {"metadata": {"labels": wanted["metadata"]["labels"]}, "subsets": wanted["subsets"]}
        await api.patch(ENDPOINTS, known, body)


async def forget_service(api: RememberingApi, key: Key) -> None:
    """Delete the Endpoints of a Service that has gone."""
    _, namespace, name = key
    known = api.informers["Endpoints"].objects.get((namespace, name))
    if known is None or not _MANAGED.items() <= (known["metadata"].get("labels") or {}).items():
        return
    try:
        uid = known["metadata"]["uid"]
        await api.client.delete(ENDPOINTS, name, namespace, uid=uid)
    except (NotFoundError, ConflictError):
        return
