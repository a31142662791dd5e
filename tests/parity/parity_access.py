"""Who may do what, and how much of it."""

from __future__ import annotations

from typing import Any

from parity_kind import MERGE, TABLE, container, merged, pod_spec
from parity_step import Scenario, Step
from parity_story import MAPS_AT, NS, PODS_AT, RBAC, REVIEWS, named

# Every namespace of a real cluster holds one: not what is asked here.
_OWN_MAPS = f"{MAPS_AT}?fieldSelector=metadata.name!=kube-root-ca.crt"
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
        Step("create", "POST", MAPS_AT, named("x"), token=_TOKEN),
        Step("create-dry-run", "POST", f"{MAPS_AT}?dryRun=All", named("x"), token=_TOKEN),
        Step("get-missing", "GET", f"{MAPS_AT}/missing", token=_TOKEN),
        Step("secret-mine", "GET", f"{NS}/secrets/mine", token=_TOKEN),
        Step("secret-other", "GET", f"{NS}/secrets/other", token=_TOKEN),
        Step("secrets", "GET", f"{NS}/secrets", token=_TOKEN),
        Step("log", "GET", f"{NS}/pods/x/log", token=_TOKEN),
        Step("pod", "GET", f"{NS}/pods/x", token=_TOKEN),
        Step("exec", "POST", f"{NS}/pods/x/exec?command=true", token=_TOKEN),
        Step("nodes", "GET", "/api/v1/nodes", token=_TOKEN),
        Step("all-namespaces", "GET", "/api/v1/configmaps", token=_TOKEN),
        Step("other-namespace", "GET", "/api/v1/namespaces/kube-system/configmaps", token=_TOKEN),
        Step("delete", "DELETE", f"{MAPS_AT}/x", token=_TOKEN),
        Step("patch", "PATCH", f"{MAPS_AT}/x", {}, MERGE, token=_TOKEN),
        Step("version", "GET", "/version/", token="nonsense"),
        Step("bad-token", "GET", MAPS_AT, token="nonsense"),
        Step("anonymous", "GET", MAPS_AT, headers={"Anonymous": "yes"}),
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
        Step("impersonate", "GET", MAPS_AT, headers={"Impersonate-User": "nobody"}),
        Step(
            "impersonate-account",
            "GET",
            _OWN_MAPS,
            headers={"Impersonate-User": "system:serviceaccount:{ns}:reader"},
        ),
        Step(
            "impersonate-forbidden",
            "GET",
            MAPS_AT,
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
        Step("list-unbound", "GET", MAPS_AT, token=_TOKEN, until=403),
        Step("account-delete", "DELETE", f"{NS}/serviceaccounts/reader"),
        Step("account-gone", "GET", MAPS_AT, token=_TOKEN, until=401),
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
        Step("unsized", "POST", PODS_AT, named("unsized", spec=pod_spec())),
        Step("first", "POST", PODS_AT, _sized("first", "600m")),
        Step(
            "used",
            "GET",
            f"{NS}/resourcequotas/small/status",
            headers=TABLE,
            until_text="pods: 1/2",
        ),
        Step("too-big", "POST", PODS_AT, _sized("big", "500m")),
        Step("too-big-dry-run", "POST", f"{PODS_AT}?dryRun=All", _sized("big", "500m")),
        Step("second", "POST", PODS_AT, _sized("second", "400m")),
        Step("third", "POST", PODS_AT, _sized("third", "1m")),
        Step("delete", "DELETE", f"{PODS_AT}/first"),
        Step("freed", "GET", f"{NS}/resourcequotas/small", headers=TABLE, until_text="pods: 1/2"),
        Step("third-again", "POST", PODS_AT, _sized("third", "100m"), until=201),
        Step(
            "raise", "PATCH", f"{NS}/resourcequotas/small", {"spec": {"hard": {"pods": "5"}}}, MERGE
        ),
        Step("raised", "GET", f"{NS}/resourcequotas/small", headers=TABLE, until_text="/5"),
    ],
)
