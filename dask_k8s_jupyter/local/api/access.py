"""Who asks, and whether they may: bearer tokens and role-based access control.

Guarantees that every request is judged by the Roles and ClusterRoles in the store, also those of
ServiceAccounts; only members of ``system:masters`` pass without. Tokens live in memory and end with
the server. Refuses an unknown token with 401; a request without one is ``system:anonymous``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import statuses

if TYPE_CHECKING:
    from .store import Object, Store

_RBAC = "rbac.authorization.k8s.io"
_MASTERS = "system:masters"
_AUTHENTICATED = "system:authenticated"


@dataclass(frozen=True)
class User:
    """Who sent a request."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
ADMIN = User("kubernetes-admin", (_MASTERS, _AUTHENTICATED))


def build_service_account(namespace: str, name: str, uid: str = "") -> User:
    """The user that a ServiceAccount is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", _AUTHENTICATED)
    return User(f"system:serviceaccount:{namespace}:{name}", groups, uid)


@dataclass(frozen=True)
class Attributes:
    """What a request wants to do.

    Parameters
    ----------
    verb, group, plural, subresource, namespace, name
        Of a request for a resource; ``namespace=""`` is the cluster scope.
    path
        Of any other request; then the rest is empty.
    """

    verb: str
    group: str = ""
    plural: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def resource(self) -> str:
        """Resource as rules name it, such as ``pods/log``."""
        return f"{self.plural}/{self.subresource}" if self.subresource else self.plural


class Tokens:
    """Bearer tokens, and the users that they stand for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._users: dict[str, tuple[User, float | None]] = {}

    def issue(self, user: User, lifetime_s: float | None = None) -> str:
        """Make a token; ``lifetime_s=None`` lasts as long as the server."""
        token = secrets.token_urlsafe(32)
        self._users[token] = (user, None if lifetime_s is None else time.time() + lifetime_s)
        return token

    def revoke(self, token: str) -> None:
        """End a token."""
        self._users.pop(token, None)

    def authenticate(self, header: str | None) -> User:
        """Find the user of an ``Authorization`` header, or raise 401."""
        if not header:
            return ANONYMOUS
        scheme, _, token = header.partition(" ")
        user, expires = self._users.get(token.strip(), (None, None))
        if scheme.lower() != "bearer" or user is None:
            raise statuses.unauthorized()
        if expires is not None and expires < time.time():
            self.revoke(token)
            raise statuses.unauthorized()
        if user.uid and not self._has_account(user):
            self.revoke(token)
            raise statuses.unauthorized()
        return user

    def _has_account(self, user: User) -> bool:
        _, _, namespace, name = user.name.split(":", 3)
        record = self._store.get(("", "serviceaccounts"), namespace, name)
        return record is not None and record.object["metadata"]["uid"] == user.uid


class Authorizer:
    """Judges requests by the RBAC objects in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def is_allowed(self, user: User, wanted: Attributes) -> bool:
        """Whether a user may do what a request wants."""
        return self.explain(user, wanted) is not None

    def explain(self, user: User, wanted: Attributes) -> str | None:
        """Say which binding allows what a request wants, "" for masters; None when none does."""
        if _MASTERS in user.groups:
            return ""
        for why, rule in self._rules(user, wanted.namespace):
            if rule_allows(rule, wanted):
                return f"RBAC: allowed by {why}"
        return None

    def list_rules(self, user: User, namespace: str) -> list[Object]:
        """Every rule that binds a user in a namespace."""
        if _MASTERS in user.groups:
            everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
            return [everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}]
        return [rule for _, rule in self._rules(user, namespace)]

    def check(self, user: User, wanted: Attributes) -> None:
        """Raise 403, worded as the API does, when a request is not allowed."""
        if self.is_allowed(user, wanted):
            return
        if wanted.path:
            message = f'forbidden: User "{user.name}" cannot {wanted.verb} path "{wanted.path}"'
            raise statuses.StatusError(403, "Forbidden", message)
        scope = (
            f'in the namespace "{wanted.namespace}"' if wanted.namespace else "at the cluster scope"
        )
        why = (
            f'User "{user.name}" cannot {wanted.verb} resource "{wanted.resource}" in API group '
            f'"{wanted.group}" {scope}'
        )
        raise statuses.forbidden(wanted.plural, wanted.group, wanted.name, why)

    def _rules(self, user: User, namespace: str) -> Iterator[tuple[str, Object]]:
        for plural, place in (("clusterrolebindings", ""), ("rolebindings", namespace)):
            if plural == "rolebindings" and not namespace:
                continue
            for binding in self._objects(plural, place or None):
                subject = _find_subject(binding, user)
                if subject is None:
                    continue
                why = _explain_binding(binding, subject)
                for rule in self._role_rules(binding["roleRef"], place):
                    yield why, rule

    def _objects(self, plural: str, namespace: str | None = None) -> list[Object]:
        collection = self._store.collection((_RBAC, plural))
        return [record.object for record in collection.select(namespace, None)]

    def _role_rules(self, reference: Object, namespace: str) -> Iterator[Object]:
        is_cluster = reference["kind"] == "ClusterRole"
        plural = "clusterroles" if is_cluster else "roles"
        place = "" if is_cluster else namespace
        record = self._store.get((_RBAC, plural), place, reference["name"])
        if record is None:
            return
        yield from record.object.get("rules") or ()
        aggregation = record.object.get("aggregationRule") or {}
        for selector in aggregation.get("clusterRoleSelectors") or ():
            wanted = (selector.get("matchLabels") or {}).items()
            for role in self._objects("clusterroles"):
                if wanted <= (role["metadata"].get("labels") or {}).items():
                    yield from role.get("rules") or ()


def _find_subject(binding: Object, user: User) -> Object | None:
    """The subject of a binding that a user is, or is in."""
    for subject in binding.get("subjects") or ():
        kind, name = subject["kind"], subject["name"]
        if kind == "ServiceAccount":
            name = f"system:serviceaccount:{subject.get('namespace', '')}:{name}"
        if name == user.name if kind != "Group" else name in user.groups:
            found: Object = subject
            return found
    return None


def _explain_binding(binding: Object, subject: Object) -> str:
    metadata, role = binding["metadata"], binding["roleRef"]
    namespace = metadata.get("namespace")
    name = f"{metadata['name']}/{namespace}" if namespace else metadata["name"]
    who = subject["name"]
    if subject["kind"] == "ServiceAccount":
        who = f"{who}/{subject.get('namespace', '')}"
    kind = binding["kind"]
    return f'{kind} "{name}" of {role["kind"]} "{role["name"]}" to {subject["kind"]} "{who}"'


def rule_allows(rule: Object, wanted: Attributes) -> bool:
    """Whether one rule of a role allows what a request wants.

    Examples
    --------
    >>> rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}
    >>> rule_allows(rule, Attributes("list", plural="pods", namespace="default"))
    True
    >>> rule_allows(rule, Attributes("get", plural="pods", subresource="log", namespace="default"))
    False
    """
    if not _matches(rule.get("verbs"), wanted.verb):
        return False
    if wanted.path:
        paths = rule.get("nonResourceURLs") or ()
        return any(
            p == wanted.path or (p.endswith("*") and wanted.path.startswith(p[:-1])) for p in paths
        )
    if not _matches(rule.get("apiGroups"), wanted.group):
        return False
    resources = rule.get("resources") or ()
    wide = (wanted.resource, "*", f"*/{wanted.subresource}" if wanted.subresource else "*")
    if not any(name in wide for name in resources):
        return False
    names = rule.get("resourceNames")
    return not names or wanted.name in names


def _matches(allowed: Any, wanted: str) -> bool:
    return bool(allowed) and ("*" in allowed or wanted in allowed)
