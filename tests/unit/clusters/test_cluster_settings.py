"""Arguments go before configuration, configuration before defaults."""

from __future__ import annotations

import re
from typing import Any

import dask
import pytest

from dask_k8s_jupyter.clusters.settings import (
    CreateMode,
    build_name,
    parse_create_mode,
    resolve_settings,
)
from dask_k8s_jupyter.clusters.spec import make_cluster_spec
from dask_k8s_jupyter.errors import InvalidSpecError
from dask_k8s_operator.resources.names import MAX_CLUSTER_NAME_LENGTH, explain_bad_name


def test_configuration_fills_what_arguments_leave_out() -> None:
    with dask.config.set({"kubernetes.image": "acme/dask:7", "kubernetes.count.start": 3}):
        settings = resolve_settings(name="demo")
        assert settings.spec["spec"]["worker"]["replicas"] == 3
        assert resolve_settings(name="demo", n_workers=0).spec["spec"]["worker"]["replicas"] == 0
    container = settings.spec["spec"]["worker"]["spec"]["containers"][0]
    assert container["image"] == "acme/dask:7"


@pytest.mark.parametrize(
    ("argument", "configured", "deletes_created", "deletes_connected"),
    [
        (None, True, True, False),
        (None, False, False, False),
        (True, False, True, True),
        (False, True, False, False),
    ],
)
def test_connecting_never_owns_unless_told(
    argument: bool | None, configured: bool, deletes_created: bool, deletes_connected: bool
) -> None:
    with dask.config.set({"kubernetes.shutdown-on-close": configured}):
        settings = resolve_settings(name="demo", shutdown_on_close=argument)
    assert settings.delete_created is deletes_created
    assert settings.delete_connected is deletes_connected


@pytest.mark.parametrize("mode", ["CONNECT_ONLY", "connect-only", CreateMode.CONNECT_ONLY])
def test_a_create_mode_may_come_from_configuration(mode: Any) -> None:
    assert parse_create_mode(mode) is CreateMode.CONNECT_ONLY
    with dask.config.set({"kubernetes.create-mode": mode}):
        assert resolve_settings(name="demo").create_mode is CreateMode.CONNECT_ONLY


def test_an_unknown_create_mode_is_named() -> None:
    with pytest.raises(InvalidSpecError, match=r"^create_mode: 'sometimes'"):
        resolve_settings(name="demo", create_mode="sometimes")


def test_a_name_left_out_is_made_unique() -> None:
    first, second = resolve_settings().name, resolve_settings().name
    assert first != second
    assert explain_bad_name(first) is None


@pytest.mark.parametrize("user", ["ann", "Jürgen.Müller", "a" * 80, "-", "user@example.com"])
def test_any_user_gets_a_valid_name(user: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", user)
    name = build_name("dask-{user}-{uuid}")
    assert explain_bad_name(name) is None
    assert len(name) <= MAX_CLUSTER_NAME_LENGTH
    assert re.search(r"[0-9a-f]{10}$", name)


def test_a_name_may_hold_environment_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEAM", "Blue")
    assert build_name("{TEAM}-cluster") == "blue-cluster"
    with pytest.raises(InvalidSpecError, match=r"^name: "):
        build_name("{NO_SUCH_VARIABLE}")


def test_a_name_that_a_person_chose_is_not_repaired() -> None:
    with pytest.raises(InvalidSpecError, match=r"^name: 'My Cluster'"):
        resolve_settings(name="My Cluster")


def test_a_whole_spec_goes_before_the_other_arguments() -> None:
    spec = make_cluster_spec("other", n_workers=7)
    settings = resolve_settings(name="demo", n_workers=1, custom_cluster_spec=spec)
    assert settings.name == "other"
    assert settings.spec == spec


@pytest.mark.parametrize("spec", [{}, {"kind": "Pod"}, {"kind": "DaskCluster"}, "/no/such/file"])
def test_what_is_no_cluster_is_refused(spec: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"^custom_cluster_spec"):
        resolve_settings(custom_cluster_spec=spec)


@pytest.mark.parametrize("timeout", [0, -1, "60", True])
def test_a_time_out_is_in_seconds(timeout: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"^resource_timeout"):
        resolve_settings(name="demo", resource_timeout=timeout)
