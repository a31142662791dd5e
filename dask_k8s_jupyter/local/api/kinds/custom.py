"""CustomResourceDefinitions, and the objects of the resources that they define.

Guarantees that an object is pruned, defaulted and checked by its structural schema before it is
kept, by that of each version in which it is served. Refuses definitions that it could not keep
that promise for: conversion webhooks, schemas that are missing, CEL rules beyond what the server
evaluates.
"""

from __future__ import annotations

from .. import cel, schemas
from ..names import now_text
from ..resources import Resource
from ..statuses import Cause, invalid_value, required, unsupported
from ..versions import rank
from .strategy import Object, Strategy

# Errors after which rules could not be evaluated on what is left.
_BLOCKING = {f"FieldValue{word}" for word in ("Required", "NotSupported", "TooLong", "TooMany")}
_BLOCKING.add("FieldValueTypeInvalid")
_UNCHECKED = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)


class DefinitionStrategy(Strategy):
    """CRDs register and withdraw resources."""

    has_generation = True
    has_grace = False
    needs_version = True
    returns_deleted = True

    def default(self, resource: Resource, value: Object) -> None:
        """Fill in names and conversion."""
        spec = value.setdefault("spec", {})
        names = spec.setdefault("names", {})
        if names.get("kind"):
            names.setdefault("singular", names["kind"].lower())
            names.setdefault("listKind", f"{names['kind']}List")
        spec.setdefault("conversion", {"strategy": "None"})

    def prepare_create(self, resource: Resource, value: Object) -> None:
        """Accept the names and establish the resource: nothing here takes time."""
        now = now_text()
        conditions = [
            _condition("NamesAccepted", "NoConflicts", "no conflicts found", now),
            _condition(
                "Established", "InitialNamesAccepted", "the initial names have been accepted", now
            ),
        ]
        value["status"] = {
            "conditions": conditions,
            "acceptedNames": value["spec"]["names"],
            "storedVersions": [
                v.get("name") for v in value["spec"].get("versions") or () if v.get("storage")
            ],
        }

    def prepare_update(self, resource: Resource, value: Object, old: Object) -> None:
        """Note which versions objects may be kept in, and the names."""
        status = value["status"] = {**(old.get("status") or {})}
        stored = [v.get("name") for v in value["spec"].get("versions") or () if v.get("storage")]
        known = status.get("storedVersions") or []
        status["storedVersions"] = [*known, *(name for name in stored if name not in known)]
        status["acceptedNames"] = value["spec"]["names"]

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check what a definition needs, and what of it this server can do."""
        spec, names = value["spec"], value["spec"]["names"]
        paths = {"spec.group": spec.get("group"), "spec.scope": spec.get("scope")}
        paths |= {f"spec.names.{field}": names.get(field) for field in ("plural", "kind")}
        causes = [required(path) for path, given in paths.items() if not given]
        if spec.get("scope") and spec["scope"] not in ("Cluster", "Namespaced"):
            causes.append(unsupported("spec.scope", spec["scope"], ("Cluster", "Namespaced")))
        if sum(bool(version.get("storage")) for version in spec.get("versions") or ()) != 1:
            why = "must have exactly one version marked as storage version"
            causes.append(invalid_value("spec.versions", spec.get("versions") or [], why))
            causes.append(invalid_value("status.storedVersions", None, "must have at least one"))
        expected = f"{names.get('plural')}.{spec.get('group')}"
        if value["metadata"]["name"] != expected:
            why = 'must be spec.names.plural+"."+spec.group'
            causes.append(invalid_value("metadata.name", value["metadata"]["name"], why))
        if causes:
            return causes
        if spec["conversion"].get("strategy") != "None":
            why = "conversion webhooks are not implemented by the embedded Kubernetes"
            causes.append(invalid_value("spec.conversion", spec["conversion"]["strategy"], why))
        is_only = len(spec["versions"]) == 1
        for index, version in enumerate(spec["versions"]):
            causes += _check_version(index, version, is_only)
        return causes + _check_names(spec["versions"])

    def on_written(self, resource: Resource, value: Object, old: Object | None) -> None:
        """Serve the resource in its new form."""
        spec = value["spec"]
        if old is None or old["spec"] != spec:
            key = (spec["group"], spec["names"]["plural"])
            self.context.registry.remove(*key)
            for built in build_custom_resources(spec):
                self.context.registry.add(built)

    def on_removed(self, resource: Resource, value: Object) -> None:
        """Remove the objects, then the resource."""
        key = (value["spec"]["group"], value["spec"]["names"]["plural"])
        self.context.remove_all(key)
        self.context.registry.remove(*key)


def _condition(type_: str, reason: str, message: str, now: str) -> Object:
    return {
        "type": type_,
        "status": "True",
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def _check_names(versions: list[Object]) -> list[Cause]:
    names = [version.get("name") for version in versions]
    if len(set(names)) == len(names):
        return []
    return [invalid_value("spec.versions", names, "must contain unique version names")]


def _check_version(index: int, version: Object, is_only: bool) -> list[Cause]:
    # A schema that all versions share is one of the definition's own, as it once was.
    path = f"spec.versions[{index}].schema.openAPIV3Schema"
    path = "spec.validation.openAPIV3Schema" if is_only else path
    schema = (version.get("schema") or {}).get("openAPIV3Schema")
    if not schema:
        where = f"spec.versions[{index}].schema.openAPIV3Schema"
        return [required(where, "Required value: schemas are required")]
    causes = schemas.check_structural(schema, path)
    for where, rule in schemas.iterate_rules(schema, path):
        try:
            cel.compile_rule(rule.get("rule", ""))
            if rule.get("messageExpression"):
                cel.compile_rule(rule["messageExpression"])
        except cel.CelError as error:
            causes.append(invalid_value(f"{where}.rule", rule.get("rule"), str(error)))
    return causes


def build_custom_resources(spec: Object) -> list[Resource]:
    """Build the resources that a checked definition stands for, the most stable version first."""
    versions = sorted(spec["versions"], key=lambda version: rank(version["name"]), reverse=True)
    stored = next(version["name"] for version in versions if version.get("storage"))
    return [_build_resource(spec, version, stored) for version in versions]


def _build_resource(spec: Object, version: Object, stored: str) -> Resource:
    names = spec["names"]
    subresources = version.get("subresources") or {}
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        singular=names.get("singular", ""),
        namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(name for name in ("status", "scale") if name in subresources),
        schema=version["schema"]["openAPIV3Schema"],
        columns=tuple(version.get("additionalPrinterColumns") or ()),
        scale_paths=subresources.get("scale"),
        is_served=bool(version.get("served")),
        storage_version="" if version["name"] == stored else stored,
    )


class CustomResourceStrategy(Strategy):
    """Objects of custom resources follow their schema."""

    has_generation = True
    needs_version = True

    def default(self, resource: Resource, value: Object) -> None:
        """Prune what the schema does not know, then fill in its defaults."""
        schemas.prune(value, resource.schema or {}, is_root=True)
        schemas.default(value, resource.schema or {})

    def validate(self, resource: Resource, value: Object, old: Object | None) -> list[Cause]:
        """Check by schema, then by its CEL rules."""
        schema = resource.schema or {}
        causes = schemas.validate(value, schema)
        if not causes:
            return schemas.validate_rules(value, schema, old)
        if wrong_replicas := _check_scale(resource, value):
            causes.append(wrong_replicas)
        return self.add_unchecked(resource, causes)

    def add_unchecked(self, resource: Resource, causes: list[Cause]) -> list[Cause]:
        """Say that rules were not evaluated, where there are rules."""
        has_rules = next(iter(schemas.iterate_rules(resource.schema or {}, "")), None) is not None
        if has_rules and any(cause.reason in _BLOCKING for cause in causes):
            causes.append(invalid_value("<nil>", None, _UNCHECKED))
        return causes


def _check_scale(resource: Resource, value: Object) -> Cause | None:
    path = (resource.scale_paths or {}).get("specReplicasPath", "")
    holder: object = value
    for step in path.strip(".").split(".")[:-1]:
        holder = holder.get(step, {}) if isinstance(holder, dict) else None
    if not path or isinstance(holder, dict):
        return None
    return invalid_value(path, 0, f"{path} accessor error: what holds it is no map")
