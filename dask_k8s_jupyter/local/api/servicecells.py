"""Cells of the tables of Services and of who is behind them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .ages import NONE, show_age

Object = dict[str, Any]

UNSET = "<unset>"
# As many addresses are shown, and how many more there are.
_SHOWN = 3


def _age(value: Object) -> str:
    return show_age(value["metadata"].get("creationTimestamp"))


def _name(value: Object) -> str:
    return str(value["metadata"]["name"])


def _show_some(found: Sequence[str], nothing: str) -> str:
    more = f" + {len(found) - _SHOWN} more..." if len(found) > _SHOWN else ""
    return (",".join(found[:_SHOWN]) + more) or nothing


def list_service(service: Object) -> list[Any]:
    """Cells of a Service."""
    spec = service["spec"]
    ports = [
        f"{p['port']}" + (f":{p['nodePort']}" if p.get("nodePort") else "") + f"/{p['protocol']}"
        for p in spec.get("ports") or ()
    ]
    external = spec.get("externalIPs") or ()
    address = ",".join(external) or NONE
    if spec["type"] == "LoadBalancer" and not external:
        address = "<pending>"
    elif spec["type"] == "ExternalName":
        address = spec.get("externalName", NONE)
    selector = ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items()))
    cluster_ip = spec.get("clusterIP") or NONE
    shown = ",".join(ports) or NONE
    return [
        _name(service),
        spec["type"],
        cluster_ip,
        address,
        shown,
        _age(service),
        selector or NONE,
    ]


def list_endpoints(endpoints: Object) -> list[Any]:
    """Cells of an Endpoints."""
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in endpoints.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    return [_name(endpoints), _show_some(found, NONE), _age(endpoints)]


def list_slice(piece: Object) -> list[Any]:
    """Cells of an EndpointSlice."""
    ports = [str(port.get("port", "*")) for port in piece.get("ports") or ()]
    addresses = [
        address for each in piece.get("endpoints") or () for address in each.get("addresses") or ()
    ]
    shown = [_show_some(ports, UNSET), _show_some(addresses, UNSET)]
    return [_name(piece), piece["addressType"], *shown, _age(piece)]
