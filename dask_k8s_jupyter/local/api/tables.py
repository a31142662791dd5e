"""Tables: what ``kubectl get`` prints, for built-in kinds and by the printer columns of CRDs. Pure.

Guarantees a cell for every column. Times are told as ages, at the moment of the request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from . import jsonpath, workloadcells
from .ages import NONE, UNKNOWN, show_age
from .podcells import find_pod_status
from .resources import Resource
from .servicecells import list_endpoints, list_service, list_slice

Object = dict[str, Any]
Cells = Callable[[Object], list[Any]]


def _column(name: str, priority: int = 0, type_: str = "string") -> Object:
    format_ = "name" if name == "Name" else ""
    return {
        "name": name,
        "type": type_,
        "format": format_,
        "description": name,
        "priority": priority,
    }


def _age(value: Object) -> str:
    return show_age(value["metadata"].get("creationTimestamp"))


def _name(value: Object) -> str:
    return str(value["metadata"]["name"])


def _pod_cells(pod: Object) -> list[Any]:
    status = pod.get("status") or {}
    node = pod["spec"].get("nodeName") or NONE
    nominated = status.get("nominatedNodeName") or NONE
    shown = find_pod_status(pod)
    return [_name(pod), *shown, _age(pod), status.get("podIP") or NONE, node, nominated, NONE]


def _node_cells(node: Object) -> list[Any]:
    status = node.get("status") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    words = {"True": "Ready", "False": "NotReady"}
    ready = words.get(conditions.get("Ready", ""), "Unknown")
    if node.get("spec", {}).get("unschedulable"):
        ready += ",SchedulingDisabled"
    prefix = "node-role.kubernetes.io/"
    labels = node["metadata"].get("labels") or {}
    roles = ",".join(sorted(k.removeprefix(prefix) for k in labels if k.startswith(prefix)))
    info = status.get("nodeInfo") or {}
    addresses = {a["type"]: a["address"] for a in status.get("addresses") or ()}
    return [
        _name(node),
        ready,
        roles or NONE,
        _age(node),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", NONE),
        addresses.get("ExternalIP", NONE),
        info.get("osImage", UNKNOWN),
        info.get("kernelVersion", UNKNOWN),
        info.get("containerRuntimeVersion", UNKNOWN),
    ]


def _event_cells(event: Object) -> list[Any]:
    involved = event.get("involvedObject") or {}
    series = event.get("series") or {}
    first = event.get("firstTimestamp") or event.get("eventTime")
    last = series.get("lastObservedTime") or event.get("lastTimestamp") or first
    count = series.get("count") or event.get("count") or 1
    shown = show_age(last)
    if count > 1:
        shown = f"{shown} (x{count} over {show_age(first)})"
    target = f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"
    source = event.get("source") or {}
    component = source.get("component") or event.get("reportingComponent") or ""
    host = source.get("host")
    return [
        shown,
        event.get("type", ""),
        event.get("reason", ""),
        target,
        involved.get("fieldPath", ""),
        f"{component}, {host}" if host else component,
        str(event.get("message", "")).strip(),
        show_age(first),
        count,
        _name(event),
    ]


def _binding_cells(binding: Object) -> list[Any]:
    def subjects(kind: str) -> str:
        found = [s for s in binding.get("subjects") or () if s["kind"] == kind]
        names = [
            f"{s['namespace']}/{s['name']}" if s.get("namespace") else s["name"] for s in found
        ]
        return ", ".join(names)

    role = f"{binding['roleRef']['kind']}/{binding['roleRef']['name']}"
    kinds = ("User", "Group", "ServiceAccount")
    return [_name(binding), role, _age(binding), *(subjects(kind) for kind in kinds)]


def _phase(value: Object) -> str:
    return str((value.get("status") or {}).get("phase", ""))


def _count(field: str) -> Callable[[Object], int]:
    return lambda value: len(value.get(field) or ())


def _created(value: Object) -> list[Any]:
    return [_name(value), value["metadata"].get("creationTimestamp")]


_DATA = _count("data")
_CREATED_AT = [_column("Name"), _column("Created At", type_="date")]
_BINDING = [
    *(_column(name) for name in ("Name", "Role", "Age")),
    *(_column(name, 1) for name in ("Users", "Groups", "ServiceAccounts")),
]


def _columns(narrow: str, wide: str = "") -> list[Object]:
    columns = [_column(name) for name in narrow.split("|")]
    return columns + [_column(name, 1) for name in wide.split("|") if name]


_BUILT_IN: dict[str, tuple[list[Object], Cells]] = {
    "pods": (
        _columns("Name|Ready|Status|Restarts|Age", "IP|Node|Nominated Node|Readiness Gates"),
        _pod_cells,
    ),
    "services": (
        _columns("Name|Type|Cluster-IP|External-IP|Port(s)|Age", "Selector"),
        list_service,
    ),
    "nodes": (
        _columns(
            "Name|Status|Roles|Age|Version",
            "Internal-IP|External-IP|OS-Image|Kernel-Version|Container-Runtime",
        ),
        _node_cells,
    ),
    "events": (
        [
            *_columns("Last Seen|Type|Reason|Object", "Subobject|Source"),
            _column("Message"),
            *(_column(name, 1) for name in ("First Seen", "Count", "Name")),
        ],
        _event_cells,
    ),
    "namespaces": (_columns("Name|Status|Age"), lambda v: [_name(v), _phase(v), _age(v)]),
    "configmaps": (_columns("Name|Data|Age"), lambda v: [_name(v), _DATA(v), _age(v)]),
    "secrets": (
        _columns("Name|Type|Data|Age"),
        lambda v: [_name(v), v["type"], _DATA(v), _age(v)],
    ),
    "serviceaccounts": (_columns("Name|Age"), lambda v: [_name(v), _age(v)]),
    "deployments": (
        _columns("Name|Ready|Up-to-date|Available|Age", "Containers|Images|Selector"),
        workloadcells.list_deployment,
    ),
    "replicasets": (
        [
            _column("Name"),
            *(_column(name, type_="integer") for name in ("Desired", "Current", "Ready")),
            _column("Age"),
            *(_column(name, 1) for name in ("Containers", "Images", "Selector")),
        ],
        workloadcells.list_replica_set,
    ),
    "jobs": (
        _columns("Name|Status|Completions|Duration|Age", "Containers|Images|Selector"),
        workloadcells.list_job,
    ),
    "persistentvolumeclaims": (
        _columns(
            "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age",
            "VolumeMode",
        ),
        workloadcells.list_claim,
    ),
    "resourcequotas": (_columns("Name|Request|Limit|Age"), workloadcells.list_quota),
    "leases": (
        _columns("Name|Holder|Age"),
        lambda v: [_name(v), (v.get("spec") or {}).get("holderIdentity") or "", _age(v)],
    ),
    "endpoints": (_columns("Name|Endpoints|Age"), list_endpoints),
    "endpointslices": (_columns("Name|AddressType|Ports|Endpoints|Age"), list_slice),
    "roles": (_CREATED_AT, _created),
    "clusterroles": (_CREATED_AT, _created),
    "customresourcedefinitions": (_CREATED_AT, _created),
    "rolebindings": (_BINDING, _binding_cells),
    "clusterrolebindings": (_BINDING, _binding_cells),
}


def _custom_columns(resource: Resource) -> tuple[list[Object], Cells]:
    columns = resource.columns or (
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
    )
    definitions = [_column("Name")]
    for column in columns:
        definitions.append(
            {
                "name": column["name"],
                "type": column["type"],
                "format": column.get("format", ""),
                "description": column.get("description", ""),
                "priority": column.get("priority", 0),
            }
        )

    def cells(value: Object) -> list[Any]:
        return [_name(value), *(_custom_cell(column, value) for column in columns)]

    return definitions, cells


def _custom_cell(column: Object, value: Object) -> Any:
    found = jsonpath.find(column["jsonPath"], value)
    if not found or found[0] is None:
        return None if column["type"] != "date" else UNKNOWN
    if column["type"] == "date":
        return show_age(str(found[0]))
    if column["type"] == "string":
        return ",".join(item if isinstance(item, str) else _show(item) for item in found)
    return found[0]


def _show(item: Any) -> str:
    return {True: "true", False: "false"}[item] if isinstance(item, bool) else str(item)


def build_table(
    resource: Resource,
    values: Iterable[Object],
    metadata: Object,
    include: str = "Metadata",
    has_header: bool = True,
) -> Object:
    """Build the ``Table`` of some objects.

    Parameters
    ----------
    include
        What each row carries of its object: ``Metadata``, ``Object`` or ``None``.
    has_header
        Whether the columns are described; in a watch only the first table does.
    """
    definitions, cells = (
        _BUILT_IN.get(resource.plural, (None, None)) if not resource.is_custom else (None, None)
    )
    if definitions is None or cells is None:
        definitions, cells = _custom_columns(resource)
    rows = []
    for value in values:
        row: Object = {"cells": cells(value)}
        if include == "Object":
            row["object"] = value
        elif include == "Metadata":
            row["object"] = build_partial(value)
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions if has_header else [],
        "rows": rows,
    }


def build_partial(value: Object) -> Object:
    """Build the ``PartialObjectMetadata`` of an object."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": value["metadata"],
    }
