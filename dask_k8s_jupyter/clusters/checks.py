"""Checks what a person gave, argument by argument, before anything is created. Pure.

Guarantees that a value which passes makes a resource that the API takes, as far as the value alone
can tell, and that one which does not raises InvalidSpecError with the argument's name first.
Refuses to repair: a person wrote it, a person mends it.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

from dask_k8s_jupyter.errors import InvalidSpecError
from dask_k8s_jupyter.state.words import parse_quantity
from dask_k8s_operator.resources import names

SERVICE_TYPES = ("ClusterIP", "NodePort", "LoadBalancer")
# What a container may ask for besides things with a domain, such as nvidia.com/gpu.
NATIVE_RESOURCES = ("cpu", "memory", "ephemeral-storage")
MAX_PORT = 65535
# The name of an environment variable, as Kubernetes takes it since 1.32: printable ASCII but "=".
_ENV_NAME = re.compile(r"[ -<>-~]+")
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")

Manifest = dict[str, Any]
Env = Sequence[Mapping[str, Any]] | Mapping[str, Any] | None
Resources = Mapping[str, Any] | None
Command = str | Sequence[str]


def check_name(argument: str, name: str, max_length: int = names.MAX_CLUSTER_NAME_LENGTH) -> str:
    """Return a valid name, or raise InvalidSpecError that says what is wrong with it."""
    if not isinstance(name, str):
        raise InvalidSpecError(f"{argument}: a text is needed, not {name!r}")
    complaint = names.explain_bad_name(name, max_length)
    if complaint:
        raise InvalidSpecError(f"{argument}: {complaint}")
    return name


def check_namespace(namespace: str | None) -> str | None:
    """Return the name of a namespace, or None for None, or raise InvalidSpecError."""
    return None if namespace is None else check_name("namespace", namespace, names.MAX_NAME_LENGTH)


def check_text(argument: str, text: str) -> str:
    """Return a text that is not empty, or raise InvalidSpecError."""
    if not isinstance(text, str) or not text:
        raise InvalidSpecError(f"{argument}: a text is needed, not {text!r}")
    return text


def is_subdomain(name: str) -> bool:
    """Whether a name is lower-case words with dots between, as of a domain.

    Examples
    --------
    >>> is_subdomain("nvidia.com"), is_subdomain("nvidia..com")
    (True, False)
    """
    return len(name) <= 253 and _SUBDOMAIN.fullmatch(name) is not None


def is_label_name(name: str) -> bool:
    """Whether Kubernetes takes a name, without a domain, for a label or its value.

    Examples
    --------
    >>> is_label_name("node_2"), is_label_name("-")
    (True, False)
    """
    return len(name) <= names.MAX_NAME_LENGTH and _LABEL_NAME.fullmatch(name) is not None


def is_qualified_name(key: object) -> bool:
    """Whether Kubernetes takes a key, with a domain in front or without one.

    Examples
    --------
    >>> is_qualified_name("nvidia.com/gpu"), is_qualified_name("/")
    (True, False)
    """
    if not isinstance(key, str):
        return False
    domain, slash, name = key.rpartition("/")
    return is_label_name(name) and (not slash or is_subdomain(domain))


def check_count(argument: str, count: int) -> int:
    """Return a whole number from 0 on, also one of numpy's, or raise InvalidSpecError.

    Examples
    --------
    >>> check_count("n", 3)
    3
    """
    try:
        whole = -1 if isinstance(count, bool) else index(count)
    except TypeError:
        whole = -1
    if whole < 0:
        raise InvalidSpecError(f"{argument}: a whole number, 0 or more, is needed, not {count!r}")
    return whole


def check_flag(argument: str, flag: bool) -> bool:
    """Return True or False, or raise InvalidSpecError."""
    if not isinstance(flag, bool):
        raise InvalidSpecError(f"{argument}: True or False is needed, not {flag!r}")
    return flag


def check_port(argument: str, port: int) -> int:
    """Return the number of a port, or raise InvalidSpecError."""
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= MAX_PORT:
        raise InvalidSpecError(f"{argument}: a port from 1 to {MAX_PORT} is needed, not {port!r}")
    return port


def check_seconds(argument: str, seconds: float, *, may_be_zero: bool = False) -> float:
    """Return a time in seconds, or raise InvalidSpecError."""
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds):
        raise InvalidSpecError(f"{argument}: seconds are needed, not {seconds!r}")
    if seconds < 0 or (seconds == 0 and not may_be_zero):
        least = "0 or more" if may_be_zero else "above 0"
        raise InvalidSpecError(f"{argument}: seconds {least} are needed, not {seconds!r}")
    return float(seconds)


def check_image(image: str, argument: str = "image") -> str:
    """Return the name of an image, or raise InvalidSpecError."""
    if not isinstance(image, str) or image.split() != [image]:
        raise InvalidSpecError(f"{argument}: {image!r} is not the name of an image")
    return image


def check_service_type(service_type: str) -> str:
    """Return a type of Service, or raise InvalidSpecError."""
    if service_type not in SERVICE_TYPES:
        known = ", ".join(SERVICE_TYPES)
        raise InvalidSpecError(f"scheduler_service_type: {service_type!r} is none of {known}")
    return service_type


def check_command(argument: str, command: Command) -> list[str]:
    """Return the words of a command; text is split as a shell does.

    Examples
    --------
    >>> check_command("worker_command", "dask worker --name 'my own'")
    ['dask', 'worker', '--name', 'my own']
    """
    try:
        words = shlex.split(command) if isinstance(command, str) else list(command)
    except (TypeError, ValueError) as error:
        raise InvalidSpecError(f"{argument}: {command!r} is not a command: {error}") from error
    is_text = all(isinstance(word, (str, int, float)) for word in words)
    if not words or not is_text or isinstance(command, (bytes, Mapping)):
        raise InvalidSpecError(f"{argument}: a command is needed, not {command!r}")
    return [str(word) for word in words]


def check_resources(resources: Resources, argument: str = "resources") -> Manifest:
    """Return ``resources`` of a container, checked down to the quantities.

    Examples
    --------
    >>> check_resources({"limits": {"memory": "4Gi"}})
    {'limits': {'memory': '4Gi'}}
    """
    if resources is not None and not isinstance(resources, Mapping):
        raise InvalidSpecError(f"{argument}: a dict is needed, not {resources!r}")
    checked: Manifest = {}
    for bound, amounts in (resources or {}).items():
        if bound not in ("limits", "requests", "claims"):
            raise InvalidSpecError(f"{argument}: {bound!r} is neither 'limits' nor 'requests'")
        if bound == "claims":
            checked[bound] = _check_claims(argument, amounts)
            continue
        if not isinstance(amounts, Mapping):
            raise InvalidSpecError(f"{argument}: {bound} should be a dict, not {amounts!r}")
        checked[bound] = {
            resource: _check_amount(f"{argument}: {bound}.{resource}", resource, amount)
            for resource, amount in amounts.items()
        }
    _check_bounds(argument, checked)
    return checked


def build_env(env: Env, argument: str = "env") -> list[Manifest]:
    """Build a container's ``env`` from name-to-value, or from a list as in a Pod.

    Examples
    --------
    >>> build_env({"EXTRA": 1})
    [{'name': 'EXTRA', 'value': '1'}]
    """
    if env is None:
        return []
    if isinstance(env, Mapping):
        items = [{"name": name, "value": value} for name, value in env.items()]
    elif isinstance(env, (str, bytes)) or not isinstance(env, Sequence):
        raise _bad_env(argument, env)
    else:
        items = [dict(item) if isinstance(item, Mapping) else {} for item in env]
    for item in items:
        name = item.get("name")
        if not isinstance(name, str) or not name:
            raise _bad_env(argument, env)
        if not _ENV_NAME.fullmatch(name):
            raise InvalidSpecError(
                f"{argument}: {name!r} cannot be a variable's name; use letters, digits and '_'"
            )
        if "value" not in item:
            continue
        if item["value"] is None or isinstance(item["value"], (Mapping, list, tuple, set)):
            raise InvalidSpecError(f"{argument}: {name} has no text for a value: {item['value']!r}")
        item["value"] = str(item["value"])
    return items


def merge_env(common: Sequence[Manifest], own: Sequence[Manifest]) -> list[Manifest]:
    """Add one role's environment to that of all; where both have a name, the role's goes.

    Examples
    --------
    >>> merge_env([{"name": "A", "value": "1"}], [{"name": "A", "value": "2"}])
    [{'name': 'A', 'value': '2'}]
    """
    said = {item["name"] for item in own}
    return [*(item for item in common if item["name"] not in said), *own]


def _bad_env(argument: str, env: object) -> InvalidSpecError:
    return InvalidSpecError(
        f"{argument}: give a dict of names and values, or a list of dicts with 'name', not {env!r}"
    )


def _check_claims(argument: str, claims: Any) -> list[Manifest]:
    if not isinstance(claims, list) or not all(isinstance(claim, Mapping) for claim in claims):
        raise InvalidSpecError(f"{argument}: claims should be a list of dicts, not {claims!r}")
    return [dict(claim) for claim in claims]


def _check_amount(where: str, resource: object, amount: Any) -> str:
    is_known = isinstance(resource, str) and (
        resource in NATIVE_RESOURCES or resource.startswith("hugepages-") or "/" in resource
    )
    if not is_known or not is_qualified_name(resource):
        known = ", ".join(NATIVE_RESOURCES)
        raise InvalidSpecError(f"{where} is unknown; there are {known}, and nvidia.com/gpu's like")
    number = None if isinstance(amount, bool) else parse_quantity(amount)
    if number is None or number < 0 or not math.isfinite(number):
        raise InvalidSpecError(f"{where} is {amount!r}; write 2, 500m, 4Gi or 512Mi")
    if _is_device(str(resource)) and not number.is_integer():
        raise InvalidSpecError(f"{where} is {amount!r}; a whole number is needed")
    return str(amount)


def _is_device(resource: str) -> bool:
    """Whether it is counted in wholes and given to one container alone, as GPUs are."""
    return "/" in resource and "kubernetes.io/" not in resource


def _check_bounds(argument: str, resources: Manifest) -> None:
    limits = resources.get("limits") or {}
    for resource, amount in (resources.get("requests") or {}).items():
        limit = limits.get(resource)
        is_shared = not _is_device(resource) and not resource.startswith("hugepages-")
        if not is_shared and (limit is None or parse_quantity(amount) != parse_quantity(limit)):
            raise InvalidSpecError(
                f"{argument}: requests.{resource} is {amount}, so limits.{resource} has to be "
                f"{amount} too, not {limit}"
            )
        if limit is not None and (parse_quantity(amount) or 0) > (parse_quantity(limit) or 0):
            raise InvalidSpecError(
                f"{argument}: requests.{resource} is {amount}, above limits.{resource}, {limit}"
            )
