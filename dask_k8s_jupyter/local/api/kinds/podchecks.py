"""What makes a Pod's spec wrong. Pure.

Guarantees the fields and reasons of the API for what people and programs get wrong: names,
policies, ports, environment, resources, volumes, probes. Leaves the rarer rules to a real API.
"""

from __future__ import annotations

import re
from typing import Any

from .. import quantities
from ..names import check_labels, explain_label
from ..statuses import Cause, duplicate, forbidden_value, invalid_value, required, unsupported

Object = dict[str, Any]

_PORT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_STANDARD_RESOURCES = ("cpu", "memory", "ephemeral-storage", "storage")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_FIELDS = {"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName"}
_FIELDS |= {"spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP"}
_FIELDS |= {"status.podIPs", "metadata.labels", "metadata.annotations"}


def check_pod_spec(spec: Object, path: str = "spec") -> list[Cause]:
    """Find what is wrong with the spec of a Pod, or of a template."""
    causes, volumes = _check_volumes(spec, path)
    containers = spec.get("containers")
    if not containers:
        causes.append(required(f"{path}.containers"))
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            causes += _check_container(f"{path}.{field}[{index}]", container, names, volumes)
    return causes + _check_policies(spec, path)


def _check_policies(spec: Object, path: str) -> list[Cause]:
    causes = []
    policies = ("Always", "OnFailure", "Never")
    for field, known in (("restartPolicy", policies), ("dnsPolicy", _DNS_POLICIES)):
        if spec.get(field) not in known:
            causes.append(unsupported(f"{path}.{field}", spec.get(field, ""), known))
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 0 < deadline < 2**31:
        why = "must be between 1 and 2147483647, inclusive"
        causes.append(invalid_value(f"{path}.activeDeadlineSeconds", deadline, why))
    for cause in check_labels(spec.get("nodeSelector"), f"{path}.nodeSelector"):
        causes.append(cause)
    hostname = spec.get("hostname")
    if hostname and (why_name := explain_label(hostname)):
        causes.append(invalid_value(f"{path}.hostname", hostname, why_name))
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        causes += _check_toleration(toleration, f"{path}.tolerations[{index}]")
    return causes


def _check_toleration(toleration: Object, path: str) -> list[Cause]:
    operator = toleration.get("operator", "Equal")
    causes = []
    if not toleration.get("key") and operator != "Exists":
        why = (
            "operator must be Exists when `key` is empty, which means "
            '"match all values and all keys"'
        )
        causes.append(invalid_value(f"{path}.operator", operator, why))
    if operator not in ("Equal", "Exists"):
        causes.append(unsupported(f"{path}.operator", operator, ("Equal", "Exists")))
    return causes


def _check_volumes(spec: Object, path: str) -> tuple[list[Cause], set[str]]:
    causes: list[Cause] = []
    names: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or ()):
        where, name = f"{path}.volumes[{index}]", volume.get("name", "")
        if not name:
            causes.append(required(f"{where}.name"))
        elif why := explain_label(name):
            causes.append(invalid_value(f"{where}.name", name, why))
        elif name in names:
            causes.append(duplicate(f"{where}.name", name))
        names.add(name)
        sources = sorted((key for key in volume if key != "name"), key=_source_order)
        for extra in sources[1:]:
            why = "may not specify more than 1 volume type"
            causes.append(forbidden_value(f"{where}.{extra}", why))
    return causes, names


def _source_order(source: str) -> int:
    known = ("emptyDir", "hostPath", "secret", "persistentVolumeClaim", "configMap")
    return known.index(source) if source in known else len(known)


def _check_container(
    path: str, container: Object, names: set[str], volumes: set[str]
) -> list[Cause]:
    causes = _check_container_name(path, container.get("name") or "", names)
    if not container.get("image"):
        causes.append(required(f"{path}.image"))
    for field, known in (
        ("imagePullPolicy", ("Always", "IfNotPresent", "Never")),
        ("terminationMessagePolicy", ("File", "FallbackToLogsOnError")),
    ):
        if container.get(field) not in known:
            causes.append(unsupported(f"{path}.{field}", container.get(field, ""), known))
    for index, port in enumerate(container.get("ports") or ()):
        causes += _check_port(port, f"{path}.ports[{index}]")
    for index, variable in enumerate(container.get("env") or ()):
        causes += _check_variable(variable, f"{path}.env[{index}]")
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        where = f"{path}.volumeMounts[{index}]"
        if mount.get("name") not in volumes:
            text = f'Not found: "{mount.get("name")}"'
            causes.append(Cause(f"{where}.name", text, "FieldValueNotFound"))
        if not mount.get("mountPath"):
            causes.append(required(f"{where}.mountPath"))
    causes += _check_resources(container.get("resources") or {}, f"{path}.resources")
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if field in container:
            causes += _check_probe(container[field], f"{path}.{field}")
    return causes


def _check_container_name(path: str, name: str, names: set[str]) -> list[Cause]:
    causes = []
    if not name:
        causes.append(required(f"{path}.name"))
    elif why := explain_label(name):
        causes.append(invalid_value(f"{path}.name", name, why))
    elif name in names:
        causes.append(duplicate(f"{path}.name", name))
    names.add(name)
    return causes


def _check_port(port: Object, path: str) -> list[Cause]:
    causes = []
    number, name = port.get("containerPort", 0), port.get("name")
    if number == 0:
        causes.append(required(f"{path}.containerPort"))
    elif not 0 < number < 65536:
        why = "must be between 1 and 65535, inclusive"
        causes.append(invalid_value(f"{path}.containerPort", number, why))
    if name and len(name) > 15:
        causes.append(invalid_value(f"{path}.name", name, "must be no more than 15 characters"))
    if name and not _PORT_NAME.fullmatch(name):
        why = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
        causes.append(invalid_value(f"{path}.name", name, why))
    if port.get("protocol") not in _PROTOCOLS:
        causes.append(unsupported(f"{path}.protocol", port.get("protocol"), _PROTOCOLS))
    return causes


def _check_variable(variable: Object, path: str) -> list[Cause]:
    causes = []
    if not variable.get("name"):
        causes.append(required(f"{path}.name"))
    source = variable.get("valueFrom")
    if source is None:
        return causes
    if variable.get("value"):
        why = "may not be specified when `value` is not empty"
        causes.append(invalid_value(f"{path}.valueFrom", "", why))
    elif len(source) != 1:
        known = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        why = f"must specify one of: {known}"
        causes.append(invalid_value(f"{path}.valueFrom", "", why))
    field = (source.get("fieldRef") or {}).get("fieldPath")
    if field is not None and field.partition("[")[0] not in _FIELDS:
        where = f"{path}.valueFrom.fieldRef.fieldPath"
        why = f"error converting fieldPath: field label not supported: {field}"
        causes.append(invalid_value(where, field, why))
    return causes


def _check_resources(resources: Object, path: str) -> list[Cause]:
    causes = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, given in (("limits", limits), ("requests", requests)):
        for name, amount in given.items():
            where = f"{path}.{field}[{name}]"
            is_known = name in _STANDARD_RESOURCES or "/" in name or name.startswith("hugepages-")
            if not is_known:
                why = "must be a standard resource type or fully qualified"
                causes.append(invalid_value(where, name, why))
            if quantities.parse(amount) < 0:
                why = "must be greater than or equal to 0"
                causes.append(invalid_value(where, amount, why))
    for name in requests.keys() & limits.keys():
        if quantities.parse(requests[name]) > quantities.parse(limits[name]):
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            causes.append(invalid_value(f"{path}.requests", requests[name], why))
    return causes


def _check_probe(probe: Object, path: str) -> list[Cause]:
    handlers = [name for name in _HANDLERS if name in probe]
    causes = [
        forbidden_value(f"{path}.{name}", "may not specify more than 1 handler type")
        for name in handlers[1:]
    ]
    if not handlers:
        why = "Required value: must specify a handler type"
        causes.append(required(path, why))
    for field in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "failureThreshold"):
        if probe.get(field, 0) < 0:
            why = "must be greater than or equal to 0"
            causes.append(invalid_value(f"{path}.{field}", probe[field], why))
    return causes
