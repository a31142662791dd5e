"""Services: cluster addresses, node ports, defaults and checks.

Guarantees that an address or node port is given out once, also where a client chooses it, and that
addresses are of the network for Services. Refuses Services without ports (unless headless or
ExternalName) and a change of the cluster address.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, ip_address
from itertools import count, islice
from typing import Any

from .. import statuses
from ..names import check_labels, explain_label
from ..resources import Resource
from ..statuses import Cause, duplicate, invalid_value, required, unsupported
from .plain import ADDRESS_TEXT, is_address
from .strategy import Context, Object, Strategy

_PORT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_CLUSTER_FIELDS = (
    *("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"),
    "internalTrafficPolicy",
)
NODE_PORTS = range(30000, 32768)
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")


class ServiceStrategy(Strategy):
    """Allocation, defaults and checks of Services."""

    returns_deleted = True
    is_created_by_update = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._next_address = count(10)
        self._next_port = count(0)

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in what the API fills in."""
        spec = value.setdefault("spec", {})
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        for port in spec.get("ports") or ():
            port.setdefault("protocol", "TCP")
        if spec["type"] not in ("NodePort", "LoadBalancer"):
            spec.pop("externalTrafficPolicy", None)
        if spec["type"] != "LoadBalancer":
            spec.pop("allocateLoadBalancerNodePorts", None)
        else:
            spec.setdefault("allocateLoadBalancerNodePorts", True)
        if spec["type"] == "ExternalName":
            for field in _CLUSTER_FIELDS:
                spec.pop(field, None)
            return
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        spec.setdefault("internalTrafficPolicy", "Cluster")
        if spec["type"] in ("NodePort", "LoadBalancer"):
            spec.setdefault("externalTrafficPolicy", "Cluster")
        for port in spec.get("ports") or ():
            if "port" in port:
                port.setdefault("targetPort", port["port"])

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Give out the address and the node ports."""
        value["status"] = {"loadBalancer": {}}
        self._allocate(value["spec"])

    def prepare_update(self, resource: Resource, value: Object, old: Object) -> None:
        """Keep what was given out."""
        spec, before = value["spec"], old["spec"]
        if before.get("clusterIP") and not spec.get("clusterIP") and spec["type"] != "ExternalName":
            spec["clusterIP"] = before["clusterIP"]
            spec["clusterIPs"] = before.get("clusterIPs", [before["clusterIP"]])
        known = {port.get("port"): port.get("nodePort") for port in before.get("ports") or ()}
        if spec["type"] in ("NodePort", "LoadBalancer"):
            for port in spec.get("ports") or ():
                if not port.get("nodePort") and known.get(port.get("port")):
                    port["nodePort"] = known[port["port"]]
        self._allocate(spec)

    def _allocate(self, spec: Object) -> None:
        if spec["type"] == "ExternalName":
            return
        if not spec.get("clusterIP"):
            spec["clusterIP"] = self._find_address()
        spec["clusterIPs"] = [spec["clusterIP"]]
        if spec["type"] not in ("NodePort", "LoadBalancer"):
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)
            return
        taken = self._node_ports()
        for port in spec.get("ports") or ():
            if not port.get("nodePort"):
                port["nodePort"] = self._find_port(taken)
                taken.add(port["nodePort"])

    def _services(self) -> list[Object]:
        records = self.context.store.collection(("", "services")).records
        return [record.object["spec"] for record in records.values()]

    def _find_address(self) -> str:
        network = self.context.service_network
        taken = {spec.get("clusterIP") for spec in self._services()}
        for index in islice(self._next_address, network.num_addresses):
            address = str(network[10 + index % (network.num_addresses - 20)])
            if address not in taken:
                return address
        raise statuses.internal_error(f"all addresses of {network} are given out to Services")

    def _node_ports(self) -> set[int]:
        return {p.get("nodePort", 0) for spec in self._services() for p in spec.get("ports") or ()}

    def _find_port(self, taken: set[int]) -> int:
        for index in islice(self._next_port, len(NODE_PORTS)):
            # Steps through the range so that a port is not given out again at once.
            port = NODE_PORTS[(index * 131 + 17) % len(NODE_PORTS)]
            if port not in taken:
                return port
        raise statuses.internal_error("all node ports are given out")

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check type, ports and that the address stays."""
        spec = value["spec"]
        if spec["type"] not in _TYPES:
            return [unsupported("spec.type", spec["type"], _TYPES)]
        ports = spec.get("ports") or []
        causes = [c for i, port in enumerate(ports) for c in _check_port(i, port, len(ports))]
        causes += _check_duplicates(ports)
        is_external = spec["type"] == "ExternalName"
        if not ports and not is_external and spec.get("clusterIP") != "None":
            causes.append(required("spec.ports"))
        if is_external and not spec.get("externalName"):
            causes.append(required("spec.externalName"))
        causes += check_labels(spec.get("selector"), "spec.selector")
        if spec["sessionAffinity"] not in ("ClientIP", "None"):
            known = ("ClientIP", "None")
            causes.append(unsupported("spec.sessionAffinity", spec["sessionAffinity"], known))
        address = spec.get("clusterIP")
        if address not in (None, "", "None") and not is_address(address):
            causes.append(invalid_value("spec.clusterIPs[0]", address, ADDRESS_TEXT))
        before = old["spec"].get("clusterIP") if old is not None else None
        if before not in (None, "", address) and not is_external:
            why = "may not change once set"
            causes.append(invalid_value("spec.clusterIPs[0]", [address], why))
        return causes or self._check_chosen(value)

    def _check_chosen(self, value: Object) -> list[Cause]:
        """Check what a Service is to have against the network and what others have."""
        spec, uid = value["spec"], value["metadata"].get("uid")
        records = self.context.store.collection(("", "services")).records.values()
        others = [r.object["spec"] for r in records if r.object["metadata"]["uid"] != uid]
        causes = []
        address = spec.get("clusterIP")
        if address not in (None, "", "None"):
            taken = {other.get("clusterIP") for other in others}
            causes += _check_address(address, self.context.service_network, taken)
        ports = [p for other in others for p in other.get("ports") or ()]
        given_out = {(port.get("nodePort"), port.get("protocol")) for port in ports}
        for index, port in enumerate(spec.get("ports") or ()):
            if port.get("nodePort") and (port["nodePort"], port["protocol"]) in given_out:
                where, why = f"spec.ports[{index}].nodePort", "provided port is already allocated"
                causes.append(invalid_value(where, port["nodePort"], why))
        return causes


def _check_address(address: str, network: IPv4Network, taken: set[Any]) -> list[Cause]:
    parsed = ip_address(address)
    if parsed.version != network.version:
        why = "IPv6 is not configured on this cluster"
        return [invalid_value("spec.clusterIPs[0]", [address], why)]
    why = f"failed to allocate IP {address}: "
    if parsed not in network or parsed in (network[0], network[-1]):
        why += f"the provided IP ({address}) is not in the valid range. "
        why += f"The range of valid IPs is {network}"
    elif address in taken:
        why += "provided IP is already allocated"
    else:
        return []
    return [invalid_value("spec.clusterIPs", [address], why)]


def _check_duplicates(ports: list[Any]) -> list[Cause]:
    seen: set[tuple[Any, Any]] = set()
    causes = []
    for index, port in enumerate(ports):
        identity = (port.get("port"), port["protocol"])
        if identity in seen:
            causes.append(duplicate(f"spec.ports[{index}]", port))
        seen.add(identity)
    return causes


def _check_port(index: int, port: Any, siblings: int) -> list[Cause]:
    path = f"spec.ports[{index}]"
    number, target, protocol = port.get("port"), port.get("targetPort"), port["protocol"]
    causes = []
    why = "must be between 1 and 65535, inclusive"
    if not isinstance(number, int) or not 0 < number < 65536:
        causes.append(invalid_value(f"{path}.port", number, why))
    if isinstance(target, int) and not 0 < target < 65536:
        causes.append(invalid_value(f"{path}.targetPort", target, why))
    elif isinstance(target, str) and not _PORT_NAME.fullmatch(target):
        why_name = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
        causes.append(invalid_value(f"{path}.targetPort", target, why_name))
    if protocol not in ("SCTP", "TCP", "UDP"):
        causes.append(unsupported(f"{path}.protocol", protocol, ("SCTP", "TCP", "UDP")))
    if siblings > 1 and not port.get("name"):
        causes.append(required(f"{path}.name"))
    elif port.get("name") and (wrong_name := explain_label(port["name"])):
        causes.append(invalid_value(f"{path}.name", port["name"], wrong_name))
    node_port = port.get("nodePort")
    if node_port and node_port not in NODE_PORTS:
        why = "provided port is not in the valid range. The range of valid ports is 30000-32767"
        causes.append(invalid_value(f"{path}.nodePort", node_port, why))
    return causes
