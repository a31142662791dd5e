"""Server-side apply: who owns which field."""

from __future__ import annotations

from parity_kind import APPLY, MERGE, workload
from parity_step import Scenario, Step
from parity_story import APPS, MAPS_AT, NS, named

APPLYING = Scenario(
    "applying",
    [
        Step(
            "deploy",
            "PATCH",
            f"{APPS}/deployments/web?fieldManager=one",
            {"apiVersion": "apps/v1", "kind": "Deployment"} | named("web", spec=workload()),
            APPLY,
        ),
        Step(
            "other-field",
            "PATCH",
            f"{APPS}/deployments/web?fieldManager=two",
            {"apiVersion": "apps/v1", "kind": "Deployment"}
            | named("web", spec={"minReadySeconds": 3}),
            APPLY,
        ),
        Step(
            "conflict",
            "PATCH",
            f"{APPS}/deployments/web?fieldManager=two",
            {"apiVersion": "apps/v1", "kind": "Deployment"}
            | named("web", spec={"minReadySeconds": 3, "replicas": 5, "paused": True}),
            APPLY,
        ),
        Step(
            "item-conflict",
            "PATCH",
            f"{APPS}/deployments/web?fieldManager=two",
            {"apiVersion": "apps/v1", "kind": "Deployment"}
            | named(
                "web",
                spec={
                    "template": {
                        "spec": {
                            "containers": [{"name": "main", "image": "registry.invalid/two:1"}]
                        }
                    }
                },
            ),
            APPLY,
        ),
        Step(
            "item-added",
            "PATCH",
            f"{APPS}/deployments/web?fieldManager=three",
            {"apiVersion": "apps/v1", "kind": "Deployment"}
            | named(
                "web",
                spec={
                    "template": {
                        "spec": {
                            "containers": [{"name": "side", "image": "registry.invalid/side:1"}]
                        }
                    }
                },
            ),
            APPLY,
        ),
        Step(
            "item-removed",
            "PATCH",
            f"{APPS}/deployments/web?fieldManager=three",
            {"apiVersion": "apps/v1", "kind": "Deployment"} | named("web"),
            APPLY,
        ),
        Step(
            "field-removed",
            "PATCH",
            f"{APPS}/deployments/web?fieldManager=two",
            {"apiVersion": "apps/v1", "kind": "Deployment"} | named("web"),
            APPLY,
        ),
        Step(
            "update-takes",
            "PATCH",
            f"{APPS}/deployments/web?fieldManager=editor",
            {"spec": {"replicas": 0, "minReadySeconds": 7}},
            MERGE,
        ),
        Step(
            "conflict-update",
            "PATCH",
            f"{APPS}/deployments/web?fieldManager=two",
            {"apiVersion": "apps/v1", "kind": "Deployment"}
            | named("web", spec={"minReadySeconds": 8}),
            APPLY,
        ),
        Step(
            "finalizers-one",
            "PATCH",
            f"{MAPS_AT}/set?fieldManager=one",
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "set", "finalizers": ["example.org/a"]},
            },
            APPLY,
        ),
        Step(
            "finalizers-two",
            "PATCH",
            f"{MAPS_AT}/set?fieldManager=two",
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "set", "finalizers": ["example.org/b"]},
            },
            APPLY,
        ),
        Step(
            "finalizers-less",
            "PATCH",
            f"{MAPS_AT}/set?fieldManager=two",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "set"}},
            APPLY,
        ),
        Step(
            "finalizers-end",
            "PATCH",
            f"{MAPS_AT}/set?fieldManager=x",
            {"metadata": {"finalizers": None}},
            MERGE,
        ),
        Step(
            "data-one",
            "PATCH",
            f"{MAPS_AT}/data?fieldManager=one",
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}} | named("data"),
            APPLY,
        ),
        Step(
            "data-two",
            "PATCH",
            f"{MAPS_AT}/data?fieldManager=two",
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "2"}} | named("data"),
            APPLY,
        ),
        Step(
            "data-shared",
            "PATCH",
            f"{MAPS_AT}/data?fieldManager=two",
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}} | named("data"),
            APPLY,
        ),
        Step(
            "data-left",
            "PATCH",
            f"{MAPS_AT}/data?fieldManager=one",
            {"apiVersion": "v1", "kind": "ConfigMap"} | named("data"),
            APPLY,
        ),
        Step(
            "service",
            "PATCH",
            f"{NS}/services/web?fieldManager=one",
            {"apiVersion": "v1", "kind": "Service"}
            | named("web", spec={"ports": [{"port": 80}], "selector": {"a": "b"}}),
            APPLY,
        ),
        Step(
            "service-port",
            "PATCH",
            f"{NS}/services/web?fieldManager=two",
            {"apiVersion": "v1", "kind": "Service"}
            | named("web", spec={"ports": [{"port": 81, "name": "x"}]}),
            APPLY,
        ),
        Step(
            "subject-missing",
            "PATCH",
            f"{NS}/services/web/status?fieldManager=two",
            {"apiVersion": "v1", "kind": "Service"} | named("web"),
            APPLY,
        ),
    ],
)
