"""The kinds, and the requests that every kind is asked, good and bad."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field, replace
from typing import Any

import yaml
from parity_step import Scenario, Step

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
PARTIAL = {"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}


CONTROLLED = ("deployments", "replicasets", "jobs", "resourcequotas", "nodes")
CONTROLLED += ("customresourcedefinitions",)


def container(**more: Any) -> dict[str, Any]:
    """A container that never runs: the Pods here have a scheduler that does not exist."""
    return {"name": "main", "image": "registry.invalid/parity:1"} | more


def pod_spec(**more: Any) -> dict[str, Any]:
    """A Pod's spec."""
    return {"schedulerName": "parity", "containers": [container()]} | more


def workload(**more: Any) -> dict[str, Any]:
    """A spec with a template, as Deployments and ReplicaSets have."""
    labels = {"app": "parity"}
    template = {"metadata": {"labels": labels}, "spec": pod_spec()}
    return {"replicas": 0, "selector": {"matchLabels": labels}, "template": template} | more


@dataclass(frozen=True)
class Kind:
    """A kind of the table.

    Parameters
    ----------
    base
        Path of its API group version.
    content
        The object without its metadata.
    change
        A merge patch that changes something of its own.
    bad
        Merge patches that make the object wrong, by name.
    """

    plural: str
    kind: str
    base: str
    content: dict[str, Any] = field(default_factory=dict)
    change: dict[str, Any] = field(default_factory=dict)
    bad: dict[str, Any] = field(default_factory=dict)
    namespaced: bool = True
    is_custom: bool = False
    is_full: bool = False
    differs: dict[str, str] = field(default_factory=dict)

    @property
    def pause_s(self) -> float:
        """Time that its controller takes to write its first words."""
        return 0.5 if self.plural in CONTROLLED else 0

    @property
    def api_version(self) -> str:
        """``apiVersion`` of its objects."""
        return self.base.removeprefix("/api/").removeprefix("/apis/")

    @property
    def path(self) -> str:
        """Path of the collection."""
        where = "/namespaces/{ns}" if self.namespaced else ""
        return f"{self.base}{where}/{self.plural}"

    def name(self, name: str) -> str:
        """Name of an object; cluster-wide ones carry the run's prefix."""
        if self.plural == "customresourcedefinitions":
            return f"{name}s.{{ns}}.example.org"
        return name if self.namespaced else f"{{ns}}-{name}"

    def build(self, name: str, /, **metadata: Any) -> dict[str, Any]:
        """Build an object."""
        content = copy.deepcopy(self.content)
        if self.plural == "customresourcedefinitions":
            content["spec"]["names"] = {"plural": f"{name}s", "kind": name.capitalize()}
        given = {"name": self.name(name), "labels": {"parity": "{ns}"}} | metadata
        head = {"apiVersion": self.api_version, "kind": self.kind, "metadata": given}
        return {**head, **content}


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, on a copy."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def without(value: dict[str, Any], key: str) -> dict[str, Any]:
    """A copy without a field of the metadata."""
    copied = copy.deepcopy(value)
    copied["metadata"].pop(key, None)
    return copied


def every_kind_steps(kind: Kind) -> list[Step]:
    """The requests that every kind is asked."""
    path, one = kind.path, kind.build("one")
    here = f"{path}/{kind.name('one')}"
    selected = f"{path}?labelSelector=parity={{ns}}"
    steps = [
        Step("create", "POST", path, one),
        Step("create-again", "POST", path, one),
        Step("create-dry-run", "POST", f"{path}?dryRun=All", kind.build("dry")),
        Step("get-after-dry-run", "GET", f"{path}/{kind.name('dry')}"),
        Step("get", "GET", here, pause_s=kind.pause_s),
        Step("get-missing", "GET", f"{path}/{kind.name('missing')}"),
        Step("get-table", "GET", here, headers=TABLE),
        Step("list", "GET", selected),
        Step("list-table", "GET", selected, headers=TABLE),
        Step("put-unchanged", "PUT", here, '"$${get}"'),
        Step("patch-merge", "PATCH", here, {"metadata": {"labels": {"a": "b"}}}, MERGE),
        Step("patch-change", "PATCH", here, kind.change, MERGE),
        Step("get-changed", "GET", here),
        Step("put-stale", "PUT", here, '"$${get}"'),
        Step("patch-missing", "PATCH", f"{path}/{kind.name('missing')}", {}, MERGE),
        Step("patch-unknown-type", "PATCH", here, {}, "application/json"),
        Step(
            "apply",
            "PATCH",
            f"{path}/{kind.name('applied')}?fieldManager=a",
            kind.build("applied"),
            APPLY,
        ),
        Step(
            "apply-again",
            "PATCH",
            f"{path}/{kind.name('applied')}?fieldManager=a",
            kind.build("applied"),
            APPLY,
        ),
        Step(
            "apply-conflict",
            "PATCH",
            f"{path}/{kind.name('applied')}?fieldManager=b",
            kind.build("applied", labels={"parity": "other"}),
            APPLY,
        ),
        Step("create-bad-name", "POST", path, kind.build("one", name="Not_A/Name")),
        Step("create-no-name", "POST", path, without(one, "name")),
        Step("create-wrong-kind", "POST", path, one | {"kind": "Wrong"}),
        Step("create-not-json", "POST", path, "{nonsense"),
        Step(
            "create-unknown-strict",
            "POST",
            f"{path}?fieldValidation=Strict",
            kind.build("strict") | {"unknown": 1},
        ),
        Step(
            "watch",
            "GET",
            f"{selected}&watch=1&timeoutSeconds=1&resourceVersion=${{create.metadata.resourceVersion}}&fieldSelector=metadata.name={kind.name('one')}",
        ),
        Step("delete-wrong-uid", "DELETE", here, {"preconditions": {"uid": "other"}}),
        Step("delete-dry-run", "DELETE", f"{here}?dryRun=All"),
        Step("delete", "DELETE", here),
        Step("delete-again", "DELETE", here, until=404),
        Step("finalizer-create", "POST", path, kind.build("held", finalizers=["example.org/hold"])),
        Step("finalizer-delete", "DELETE", f"{path}/{kind.name('held')}"),
        Step(
            "finalizer-remove",
            "PATCH",
            f"{path}/{kind.name('held')}",
            {"metadata": {"finalizers": None}},
            MERGE,
        ),
        Step("finalizer-get", "GET", f"{path}/{kind.name('held')}", until=404),
        Step("delete-collection", "DELETE", selected),
        Step(
            "list-empty",
            "GET",
            selected,
            until_text="" if kind.plural == "namespaces" else '"items":[]',
        ),
        Step("post-to-name", "POST", here, one),
        Step("put-to-collection", "PUT", path, one),
    ]
    for name, patch in kind.bad.items():
        body = merged(kind.build(f"bad-{name}"), patch)
        steps.append(Step(f"bad-{name}", "POST", path, body))
    return steps


def thorough_steps(kind: Kind) -> list[Step]:
    """Further requests, for the kinds that stand for the others."""
    path, one = kind.path, kind.build("one")
    here = f"{path}/{kind.name('one')}"
    applied = f"{path}/{kind.name('one')}"
    label = [{"op": "add", "path": "/metadata/labels/json", "value": "x"}]
    steps = [
        Step("create", "POST", path, one),
        Step("create-two", "POST", path, kind.build("two", labels={"parity": "{ns}", "tier": "b"})),
        Step("get", "GET", here, pause_s=kind.pause_s),
        Step("get-partial", "GET", here, headers=PARTIAL),
        Step("get-xml", "GET", here, headers={"Accept": "application/xml"}),
        Step("list-page", "GET", f"{path}?labelSelector=parity={{ns}}&limit=1"),
        Step(
            "list-next",
            "GET",
            f"{path}?labelSelector=parity={{ns}}&limit=1&continue=${{list-page.metadata.continue}}",
        ),
        Step("list-bad-continue", "GET", f"{path}?limit=1&continue=nonsense"),
        Step("list-bad-limit", "GET", f"{path}?limit=many"),
        Step("list-in", "GET", f"{path}?labelSelector=parity={{ns}},tier in (a,b)"),
        Step("list-not", "GET", f"{path}?labelSelector=parity={{ns}},!tier"),
        Step("list-bad-selector", "GET", f"{path}?labelSelector=a in b"),
        Step("list-field", "GET", f"{path}?fieldSelector=metadata.name={kind.name('two')}"),
        Step("list-bad-field", "GET", f"{path}?fieldSelector=spec.nothing=1"),
        Step(
            "list-partial",
            "GET",
            f"{path}?labelSelector=parity={{ns}}",
            headers={"Accept": PARTIAL["Accept"].replace("Metadata;", "MetadataList;")},
        ),
        Step("list-bad-version", "GET", f"{path}?resourceVersion=abc"),
        Step("put-missing-name", "PUT", here, without(one, "name")),
        Step("put-other-name", "PUT", here, kind.build("two")),
        Step(
            "put-missing",
            "PUT",
            f"{path}/{kind.name('missing')}",
            kind.build("missing", resourceVersion="1"),
        ),
        Step(
            "put-wrong-uid",
            "PUT",
            here,
            kind.build(
                "one",
                uid="aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
                resourceVersion="${get.metadata.resourceVersion}",
            ),
        ),
        Step(
            "put-changed",
            "PUT",
            here,
            merged(
                kind.build(
                    "one", resourceVersion="${get.metadata.resourceVersion}", annotations={"x": "y"}
                ),
                kind.change,
            ),
        ),
        Step("patch-json", "PATCH", here, label, JSON_PATCH),
        Step(
            "patch-json-test",
            "PATCH",
            here,
            [{"op": "test", "path": "/metadata/name", "value": "x"}],
            JSON_PATCH,
        ),
        Step(
            "patch-json-bad-path",
            "PATCH",
            here,
            [{"op": "remove", "path": "/metadata/nothing"}],
            JSON_PATCH,
        ),
        Step(
            "patch-json-bad-op", "PATCH", here, [{"op": "twist", "path": "/metadata"}], JSON_PATCH
        ),
        Step("patch-json-not-list", "PATCH", here, {"a": "b"}, JSON_PATCH),
        Step(
            "patch-strategic",
            "PATCH",
            here,
            {"metadata": {"labels": {"json": None}, "annotations": {"s": "t"}}},
            STRATEGIC,
        ),
        Step("patch-nothing", "PATCH", here, {}, MERGE),
        Step("patch-not-json", "PATCH", here, "{nonsense", MERGE),
        Step("patch-list", "PATCH", here, [1], MERGE),
        Step(
            "patch-stale",
            "PATCH",
            here,
            {"metadata": {"resourceVersion": "1", "labels": {"q": "1"}}},
            MERGE,
        ),
        Step("patch-name", "PATCH", here, {"metadata": {"name": "other"}}, MERGE),
        Step(
            "patch-uid",
            "PATCH",
            here,
            {"metadata": {"uid": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"}},
            MERGE,
        ),
        Step(
            "patch-creation-time",
            "PATCH",
            here,
            {"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}},
            MERGE,
        ),
        Step("patch-bad-label", "PATCH", here, {"metadata": {"labels": {"a/b/c": "x"}}}, MERGE),
        Step(
            "patch-dry-run",
            "PATCH",
            f"{here}?dryRun=All",
            {"metadata": {"labels": {"dry": "x"}}},
            MERGE,
        ),
        Step("patch-dry-run-bad", "PATCH", f"{here}?dryRun=Some", {}, MERGE),
        Step("get-after-patches", "GET", here),
        Step("apply-no-manager", "PATCH", applied, one, APPLY),
        Step(
            "apply-force",
            "PATCH",
            f"{applied}?fieldManager=b&force=true",
            kind.build("one", labels={"parity": "{ns}", "forced": "yes"}),
            APPLY,
        ),
        Step(
            "apply-less", "PATCH", f"{applied}?fieldManager=b&force=true", kind.build("one"), APPLY
        ),
        Step("apply-wrong-name", "PATCH", f"{applied}?fieldManager=b", kind.build("two"), APPLY),
        Step(
            "apply-no-kind",
            "PATCH",
            f"{applied}?fieldManager=b",
            {"metadata": {"name": kind.name("one")}},
            APPLY,
        ),
        Step(
            "apply-yaml",
            "PATCH",
            f"{applied}?fieldManager=b&force=true",
            yaml.safe_dump(one),
            APPLY,
        ),
        Step(
            "apply-unknown",
            "PATCH",
            f"{applied}?fieldManager=b&force=true",
            one | {"unknown": 1},
            APPLY,
        ),
        Step(
            "apply-dry-run",
            "PATCH",
            f"{path}/{kind.name('never')}?fieldManager=b&dryRun=All",
            kind.build("never"),
            APPLY,
        ),
        Step("get-never", "GET", f"{path}/{kind.name('never')}"),
        Step(
            "create-generated",
            "POST",
            path,
            without(kind.build("x", generateName=kind.name("gen-")), "name"),
        ),
        Step("create-long-name", "POST", path, kind.build("n", name="n" * 260)),
        Step("create-wrong-version", "POST", path, one | {"apiVersion": "wrong/v9"}),
        Step(
            "create-no-kind",
            "POST",
            path,
            {"metadata": {"name": kind.name("nokind")}, **kind.content},
        ),
        Step("create-empty", "POST", path, ""),
        Step("create-list", "POST", path, [1]),
        Step("create-bad-label", "POST", path, kind.build("label", labels={"a b": "c"})),
        Step("create-bad-label-value", "POST", path, kind.build("label", labels={"a": "b c"})),
        Step("create-number-label", "POST", path, kind.build("label", labels={"a": 1})),
        Step("create-label-list", "POST", path, kind.build("label", labels=["a"])),
        Step("create-bad-annotation", "POST", path, kind.build("anno", annotations={"a b": "c"})),
        Step(
            "create-bad-owner",
            "POST",
            path,
            kind.build(
                "owned",
                ownerReferences=[{"kind": "Pod", "name": "x", "apiVersion": "v1", "uid": ""}],
            ),
        ),
        Step(
            "create-bad-finalizer", "POST", path, kind.build("finalized", finalizers=["nonsense"])
        ),
        Step("create-with-version", "POST", path, kind.build("versioned", resourceVersion="5")),
        Step(
            "create-wrong-namespace", "POST", path, kind.build("elsewhere", namespace="elsewhere")
        ),
        Step(
            "create-with-uid",
            "POST",
            path,
            kind.build(
                "uid",
                uid="aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
                creationTimestamp="2001-01-01T00:00:00Z",
                generation=7,
            ),
        ),
        Step("create-unknown", "POST", path, kind.build("unknown") | {"unknown": 1}),
        Step("create-yaml", "POST", path, yaml.safe_dump(kind.build("yaml")), "application/yaml"),
        Step("create-text", "POST", path, json.dumps(kind.build("text")), "text/plain"),
        Step("create-dry-run-bad", "POST", f"{path}?dryRun=Some", kind.build("dry")),
        Step("create-bad-validation", "POST", f"{path}?fieldValidation=Maybe", kind.build("dry")),
        Step("watch-bad-version", "GET", f"{path}?watch=1&resourceVersion=abc&timeoutSeconds=1"),
        Step(
            "watch-table",
            "GET",
            f"{path}?watch=1&timeoutSeconds=1&fieldSelector=metadata.name={kind.name('two')}",
            headers=TABLE,
        ),
        Step(
            "watch-initial",
            "GET",
            f"{path}?watch=1&timeoutSeconds=3&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name={kind.name('two')}",
        ),
        Step("watch-initial-bad", "GET", f"{path}?watch=1&timeoutSeconds=1&sendInitialEvents=true"),
        Step("watch-one", "GET", f"{here}?watch=1&timeoutSeconds=1"),
        Step("unknown-subresource", "GET", f"{here}/nothing"),
        Step("unknown-method", "OPTIONS", here),
        Step("delete-wrong-version", "DELETE", here, {"preconditions": {"resourceVersion": "1"}}),
        Step("delete-bad-policy", "DELETE", f"{here}?propagationPolicy=Sideways"),
        Step("delete-bad-grace", "DELETE", f"{here}?gracePeriodSeconds=soon"),
        Step("delete-not-json", "DELETE", here, "{nonsense"),
        Step("delete-bad-dry-run", "DELETE", f"{here}?dryRun=Some"),
        Step("delete-missing", "DELETE", f"{path}/{kind.name('missing')}"),
        Step("delete-collection", "DELETE", f"{path}?labelSelector=parity={{ns}},tier=b"),
        Step("list-left", "GET", f"{path}?labelSelector=parity={{ns}}", headers=TABLE),
    ]
    if kind.plural == "pods":
        # Admission has added to the Pod what this body lacks: only a Pod that was read can be put.
        steps = [step for step in steps if step.name != "put-changed"]
    if kind.namespaced:
        steps.append(
            Step("create-no-namespace", "POST", path.replace("/{ns}/", "/{ns}-missing/"), one)
        )
    return steps


def build_scenarios(kinds: list[Kind]) -> list[Scenario]:
    """The scenarios of every kind."""
    found = []
    for kind in kinds:
        short = {"customresourcedefinitions": "crds", "persistentvolumeclaims": "claims"}
        name = short.get(kind.plural, kind.plural)
        before = [definition_step()] if kind.is_custom else []
        after = (
            ()
            if kind.namespaced and not kind.is_custom
            else (f"{kind.path}?labelSelector=parity={{ns}}",)
        )
        if kind.plural == "namespaces":
            after = tuple(f"{kind.path}/{kind.name(name)}" for name in ("one", "applied", "held"))
        after += (
            (f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CUSTOM}",)
            if kind.is_custom
            else ()
        )
        for suffix, steps in (
            ("", every_kind_steps(kind)),
            ("-more", thorough_steps(kind) if kind.is_full else []),
        ):
            if steps:
                steps = [replace(step, differs=kind.differs.get(step.name, "")) for step in steps]
                ready = [Step("ready", "GET", kind.path, until=200)] if kind.is_custom else []
                found.append(Scenario(name + suffix, [*before, *ready, *steps], after))
    return found


CUSTOM = "things.{ns}.example.org"
_THING = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 0, "maximum": 10},
                "mode": {"type": "string", "enum": ["fast", "slow"], "default": "fast"},
                "name": {"type": "string", "maxLength": 5, "pattern": "^[a-z]*$"},
                "replicas": {"type": "integer", "default": 1},
                "minimum": {"type": "integer"},
                "maximum": {"type": "integer"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "ports": {
                    "type": "array",
                    "maxItems": 3,
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["port"],
                    "items": {
                        "type": "object",
                        "required": ["port"],
                        "properties": {
                            "port": {"type": "integer"},
                            "protocol": {"type": "string", "default": "TCP"},
                        },
                    },
                },
                "either": {"x-kubernetes-int-or-string": True},
                "fixed": {
                    "type": "string",
                    "x-kubernetes-validations": [
                        {"rule": "self == oldSelf", "message": "fixed cannot change"}
                    ],
                },
            },
            "x-kubernetes-validations": [
                {
                    "rule": "!has(self.minimum) || !has(self.maximum) "
                    "|| self.minimum <= self.maximum",
                    "message": "minimum must not exceed maximum",
                }
            ],
        },
        "status": {
            "type": "object",
            "properties": {
                "replicas": {"type": "integer"},
                "selector": {"type": "string"},
                "phase": {"type": "string"},
            },
        },
    },
}


def definition(**version: Any) -> dict[str, Any]:
    """A definition with everything that we promise."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CUSTOM},
        "spec": {
            "group": "{ns}.example.org",
            "scope": "Namespaced",
            "names": {
                "plural": "things",
                "kind": "Thing",
                "shortNames": ["th"],
                "categories": ["parity"],
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _THING},
                    "subresources": {
                        "status": {},
                        "scale": {
                            "specReplicasPath": ".spec.replicas",
                            "statusReplicasPath": ".status.replicas",
                            "labelSelectorPath": ".status.selector",
                        },
                    },
                    "additionalPrinterColumns": [
                        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                        {"name": "Phase", "type": "string", "jsonPath": ".status.phase"},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                        {"name": "Mode", "type": "string", "jsonPath": ".spec.mode", "priority": 1},
                    ],
                }
                | version
            ],
        },
    }


def definition_step() -> Step:
    """Install the definition."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    return Step("define", "POST", path, definition())


_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_ROLE_REF = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
_SUBJECT = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "parity"}
_RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
_CRD = definition()["spec"]

KINDS = [
    Kind(
        "configmaps",
        "ConfigMap",
        "/api/v1",
        {"data": {"a": "1"}},
        {"data": {"a": "2"}},
        {
            "number": {"data": {"a": 1}},
            "key": {"data": {"a b": "1"}},
            "twice": {"binaryData": {"a": "MQ=="}},
        },
        is_full=True,
    ),
    Kind(
        "secrets",
        "Secret",
        "/api/v1",
        {"data": {"a": "MQ=="}},
        {"stringData": {"b": "2"}},
        {
            "base64": {"data": {"a": "%"}},
            "key": {"data": {"a b": "MQ=="}},
            "type": {"type": "kubernetes.io/tls"},
        },
    ),
    Kind(
        "serviceaccounts", "ServiceAccount", "/api/v1", {}, {"automountServiceAccountToken": False}
    ),
    Kind(
        "services",
        "Service",
        "/api/v1",
        {"spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}},
        {"spec": {"selector": {"a": "c"}}},
        {
            "no-ports": {"spec": {"ports": None}},
            "port": {"spec": {"ports": [{"port": 70000}]}},
            "type": {"spec": {"type": "Wrong"}},
            "protocol": {"spec": {"ports": [{"port": 1, "protocol": "XXX"}]}},
            "unnamed": {"spec": {"ports": [{"port": 1}, {"port": 2}]}},
            "twice": {"spec": {"ports": [{"name": "a", "port": 1}, {"name": "b", "port": 1}]}},
            "target": {"spec": {"ports": [{"port": 1, "targetPort": "Not A Name"}]}},
            "external": {"spec": {"type": "ExternalName"}},
            "selector": {"spec": {"selector": {"a b": "c"}}},
            "node-port": {"spec": {"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]}},
            "affinity": {"spec": {"sessionAffinity": "Maybe"}},
            "address": {"spec": {"clusterIP": "1.2.3"}},
            "text-port": {"spec": {"ports": [{"port": "80"}]}},
        },
        is_full=True,
        differs={"create-bad-name": "service-name", "create-no-name": "service-name"},
    ),
    Kind(
        "endpoints",
        "Endpoints",
        "/api/v1",
        {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 80}]}]},
        {"subsets": [{"addresses": [{"ip": "192.0.2.2"}], "ports": [{"port": 81}]}]},
        {
            "address": {"subsets": [{"addresses": [{"ip": "nowhere"}], "ports": [{"port": 80}]}]},
            "port": {"subsets": [{"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 0}]}]},
        },
    ),
    Kind(
        "events",
        "Event",
        "/api/v1",
        {
            "involvedObject": {"kind": "Pod", "namespace": "{ns}", "name": "x"},
            "reason": "R",
            "message": "m",
            "type": "Normal",
        },
        {"message": "n"},
        {"namespace": {"involvedObject": {"namespace": "other"}}},
    ),
    Kind(
        "pods",
        "Pod",
        "/api/v1",
        {"spec": pod_spec()},
        {"spec": {"activeDeadlineSeconds": 60}},
        {
            "no-spec": {"spec": None},
            "no-containers": {"spec": {"containers": []}},
            "no-image": {"spec": {"containers": [{"name": "a"}]}},
            "no-name": {"spec": {"containers": [{"image": "a"}]}},
            "container-name": {"spec": {"containers": [container(name="A_b")]}},
            "twice": {"spec": {"containers": [container(), container()]}},
            "policy": {"spec": {"restartPolicy": "Sometimes"}},
            "pull": {"spec": {"containers": [container(imagePullPolicy="Maybe")]}},
            "port": {"spec": {"containers": [container(ports=[{"containerPort": 0}])]}},
            "port-name": {
                "spec": {
                    "containers": [
                        container(ports=[{"containerPort": 1, "name": "Much too long a name"}])
                    ]
                }
            },
            "protocol": {
                "spec": {"containers": [container(ports=[{"containerPort": 1, "protocol": "XXX"}])]}
            },
            "quantity": {
                "spec": {"containers": [container(resources={"requests": {"memory": "a lot"}})]}
            },
            "requests": {
                "spec": {
                    "containers": [
                        container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})
                    ]
                }
            },
            "negative": {
                "spec": {"containers": [container(resources={"requests": {"cpu": "-1"}})]}
            },
            "resource": {"spec": {"containers": [container(resources={"limits": {"gold": "1"}})]}},
            "env-name": {"spec": {"containers": [container(env=[{"name": ""}])]}},
            "env-both": {
                "spec": {
                    "containers": [
                        container(
                            env=[
                                {
                                    "name": "A",
                                    "value": "b",
                                    "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                                }
                            ]
                        )
                    ]
                }
            },
            "env-field": {
                "spec": {
                    "containers": [
                        container(
                            env=[
                                {
                                    "name": "A",
                                    "valueFrom": {"fieldRef": {"fieldPath": "spec.nothing"}},
                                }
                            ]
                        )
                    ]
                }
            },
            "env-number": {"spec": {"containers": [container(env=[{"name": "A", "value": 1}])]}},
            "mount": {
                "spec": {
                    "containers": [container(volumeMounts=[{"name": "none", "mountPath": "/x"}])]
                }
            },
            "volume-name": {"spec": {"volumes": [{"name": "A b", "emptyDir": {}}]}},
            "volume-twice": {
                "spec": {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]}
            },
            "volume-both": {
                "spec": {"volumes": [{"name": "a", "emptyDir": {}, "configMap": {"name": "x"}}]}
            },
            "volume-none": {"spec": {"volumes": [{"name": "a"}]}},
            "account": {"spec": {"serviceAccountName": "nobody"}},
            "grace": {"spec": {"terminationGracePeriodSeconds": -1}},
            "deadline": {"spec": {"activeDeadlineSeconds": 0}},
            "dns": {"spec": {"dnsPolicy": "Wrong"}},
            "selector": {"spec": {"nodeSelector": {"a b": "c"}}},
            "toleration": {"spec": {"tolerations": [{"operator": "Wrong"}]}},
            "probe": {
                "spec": {
                    "containers": [
                        container(readinessProbe={"periodSeconds": -1, "tcpSocket": {"port": 1}})
                    ]
                }
            },
            "probe-none": {
                "spec": {"containers": [container(readinessProbe={"periodSeconds": 1})]}
            },
            "probe-two": {
                "spec": {
                    "containers": [
                        container(
                            livenessProbe={"tcpSocket": {"port": 1}, "exec": {"command": ["a"]}}
                        )
                    ]
                }
            },
            "text-replicas": {"spec": {"priority": "high"}},
            "containers-map": {"spec": {"containers": {"a": "b"}}},
            "termination": {"spec": {"containers": [container(terminationMessagePolicy="Never")]}},
            "hostname": {"spec": {"hostname": "A_b"}},
        },
        is_full=True,
    ),
    Kind(
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        "/api/v1",
        {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "storageClassName": "none",
            }
        },
        {"metadata": {"labels": {"c": "d"}}},
        {
            "no-modes": {"spec": {"accessModes": None}},
            "mode": {"spec": {"accessModes": ["Wrong"]}},
            "no-size": {"spec": {"resources": None}},
        },
    ),
    Kind(
        "resourcequotas",
        "ResourceQuota",
        "/api/v1",
        {"spec": {"hard": {"pods": "10", "requests.cpu": "4"}}},
        {"spec": {"hard": {"pods": "11"}}},
        {
            "quantity": {"spec": {"hard": {"pods": "many"}}},
            "negative": {"spec": {"hard": {"pods": "-1"}}},
            "name": {"spec": {"hard": {"nonsense": "1"}}},
        },
    ),
    Kind(
        "deployments",
        "Deployment",
        "/apis/apps/v1",
        {"spec": workload()},
        {"spec": {"minReadySeconds": 1}},
        {
            "no-selector": {"spec": {"selector": None}},
            "selector": {"spec": {"selector": {"matchLabels": {"app": "other"}}}},
            "no-template": {"spec": {"template": None}},
            "negative": {"spec": {"replicas": -1}},
            "text": {"spec": {"replicas": "two"}},
            "policy": {"spec": {"template": {"spec": {"restartPolicy": "Never"}}}},
            "strategy": {"spec": {"strategy": {"type": "Wrong"}}},
            "no-image": {"spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}},
        },
        is_full=True,
    ),
    Kind(
        "replicasets",
        "ReplicaSet",
        "/apis/apps/v1",
        {"spec": workload()},
        {"spec": {"minReadySeconds": 1}},
        {"no-selector": {"spec": {"selector": None}}, "negative": {"spec": {"replicas": -1}}},
    ),
    Kind(
        "jobs",
        "Job",
        "/apis/batch/v1",
        {"spec": {"suspend": True, "template": {"spec": pod_spec(restartPolicy="Never")}}},
        {"spec": {"parallelism": 2}},
        {
            "no-policy": {"spec": {"template": {"spec": pod_spec()}}},
            "no-template": {"spec": {"template": None}},
            "selector": {"spec": {"selector": {"matchLabels": {"a": "b"}}}},
            "negative": {"spec": {"backoffLimit": -1}},
        },
    ),
    Kind(
        "leases",
        "Lease",
        "/apis/coordination.k8s.io/v1",
        {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}},
        {"spec": {"holderIdentity": "b"}},
        {
            "duration": {"spec": {"leaseDurationSeconds": 0}},
            "time": {"spec": {"renewTime": "yesterday"}},
        },
    ),
    Kind(
        "roles",
        "Role",
        _RBAC,
        {"rules": [_RULE]},
        {"rules": [_RULE | {"verbs": ["list"]}]},
        {
            "no-verbs": {"rules": [{"apiGroups": [""], "resources": ["pods"]}]},
            "paths": {"rules": [{"nonResourceURLs": ["/x"], "verbs": ["get"]}]},
            "no-groups": {"rules": [{"resources": ["pods"], "verbs": ["get"]}]},
        },
    ),
    Kind(
        "rolebindings",
        "RoleBinding",
        _RBAC,
        {"roleRef": _ROLE_REF, "subjects": [_SUBJECT]},
        {"subjects": [_SUBJECT | {"name": "q"}]},
        {
            "no-ref": {"roleRef": None},
            "ref-kind": {"roleRef": {"kind": "Pod"}},
            "subject-kind": {"subjects": [{"kind": "Cat", "name": "x"}]},
            "account": {"subjects": [{"kind": "ServiceAccount", "name": "x"}]},
        },
    ),
    Kind(
        "clusterroles",
        "ClusterRole",
        _RBAC,
        {"rules": [_RULE]},
        {"rules": [_RULE | {"verbs": ["list"]}]},
        {"no-verbs": {"rules": [{"apiGroups": [""], "resources": ["pods"]}]}},
        namespaced=False,
        is_full=True,
        differs={"list-next": "last-page"},
    ),
    Kind(
        "clusterrolebindings",
        "ClusterRoleBinding",
        _RBAC,
        {"roleRef": _ROLE_REF, "subjects": [_SUBJECT]},
        {"subjects": [_SUBJECT | {"name": "q"}]},
        {"no-ref": {"roleRef": None}, "ref-kind": {"roleRef": {"kind": "Role"}}},
        namespaced=False,
    ),
    Kind(
        "namespaces",
        "Namespace",
        "/api/v1",
        {},
        {"metadata": {"annotations": {"a": "b"}}},
        namespaced=False,
    ),
    Kind("nodes", "Node", "/api/v1", {}, {"spec": {"unschedulable": True}}, namespaced=False),
    Kind(
        "customresourcedefinitions",
        "CustomResourceDefinition",
        "/apis/apiextensions.k8s.io/v1",
        {"spec": _CRD},
        {"metadata": {"annotations": {"a": "b"}}},
        {},
        namespaced=False,
    ),
    Kind(
        "things",
        "Thing",
        "/apis/{ns}.example.org/v1",
        {"spec": {"size": 1}},
        {"spec": {"size": 2}},
        {
            "no-spec": {"spec": None},
            "no-size": {"spec": {"size": None}},
            "text": {"spec": {"size": "big"}},
            "low": {"spec": {"size": -1}},
            "high": {"spec": {"size": 11}},
            "enum": {"spec": {"mode": "other"}},
            "long": {"spec": {"name": "abcdefg"}},
            "pattern": {"spec": {"name": "A"}},
            "rule": {"spec": {"minimum": 2, "maximum": 1}},
            "many": {"spec": {"ports": [{"port": i} for i in range(5)]}},
            "twice": {"spec": {"ports": [{"port": 1}, {"port": 1}]}},
            "item": {"spec": {"ports": [{}]}},
            "either": {"spec": {"either": []}},
            "spec-list": {"spec": []},
            "two": {"spec": {"size": "x", "mode": 3}},
        },
        is_custom=True,
        is_full=True,
        differs=dict.fromkeys(
            ("post-to-name", "put-to-collection", "unknown-subresource", "unknown-method"),
            "custom-paths",
        ),
    ),
]
