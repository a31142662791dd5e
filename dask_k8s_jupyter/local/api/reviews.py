"""Reviews: who one is and what one may do, asked of the API. They are answered, not kept."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from . import builtin, statuses
from .access import Attributes, Authorizer, Tokens, User, build_service_account

if TYPE_CHECKING:
    from .requests import Target

Object = dict[str, Any]

AUDIENCE = "https://kubernetes.default.svc.cluster.local"
SHORTEST_S = 600


_RULES_REVIEW = "selfsubjectrulesreviews"


def read_attributes(spec: Object) -> Attributes:
    """Read what an access review asks about."""
    asked, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (asked is None) == (path is None):
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        cause = statuses.invalid_value("spec.resourceAttributes", None, why)
        raise statuses.invalid("", "authorization.k8s.io", "", [cause])
    if path is not None:
        return Attributes(path.get("verb", ""), path=path.get("path", ""))
    keys = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Attributes(*((asked or {}).get(key, "") for key in keys))


def answer_review(authorizer: Authorizer, target: Target, user: User, body: Object) -> Object:
    """Answer a review of the authorization or authentication group."""
    resource = target.resource
    builtin.decode(resource.group, resource.kind, body)
    spec = body.get("spec") or {}
    answer: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
    if resource.plural == "selfsubjectreviews":
        info = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
        return answer | {"status": {"userInfo": info}}
    if resource.plural == _RULES_REVIEW:
        return answer | {"spec": {}, "status": _list_rules(authorizer, user, spec)}
    if resource.plural != "selfsubjectaccessreviews":
        user = _read_subject(spec)
    if resource.namespaced:
        answer["metadata"] = {"namespace": target.namespace}
    reason = authorizer.explain(user, read_attributes(spec))
    status: Object = {"allowed": reason is not None}
    if reason:
        status["reason"] = reason
    return answer | {"spec": spec, "status": status}


def _read_subject(spec: Object) -> User:
    if not spec.get("user") and not spec.get("groups"):
        why = "at least one of user or group must be specified"
        cause = statuses.invalid_value("spec.user", "", why)
        raise statuses.invalid("", "authorization.k8s.io", "", [cause])
    return User(spec.get("user", ""), tuple(spec.get("groups") or ()))


def _list_rules(authorizer: Authorizer, user: User, spec: Object) -> Object:
    """Every rule that binds a user in a namespace, as ``kubectl auth can-i --list`` shows."""
    if not spec.get("namespace"):
        raise statuses.bad_request("no namespace on request")
    rules = authorizer.list_rules(user, spec["namespace"])
    resource_keys = ("verbs", "apiGroups", "resources", "resourceNames")
    return {
        "resourceRules": [
            {key: rule[key] for key in resource_keys if key in rule}
            for rule in rules
            if "resources" in rule
        ],
        "nonResourceRules": [
            {key: rule[key] for key in ("verbs", "nonResourceURLs")}
            for rule in rules
            if "nonResourceURLs" in rule
        ],
        "incomplete": False,
    }


def answer_token_request(tokens: Tokens, account: Object, body: Object) -> Object:
    """Issue a token of a ServiceAccount."""
    builtin.decode("authentication.k8s.io", "TokenRequest", body)
    metadata = account["metadata"]
    spec = {"audiences": [AUDIENCE], "boundObjectRef": None, **(body.get("spec") or {})}
    lifetime_s = int(spec.setdefault("expirationSeconds", 3600))
    if lifetime_s < SHORTEST_S:
        why = "may not specify a duration less than 10 minutes"
        cause = statuses.invalid_value("spec.expirationSeconds", lifetime_s, why)
        raise statuses.invalid("TokenRequest", "authentication.k8s.io", "", [cause])
    user = build_service_account(metadata["namespace"], metadata["name"], metadata["uid"])
    expires = datetime.now(timezone.utc) + timedelta(seconds=lifetime_s)
    kept = ("name", "namespace", "uid", "creationTimestamp")
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {key: metadata[key] for key in kept},
        "spec": spec,
        "status": {
            "token": tokens.issue(user, lifetime_s),
            "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }
