"""Roles and bindings: their checks.

Guarantees that a rule can be evaluated, and that a binding names known kinds of role and subject.
"""

from __future__ import annotations

from ..resources import Resource
from ..statuses import Cause, invalid_value, required, unsupported
from .strategy import Object, Strategy

_GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("ServiceAccount", "User", "Group")


class RoleStrategy(Strategy):
    """Roles and ClusterRoles."""

    is_created_by_update = True

    def default(self, resource: Resource, value: Object) -> None:
        """A role has rules, if only none."""
        value.setdefault("rules", None)

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check every rule."""
        causes = []
        for index, rule in enumerate(value.get("rules") or ()):
            causes += _check_rule(rule, f"rules[{index}]", resource.namespaced)
        return causes


def _check_rule(rule: Object, path: str, is_namespaced: bool) -> list[Cause]:
    causes = []
    if not rule.get("verbs"):
        why = "Required value: verbs must contain at least one value"
        causes.append(required(f"{path}.verbs", why))
    paths = rule.get("nonResourceURLs")
    if paths:
        if is_namespaced:
            why = "namespaced rules cannot apply to non-resource URLs"
            causes.append(invalid_value(f"{path}.nonResourceURLs", paths, why))
        return causes
    if not rule.get("apiGroups"):
        why = "Required value: resource rules must supply at least one api group"
        causes.append(required(f"{path}.apiGroups", why))
    if not rule.get("resources"):
        why = "Required value: resource rules must supply at least one resource"
        causes.append(required(f"{path}.resources", why))
    return causes


class BindingStrategy(Strategy):
    """RoleBindings and ClusterRoleBindings."""

    is_created_by_update = True

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in the groups of the role and the subjects."""
        reference = value.setdefault("roleRef", {})
        reference.setdefault("apiGroup", _GROUP)
        for subject in value.get("subjects") or ():
            if subject.get("kind") in ("User", "Group"):
                subject.setdefault("apiGroup", _GROUP)

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check the role and the subjects."""
        reference = value["roleRef"]
        known = ("Role", "ClusterRole") if resource.namespaced else ("ClusterRole",)
        causes = []
        if reference.get("kind") not in known:
            causes.append(unsupported("roleRef.kind", reference.get("kind", ""), known))
        if not reference.get("name"):
            causes.append(required("roleRef.name"))
        if old is not None and old["roleRef"] != reference:
            causes.append(invalid_value("roleRef", reference, "cannot change roleRef"))
        for index, subject in enumerate(value.get("subjects") or ()):
            causes += _check_subject(subject, f"subjects[{index}]")
        return causes


def _check_subject(subject: Object, path: str) -> list[Cause]:
    causes = []
    kind = subject.get("kind", "")
    if kind not in _SUBJECTS:
        causes.append(unsupported(f"{path}.kind", kind, _SUBJECTS))
    if not subject.get("name"):
        causes.append(required(f"{path}.name"))
    return causes
