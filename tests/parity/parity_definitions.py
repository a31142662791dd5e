"""Discovery, definitions of custom resources, namespaces."""

from __future__ import annotations

from typing import Any

from parity_custom import CUSTOM, definition, definition_step
from parity_kind import APPLY, MERGE, STRATEGIC, TABLE, merged
from parity_step import Scenario, Step
from parity_story import CRDS, NS, REMOVE_DEFINITION, THINGS, named, thing


def discovery_steps() -> list[Step]:
    """What kubectl asks before anything else."""
    paths = ["/healthz", "/livez", "/readyz", "/api/v2", "/apis/apps/v9", "/openapi/v3/api/v9"]
    paths += ["/api/v1/unknown", "/apis/apps", "/api/v1/namespaces/{ns}/pods/x/y/z", "/nonsense"]
    paths += [f"{NS}/"]
    return [Step(f"get {path}", "GET", path) for path in paths] + [
        Step("post-healthz", "POST", "/healthz"),
        Step("post-api", "POST", "/api"),
        Step("post-version", "POST", "/version"),
    ]


_ROUGH = definition()["spec"]["versions"][0]


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    return definition(schema={"openAPIV3Schema": schema})


DEFINITIONS = Scenario(
    "definitions",
    [
        Step("no-schema", "POST", CRDS, definition(schema=None)),
        Step("not-object", "POST", CRDS, _schema({"type": "string"})),
        Step("no-type", "POST", CRDS, _schema({"type": "object", "properties": {"spec": {}}})),
        Step(
            "bad-rule",
            "POST",
            CRDS,
            _schema(
                {
                    "type": "object",
                    "properties": {
                        "spec": {
                            "type": "object",
                            "x-kubernetes-validations": [{"rule": "self.nothing > "}],
                        }
                    },
                }
            ),
        ),
        Step("bad-name", "POST", CRDS, merged(definition(), {"metadata": {"name": "wrong"}})),
        Step("no-versions", "POST", CRDS, merged(definition(), {"spec": {"versions": []}})),
        Step("bad-scope", "POST", CRDS, merged(definition(), {"spec": {"scope": "Everywhere"}})),
        Step("no-group", "POST", CRDS, merged(definition(), {"spec": {"group": None}})),
        Step("no-storage", "POST", CRDS, definition(storage=False)),
        definition_step(),
        Step("ready", "GET", THINGS, until=200),
        Step("established", "GET", f"{CRDS}/{CUSTOM}", headers=TABLE),
        Step("prune", "POST", THINGS, thing("pruned", typo=1, free={"kept": {"deep": [1]}})),
        Step("prune-strict", "POST", f"{THINGS}?fieldValidation=Strict", thing("strict", typo=1)),
        Step("null", "POST", THINGS, thing("nulled", mode=None, name=None)),
        Step("either-number", "POST", THINGS, thing("number", either=80)),
        Step("either-text", "POST", THINGS, thing("text", either="web")),
        Step("default-item", "POST", THINGS, thing("ports", ports=[{"port": 1}])),
        Step(
            "apply-item",
            "PATCH",
            f"{THINGS}/ports?fieldManager=a",
            thing("ports", ports=[{"port": 2}]),
            APPLY,
        ),
        Step("fixed", "POST", THINGS, thing("fixed", fixed="a")),
        Step("fixed-change", "PATCH", f"{THINGS}/fixed", {"spec": {"fixed": "b"}}, MERGE),
        Step("strategic", "PATCH", f"{THINGS}/fixed", {"spec": {"size": 2}}, STRATEGIC),
        Step("generation", "PATCH", f"{THINGS}/fixed", {"spec": {"size": 3}}, MERGE),
        Step("status-dropped", "POST", THINGS, thing("status") | {"status": {"phase": "Wrong"}}),
        Step("status", "PATCH", f"{THINGS}/status/status", {"status": {"phase": "Running"}}, MERGE),
        Step("status-bad", "PATCH", f"{THINGS}/status/status", {"status": {"phase": 1}}, MERGE),
        Step("status-unknown", "PATCH", f"{THINGS}/status/status", {"status": {"more": 1}}, MERGE),
        Step(
            "status-put",
            "PUT",
            f"{THINGS}/status/status",
            thing("status")
            | {
                "status": {"phase": "Put"},
                "metadata": {
                    "name": "status",
                    "resourceVersion": "${status-unknown.metadata.resourceVersion}",
                    "labels": {"not": "written"},
                },
            },
        ),
        Step("put-no-version", "PUT", f"{THINGS}/status", thing("status")),
        Step("table", "GET", f"{THINGS}/status", headers=TABLE),
        Step("table-list", "GET", THINGS, headers=TABLE),
        Step("wrong-version", "GET", THINGS.replace("/v1/", "/v2/")),
        Step("remove", "DELETE", f"{CRDS}/{CUSTOM}"),
        Step("removed", "GET", THINGS, until=404),
    ],
    REMOVE_DEFINITION,
)
_ENDING = "/api/v1/namespaces/{ns}-ending"
NAMESPACES = Scenario(
    "namespace-end",
    [
        Step("create", "POST", "/api/v1/namespaces", named("{ns}-ending")),
        Step("account", "GET", f"{_ENDING}/serviceaccounts/default", until=200),
        Step(
            "held",
            "POST",
            f"{_ENDING}/configmaps",
            {"metadata": {"name": "held", "finalizers": ["example.org/hold"]}},
        ),
        Step("plain", "POST", f"{_ENDING}/configmaps", named("plain")),
        Step("delete", "DELETE", _ENDING),
        Step("plain-gone", "GET", f"{_ENDING}/configmaps/plain", until=404),
        Step("create-late", "POST", f"{_ENDING}/configmaps", named("late")),
        Step("still", "GET", _ENDING, headers=TABLE),
        Step("held-there", "GET", f"{_ENDING}/configmaps/held"),
        Step(
            "release",
            "PATCH",
            f"{_ENDING}/configmaps/held",
            {"metadata": {"finalizers": None}},
            MERGE,
        ),
        Step("gone", "GET", _ENDING, until=404),
        Step("create-gone", "POST", f"{_ENDING}/configmaps", named("late")),
        Step("list-gone", "GET", f"{_ENDING}/configmaps"),
        Step("delete-gone", "DELETE", _ENDING),
    ],
)
