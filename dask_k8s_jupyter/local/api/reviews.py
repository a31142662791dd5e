"""Reviews: who one is and what one may do, asked of the API. They are answered, not kept."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from . import statuses
from .access import Attributes, Authorizer, Tokens, User, build_service_account
from .resources import Resource

Object = dict[str, Any]


def read_attributes(spec: Object) -> Attributes:
    """Read what an access review asks about."""
    asked = spec.get("nonResourceAttributes")
    if asked:
        return Attributes(asked.get("verb", ""), path=asked.get("path", ""))
    asked = spec.get("resourceAttributes")
    if not asked:
        cause = statuses.required("spec.resourceAttributes")
        raise statuses.invalid("SelfSubjectAccessReview", "authorization.k8s.io", "", [cause])
    keys = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Attributes(*(asked.get(key, "") for key in keys))


def answer_review(authorizer: Authorizer, resource: Resource, user: User, body: Object) -> Object:
    """Answer a review of the authorization or authentication group."""
    spec = body.get("spec") or {}
    answer: Object = {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": {"creationTimestamp": None},
    }
    if resource.plural == "selfsubjectreviews":
        info = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
        return answer | {"status": {"userInfo": info}}
    if resource.plural == "subjectaccessreviews":
        user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
    allowed = authorizer.is_allowed(user, read_attributes(spec))
    return answer | {"spec": spec, "status": {"allowed": allowed}}


def answer_token_request(tokens: Tokens, account: Object, body: Object) -> Object:
    """Issue a token of a ServiceAccount."""
    metadata = account["metadata"]
    spec = dict(body.get("spec") or {})
    lifetime_s = int(spec.setdefault("expirationSeconds", 3600))
    user = build_service_account(metadata["namespace"], metadata["name"], metadata["uid"])
    expires = datetime.now(timezone.utc) + timedelta(seconds=lifetime_s)
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
        "spec": spec,
        "status": {
            "token": tokens.issue(user, lifetime_s),
            "expirationTimestamp": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }
