"""Failures of the API become exceptions that say what they are."""

from __future__ import annotations

import orjson
import pytest

from dask_k8s_operator.kube import errors
from dask_k8s_operator.kube.errors import Target, build_api_error


def _status(reason: str = "", **details: object) -> bytes:
    return orjson.dumps({"kind": "Status", "reason": reason, "message": "said", "details": details})


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, _status("BadRequest"), errors.InvalidError),
        (401, _status("Unauthorized"), errors.UnauthorizedError),
        (403, _status("Forbidden"), errors.ForbiddenError),
        (404, _status("NotFound", name="x"), errors.NotFoundError),
        (404, b"404 page not found", errors.UnsupportedKindError),
        (404, _status("NotFound"), errors.UnsupportedKindError),
        (409, _status("AlreadyExists", name="x"), errors.AlreadyExistsError),
        (409, _status("Conflict", name="x"), errors.ConflictError),
        (410, _status("Expired"), errors.GoneError),
        (422, _status("Invalid", name="x"), errors.InvalidError),
        (429, _status("TooManyRequests"), errors.TooManyRequestsError),
        (500, b"", errors.ApiError),
        (502, b"<html>bad gateway</html>", errors.ApiError),
        (404, b'["not", "a", "status"]', errors.UnsupportedKindError),
    ],
)
def test_the_status_decides_the_type(
    status: int, body: bytes, expected: type[errors.ApiError]
) -> None:
    assert type(build_api_error(status, body)) is expected


def test_a_missing_object_is_not_a_missing_kind() -> None:
    error = build_api_error(404, _status("NotFound", name="x"))
    assert not isinstance(error, errors.UnsupportedKindError)


def test_a_message_says_what_was_asked_for() -> None:
    target = Target("create", "daskclusters", "kubernetes.dask.org", "team-a", "demo")
    error = build_api_error(409, _status("AlreadyExists", name="demo"), target)
    assert str(error) == "create daskclusters.kubernetes.dask.org team-a/demo: said"


@pytest.mark.parametrize(
    ("header_s", "details", "expected"),
    [(3.0, {}, 3.0), (None, {"retryAfterSeconds": 7}, 7), (None, {}, None)],
)
def test_the_api_says_how_long_to_wait(
    header_s: float | None, details: dict[str, object], expected: float | None
) -> None:
    error = build_api_error(429, _status("TooManyRequests", **details), None, header_s)
    assert isinstance(error, errors.TooManyRequestsError)
    assert error.retry_after_s == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('pods is forbidden: User "x" cannot create resource "pods"', True),
        ("pods is forbidden: exceeded quota: small", False),
    ],
)
def test_a_quota_is_not_a_missing_permission(message: str, expected: bool) -> None:
    body = orjson.dumps({"kind": "Status", "message": message})
    error = build_api_error(403, body)
    assert isinstance(error, errors.ForbiddenError)
    assert error.is_permission is expected
