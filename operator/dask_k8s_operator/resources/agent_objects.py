"""How the agent gets into a scheduler: ConfigMap, Secret and the environment of its container.

Guarantees that the user's own preloads still run, before the agent. Refuses to replace a list of
preloads that only Kubernetes can read.
"""

from __future__ import annotations

import ast
import json
from typing import Any

from . import names
from .agent_protocol import (
    PRELOAD,
    PRELOAD_ARGV_VARIABLE,
    PRELOAD_VARIABLE,
    SOURCE_VARIABLE,
    TOKEN_VARIABLE,
)
from .kinds import DASK_CLUSTERS
from .owners import owner_reference

Manifest = dict[str, Any]


def build_agent_config_map(cluster: Manifest, source: str) -> Manifest:
    """Build the ConfigMap with the text of the agent."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _agent_metadata(cluster),
        "data": {names.AGENT_SOURCE_KEY: source},
    }


def build_agent_secret(cluster: Manifest, token: str) -> Manifest:
    """Build the Secret with the token that the agent asks for."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _agent_metadata(cluster),
        "type": "Opaque",
        "stringData": {names.AGENT_TOKEN_KEY: token},
    }


def add_agent(env: list[Manifest], agent: str) -> list[Manifest]:
    """Add the agent to the environment of a scheduler's container."""
    given: dict[str, Manifest] = {variable["name"]: variable for variable in env}
    preload = given.get(PRELOAD_VARIABLE, {})
    if "valueFrom" in preload:
        # What is not known here cannot be extended: the user's preload runs, ours does not.
        return env
    preloads = [*_literal_list(preload.get("value")), PRELOAD]
    argv = _literal_list(given.get(PRELOAD_ARGV_VARIABLE, {}).get("value"))
    if argv and not isinstance(argv[0], str):
        # One list of arguments for each preload: the lengths must agree.
        argv = [*argv, []]
    ours: list[Manifest] = [
        {
            "name": SOURCE_VARIABLE,
            "valueFrom": {"configMapKeyRef": {"name": agent, "key": names.AGENT_SOURCE_KEY}},
        },
        {
            "name": TOKEN_VARIABLE,
            "valueFrom": {"secretKeyRef": {"name": agent, "key": names.AGENT_TOKEN_KEY}},
        },
        {"name": PRELOAD_VARIABLE, "value": json.dumps(preloads)},
        {"name": PRELOAD_ARGV_VARIABLE, "value": json.dumps(argv)},
    ]
    replaced = {variable["name"] for variable in ours}
    return [variable for variable in env if variable["name"] not in replaced] + ours


def _literal_list(value: str | None) -> list[Any]:
    # As dask.config reads a variable: a Python literal, else the text itself.
    if not value:
        return []
    try:
        parsed = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        parsed = value
    return list(parsed) if isinstance(parsed, (list, tuple)) else [parsed]


def _agent_metadata(cluster: Manifest) -> Manifest:
    metadata = cluster["metadata"]
    return {
        "name": names.agent_name(metadata["name"]),
        "namespace": metadata["namespace"],
        "labels": {
            names.CLUSTER_NAME_LABEL: metadata["name"],
            names.COMPONENT_LABEL: names.SCHEDULER,
        },
        "ownerReferences": [owner_reference(DASK_CLUSTERS, cluster)],
    }
