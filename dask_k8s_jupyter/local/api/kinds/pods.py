"""Pods: the defaults and checks of the API that a Pod meets before a node sees it.

Guarantees the fields that clients read back (restartPolicy, grace, pull policy, probe numbers).
Refuses Pods without containers, bad names, and changes of what a running Pod cannot change.
"""

from __future__ import annotations

from typing import Any

from .. import statuses
from ..names import explain_label
from ..resources import Resource
from ..statuses import Cause, invalid_value, required
from .strategy import Object, Strategy

_MUTABLE_OF_SPEC = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"}
_MUTABLE_OF_CONTAINER = {"image"}
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


class PodStrategy(Strategy):
    """Defaults, checks and immutability of Pods."""

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in what the API fills in."""
        spec = value.get("spec")
        if not isinstance(spec, dict):
            return
        account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = account
        for key, default in _SPEC_DEFAULTS.items():
            if spec.get(key) is None:
                spec[key] = default
        spec.setdefault("securityContext", {})
        for field in ("initContainers", "containers"):
            for container in spec.get(field) or ():
                if isinstance(container, dict):
                    default_container(container)

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Begin Pending; refuse a Pod whose ServiceAccount is missing."""
        spec = value.get("spec") if isinstance(value.get("spec"), dict) else {}
        metadata = value["metadata"]
        value["status"] = {"phase": "Pending", "qosClass": find_qos_class(spec or {})}
        account = (spec or {}).get("serviceAccountName", "default")
        key = ("", "serviceaccounts")
        if self.context.store.get(key, metadata["namespace"], account) is None:
            why = (
                f"error looking up service account {metadata['namespace']}/{account}: "
                f'serviceaccount "{account}" not found'
            )
            raise statuses.forbidden("pods", "", metadata["name"], why)

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check the spec of a new Pod, or what changed of an old one."""
        spec = value.get("spec")
        if not isinstance(spec, dict):
            return [required("spec")]
        if old is not None:
            return _check_update(spec, old["spec"])
        containers = spec.get("containers")
        if not isinstance(containers, list) or not containers:
            return [required("spec.containers")]
        causes = _check_policy(spec)
        names: set[str] = set()
        for field in ("initContainers", "containers"):
            for index, container in enumerate(spec.get(field) or ()):
                causes += _check_container(f"spec.{field}[{index}]", container, names)
        return causes


_SPEC_DEFAULTS: dict[str, Any] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
    "priority": 0,
}
_CONTAINER_DEFAULTS: dict[str, Any] = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_PROBE_DEFAULTS = {
    "timeoutSeconds": 1,
    "periodSeconds": 10,
    "successThreshold": 1,
    "failureThreshold": 3,
}


def default_container(container: Object) -> None:
    """Fill in what the API fills in for a container."""
    for key, default in _CONTAINER_DEFAULTS.items():
        container.setdefault(key, default)
    container.setdefault("imagePullPolicy", find_pull_policy(str(container.get("image", ""))))
    resources = container.setdefault("resources", {}) or {}
    limits = resources.get("limits")
    if limits:
        resources["requests"] = limits | (resources.get("requests") or {})
    for port in container.get("ports") or ():
        port.setdefault("protocol", "TCP")
    for variable in container.get("env") or ():
        field = (variable.get("valueFrom") or {}).get("fieldRef")
        if field is not None:
            field.setdefault("apiVersion", "v1")
    for name in _PROBES:
        probe = container.get(name)
        if probe:
            for key, number in _PROBE_DEFAULTS.items():
                probe.setdefault(key, number)
            if "httpGet" in probe:
                probe["httpGet"].setdefault("scheme", "HTTP")
                probe["httpGet"].setdefault("path", "/")


def find_pull_policy(image: str) -> str:
    """Pull policy that an image has when none is given.

    Examples
    --------
    >>> find_pull_policy("dask:2026.8.0"), find_pull_policy("registry:5000/dask")
    ('IfNotPresent', 'Always')
    """
    name = image.rpartition("/")[2]
    if "@" in name:
        return "IfNotPresent"
    return "Always" if name.partition(":")[2] in ("", "latest") else "IfNotPresent"


def find_qos_class(spec: Object) -> str:
    """Quality of service of a Pod, from the requests and limits of its containers."""
    containers = [c for c in spec.get("containers") or () if isinstance(c, dict)]
    every = [c.get("resources") or {} for c in containers]
    if not any(r.get("requests") or r.get("limits") for r in every):
        return "BestEffort"
    for resources in every:
        limits = resources.get("limits") or {}
        requests = limits | (resources.get("requests") or {})
        if not {"cpu", "memory"} <= limits.keys() or requests != limits:
            return "Burstable"
    return "Guaranteed"


def _check_policy(spec: Object) -> list[Cause]:
    if spec["restartPolicy"] in ("Always", "OnFailure", "Never"):
        return []
    text = statuses.show(spec["restartPolicy"])
    message = f'Unsupported value: {text}: supported values: "Always", "OnFailure", "Never"'
    return [Cause("spec.restartPolicy", message, "FieldValueNotSupported")]


def _check_container(path: str, container: Any, names: set[str]) -> list[Cause]:
    if not isinstance(container, dict):
        return [invalid_value(path, container, "must be an object")]
    causes = []
    name = container.get("name")
    if not name:
        causes.append(required(f"{path}.name"))
    elif why := explain_label(str(name)):
        causes.append(invalid_value(f"{path}.name", name, why))
    elif name in names:
        message = f"Duplicate value: {statuses.show(name)}"
        causes.append(Cause(f"{path}.name", message, "FieldValueDuplicate"))
    names.add(str(name))
    if not container.get("image"):
        causes.append(required(f"{path}.image"))
    for index, port in enumerate(container.get("ports") or ()):
        number = port.get("containerPort")
        where = f"{path}.ports[{index}].containerPort"
        if number is None:
            causes.append(required(where))
        elif not isinstance(number, int) or not 0 < number < 65536:
            causes.append(invalid_value(where, number, "must be between 1 and 65535, inclusive"))
    for index, variable in enumerate(container.get("env") or ()):
        if not variable.get("name"):
            causes.append(required(f"{path}.env[{index}].name"))
        if not isinstance(variable.get("value", ""), str):
            where = f"{path}.env[{index}].value"
            causes.append(invalid_value(where, variable["value"], "must be a string"))
    return causes


def _check_update(spec: Object, old: Object) -> list[Cause]:
    if _without_mutable(spec) == _without_mutable(old):
        return []
    message = (
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
        "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
        "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be "
        "set to 1 if it was previously negative)"
    )
    return [Cause("spec", message, "FieldValueForbidden")]


def _without_mutable(spec: Object) -> Object:
    kept = {key: value for key, value in spec.items() if key not in _MUTABLE_OF_SPEC}
    for field in ("containers", "initContainers"):
        if field in kept:
            kept[field] = [
                {k: v for k, v in container.items() if k not in _MUTABLE_OF_CONTAINER}
                for container in kept[field]
            ]
    return kept
