"""Keeps the EndpointSlices of Services: what newer clients read in place of Endpoints.

Guarantees one slice for all Pods with the same ports, with every Pod in it that has an address and
has not ended, ready or not; an empty slice while there is none. Refuses to split a slice: a node
for one person has not that many Pods.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.resources.kinds import Kind

from .decide import build_controller_reference, is_ready
from .remembering import Key, Object, RememberingApi

ENDPOINT_SLICES = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
SERVICE_NAME = "kubernetes.io/service-name"
_MANAGED = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}


def build_slices(
    service: Object, pods_by_ports: Sequence[tuple[tuple[Any, ...], Sequence[Object]]]
) -> dict[str, Object]:
    """Build the slices of a Service, by name.

    Parameters
    ----------
    pods_by_ports
        Ports as pairs of field and value, each with the Pods that have them.

    Examples
    --------
    >>> service = {"metadata": {"name": "s", "namespace": "n", "uid": "u"}, "spec": {}}
    >>> [each["endpoints"] for each in build_slices(service, []).values()]
    [[]]
    """
    metadata = service["metadata"]
    publishes = bool(service["spec"].get("publishNotReadyAddresses"))
    slices = {}
    for ports, pods in pods_by_ports or [((), ())]:
        name = f"{metadata['name'][:57]}-{hashlib.sha256(repr(ports).encode()).hexdigest()[:5]}"
        labels = {**(metadata.get("labels") or {}), SERVICE_NAME: metadata["name"], **_MANAGED}
        slices[name] = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": labels,
                "ownerReferences": [build_controller_reference(service, "Service", "v1")],
            },
            "addressType": "IPv4",
            "endpoints": [_build_endpoint(pod, publishes) for pod in pods],
            "ports": [{"name": "", **dict(port)} for port in ports] or None,
        }
    return slices


def _build_endpoint(pod: Object, publishes: bool) -> Object:
    metadata = pod["metadata"]
    is_ending = "deletionTimestamp" in metadata
    serves = publishes or is_ready(pod)
    target = {key: metadata[key] for key in ("namespace", "name", "uid")}
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {
            "ready": serves and (publishes or not is_ending),
            "serving": serves,
            "terminating": is_ending,
        },
        "nodeName": pod["spec"].get("nodeName", ""),
        "targetRef": {"kind": "Pod", **target},
    }


async def write_slices(
    api: RememberingApi,
    key: Key,
    service: Object,
    pods_by_ports: Sequence[tuple[tuple[Any, ...], Sequence[Object]]],
) -> None:
    """Write the slices of a Service, unless they say so already."""
    wanted = build_slices(service, pods_by_ports)
    known = {each["metadata"]["name"]: each for each in api.children("EndpointSlice", service)}
    for name, piece in wanted.items():
        if name not in known:
            await api.create(key, ENDPOINT_SLICES, piece)
        elif _differs(known[name], piece):
            body = {"metadata": {"labels": piece["metadata"]["labels"]}}
            await api.patch(ENDPOINT_SLICES, known[name], {**body, "endpoints": piece["endpoints"]})
    for name in known.keys() - wanted.keys():
        try:
            await api.client.delete(ENDPOINT_SLICES, name, service["metadata"]["namespace"])
        except NotFoundError:
            continue


def _differs(known: Object, wanted: Object) -> bool:
    is_same = known["metadata"].get("labels") == wanted["metadata"]["labels"]
    return not is_same or (known.get("endpoints") or []) != wanted["endpoints"]
