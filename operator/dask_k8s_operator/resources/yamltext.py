"""Writes manifests as YAML for people to read, without a YAML library.

Guarantees that what is written is read back as it was. Refuses to read.
"""

from __future__ import annotations

import json
from typing import Any

Manifest = dict[str, Any]


def write_yaml(manifests: list[Manifest]) -> str:
    """Write manifests as the documents of one file, each in block form.

    Examples
    --------
    >>> print(write_yaml([{"kind": "Role", "rules": [{"verbs": ["get"]}]}]), end="")
    kind: Role
    rules:
      - verbs:
          - get
    """
    return "---\n".join("\n".join(_yaml_lines(manifest)) + "\n" for manifest in manifests)


def write_yaml_items(items: list[Manifest]) -> str:
    """Write a list as YAML."""
    return "\n".join(_yaml_lines(items)) + "\n"


def _yaml_lines(value: Any, indent: str = "") -> list[str]:
    lines: list[str] = []
    pairs = value.items() if isinstance(value, dict) else [(None, item) for item in value]
    for key, item in pairs:
        lead = f"{indent}-" if key is None else f"{indent}{key}:"
        if not isinstance(item, (dict, list)) or not item:
            lines.append(f"{lead} {_yaml_scalar(item)}")
        elif key is None:
            nested = _yaml_lines(item, indent + "  ")
            lines += [f"{lead} {nested[0].lstrip()}", *nested[1:]]
        else:
            lines += [lead, *_yaml_lines(item, indent + "  ")]
    return lines


def _yaml_scalar(value: Any) -> str:
    # Plain words stay bare for the reader; everything else is quoted as in JSON, which is YAML too.
    words = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
    is_plain = isinstance(value, str) and value[:1].isalpha() and value.replace("-", "").isalpha()
    return value if is_plain and value.lower() not in words else json.dumps(value)
