"""Print as JSON what the dask_kubernetes of this environment offers: run by a Python that has it.

Imports the standard library and the reference alone. ``<required>`` is a parameter without a
default, ``<object>`` a default that is no plain value.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import json
import sys
from importlib.metadata import version
from typing import Any

REFERENCE = "dask_kubernetes"
PLACES = ("", ".operator", ".operator.kubecluster", ".classic", ".helm", ".exceptions")
NOTHING: dict[str, Any] = {"parameters": {}, "positional": []}
# What a package does not show, and its documentation does.
DEEPER = (f"{REFERENCE}.operator.kubecluster.kubecluster", "CreateMode")


def describe_default(default: Any) -> Any:
    if default is inspect.Parameter.empty:
        return "<required>"
    try:
        json.dumps(default)
    except TypeError:
        return "<object>"
    return default


def describe_parameters(function: Any) -> dict[str, Any]:
    """Names with defaults, in their order; what takes anything is left out."""
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return {
        each.name: describe_default(each.default)
        for each in inspect.signature(function).parameters.values()
        if each.kind not in variable and each.name not in ("self", "cls")
    }


def list_positional(function: Any) -> list[str]:
    """Parameters that a caller need not name, in their order."""
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [each.name for each in parameters if each.kind in by_place and each.name != "self"]


def describe_callable(function: Any) -> dict[str, Any]:
    return {
        "parameters": describe_parameters(function),
        "positional": list_positional(function),
    }


def describe_class(cls: type) -> dict[str, Any]:
    """The constructor's parameters, and every public member: null where it is inherited or data."""
    members: dict[str, Any] = {}
    for name in dir(cls):
        if name.startswith("_"):
            continue
        home = next(each for each in cls.__mro__ if name in vars(each))
        if home.__module__.partition(".")[0] in sys.stdlib_module_names:
            continue
        ours = home.__module__.startswith(REFERENCE)
        member = getattr(cls, name)
        takes = ours and inspect.isroutine(member)
        members[name] = describe_callable(member) if takes else None
    is_called = not issubclass(cls, (BaseException, enum.Enum))
    return {**(describe_callable(cls) if is_called else NOTHING), "members": members}


def describe_name(module: Any, name: str) -> dict[str, Any] | None:
    """A public name of the reference's own, or nothing for a module and for what it imports."""
    found = getattr(module, name)
    origin = getattr(found, "__module__", None)
    if inspect.ismodule(found) or not (origin or "").startswith(REFERENCE):
        return None
    described = describe_class(found) if isinstance(found, type) else None
    if described is None and callable(found):
        described = {**describe_callable(found), "members": {}}
    return {"home": f"{origin}.{name}", **(described or {**NOTHING, "members": {}})}


def describe_names() -> dict[str, Any]:
    names: dict[str, Any] = {}
    for place in PLACES:
        try:
            module = importlib.import_module(REFERENCE + place)
        except ModuleNotFoundError as missing:
            if not (missing.name or "").startswith(REFERENCE):
                raise
            continue
        for name in {*dir(module), *getattr(module, "__all__", ())}:
            described = None if name.startswith("_") else describe_name(module, name)
            if described:
                names[f"{module.__name__}.{name}"] = described
    place, name = DEEPER
    names[f"{place}.{name}"] = describe_name(importlib.import_module(place), name)
    return names


def describe_configuration() -> dict[str, Any]:
    """Every key of the section, dotted, with its default."""
    config = importlib.import_module(f"{REFERENCE}.config")
    keys: dict[str, Any] = {}

    def flatten(path: str, value: Any) -> None:
        if isinstance(value, dict) and value and "template" not in path:
            for key, below in value.items():
                flatten(f"{path}.{key}" if path else str(key), below)
        else:
            keys[path] = value

    flatten("", config.defaults["kubernetes"])
    return keys


if __name__ == "__main__":
    described = {
        "version": version("dask-kubernetes"),
        "names": describe_names(),
        "configuration": describe_configuration(),
    }
    print(json.dumps(described))
