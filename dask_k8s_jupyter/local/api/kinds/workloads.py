"""Deployments, ReplicaSets and Jobs: their defaults and checks. Controllers make them true.

Guarantees the fields that clients and controllers read back. Refuses templates that no Pod could be
made of, and selectors that do not select them.
"""

from __future__ import annotations

from typing import Any

from ..names import check_labels
from ..resources import Resource
from ..statuses import Cause, invalid_value, required, unsupported
from .podchecks import check_pod_spec
from .pods import default_pod_spec
from .strategy import Object, Strategy

_UID = "batch.kubernetes.io/controller-uid"
_NAME = "batch.kubernetes.io/job-name"
_JOB_DEFAULTS: dict[str, Any] = {
    "backoffLimit": 6,
    "completionMode": "NonIndexed",
    "manualSelector": False,
    "parallelism": 1,
    "podReplacementPolicy": "TerminatingOrFailed",
    "suspend": False,
}


def _template_of(value: Object) -> Object:
    template: Object = value.setdefault("spec", {}).setdefault("template", {})
    return template


def _check_counts(spec: Object, fields: tuple[str, ...]) -> list[Cause]:
    why = "must be greater than or equal to 0"
    return [
        invalid_value(f"spec.{field}", spec[field], why)
        for field in fields
        if (spec.get(field) or 0) < 0
    ]


def _check_selector(value: Object, old: Object | None) -> list[Cause]:
    spec = value["spec"]
    selector = spec.get("selector")
    labels = (_template_of(value).get("metadata") or {}).get("labels")
    causes = [] if selector else [required("spec.selector")]
    wanted = ((selector or {}).get("matchLabels") or {}).items()
    if not wanted <= (labels or {}).items() or not selector:
        why = "`selector` does not match template `labels`"
        causes.append(invalid_value("spec.template.metadata.labels", labels, why))
    if old is not None and old["spec"].get("selector") != selector:
        causes.append(invalid_value("spec.selector", selector, "field is immutable"))
    return causes


class ReplicaSetStrategy(Strategy):
    """A number of Pods from one template."""

    has_generation = True
    counts: tuple[str, ...] = ("replicas", "minReadySeconds")

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in what the API fills in."""
        template = _template_of(value)
        template.setdefault("metadata", {})
        default_pod_spec(template.setdefault("spec", {}))
        value["spec"].setdefault("replicas", 1)

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Begin with no Pods."""
        value["status"] = {"replicas": 0}

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check counts, selector and template."""
        spec, pod = value["spec"], _template_of(value)["spec"]
        causes = _check_counts(spec, self.counts) + _check_selector(value, old)
        causes += check_pod_spec(pod, "spec.template.spec")
        if pod["restartPolicy"] in ("OnFailure", "Never"):
            where = "spec.template.spec.restartPolicy"
            causes.append(unsupported(where, pod["restartPolicy"], ("Always",)))
        return causes


class DeploymentStrategy(ReplicaSetStrategy):
    """ReplicaSets that follow one another."""

    counts = ("replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")

    def is_desired_changed(self, new: Object, old: Object) -> bool:
        """The annotations of a Deployment are its ReplicaSets' too."""
        pair = [value["metadata"].get("annotations") or {} for value in (new, old)]
        return pair[0] != pair[1] or super().is_desired_changed(new, old)

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in what the API fills in."""
        super().default(resource, value)
        spec = value["spec"]
        spec.setdefault("progressDeadlineSeconds", 600)
        spec.setdefault("revisionHistoryLimit", 10)
        strategy = spec.setdefault("strategy", {})
        if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxSurge", "25%")
            rolling.setdefault("maxUnavailable", "25%")

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Begin without a status."""
        value["status"] = {}

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check the strategy too."""
        causes = super().validate(resource, value, old)
        strategy = value["spec"]["strategy"]
        if strategy["type"] not in ("Recreate", "RollingUpdate"):
            causes.append(unsupported("spec.strategy", strategy, ("Recreate", "RollingUpdate")))
        return causes


class JobStrategy(Strategy):
    """Pods that run to an end."""

    has_generation = True
    propagation = "Orphan"

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in what the API fills in."""
        spec = value.setdefault("spec", {})
        pod = _template_of(value).setdefault("spec", {})
        policy = pod.get("restartPolicy")
        default_pod_spec(pod)
        if policy is None:
            # What a Pod would get is no policy of a Job: it has to say which.
            pod["restartPolicy"] = "Always"
        if spec.get("completions") is None and spec.get("parallelism") is None:
            spec["completions"] = 1
        for key, default in _JOB_DEFAULTS.items():
            spec.setdefault(key, default)

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Select the Job's own Pods by its uid."""
        value["status"] = {}
        metadata, spec = value["metadata"], value["spec"]
        if spec["manualSelector"]:
            return
        selector = spec.setdefault("selector", {}).setdefault("matchLabels", {})
        selector[_UID] = metadata["uid"]
        labels = {_UID: metadata["uid"], _NAME: metadata["name"]}
        labels |= {"controller-uid": metadata["uid"], "job-name": metadata["name"]}
        template = _template_of(value).setdefault("metadata", {})
        template["labels"] = (template.get("labels") or {}) | labels

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check counts, selector and template."""
        spec, pod = value["spec"], _template_of(value)["spec"]
        causes = _check_counts(spec, ("backoffLimit", "completions", "parallelism"))
        uid = value["metadata"].get("uid")
        if not spec["manualSelector"] and spec.get("selector") != {"matchLabels": {_UID: uid}}:
            why = "`selector` not auto-generated"
            causes.append(invalid_value("spec.selector", spec.get("selector"), why))
        causes += _check_selector(value, old)
        causes += check_pod_spec(pod, "spec.template.spec")
        labels = (_template_of(value).get("metadata") or {}).get("labels")
        causes += check_labels(labels, "spec.template.labels")
        if pod["restartPolicy"] not in ("OnFailure", "Never"):
            where = "spec.template.spec.restartPolicy"
            text = 'Required value: valid values: "OnFailure", "Never"'
            causes.append(required(where, text))
        is_running = old is not None and not (spec["suspend"] and old["spec"]["suspend"])
        if old is not None and is_running and old["spec"]["template"] != spec["template"]:
            causes.append(invalid_value("spec.template", "", "field is immutable"))
        return causes
