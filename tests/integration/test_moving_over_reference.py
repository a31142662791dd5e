"""The real dask-kubernetes beside ours: every public name, parameter, default and configuration key
of it is here as well, or docs/moving-over.md says where it went. Read where it is installed, in an
environment of its own that is kept in a folder: see reference_environment.py."""

from __future__ import annotations

import functools
import inspect
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask.config
import pytest
from moving_table import COPY, KEYS, LEAVES, ROWS, TABLE, is_as_documented, look_up
from reference_environment import name_folder, provide_environment

from dask_k8s_jupyter.config import DEFAULTS

pytestmark = pytest.mark.local_only("reads two packages, no Kubernetes in it")
# By version, so that a new release of theirs is met when we choose to; each with a Dask that
# it works with. The last one with classic and Helm clusters imports what it does not ask for.
RELEASES = {
    "2026.3.0": ["dask==2026.8.0", "distributed==2026.8.0", "kr8s==0.20.15"],
    "2024.4.2": [
        *["dask==2024.4.2", "distributed==2024.4.2", "kr8s==0.14.6"],
        *["setuptools==84.2.1", "sniffio==1.3.1"],
    ],
}


@pytest.fixture(scope="session", autouse=True)
def operator() -> None:
    """No operator is needed here, nor a Kubernetes."""


@pytest.fixture(scope="module", params=RELEASES)
def reference(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What one release of the reference offers; see reference_describe.py."""
    return describe_release(request.param)


@pytest.fixture(scope="module")
def references() -> list[dict[str, Any]]:
    """What each release of the reference offers."""
    return [describe_release(release) for release in RELEASES]


@functools.cache
def describe_release(release: str) -> dict[str, Any]:
    """Ask an environment that has it; skip where it cannot be installed."""
    title = f"dask-kubernetes-{release}"
    try:
        python = provide_environment(title, [f"dask-kubernetes=={release}", *RELEASES[release]])
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error))[-300:]
        pytest.skip(f"{title} cannot be installed: {said}")
    with tempfile.TemporaryDirectory() as folder:
        told = subprocess.run(
            [python, Path(__file__).with_name("reference_describe.py")],
            # Importing it writes its configuration to that folder.
            env={**os.environ, "PYTHONPATH": "", "DASK_CONFIG": folder},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert told.returncode == 0, f"{title} in {python}: {told.stderr[-2000:]}"
    described: dict[str, Any] = json.loads(told.stdout)
    return described


def test_what_is_wanted_otherwise_has_another_folder() -> None:
    folders = {name_folder("some", wanted) for wanted in (["a==1"], ["a==2"], ["a==1", "b"])}
    assert len(folders) == 3


def test_an_environment_that_cannot_be_built_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as failure:
        provide_environment("some", [str(tmp_path / "nothing-here")], cache=tmp_path / "cache")
    assert "nothing-here" in failure.value.stderr
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_who_build_one_environment_at_once_have_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    both_have_built = threading.Barrier(2, timeout=30)

    def install(folder: Path, wanted: list[str]) -> None:
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").touch()
        both_have_built.wait()

    monkeypatch.setattr("reference_environment._install", install)
    with ThreadPoolExecutor(2) as builders:
        built = list(builders.map(lambda _: provide_environment("a", ["b==1"], tmp_path), range(2)))
    # A third one builds nothing: it would wait for another at the barrier.
    assert {*built, provide_environment("a", ["b==1"], tmp_path)} == {built[0]}
    assert list(tmp_path.iterdir()) == [built[0].parents[1]]


def list_rows_of(reference: dict[str, Any], name: str) -> list[str]:
    """The names under which the table may speak of this one: all that it has there."""
    home = reference["names"][name]["home"]
    return [each for each, said in reference["names"].items() if said["home"] == home]


def find_verdict(names: list[str]) -> str | None:
    return next((ROWS[name].verdict for name in names if name in ROWS), None)


def find_ours(name: str) -> Any:
    """What has this name here when the import alone is changed."""
    try:
        return look_up(name.replace("dask_kubernetes", "dask_k8s_jupyter", 1))
    except (AssertionError, AttributeError):
        return None


def list_staying(reference: dict[str, Any]) -> list[str]:
    leaving = {name for name, row in ROWS.items() if row.verdict in LEAVES}
    return [name for name in reference["names"] if name not in leaving]


def test_every_name_is_documented(reference: dict[str, Any]) -> None:
    silent = [
        name for name in reference["names"] if not find_verdict(list_rows_of(reference, name))
    ]
    assert silent == []


def test_what_stays_is_found_by_changing_the_import(reference: dict[str, Any]) -> None:
    assert [name for name in list_staying(reference) if find_ours(name) is None] == []


def test_every_member_is_here_or_documented(reference: dict[str, Any]) -> None:
    missing = [
        f"{name}.{member}"
        for name in list_staying(reference)
        for member in reference["names"][name]["members"]
        if not hasattr(find_ours(name), member)
        and find_verdict([f"{each}.{member}" for each in list_rows_of(reference, name)]) != "gone"
    ]
    assert missing == []


def list_callables(reference: dict[str, Any]) -> list[tuple[list[str], dict[str, Any], Any]]:
    """What can be called: its names there, what it takes there, and ours."""
    found = []
    for name in list_staying(reference):
        names, described, ours = list_rows_of(reference, name), reference["names"][name], None
        ours = find_ours(name)
        found.append((names, described, ours))
        for member, takes in described["members"].items():
            if takes is not None and hasattr(ours, member):
                of_members = [f"{each}.{member}" for each in names]
                found.append((of_members, takes, getattr(ours, member)))
    return [each for each in found if each[1]["parameters"]]


def differs(names: list[str], parameter: str, default: Any, ours: Any) -> str | None:
    """What is wrong with a parameter of ours, and is not in the table."""
    taken = inspect.signature(ours).parameters
    if parameter not in taken:
        takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in taken.values())
        return None if takes_any else "is not taken"
    meant = "<default>" if default == "<object>" else default
    is_same = is_as_documented(meant, taken[parameter].default)
    has_row = any(f"{name}({parameter}=)" in ROWS for name in names)
    if is_same == has_row:
        return f"has a row, and {is_same=}: {default!r} there, {taken[parameter].default!r} here"
    return None


def test_parameters_are_taken_with_their_defaults_or_documented(reference: dict[str, Any]) -> None:
    wrong = [
        f"{names[0]}({parameter}=) {problem}"
        for names, described, ours in list_callables(reference)
        for parameter, default in described["parameters"].items()
        if (problem := differs(names, parameter, default, ours))
    ]
    assert wrong == []


def test_what_is_given_by_place_has_the_same_place(reference: dict[str, Any]) -> None:
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    for names, described, ours in list_callables(reference):
        parameters = inspect.signature(ours).parameters.values()
        places = [each.name for each in parameters if each.kind in by_place and each.name != "self"]
        expected = described["positional"]
        assert places[: len(expected)] == expected, names[0]


def test_configuration_has_the_same_keys_and_defaults_or_is_documented(
    reference: dict[str, Any],
) -> None:
    wrong = {}
    for key, default in reference["configuration"].items():
        ours = dask.config.get(f"kubernetes.{key}", "<nothing>", config=DEFAULTS)
        is_same = ours == default and type(ours) is type(default)
        if is_same == (f"kubernetes.{key}" in KEYS):
            wrong[key] = (default, ours)
    assert wrong == {}


def test_every_key_of_the_table_is_one_of_the_reference(references: list[dict[str, Any]]) -> None:
    there = {f"kubernetes.{key}" for each in references for key in each["configuration"]}
    assert set(KEYS) - there == set()


def test_the_document_says_which_releases_it_speaks_of(reference: dict[str, Any]) -> None:
    assert reference["version"] in TABLE.read_text()


def list_untrue(name: str, copied: dict[str, Any], described: dict[str, Any]) -> Iterator[str]:
    """What the copy says of a name, and is not so in a release that has it."""
    members = described["members"]
    for member in [*copied.get("attributes", ()), *copied.get("methods", ())]:
        if member not in members:
            yield f"{name}.{member}"
    said = {"": copied["parameters"], **copied.get("methods", {})}
    for member, parameters in said.items():
        takes = members.get(member) if member else described
        if takes is None:
            continue  # distributed's, or not there
        real = takes["parameters"]
        known = [each for each in parameters if parameters[each] != "<optional>"]
        if known != [each for each in real if each in known]:
            yield f"{name}.{member}: takes {known}"
        for parameter in set(known) & set(real):
            default = parameters[parameter]
            meant = "<object>" if default == "<default>" else default
            if repr(meant) != repr(real[parameter]):
                yield f"{name}.{member}({parameter}=): {default!r}"


def test_the_copy_says_what_is_so(references: list[dict[str, Any]]) -> None:
    wrong = []
    for name, copied in COPY.items():
        there = [each["names"][name] for each in references if name in each["names"]]
        untrue = [set(list_untrue(name, copied, described)) for described in there]
        # It suffices that one of the releases has it so.
        wrong += sorted(set.intersection(*untrue)) if untrue else [name]
    assert wrong == []
