"""Strategic merge patches."""

from __future__ import annotations

from parity_kind import MERGE, STRATEGIC, TABLE, container, workload
from parity_step import Scenario, Step
from parity_story import APPS, NS, named

STRATEGIC_PATCHES = Scenario(
    "strategic",
    [
        Step("create", "POST", f"{APPS}/deployments", named("web", spec=workload())),
        Step(
            "add-container",
            "PATCH",
            f"{APPS}/deployments/web",
            {
                "spec": {
                    "template": {
                        "spec": {
                            "containers": [
                                container(name="side", env=[{"name": "A", "value": "1"}])
                            ]
                        }
                    }
                }
            },
            STRATEGIC,
        ),
        Step(
            "change-env",
            "PATCH",
            f"{APPS}/deployments/web",
            {
                "spec": {
                    "template": {
                        "spec": {
                            "containers": [{"name": "side", "env": [{"name": "B", "value": "2"}]}]
                        }
                    }
                }
            },
            STRATEGIC,
        ),
        Step(
            "delete-env",
            "PATCH",
            f"{APPS}/deployments/web",
            {
                "spec": {
                    "template": {
                        "spec": {
                            "containers": [
                                {"name": "side", "env": [{"name": "A", "$patch": "delete"}]}
                            ]
                        }
                    }
                }
            },
            STRATEGIC,
        ),
        Step(
            "args-replaced",
            "PATCH",
            f"{APPS}/deployments/web",
            {
                "spec": {
                    "template": {"spec": {"containers": [{"name": "side", "args": ["x", "y"]}]}}
                }
            },
            STRATEGIC,
        ),
        Step(
            "args-replaced-again",
            "PATCH",
            f"{APPS}/deployments/web",
            {"spec": {"template": {"spec": {"containers": [{"name": "side", "args": ["z"]}]}}}},
            STRATEGIC,
        ),
        Step(
            "order",
            "PATCH",
            f"{APPS}/deployments/web",
            {
                "spec": {
                    "template": {
                        "spec": {
                            "$setElementOrder/containers": [{"name": "side"}, {"name": "main"}],
                            "containers": [{"name": "side", "tty": True}],
                        }
                    }
                }
            },
            STRATEGIC,
        ),
        Step(
            "delete-container",
            "PATCH",
            f"{APPS}/deployments/web",
            {
                "spec": {
                    "template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}
                }
            },
            STRATEGIC,
        ),
        Step(
            "no-key",
            "PATCH",
            f"{APPS}/deployments/web",
            {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}},
            STRATEGIC,
        ),
        Step(
            "replace-strategy",
            "PATCH",
            f"{APPS}/deployments/web",
            {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
            STRATEGIC,
        ),
        Step(
            "tolerations",
            "PATCH",
            f"{APPS}/deployments/web",
            {"spec": {"template": {"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}}}},
            STRATEGIC,
        ),
        Step(
            "finalizers",
            "PATCH",
            f"{APPS}/deployments/web",
            {"metadata": {"finalizers": ["example.org/a"]}},
            STRATEGIC,
        ),
        Step(
            "finalizers-more",
            "PATCH",
            f"{APPS}/deployments/web",
            {"metadata": {"finalizers": ["example.org/b"]}},
            STRATEGIC,
        ),
        Step(
            "finalizers-less",
            "PATCH",
            f"{APPS}/deployments/web",
            {
                "metadata": {
                    "$deleteFromPrimitiveList/finalizers": ["example.org/a", "example.org/b"]
                }
            },
            STRATEGIC,
        ),
        Step(
            "service",
            "POST",
            f"{NS}/services",
            named("web", spec={"ports": [{"name": "a", "port": 80}]}),
        ),
        Step(
            "service-port",
            "PATCH",
            f"{NS}/services/web",
            {"spec": {"ports": [{"name": "b", "port": 81}]}},
            STRATEGIC,
        ),
        Step(
            "service-headless",
            "PATCH",
            f"{NS}/services/web",
            {"spec": {"clusterIP": "None"}},
            STRATEGIC,
        ),
        Step(
            "service-node-port",
            "PATCH",
            f"{NS}/services/web",
            {"spec": {"type": "NodePort"}},
            MERGE,
        ),
        Step(
            "service-cluster-ip",
            "PATCH",
            f"{NS}/services/web",
            {"spec": {"type": "ClusterIP"}},
            MERGE,
        ),
        Step(
            "service-external",
            "PATCH",
            f"{NS}/services/web",
            {"spec": {"type": "ExternalName", "externalName": "example.org"}},
            MERGE,
        ),
        Step(
            "headless",
            "POST",
            f"{NS}/services",
            named("none", spec={"clusterIP": "None", "selector": {"a": "b"}}),
        ),
        Step(
            "node-port",
            "POST",
            f"{NS}/services",
            named("node", spec={"type": "NodePort", "ports": [{"port": 80}]}),
        ),
        Step(
            "load-balancer",
            "POST",
            f"{NS}/services",
            named(
                "balanced",
                spec={"type": "LoadBalancer", "ports": [{"port": 80, "targetPort": "web"}]},
            ),
        ),
        Step(
            "external",
            "POST",
            f"{NS}/services",
            named("external", spec={"type": "ExternalName", "externalName": "example.org"}),
        ),
        Step("services-table", "GET", f"{NS}/services", headers=TABLE),
    ],
)
