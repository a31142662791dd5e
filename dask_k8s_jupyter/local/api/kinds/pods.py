"""Pods: the defaults and checks of the API that a Pod meets before a node sees it.

Guarantees the fields that clients read back (restartPolicy, grace, pull policy, probe numbers).
Refuses Pods without containers, bad names, and changes of what a running Pod cannot change.
"""

from __future__ import annotations

from typing import Any

from .. import statuses
from ..resources import Resource
from ..statuses import Cause, forbidden_value, invalid_value
from . import quotas
from .podchecks import check_pod_spec
from .strategy import Object, Strategy

_MUTABLE_OF_SPEC = {"activeDeadlineSeconds", "tolerations", "nodeName"}
_MUTABLE_OF_CONTAINER = {"image"}
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


class PodStrategy(Strategy):
    """Defaults, checks and immutability of Pods."""

    has_generation = True
    returns_deleted = True

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in what the API fills in, for a Pod also its admission."""
        spec = value.setdefault("spec", {})
        account = spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
        spec["serviceAccountName"] = spec["serviceAccount"] = account
        for key, default in _ADMITTED.items():
            if spec.get(key) is None:
                spec[key] = default
        default_pod_spec(spec)
        for condition in (value.get("status") or {}).get("conditions") or ():
            condition.setdefault("lastProbeTime", None)
            condition.setdefault("lastTransitionTime", None)
        for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
            limits = container["resources"].get("limits")
            if limits:
                given = container["resources"].get("requests") or {}
                container["resources"]["requests"] = limits | given

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Begin Pending."""
        value["status"] = {"phase": "Pending", "qosClass": find_qos_class(value["spec"])}

    def admit(self, resource: Resource, value: Object) -> None:
        """Refuse a Pod whose ServiceAccount is missing, and one beyond a quota."""
        account = value["spec"]["serviceAccountName"]
        metadata = value["metadata"]
        key = ("", "serviceaccounts")
        if self.context.store.get(key, metadata["namespace"], account) is None:
            why = (
                f"error looking up service account {metadata['namespace']}/{account}: "
                f'serviceaccount "{account}" not found'
            )
            raise statuses.forbidden("pods", "", metadata["name"], why)
        quotas.charge(self.context.store, value)

    def on_written(self, resource: Resource, value: Object, old: Object | None) -> None:
        """Keep the quotas' counts in step."""
        quotas.recount(self.context, value["metadata"]["namespace"], value, old)

    def on_removed(self, resource: Resource, value: Object) -> None:
        """Give back what the Pod took of a quota."""
        quotas.recount(self.context, value["metadata"]["namespace"], None, value)

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check the spec of a new Pod, or what changed of an old one."""
        if old is not None:
            return _check_update(value["spec"], old["spec"])
        return check_pod_spec(value["spec"])


def default_pod_spec(spec: Object) -> None:
    """Fill in what the API fills in for a Pod and for a template."""
    for key, default in _SPEC_DEFAULTS.items():
        if spec.get(key) is None:
            spec[key] = default
    spec.setdefault("securityContext", {})
    if (spec["terminationGracePeriodSeconds"]) < 0:
        spec["terminationGracePeriodSeconds"] = 1
    for volume in spec.get("volumes") or ():
        if len(volume) == 1:
            volume["emptyDir"] = {}
        for source in ("configMap", "secret", "projected", "downwardAPI"):
            if source in volume:
                volume[source].setdefault("defaultMode", 420)
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        default_container(container)


_SPEC_DEFAULTS: dict[str, Any] = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
}
_ADMITTED: dict[str, Any] = {
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
    container.setdefault("resources", {})
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
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    every = [c.get("resources") or {} for c in containers]
    if not any(r.get("requests") or r.get("limits") for r in every):
        return "BestEffort"
    for resources in every:
        limits = resources.get("limits") or {}
        requests = limits | (resources.get("requests") or {})
        if not {"cpu", "memory"} <= limits.keys() or requests != limits:
            return "Burstable"
    return "Guaranteed"


def _check_update(spec: Object, old: Object) -> list[Cause]:
    for field in ("containers", "initContainers"):
        if len(spec.get(field) or ()) != len(old.get(field) or ()):
            why = "pod updates may not add or remove containers"
            return [forbidden_value(f"spec.{field}", why)]
    deadline, before = spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    if before is not None and (deadline is None or deadline > before):
        why = "must be less than or equal to previous value"
        return [invalid_value("spec.activeDeadlineSeconds", deadline, why)]
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
