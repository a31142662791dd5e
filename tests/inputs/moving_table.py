"""What docs/moving-over.md says: each name of dask-kubernetes, what it is here, what differs."""

from __future__ import annotations

import importlib
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "moving-over.md"
# Names with their parameters, attributes and methods; the file says how it is kept true.
COPY: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "tests" / "unit" / "moving" / "dask_kubernetes_names.yaml").read_text()
)
# What has another place here, or none, is found by reading its row; the others by their import.
STAYS, LEAVES = ("same", "better"), ("moved", "gone")
ROW = re.compile(
    r"^\| `(?P<name>(dask_)?kubernetes[^`]*)` \| (?P<here>[^|]*) \| (?P<verdict>\w+) \|"
)


@dataclass(frozen=True)
class Row:
    """A row of the table: what it is called there and here, and how they compare."""

    name: str
    here: str
    verdict: str


def _read_rows() -> list[Row]:
    matches = filter(None, map(ROW.match, TABLE.read_text().splitlines()))
    return [Row(each["name"], each["here"].strip().strip("`"), each["verdict"]) for each in matches]


def index(rows: list[Row]) -> dict[str, Row]:
    indexed = {row.name: row for row in rows}
    assert len(indexed) == len(rows), "a name has two rows"
    return indexed


ROWS = index([row for row in _read_rows() if row.name.startswith("dask_")])
KEYS = index([row for row in _read_rows() if not row.name.startswith("dask_")])


def look_up(path: str) -> Any:
    """The object at a dotted path."""
    words = path.split(".")
    for length in range(len(words), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(words[:length]))
        except ModuleNotFoundError:
            continue
        for word in words[length:]:
            found = getattr(found, word)
        return found
    raise AssertionError(f"{path} cannot be imported")


def is_as_documented(default: Any, ours: Any) -> bool:
    """Whether a default means what the reference's means."""
    if default == "<required>":
        return True  # a default where there was none breaks nobody
    if default == "<optional>":
        return ours is not inspect.Parameter.empty
    if default == "<default>":
        from dask_k8s_jupyter import ClusterAuth

        return ours is ClusterAuth.DEFAULT
    if default == {}:
        return ours in (None, {}) or ours is inspect.Parameter.empty
    return bool(ours == default and type(ours) is type(default))
