"""Requests of the browser, checked at the edge. Pure.

Guarantees that whatever passes here has the right types, lengths and names, so that nobody behind
it checks again. Refuses unknown fields: a misspelt one is a mistake, not a default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from dask_k8s_jupyter import config
from dask_k8s_jupyter.config import MAX_WORKERS
from dask_k8s_jupyter.state.words import parse_quantity
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.names import MAX_NAME_LENGTH, explain_bad_name

T = TypeVar("T")
Body = Mapping[str, Any]

MAX_IMAGE_LENGTH = 255
MAX_QUANTITY_LENGTH = 32
MAX_LOG_LINES = 10_000
_IMAGE = re.compile(r"[A-Za-z0-9][\w.:/@+-]*", re.ASCII)


class InvalidRequestError(ValueError):
    """A field of a request is wrong; ``field`` names it, None for the request as a whole."""

    def __init__(self, field: str | None, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class AdaptRequest:
    """Let the cluster choose between ``minimum`` and ``maximum`` workers."""

    minimum: int
    maximum: int


@dataclass(frozen=True)
class ScaleRequest:
    """Fix the number of workers; ``group=None`` is the default group."""

    replicas: int
    group: str | None


@dataclass(frozen=True)
class CreateRequest:
    """Make a cluster; ``cpu`` and ``memory`` are a worker's, None means no limit."""

    namespace: str
    name: str
    n_workers: int
    cpu: str | None
    memory: str | None
    image: str | None
    adapt: AdaptRequest | None


def read_create(body: Any) -> CreateRequest:
    """Read the body of a request for a new cluster.

    Examples
    --------
    >>> read_create({"namespace": "default", "name": "demo", "n_workers": 2}).cpu is None
    True
    """
    fields = _fields(body, {"namespace", "name", "n_workers", "cpu", "memory", "image", "adapt"})
    adapt = fields.get("adapt")
    return CreateRequest(
        namespace=check_namespace(fields.get("namespace")),
        name=check_name(fields.get("name")),
        n_workers=_integer(fields, "n_workers", 0, MAX_WORKERS),
        cpu=_optional(fields, "cpu", _quantity),
        memory=_optional(fields, "memory", _quantity),
        image=_optional(fields, "image", _image),
        adapt=None if adapt is None else read_adapt(adapt),
    )


def read_scale(body: Any) -> ScaleRequest:
    """Read the body of a request for another number of workers."""
    fields = _fields(body, {"replicas", "group"})
    return ScaleRequest(
        replicas=_integer(fields, "replicas", 0, MAX_WORKERS),
        group=_optional(fields, "group", _group),
    )


def read_adapt(body: Any) -> AdaptRequest:
    """Read the body of a request for an adaptive number of workers."""
    fields = _fields(body, {"minimum", "maximum"})
    minimum = _integer(fields, "minimum", 0, MAX_WORKERS)
    maximum = _integer(fields, "maximum", 1, MAX_WORKERS)
    if minimum > maximum:
        raise InvalidRequestError(
            "minimum", f"the minimum {minimum} is above the maximum {maximum}"
        )
    return AdaptRequest(minimum, maximum)


def check_namespace(namespace: Any) -> str:
    """Return what is a valid name of a namespace."""
    return _named(namespace, "namespace", MAX_NAME_LENGTH)


def choose_namespace(asked: str, client: KubeClient | None = None) -> str:
    """Say which namespace is meant: the one that is asked for, the configured, the connection's."""
    if asked:
        return check_namespace(asked)
    return config.get("namespace") or (client.namespace if client else "default")


def check_name(name: Any) -> str:
    """Return what is a valid name of a new cluster."""
    return _named(name, "name", None)


def check_log_lines(text: str) -> int:
    """Return how many of the last lines of a log are asked for.

    Examples
    --------
    >>> check_log_lines("200")
    200
    """
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_LOG_LINES:
        raise InvalidRequestError("tail", f"a whole number from 1 to {MAX_LOG_LINES} is needed")
    return int(text)


def _named(name: Any, field: str, max_length: int | None) -> str:
    if not isinstance(name, str):
        raise InvalidRequestError(field, f"a text is needed for {field!r}")
    complaint = explain_bad_name(name, max_length) if max_length else explain_bad_name(name)
    if complaint:
        raise InvalidRequestError(field, complaint)
    return name


def _fields(body: Any, known: set[str]) -> Body:
    if not isinstance(body, dict):
        raise InvalidRequestError(None, "the body of the request has to be a JSON object")
    for field in body:
        if field not in known:
            names = ", ".join(sorted(known))
            raise InvalidRequestError(field, f"{field[:64]!r} is not known here; known are {names}")
    return body


def _integer(fields: Body, field: str, minimum: int, maximum: int) -> int:
    number = fields.get(field)
    # bool is an int to Python, not to a person.
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidRequestError(field, f"a whole number is needed for {field!r}")
    if not minimum <= number <= maximum:
        raise InvalidRequestError(field, f"{field!r} has to be from {minimum} to {maximum}")
    return number


def _optional(fields: Body, field: str, check: Callable[[str, str], T]) -> T | None:
    text = fields.get(field)
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise InvalidRequestError(field, f"a text is needed for {field!r}")
    return check(field, text)


def _quantity(field: str, text: str) -> str:
    amount = parse_quantity(text) if len(text) <= MAX_QUANTITY_LENGTH else None
    if amount is None or amount <= 0:
        example = "2, 0.5 or 500m" if field == "cpu" else "2Gi or 512Mi"
        raise InvalidRequestError(field, f"{text[:64]!r} is not an amount; write {example}")
    return text.strip()


def _image(field: str, text: str) -> str:
    if len(text) > MAX_IMAGE_LENGTH or not _IMAGE.fullmatch(text):
        raise InvalidRequestError(
            field, f"{text[:64]!r} is not the name of an image; write repository/name:tag"
        )
    return text


def _group(field: str, text: str) -> str:
    return _named(text, field, MAX_NAME_LENGTH)
