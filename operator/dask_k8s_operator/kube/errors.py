"""What can go wrong between us and a Kubernetes API.

KubeError
├── NoKubeconfigError            nothing says where the API is, or what says it cannot be read
├── ApiUnreachableError          nobody answers there, or not with a certificate that we trust
└── ApiError                     the API answered, with a failure
    ├── UnauthorizedError        401: it does not know us
    ├── ForbiddenError           403: it knows us, and we may not (also quotas and admission)
    ├── NotFoundError            404: no such object
    │   └── UnsupportedKindError 404: no such kind, as when CRDs are missing
    ├── AlreadyExistsError       409: the name is taken
    ├── ConflictError            409: somebody else changed the object meanwhile
    ├── GoneError                410: that resource version is forgotten; list again
    ├── InvalidError             400, 422: the API refuses what we sent
    └── TooManyRequestsError     429: wait ``retry_after_s``

Guarantees that every failure of ``kube`` is one of these. Refuses to say what a person should do
about it: that depends on what they wanted, which this layer does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from dask_k8s_operator.resources.kinds import Kind


class KubeError(Exception):
    """Anything that fails between us and a Kubernetes API."""


class NoKubeconfigError(KubeError):
    """Nothing says where the API is: no Pod's service account, no readable kubeconfig."""


class ApiUnreachableError(KubeError):
    """Nobody answers at ``host``, or not in a way that we trust or understand."""

    def __init__(self, host: str, why: str) -> None:
        super().__init__(f"the Kubernetes API at {host} cannot be reached: {why}")
        self.host = host
        self.why = why


def build_not_kubernetes_error(host: str) -> ApiUnreachableError:
    """Build the failure of an answer that no API would give: a proxy's login page, a cut line.

    Examples
    --------
    >>> str(build_not_kubernetes_error("https://10.0.0.1")).rpartition(": ")[2]
    'it answered with something that is not Kubernetes (a login page of a proxy, perhaps)'
    """
    return ApiUnreachableError(
        host,
        "it answered with something that is not Kubernetes (a login page of a proxy, perhaps)",
    )


@dataclass(frozen=True)
class Target:
    """What a request was about, for messages; empty strings and None where it does not apply."""

    verb: str = ""
    resource: str = ""
    group: str = ""
    namespace: str | None = None
    name: str | None = None

    @classmethod
    def of(
        cls,
        verb: str,
        kind: Kind,
        namespace: str | None = None,
        name: str | None = None,
        subresource: str | None = None,
    ) -> Target:
        """Say what a request about a kind, or one object of it, is about."""
        resource = f"{kind.plural}/{subresource}" if subresource else kind.plural
        return cls(verb, resource, kind.group, namespace if kind.namespaced else None, name)

    def __str__(self) -> str:
        resource = f"{self.resource}.{self.group}" if self.group else self.resource
        where = "/".join(part for part in (self.namespace, self.name) if part)
        return " ".join(part for part in (self.verb, resource, where) if part)


class ApiError(KubeError):
    """The API answered with a failure.

    Parameters
    ----------
    status
        HTTP status code.
    reason
        Machine-readable reason of the Status, such as ``"NotFound"``.
    message
        The API's own sentence.
    details
        ``details`` of the Status; may be empty.
    target
        What was asked.

    Examples
    --------
    >>> raise_for = build_api_error(404, b"404 page not found")
    >>> type(raise_for).__name__
    'UnsupportedKindError'
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        target: Target | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details or {}
        self.target = target or Target()
        asked = str(self.target)
        super().__init__(f"{asked}: {message}" if asked else message)


class UnauthorizedError(ApiError):
    """401: the API does not accept our credentials."""


class ForbiddenError(ApiError):
    """403: we may not do this; also when a quota or an admission rule says no."""

    @property
    def is_permission(self) -> bool:
        """Whether a missing permission is the cause, and not a quota or an admission rule."""
        return " cannot " in self.message


class NotFoundError(ApiError):
    """404: there is no such object."""


class UnsupportedKindError(NotFoundError):
    """404: the API does not know the kind, as when its CustomResourceDefinition is missing."""


class AlreadyExistsError(ApiError):
    """409: an object with this name exists."""


class ConflictError(ApiError):
    """409: the object changed since we read it."""


class GoneError(ApiError):
    """410: the resource version (or the page) is forgotten."""


class InvalidError(ApiError):
    """400, 422: the API refuses the object or the request."""


class TooManyRequestsError(ApiError):
    """429: the API asks for patience, ``retry_after_s`` seconds of it (None: it does not say)."""

    retry_after_s: float | None = None


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: TooManyRequestsError,
}


def build_api_error(
    status: int,
    body: bytes,
    target: Target | None = None,
    retry_after_s: float | None = None,
) -> ApiError:
    """Build the exception for a failed answer from its status code and its body.

    Parameters
    ----------
    status
        HTTP status code.
    body
        The answer, a ``Status`` in JSON or any text.
    target
        What was asked.
    retry_after_s
        The answer's Retry-After, in seconds; None when it has none.
    """
    parsed = _parse_status(body)
    reason = str(parsed.get("reason") or "")
    details = parsed.get("details") or {}
    message = str(parsed.get("message") or body[:300].decode(errors="replace").strip())
    error_type = _BY_STATUS.get(status, ApiError)
    if status == 409 and reason == "AlreadyExists":
        error_type = AlreadyExistsError
    if status == 404 and not details.get("name"):
        error_type = UnsupportedKindError
    error = error_type(status, reason, message or f"HTTP {status}", details, target)
    if isinstance(error, TooManyRequestsError):
        error.retry_after_s = retry_after_s or details.get("retryAfterSeconds")
    return error


def _parse_status(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) and parsed.get("kind") == "Status" else {}
