"""The environment and the command of a container; ConfigMaps and Secrets come in. Pure.

Guarantees Kubernetes' expansion of ``$(VAR)``: earlier variables only, unknown ones stay as they
are, ``$$(VAR)`` is an escape. Raises ``ConfigError`` for what a container cannot be configured
without.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .quantities import parse_quantity

Lookup = Callable[[str, str], "dict[str, Any] | None"]

_REFERENCE = re.compile(r"\$(\$|\((?P<name>[^()]*)\))?")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class ConfigError(Exception):
    """A container that cannot be configured: a ConfigMap, Secret, key or field is missing."""


@dataclass(frozen=True)
class Downward:
    """Facts about a Pod that only its node knows."""

    node_name: str
    host_ip: str
    pod_ip: str
    capacity: Mapping[str, float]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Expand ``$(VAR)``.

    Examples
    --------
    >>> expand("--name=$(NAME) $$(NAME) $(MISSING) $HOME", {"NAME": "w1"})
    '--name=w1 $(NAME) $(MISSING) $HOME'
    """

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match["name"]
        return match[0] if name is None else variables.get(name, match[0])

    return _REFERENCE.sub(replace, text)


def build_command(container: Mapping[str, Any], variables: Mapping[str, str]) -> list[str]:
    """The command line of a container; empty when it leaves it to its image."""
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    return [expand(str(word), variables) for word in words]


def build_variables(
    pod: Mapping[str, Any], container: Mapping[str, Any], downward: Downward, lookup: Lookup
) -> dict[str, str]:
    """The variables that a container's ``envFrom`` and ``env`` set.

    Parameters
    ----------
    lookup
        Finds an object by kind (``ConfigMap`` or ``Secret``) and name; None when it is missing.
    """
    variables: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        variables |= _read_source(source, lookup)
    for variable in container.get("env") or ():
        if "valueFrom" in variable:
            value = _read_reference(pod, container, variable["valueFrom"], downward, lookup)
            if value is not None:
                variables[variable["name"]] = value
        else:
            variables[variable["name"]] = expand(variable.get("value") or "", variables)
    return variables


def _read_data(kind: str, reference: Mapping[str, Any], lookup: Lookup) -> dict[str, str] | None:
    found = lookup(kind, reference["name"])
    if found is None:
        if reference.get("optional"):
            return None
        raise ConfigError(f'{kind.lower()} "{reference["name"]}" not found')
    return dict(found.get("data") or {})


def _decode(kind: str, name: str, key: str, text: str) -> str:
    if kind != "Secret":
        return text
    try:
        return base64.b64decode(text).decode()
    except ValueError as error:
        raise ConfigError(f'key {key} of secret "{name}" is not text: {error}') from error


def _read_source(source: Mapping[str, Any], lookup: Lookup) -> dict[str, str]:
    prefix = source.get("prefix", "")
    found: dict[str, str] = {}
    for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        if field in source:
            contents = _read_data(kind, source[field], lookup) or {}
            name = source[field]["name"]
            found |= {f"{prefix}{k}": _decode(kind, name, k, text) for k, text in contents.items()}
    return found


def _read_reference(
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    source: Mapping[str, Any],
    downward: Downward,
    lookup: Lookup,
) -> str | None:
    if "fieldRef" in source:
        return read_field(pod, source["fieldRef"]["fieldPath"], downward)
    if "resourceFieldRef" in source:
        return read_resource(container, source["resourceFieldRef"], downward)
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        reference = source.get(field)
        if reference:
            contents = _read_data(kind, reference, lookup)
            if contents is not None and reference["key"] in contents:
                key = reference["key"]
                return _decode(kind, reference["name"], key, contents[key])
            if reference.get("optional"):
                return None
            namespace = pod["metadata"]["namespace"]
            raise ConfigError(
                f"couldn't find key {reference['key']} in {kind} {namespace}/{reference['name']}"
            )
    raise ConfigError(f"a variable of container {container['name']} has no source that is known")


def read_field(pod: Mapping[str, Any], path: str, downward: Downward) -> str:
    """Read a field of the downward API."""
    metadata, spec = pod["metadata"], pod["spec"]
    known = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": downward.node_name,
        "spec.serviceAccountName": spec.get("serviceAccountName", "default"),
        "status.hostIP": downward.host_ip,
        "status.hostIPs": downward.host_ip,
        "status.podIP": downward.pod_ip,
        "status.podIPs": downward.pod_ip,
    }
    if path in known:
        return str(known[path])
    match = _SUBSCRIPT.fullmatch(path)
    if match is None:
        raise ConfigError(f"fieldPath {path!r} is not supported")
    return str((metadata.get(match[1]) or {}).get(match[2], ""))


def read_resource(
    container: Mapping[str, Any], reference: Mapping[str, Any], downward: Downward
) -> str:
    """Read a container's request or limit; a limit that is not set is the node's capacity."""
    scope, _, name = reference["resource"].partition(".")
    resources = container.get("resources") or {}
    amount = (resources.get(scope) or {}).get(name)
    if amount is None and scope == "limits":
        amount = downward.capacity.get(name)
    divisor = parse_quantity(reference.get("divisor") or 1) or 1.0
    value = parse_quantity(amount or 0) / divisor
    return str(-int(-value // 1))
