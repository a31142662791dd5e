"""Requests about what only some kinds have: subresources, ownership, access, quotas, discovery."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from parity_kinds import (
    APPLY,
    CUSTOM,
    JSON_PATCH,
    MERGE,
    STRATEGIC,
    TABLE,
    container,
    definition,
    definition_step,
    merged,
    pod_spec,
    workload,
)
from parity_step import Scenario, Step

NS = "/api/v1/namespaces/{ns}"
APPS = "/apis/apps/v1/namespaces/{ns}"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}"
THINGS = "/apis/{ns}.example.org/v1/namespaces/{ns}/things"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
REVIEWS = "/apis/authorization.k8s.io/v1"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/{ns}/leases"
REMOVE_DEFINITION = (f"{CRDS}/{CUSTOM}",)


def named(name: str, /, **content: Any) -> dict[str, Any]:
    """An object with a name."""
    return {"metadata": {"name": name}, **content}


def owned(name: str, kind: str, step: str, **more: Any) -> dict[str, Any]:
    """A ConfigMap that belongs to the object of an earlier step."""
    owner = {"apiVersion": "v1", "kind": kind, "name": step, "uid": f"${{{step}.metadata.uid}}"}
    return {"metadata": {"name": name, "ownerReferences": [owner | more]}}


def thing(name: str, /, **spec: Any) -> dict[str, Any]:
    """A custom object."""
    head = {"apiVersion": "{ns}.example.org/v1", "kind": "Thing"}
    return head | named(name, spec={"size": 1} | spec)


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


_PODS = f"{NS}/pods"
_BIG = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
PODS = Scenario(
    "pod-subresources",
    [
        Step("create", "POST", _PODS, named("one", spec=pod_spec())),
        Step(
            "status-patch",
            "PATCH",
            f"{_PODS}/one/status",
            {"status": {"message": "hello"}},
            STRATEGIC,
        ),
        Step(
            "status-conditions",
            "PATCH",
            f"{_PODS}/one/status",
            {"status": {"conditions": [{"type": "A", "status": "True"}]}},
            STRATEGIC,
        ),
        Step(
            "status-conditions-more",
            "PATCH",
            f"{_PODS}/one/status",
            {"status": {"conditions": [{"type": "B", "status": "False"}]}},
            STRATEGIC,
        ),
        Step("status-ignored", "PATCH", f"{_PODS}/one", {"status": {"message": "other"}}, MERGE),
        Step(
            "status-spec",
            "PATCH",
            f"{_PODS}/one/status",
            {"spec": {"activeDeadlineSeconds": 5}},
            MERGE,
        ),
        Step("get-status", "GET", f"{_PODS}/one/status"),
        Step("log", "GET", f"{_PODS}/one/log"),
        Step("log-container", "GET", f"{_PODS}/one/log?container=none"),
        Step("log-missing", "GET", f"{_PODS}/missing/log"),
        Step("exec", "POST", f"{_PODS}/one/exec?command=true"),
        Step("portforward", "POST", f"{_PODS}/one/portforward"),
        Step(
            "patch-image",
            "PATCH",
            f"{_PODS}/one",
            {"spec": {"containers": [{"name": "main", "image": "registry.invalid/other:1"}]}},
            STRATEGIC,
        ),
        Step(
            "patch-command",
            "PATCH",
            f"{_PODS}/one",
            {"spec": {"containers": [{"name": "main", "command": ["x"]}]}},
            STRATEGIC,
        ),
        Step(
            "patch-add-container",
            "PATCH",
            f"{_PODS}/one",
            {"spec": {"containers": [container(name="more")]}},
            STRATEGIC,
        ),
        Step(
            "patch-grace",
            "PATCH",
            f"{_PODS}/one",
            {"spec": {"terminationGracePeriodSeconds": 5}},
            MERGE,
        ),
        Step(
            "patch-deadline",
            "PATCH",
            f"{_PODS}/one",
            {"spec": {"activeDeadlineSeconds": 50}},
            MERGE,
        ),
        Step(
            "patch-deadline-more",
            "PATCH",
            f"{_PODS}/one",
            {"spec": {"activeDeadlineSeconds": 90}},
            MERGE,
        ),
        Step("bind-nothing", "POST", f"{_PODS}/one/binding", named("one")),
        Step("evict-missing", "POST", f"{_PODS}/missing/eviction", named("missing")),
        Step("evict-other-name", "POST", f"{_PODS}/one/eviction", named("two")),
        Step(
            "evict-dry-run",
            "POST",
            f"{_PODS}/one/eviction",
            named("one", deleteOptions={"dryRun": ["All"]}),
        ),
        Step(
            "evict",
            "POST",
            f"{_PODS}/one/eviction",
            {"apiVersion": "policy/v1", "kind": "Eviction"} | named("one"),
        ),
        Step("evicted", "GET", f"{_PODS}/one", until=404),
        Step(
            "ephemeral",
            "POST",
            _PODS,
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
            _PODS,
            named(
                "limited",
                spec=pod_spec(
                    containers=[container(resources={"limits": {"cpu": "0.5", "memory": "512Mi"}})]
                ),
            ),
        ),
        Step("list-node", "GET", f"{_PODS}?fieldSelector=spec.nodeName=", headers=TABLE),
        Step("list-phase", "GET", f"{_PODS}?fieldSelector=status.phase!=Pending", headers=TABLE),
        Step("delete-now", "DELETE", f"{_PODS}/full?gracePeriodSeconds=0"),
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

_ORDERS = [
    ("background", "Background"),
    ("foreground", "Foreground"),
    ("orphan", "Orphan"),
]
_MAPS = f"{NS}/configmaps"
GARBAGE = Scenario(
    "ownership",
    [
        step
        for name, policy in _ORDERS
        for step in (
            Step(name, "POST", _MAPS, named(name)),
            Step(
                f"{name}-child",
                "POST",
                _MAPS,
                owned(f"{name}-child", "ConfigMap", name, blockOwnerDeletion=True),
            ),
            Step(
                f"{name}-held",
                "POST",
                _MAPS,
                merged(
                    owned(f"{name}-held", "ConfigMap", name, blockOwnerDeletion=True),
                    {"metadata": {"finalizers": ["example.org/hold"]}},
                ),
            ),
            Step(f"{name}-delete", "DELETE", f"{_MAPS}/{name}", {"propagationPolicy": policy}),
            Step(
                f"{name}-child-after",
                "GET",
                f"{_MAPS}/{name}-child",
                until=200 if policy == "Orphan" else 404,
                pause_s=1,
            ),
            Step(
                f"{name}-after",
                "GET",
                f"{_MAPS}/{name}",
                until=200 if policy == "Foreground" else 404,
                pause_s=0.3,
            ),
            Step(f"{name}-held-after", "GET", f"{_MAPS}/{name}-held", pause_s=0.3),
            Step(
                f"{name}-release",
                "PATCH",
                f"{_MAPS}/{name}-held",
                {"metadata": {"finalizers": None}},
                MERGE,
            ),
            Step(f"{name}-gone", "GET", f"{_MAPS}/{name}", until=404),
        )
    ]
    + [
        Step(
            "no-owner",
            "POST",
            _MAPS,
            {
                "metadata": {
                    "name": "alone",
                    "ownerReferences": [
                        {
                            "apiVersion": "v1",
                            "kind": "ConfigMap",
                            "name": "nobody",
                            "uid": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
                        }
                    ],
                }
            },
        ),
        Step("no-owner-after", "GET", f"{_MAPS}/alone", until=404),
        Step(
            "two-controllers",
            "POST",
            _MAPS,
            {
                "metadata": {
                    "name": "pair",
                    "ownerReferences": [
                        {
                            "apiVersion": "v1",
                            "kind": "ConfigMap",
                            "name": n,
                            "uid": f"{n}aaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
                            "controller": True,
                        }
                        for n in ("a", "b")
                    ],
                }
            },
        ),
        Step(
            "finalize-late",
            "POST",
            _MAPS,
            {"metadata": {"name": "late", "finalizers": ["example.org/a"]}},
        ),
        Step("finalize-late-delete", "DELETE", f"{_MAPS}/late"),
        Step(
            "finalize-late-add",
            "PATCH",
            f"{_MAPS}/late",
            [{"op": "add", "path": "/metadata/finalizers/-", "value": "example.org/b"}],
            JSON_PATCH,
        ),
        Step(
            "finalize-late-label",
            "PATCH",
            f"{_MAPS}/late",
            {"metadata": {"labels": {"still": "here"}}},
            MERGE,
        ),
        Step("finalize-late-delete-again", "DELETE", f"{_MAPS}/late"),
        Step(
            "finalize-late-end",
            "PATCH",
            f"{_MAPS}/late",
            [{"op": "remove", "path": "/metadata/finalizers"}],
            JSON_PATCH,
        ),
        Step("finalize-late-gone", "GET", f"{_MAPS}/late"),
    ],
)

# Every namespace of a real cluster holds one: not what is asked here.
_OWN_MAPS = f"{_MAPS}?fieldSelector=metadata.name!=kube-root-ca.crt"
_TOKEN = "${token.status.token}"
_RULES = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]


def review(verb: str, resource: str, namespace: str = "{ns}", **more: Any) -> dict[str, Any]:
    """What ``kubectl auth can-i`` asks."""
    asked = {"verb": verb, "resource": resource, "namespace": namespace} | more
    return {"spec": {"resourceAttributes": asked}}


ACCESS = Scenario(
    "access",
    [
        Step("account", "POST", f"{NS}/serviceaccounts", named("reader")),
        Step("role", "POST", f"{RBAC}/roles", named("reader", rules=_RULES)),
        Step(
            "binding",
            "POST",
            f"{RBAC}/rolebindings",
            named(
                "reader",
                roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
                subjects=[{"kind": "ServiceAccount", "name": "reader", "namespace": "{ns}"}],
            ),
        ),
        Step("token", "POST", f"{NS}/serviceaccounts/reader/token", {"spec": {}}),
        Step("token-missing", "POST", f"{NS}/serviceaccounts/missing/token", {"spec": {}}),
        Step(
            "token-short",
            "POST",
            f"{NS}/serviceaccounts/reader/token",
            {"spec": {"expirationSeconds": 5}},
        ),
        Step("list", "GET", _OWN_MAPS, token=_TOKEN, pause_s=0.3, until=200),
        Step("watch", "GET", f"{_OWN_MAPS}&watch=1&timeoutSeconds=1", token=_TOKEN),
        Step("create", "POST", _MAPS, named("x"), token=_TOKEN),
        Step("create-dry-run", "POST", f"{_MAPS}?dryRun=All", named("x"), token=_TOKEN),
        Step("get-missing", "GET", f"{_MAPS}/missing", token=_TOKEN),
        Step("secret-mine", "GET", f"{NS}/secrets/mine", token=_TOKEN),
        Step("secret-other", "GET", f"{NS}/secrets/other", token=_TOKEN),
        Step("secrets", "GET", f"{NS}/secrets", token=_TOKEN),
        Step("log", "GET", f"{NS}/pods/x/log", token=_TOKEN),
        Step("pod", "GET", f"{NS}/pods/x", token=_TOKEN),
        Step("exec", "POST", f"{NS}/pods/x/exec?command=true", token=_TOKEN),
        Step("nodes", "GET", "/api/v1/nodes", token=_TOKEN),
        Step("all-namespaces", "GET", "/api/v1/configmaps", token=_TOKEN),
        Step("other-namespace", "GET", "/api/v1/namespaces/kube-system/configmaps", token=_TOKEN),
        Step("delete", "DELETE", f"{_MAPS}/x", token=_TOKEN),
        Step("patch", "PATCH", f"{_MAPS}/x", {}, MERGE, token=_TOKEN),
        Step("version", "GET", "/version/", token="nonsense"),
        Step("bad-token", "GET", _MAPS, token="nonsense"),
        Step("anonymous", "GET", _MAPS, headers={"Anonymous": "yes"}),
        Step("unknown-path", "GET", "/unknown", token=_TOKEN),
        Step("unknown-path-admin", "GET", "/unknown"),
        Step("unknown-kind", "GET", f"{NS}/unknowns", token=_TOKEN),
        Step("unknown-kind-admin", "GET", f"{NS}/unknowns"),
        Step("unknown-group", "GET", "/apis/unknown.example.org/v1"),
        Step(
            "can-list",
            "POST",
            f"{REVIEWS}/selfsubjectaccessreviews",
            review("list", "configmaps"),
            token=_TOKEN,
        ),
        Step(
            "can-delete",
            "POST",
            f"{REVIEWS}/selfsubjectaccessreviews",
            review("delete", "configmaps"),
            token=_TOKEN,
        ),
        Step(
            "can-name",
            "POST",
            f"{REVIEWS}/selfsubjectaccessreviews",
            review("get", "secrets", name="mine"),
            token=_TOKEN,
        ),
        Step(
            "can-log",
            "POST",
            f"{REVIEWS}/selfsubjectaccessreviews",
            review("get", "pods", subresource="log"),
            token=_TOKEN,
        ),
        Step(
            "can-nothing", "POST", f"{REVIEWS}/selfsubjectaccessreviews", {"spec": {}}, token=_TOKEN
        ),
        Step(
            "can-path",
            "POST",
            f"{REVIEWS}/selfsubjectaccessreviews",
            {"spec": {"nonResourceAttributes": {"path": "/api", "verb": "get"}}},
            token=_TOKEN,
        ),
        Step(
            "can-admin",
            "POST",
            f"{REVIEWS}/selfsubjectaccessreviews",
            review("delete", "nodes", ""),
        ),
        Step(
            "review-other",
            "POST",
            f"{REVIEWS}/subjectaccessreviews",
            merged(
                review("list", "configmaps"),
                {"spec": {"user": "system:serviceaccount:{ns}:reader"}},
            ),
        ),
        Step(
            "review-nobody",
            "POST",
            f"{REVIEWS}/subjectaccessreviews",
            merged(review("list", "configmaps"), {"spec": {"user": "nobody"}}),
        ),
        Step(
            "review-no-user",
            "POST",
            f"{REVIEWS}/subjectaccessreviews",
            review("list", "configmaps"),
        ),
        Step(
            "review-forbidden",
            "POST",
            f"{REVIEWS}/subjectaccessreviews",
            review("list", "configmaps"),
            token=_TOKEN,
        ),
        Step(
            "review-local",
            "POST",
            f"{REVIEWS}/namespaces/{{ns}}/localsubjectaccessreviews",
            merged(review("list", "configmaps"), {"spec": {"user": "nobody"}}),
        ),
        Step(
            "rules",
            "POST",
            f"{REVIEWS}/selfsubjectrulesreviews",
            {"spec": {"namespace": "{ns}"}},
            token=_TOKEN,
            differs="rules-review",
        ),
        Step(
            "rules-no-namespace",
            "POST",
            f"{REVIEWS}/selfsubjectrulesreviews",
            {"spec": {}},
            token=_TOKEN,
        ),
        Step("reviews-list", "GET", f"{REVIEWS}/selfsubjectaccessreviews"),
        Step("impersonate", "GET", _MAPS, headers={"Impersonate-User": "nobody"}),
        Step(
            "impersonate-account",
            "GET",
            _OWN_MAPS,
            headers={"Impersonate-User": "system:serviceaccount:{ns}:reader"},
        ),
        Step(
            "impersonate-forbidden",
            "GET",
            _MAPS,
            token=_TOKEN,
            headers={"Impersonate-User": "nobody"},
            differs="impersonation",
        ),
        Step(
            "binding-ref",
            "PATCH",
            f"{RBAC}/rolebindings/reader",
            {"roleRef": {"name": "other"}},
            MERGE,
        ),
        Step("unbind", "DELETE", f"{RBAC}/rolebindings/reader"),
        Step("list-unbound", "GET", _MAPS, token=_TOKEN, until=403),
        Step("account-delete", "DELETE", f"{NS}/serviceaccounts/reader"),
        Step("account-gone", "GET", _MAPS, token=_TOKEN, until=401),
    ],
)


def _sized(name: str, cpu: str) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu}}
    return named(name, spec=pod_spec(containers=[container(resources=resources)]))


QUOTA = Scenario(
    "quota",
    [
        Step(
            "quota",
            "POST",
            f"{NS}/resourcequotas",
            named("small", spec={"hard": {"pods": "2", "requests.cpu": "1"}}),
        ),
        Step("counted", "GET", f"{NS}/resourcequotas/small", until_text='"used"'),
        Step("unsized", "POST", _PODS, named("unsized", spec=pod_spec())),
        Step("first", "POST", _PODS, _sized("first", "600m")),
        Step(
            "used",
            "GET",
            f"{NS}/resourcequotas/small/status",
            headers=TABLE,
            until_text="pods: 1/2",
        ),
        Step("too-big", "POST", _PODS, _sized("big", "500m")),
        Step("too-big-dry-run", "POST", f"{_PODS}?dryRun=All", _sized("big", "500m")),
        Step("second", "POST", _PODS, _sized("second", "400m")),
        Step("third", "POST", _PODS, _sized("third", "1m")),
        Step("delete", "DELETE", f"{_PODS}/first"),
        Step("freed", "GET", f"{NS}/resourcequotas/small", headers=TABLE, until_text="pods: 1/2"),
        Step("third-again", "POST", _PODS, _sized("third", "100m"), until=201),
        Step(
            "raise", "PATCH", f"{NS}/resourcequotas/small", {"spec": {"hard": {"pods": "5"}}}, MERGE
        ),
        Step("raised", "GET", f"{NS}/resourcequotas/small", headers=TABLE, until_text="/5"),
    ],
)


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
            f"{_MAPS}/set?fieldManager=one",
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
            f"{_MAPS}/set?fieldManager=two",
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
            f"{_MAPS}/set?fieldManager=two",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "set"}},
            APPLY,
        ),
        Step(
            "finalizers-end",
            "PATCH",
            f"{_MAPS}/set?fieldManager=x",
            {"metadata": {"finalizers": None}},
            MERGE,
        ),
        Step(
            "data-one",
            "PATCH",
            f"{_MAPS}/data?fieldManager=one",
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}} | named("data"),
            APPLY,
        ),
        Step(
            "data-two",
            "PATCH",
            f"{_MAPS}/data?fieldManager=two",
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"b": "2"}} | named("data"),
            APPLY,
        ),
        Step(
            "data-shared",
            "PATCH",
            f"{_MAPS}/data?fieldManager=two",
            {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}} | named("data"),
            APPLY,
        ),
        Step(
            "data-left",
            "PATCH",
            f"{_MAPS}/data?fieldManager=one",
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

WATCHES = Scenario(
    "watches",
    [
        Step("one", "POST", _MAPS, named("one") | {"data": {"a": "1"}}),
        Step("label", "PATCH", f"{_MAPS}/one", {"metadata": {"labels": {"in": "yes"}}}, MERGE),
        Step("change", "PATCH", f"{_MAPS}/one", {"data": {"a": "2"}}, MERGE),
        Step("unlabel", "PATCH", f"{_MAPS}/one", {"metadata": {"labels": {"in": "no"}}}, MERGE),
        Step("two", "POST", _MAPS, named("two")),
        Step("delete", "DELETE", f"{_MAPS}/one"),
        Step(
            "all",
            "GET",
            f"{_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=${{one.metadata.resourceVersion}}&fieldSelector=metadata.name=one",
        ),
        Step(
            "selected",
            "GET",
            f"{_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=${{one.metadata.resourceVersion}}&labelSelector=in=yes",
        ),
        Step(
            "from-now",
            "GET",
            f"{_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=${{two.metadata.resourceVersion}}",
        ),
        Step(
            "compacted",
            "GET",
            f"{_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=1",
            differs="history",
        ),
        Step(
            "list-old",
            "GET",
            f"{_MAPS}?resourceVersion=1&resourceVersionMatch=Exact",
            differs="exact-version",
        ),
        Step("list-match-alone", "GET", f"{_MAPS}?resourceVersionMatch=Exact"),
        Step(
            "list-future",
            "GET",
            f"{_MAPS}?resourceVersion=999999999&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name=two",
            differs="future-version",
        ),
        Step(
            "partial",
            "GET",
            f"{_MAPS}?watch=1&timeoutSeconds=1&resourceVersion=${{one.metadata.resourceVersion}}&fieldSelector=metadata.name=one",
            headers={"Accept": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"},
        ),
    ],
)

LEASE = Scenario(
    "leader",
    [
        Step(
            "create",
            "POST",
            LEASES,
            named(
                "leader",
                spec={
                    "holderIdentity": "a",
                    "leaseDurationSeconds": 15,
                    "acquireTime": "2026-01-01T00:00:00.000000Z",
                    "renewTime": "2026-01-01T00:00:00.000000Z",
                    "leaseTransitions": 0,
                },
            ),
        ),
        Step(
            "renew",
            "PUT",
            f"{LEASES}/leader",
            {
                "metadata": {
                    "name": "leader",
                    "resourceVersion": "${create.metadata.resourceVersion}",
                },
                "spec": {
                    "holderIdentity": "a",
                    "leaseDurationSeconds": 15,
                    "renewTime": "2026-01-01T00:00:02.000000Z",
                    "leaseTransitions": 0,
                },
            },
        ),
        Step(
            "steal-stale",
            "PUT",
            f"{LEASES}/leader",
            {
                "metadata": {
                    "name": "leader",
                    "resourceVersion": "${create.metadata.resourceVersion}",
                },
                "spec": {"holderIdentity": "b"},
            },
        ),
        Step(
            "steal",
            "PUT",
            f"{LEASES}/leader",
            {
                "metadata": {
                    "name": "leader",
                    "resourceVersion": "${renew.metadata.resourceVersion}",
                },
                "spec": {"holderIdentity": "b", "leaseTransitions": 1},
            },
        ),
        Step(
            "steal-blind",
            "PUT",
            f"{LEASES}/leader",
            {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "c"}},
        ),
        Step(
            "put-new",
            "PUT",
            f"{LEASES}/new",
            {"metadata": {"name": "new"}, "spec": {"holderIdentity": "c"}},
        ),
        Step("table", "GET", LEASES, headers=TABLE),
    ],
)

STORIES: list[Scenario] = [
    PODS,
    *SCALES,
    GARBAGE,
    ACCESS,
    QUOTA,
    Scenario("discovery", discovery_steps()),
    APPLYING,
    STRATEGIC_PATCHES,
    DEFINITIONS,
    NAMESPACES,
    WATCHES,
    LEASE,
]
