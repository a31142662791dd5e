"""Errors as the Kubernetes API words them: one exception that carries a ``Status``.

Guarantees that every refusal has a code, a reason of the API's own vocabulary and a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class Cause:
    """One thing wrong with one field of an object."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class StatusError(Exception):
    """A request that is refused; becomes a ``Status`` object in the answer."""

    def __init__(
        self, code: int, reason: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.headers: dict[str, str] = {}
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def build_status(self) -> dict[str, Any]:
        """Build the ``Status`` object."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details:
            status["details"] = self.details
        status["code"] = self.code
        return status


def build_success(details: dict[str, Any]) -> dict[str, Any]:
    """Build the ``Status`` that answers a deletion of an object that is gone."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }


def build_done() -> dict[str, Any]:
    """Build the ``Status`` that answers a request with an effect and no object."""
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
    return {**head, "status": "Success", "code": 201}


def qualified(plural: str, group: str) -> str:
    """Name a resource as messages do: ``pods``, ``daskclusters.kubernetes.dask.org``."""
    return f"{plural}.{group}" if group else plural


def _details(plural: str, group: str, name: str) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": plural}
    return {key: value for key, value in details.items() if value}


def bad_request(message: str) -> StatusError:
    """400: the request itself makes no sense."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: the token is unknown or has expired."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(plural: str, group: str, name: str, why: str) -> StatusError:
    """403: the request is understood and not allowed."""
    subject = qualified(plural, group) + (f' "{name}"' if name else "")
    return StatusError(
        403, "Forbidden", f"{subject} is forbidden: {why}", _details(plural, group, name)
    )


def not_found(plural: str, group: str, name: str) -> StatusError:
    """404: there is no such object."""
    message = f'{qualified(plural, group)} "{name}" not found'
    return StatusError(404, "NotFound", message, _details(plural, group, name))


def path_not_found() -> StatusError:
    """404: there is no such resource or path."""
    return StatusError(404, "NotFound", "the server could not find the requested resource")


def method_not_allowed() -> StatusError:
    """405: the resource exists and does not know this verb."""
    return StatusError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
    )


def not_acceptable(accept: str) -> StatusError:
    """406: only JSON is spoken here."""
    return StatusError(
        406,
        "NotAcceptable",
        "only the following media types are accepted: application/json "
        f"(the request accepts {accept!r})",
    )


def already_exists(plural: str, group: str, name: str) -> StatusError:
    """409: the name is taken."""
    message = f'{qualified(plural, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, _details(plural, group, name))


def conflict(plural: str, group: str, name: str, why: str) -> StatusError:
    """409: the object is no longer what the request takes it for."""
    message = f'Operation cannot be fulfilled on {qualified(plural, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(plural, group, name))


def modified(plural: str, group: str, name: str) -> StatusError:
    """409: somebody else wrote the object since the client read it."""
    return conflict(
        plural,
        group,
        name,
        "the object has been modified; please apply your changes to the latest version and try "
        "again",
    )


def precondition_failed(
    kind: str, group: str, name: str, field: str, pair: tuple[str, str]
) -> StatusError:
    """409: an object is not the one that a deletion is meant for."""
    hint = (
        "might have been deleted and then recreated"
        if field == "UID"
        else "might have been modified"
    )
    why = (
        f"the {field} in the precondition ({pair[0]}) does not match the {field} in record "
        f"({pair[1]}). The object {hint}"
    )
    return conflict(kind, group, name, why)


def bad_option(kind: str, field: str, given: Any, supported: tuple[str, ...]) -> StatusError:
    """422: an option of a request has a value that is none of its."""
    return invalid(kind, "meta.k8s.io", "", [unsupported(field, given, supported)])


def bad_number(given: str) -> StatusError:
    """400: a number in a query is none."""
    return bad_request(f"strconv.ParseInt: parsing {show(given)}: invalid syntax")


def expired(message: str) -> StatusError:
    """410: the history that the request asks for has been compacted."""
    return StatusError(410, "Expired", message)


def unsupported_media_type(given: str, known: str) -> StatusError:
    """415: the body is of a type that the verb does not take."""
    message = (
        f"the body of the request was in an unknown format - accepted media types include: {known} "
        f"(got {given!r})"
    )
    return StatusError(415, "UnsupportedMediaType", message)


def too_many_requests(retry_after_s: float | None) -> StatusError:
    """429: the server is busy; None does not say when to come again."""
    message = "the server has received too many requests and has asked us to try again later"
    error = StatusError(429, "TooManyRequests", message)
    if retry_after_s is not None:
        error.details = {"retryAfterSeconds": int(retry_after_s)}
        error.headers["Retry-After"] = str(int(retry_after_s))
    return error


def invalid(kind: str, group: str, name: str, causes: list[Cause]) -> StatusError:
    """422: the object breaks rules of its kind."""
    texts = [str(cause) for cause in causes]
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details: dict[str, Any] = _details(kind, group, name)
    details["causes"] = [
        {"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes
    ]
    message = f'{qualified(kind, group)} "{name}" is invalid: {text}'
    return StatusError(422, "Invalid", message, details)


def internal_error(message: str) -> StatusError:
    """500: a fault of this server."""
    return StatusError(500, "InternalError", f"Internal error occurred: {message}")


def unavailable() -> StatusError:
    """503: the server is stopping."""
    return StatusError(503, "ServiceUnavailable", "the embedded Kubernetes is being stopped")


def not_implemented(message: str) -> StatusError:
    """501: a real API server does this, the embedded one does not."""
    return StatusError(501, "NotImplemented", f"{message} (the embedded Kubernetes)")


def required(field: str, message: str = "Required value") -> Cause:
    """Cause: a field is missing."""
    return Cause(field, message, "FieldValueRequired")


def invalid_value(field: str, value: Any, why: str) -> Cause:
    """Cause: a field has a value that is not allowed."""
    return Cause(field, f"Invalid value: {show(value)}: {why}")


def unsupported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """Cause: a field has none of the values that it can have."""
    known = ", ".join(show(name) for name in supported)
    text = f"Unsupported value: {show(value)}: supported values: {known}"
    return Cause(field, text, "FieldValueNotSupported")


def forbidden_value(field: str, why: str) -> Cause:
    """Cause: a field may not be there, or not like this."""
    return Cause(field, f"Forbidden: {why}", "FieldValueForbidden")


def duplicate(field: str, value: Any) -> Cause:
    """Cause: a value stands there twice."""
    return Cause(field, f"Duplicate value: {show(value)}", "FieldValueDuplicate")


def show(value: Any) -> str:
    """Show a value as messages of the API do."""
    return orjson.dumps(value).decode()
