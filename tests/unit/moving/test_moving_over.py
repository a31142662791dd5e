"""docs/moving-over.md speaks of every name of dask-kubernetes, and what it says of ours is true."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import dask.config
import pytest
import yaml
from moving_table import COPY, KEYS, LEAVES, ROWS, STAYS, TABLE, Row, is_as_documented, look_up

from dask_k8s_jupyter import exceptions
from dask_k8s_jupyter.config import DEFAULTS
from dask_k8s_operator.settings import parse_settings


def reference_members() -> dict[str, dict[str, Any] | None]:
    """Every name that needs a row, with its parameters where it takes some."""
    members: dict[str, dict[str, Any] | None] = {}
    for name, described in COPY.items():
        members[name] = described["parameters"]
        members.update({f"{name}.{each}": None for each in described.get("attributes", ())})
        members.update(
            {f"{name}.{each}": taken for each, taken in described.get("methods", {}).items()}
        )
    return members


MEMBERS = reference_members()


def test_every_name_has_a_row_and_every_row_a_name() -> None:
    of_members = {name for name in ROWS if "(" not in name}
    assert of_members == set(MEMBERS)


@pytest.mark.parametrize("row", [*ROWS.values(), *KEYS.values()], ids=lambda row: row.name)
def test_a_verdict_is_one_of_four(row: Row) -> None:
    assert row.verdict in STAYS + LEAVES
    assert (row.here == "–") == (row.verdict == "gone")


@pytest.mark.parametrize(
    "row", [row for row in ROWS.values() if row.verdict != "gone"], ids=lambda row: row.name
)
def test_what_stays_is_there(row: Row) -> None:
    look_up(row.here.partition("(")[0])


@pytest.mark.parametrize(
    "row", [row for row in ROWS.values() if row.verdict in STAYS], ids=lambda row: row.name
)
def test_what_stays_is_found_by_changing_the_import_alone(row: Row) -> None:
    look_up(row.name.partition("(")[0].replace("dask_kubernetes", "dask_k8s_jupyter"))


@pytest.mark.parametrize(
    "row", [row for row in KEYS.values() if row.verdict in STAYS], ids=lambda row: row.name
)
def test_a_key_has_the_default_of_its_row(row: Row) -> None:
    ours, said = dask.config.get(row.name, config=DEFAULTS), yaml.safe_load(row.here)
    assert (ours, type(ours)) == (said, type(said))


@pytest.mark.parametrize(
    "row", [row for row in KEYS.values() if row.verdict in LEAVES], ids=lambda row: row.name
)
def test_a_key_that_leaves_is_no_longer_read_here(row: Row) -> None:
    assert dask.config.get(row.name, "<nothing>", config=DEFAULTS) == "<nothing>"


@pytest.mark.parametrize(
    "row", [row for row in KEYS.values() if row.verdict == "moved"], ids=lambda row: row.name
)
def test_a_key_that_moved_is_a_flag_of_the_operator_and_its_variable_still_counts(row: Row) -> None:
    variable = f"DASK_{row.name}".upper().replace("-", "_").replace(".", "__")
    by_flag = parse_settings([f"{row.here}=3"], {})
    assert by_flag == parse_settings([], {variable: "3"})
    assert by_flag != parse_settings([], {})


def test_a_crash_is_caught_before_other_failures_to_start() -> None:
    assert issubclass(exceptions.CrashLoopBackOffError, exceptions.SchedulerStartupError)
    assert "put `CrashLoopBackOffError` first" in TABLE.read_text()


@pytest.mark.parametrize("package", ["operator", "operator.kubecluster"])
def test_a_package_has_what_its_modules_have(package: str) -> None:
    home = importlib.import_module(f"dask_k8s_jupyter.{package}")
    below = importlib.import_module("dask_k8s_jupyter.operator.kubecluster.kubecluster")
    assert set(home.__all__) == set(below.__all__)
    assert all(getattr(home, name) is getattr(below, name) for name in below.__all__)


@pytest.mark.parametrize(
    "name", [name for name, taken in MEMBERS.items() if taken], ids=lambda name: name
)
def test_parameters_are_taken_with_the_defaults_that_they_had(name: str) -> None:
    row = ROWS[name]
    if row.verdict == "gone":
        return
    ours = inspect.signature(look_up(row.here)).parameters
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in ours.values())
    for parameter, default in (MEMBERS[name] or {}).items():
        assert parameter in ours or takes_any, f"{name} takes no {parameter}"
        if parameter not in ours:
            continue
        differs = not is_as_documented(default, ours[parameter].default)
        has_row = f"{name}({parameter}=)" in ROWS
        assert differs == has_row, f"{name}({parameter}=): ours is {ours[parameter].default!r}"


def test_parameters_keep_their_places() -> None:
    for name, taken in MEMBERS.items():
        if not taken or ROWS[name].verdict == "gone":
            continue
        ours = [
            each.name
            for each in inspect.signature(look_up(ROWS[name].here)).parameters.values()
            if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and each.name != "self"
        ]
        known = [each for each in ours if each in taken]
        assert known == [each for each in taken if each in ours], name
        assert ours[: len(known)] == known, name
