"""Subresources: of Pods, and scale."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from parity_custom import definition_step
from parity_kind import APPLY, MERGE, STRATEGIC, TABLE, container, pod_spec, workload
from parity_step import Scenario, Step
from parity_story import APPS, PODS_AT, REMOVE_DEFINITION, THINGS, named, thing


def scale_steps(path: str, body: dict[str, Any]) -> list[Step]:
    """The scale subresource of one object."""
    here = f"{path}/scaled"
    asked = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "scaled"}}
    return [
        Step("create", "POST", path, body),
        Step("scale-get", "GET", f"{here}/scale", pause_s=0.5),
        Step("scale-put", "PUT", f"{here}/scale", asked | {"spec": {"replicas": 0}}),
        Step("scale-patch", "PATCH", f"{here}/scale", {"spec": {"replicas": 0}}, MERGE),
        Step("scale-negative", "PUT", f"{here}/scale", asked | {"spec": {"replicas": -1}}),
        Step("scale-text", "PUT", f"{here}/scale", asked | {"spec": {"replicas": "one"}}),
        Step("scale-kind", "PUT", f"{here}/scale", body),
        Step(
            "scale-stale", "PATCH", f"{here}/scale", {"metadata": {"resourceVersion": "1"}}, MERGE
        ),
        Step("scale-missing", "GET", f"{path}/missing/scale"),
        Step("scale-delete", "DELETE", f"{here}/scale"),
        Step(
            "scale-apply",
            "PATCH",
            f"{here}/scale?fieldManager=x",
            asked,
            APPLY,
            differs="scale-apply",
        ),
        Step("status-get", "GET", f"{here}/status"),
        Step("status-patch", "PATCH", f"{here}/status", {"status": {"replicas": 3}}, MERGE),
        Step("status-spec", "PATCH", f"{here}/status", {"spec": {"replicas": 9}}, MERGE),
        Step("main-status", "PATCH", here, {"status": {"replicas": 7}}, MERGE),
    ]


def _custom_scale_steps() -> list[Step]:
    steps = scale_steps(THINGS, thing("scaled"))
    marks = {"scale-delete": "custom-paths", "scale-text": ""}
    return [replace(step, differs=marks.get(step.name, step.differs)) for step in steps]


_BIG = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
PODS = Scenario(
    "pod-subresources",
    [
        Step("create", "POST", PODS_AT, named("one", spec=pod_spec())),
        Step(
            "status-patch",
            "PATCH",
            f"{PODS_AT}/one/status",
            {"status": {"message": "hello"}},
            STRATEGIC,
        ),
        Step(
            "status-conditions",
            "PATCH",
            f"{PODS_AT}/one/status",
            {"status": {"conditions": [{"type": "A", "status": "True"}]}},
            STRATEGIC,
        ),
        Step(
            "status-conditions-more",
            "PATCH",
            f"{PODS_AT}/one/status",
            {"status": {"conditions": [{"type": "B", "status": "False"}]}},
            STRATEGIC,
        ),
        Step("status-ignored", "PATCH", f"{PODS_AT}/one", {"status": {"message": "other"}}, MERGE),
        Step(
            "status-spec",
            "PATCH",
            f"{PODS_AT}/one/status",
            {"spec": {"activeDeadlineSeconds": 5}},
            MERGE,
        ),
        Step("get-status", "GET", f"{PODS_AT}/one/status"),
        Step("log", "GET", f"{PODS_AT}/one/log"),
        Step("log-container", "GET", f"{PODS_AT}/one/log?container=none"),
        Step("log-missing", "GET", f"{PODS_AT}/missing/log"),
        Step("exec", "POST", f"{PODS_AT}/one/exec?command=true"),
        Step("portforward", "POST", f"{PODS_AT}/one/portforward"),
        Step(
            "patch-image",
            "PATCH",
            f"{PODS_AT}/one",
            {"spec": {"containers": [{"name": "main", "image": "registry.invalid/other:1"}]}},
            STRATEGIC,
        ),
        Step(
            "patch-command",
            "PATCH",
            f"{PODS_AT}/one",
            {"spec": {"containers": [{"name": "main", "command": ["x"]}]}},
            STRATEGIC,
        ),
        Step(
            "patch-add-container",
            "PATCH",
            f"{PODS_AT}/one",
            {"spec": {"containers": [container(name="more")]}},
            STRATEGIC,
        ),
        Step(
            "patch-grace",
            "PATCH",
            f"{PODS_AT}/one",
            {"spec": {"terminationGracePeriodSeconds": 5}},
            MERGE,
        ),
        Step(
            "patch-deadline",
            "PATCH",
            f"{PODS_AT}/one",
            {"spec": {"activeDeadlineSeconds": 50}},
            MERGE,
        ),
        Step(
            "patch-deadline-more",
            "PATCH",
            f"{PODS_AT}/one",
            {"spec": {"activeDeadlineSeconds": 90}},
            MERGE,
        ),
        Step("bind-nothing", "POST", f"{PODS_AT}/one/binding", named("one")),
        Step("evict-missing", "POST", f"{PODS_AT}/missing/eviction", named("missing")),
        Step("evict-other-name", "POST", f"{PODS_AT}/one/eviction", named("two")),
        Step(
            "evict-dry-run",
            "POST",
            f"{PODS_AT}/one/eviction",
            named("one", deleteOptions={"dryRun": ["All"]}),
        ),
        Step(
            "evict",
            "POST",
            f"{PODS_AT}/one/eviction",
            {"apiVersion": "policy/v1", "kind": "Eviction"} | named("one"),
        ),
        Step("evicted", "GET", f"{PODS_AT}/one", until=404),
        Step(
            "ephemeral",
            "POST",
            PODS_AT,
            named(
                "full",
                spec=pod_spec(
                    initContainers=[container(name="before")],
                    volumes=[
                        {"name": "v", "configMap": {"name": "c"}},
                        {"name": "s", "secret": {"secretName": "s"}},
                    ],
                    containers=[
                        container(
                            volumeMounts=[{"name": "v", "mountPath": "/v"}],
                            ports=[{"containerPort": 80}],
                            env=[
                                {
                                    "name": "A",
                                    "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                                },
                                {
                                    "name": "B",
                                    "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}},
                                },
                            ],
                            livenessProbe={"httpGet": {"port": 80}},
                            readinessProbe={"tcpSocket": {"port": 80}},
                            lifecycle={"preStop": {"exec": {"command": ["true"]}}},
                            resources=_BIG,
                        )
                    ],
                ),
            ),
        ),
        Step(
            "limits",
            "POST",
            PODS_AT,
            named(
                "limited",
                spec=pod_spec(
                    containers=[container(resources={"limits": {"cpu": "0.5", "memory": "512Mi"}})]
                ),
            ),
        ),
        Step("list-node", "GET", f"{PODS_AT}?fieldSelector=spec.nodeName=", headers=TABLE),
        Step("list-phase", "GET", f"{PODS_AT}?fieldSelector=status.phase!=Pending", headers=TABLE),
        Step("delete-now", "DELETE", f"{PODS_AT}/full?gracePeriodSeconds=0"),
    ],
)
SCALES = [
    Scenario(
        "scale-deployments", scale_steps(f"{APPS}/deployments", named("scaled", spec=workload()))
    ),
    Scenario(
        "scale-replicasets", scale_steps(f"{APPS}/replicasets", named("scaled", spec=workload()))
    ),
    Scenario(
        "scale-things",
        [definition_step(), Step("ready", "GET", THINGS, until=200), *_custom_scale_steps()],
        REMOVE_DEFINITION,
    ),
]
