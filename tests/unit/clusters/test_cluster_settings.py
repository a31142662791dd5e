"""Arguments go before configuration, configuration before defaults."""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import pytest
import yaml
from anything import ANYTHING
from hypothesis import given
from hypothesis import strategies as st

from dask_k8s_jupyter import config
from dask_k8s_jupyter.clusters.kubecluster import _OF_THE_CLUSTER, KubeCluster
from dask_k8s_jupyter.clusters.settings import (
    CreateMode,
    build_name,
    parse_create_mode,
    resolve_bounds,
    resolve_settings,
)
from dask_k8s_jupyter.clusters.spec import make_cluster_spec
from dask_k8s_jupyter.clusters.steering import Steering
from dask_k8s_jupyter.errors import InvalidSpecError
from dask_k8s_operator.resources.names import MAX_CLUSTER_NAME_LENGTH, explain_bad_name


def test_configuration_fills_what_arguments_leave_out() -> None:
    with dask.config.set({"kubernetes.image": "acme/dask:7", "kubernetes.count.start": 3}):
        settings = resolve_settings(name="demo")
        assert settings.spec["spec"]["worker"]["replicas"] == 3
        assert resolve_settings(name="demo", n_workers=0).spec["spec"]["worker"]["replicas"] == 0
    container = settings.spec["spec"]["worker"]["spec"]["containers"][0]
    assert container["image"] == "acme/dask:7"


def test_every_argument_says_what_the_cluster_is_or_how_it_is_reached() -> None:
    reaching = {"loop", "asynchronous", "quiet", "kubeconfig", "context", "kwargs"}
    arguments = set(inspect.signature(KubeCluster.__init__).parameters) - {"self"}
    assert sorted(_OF_THE_CLUSTER) == sorted(arguments - reaching)


def test_defaults_outlast_a_setting_that_was_made_before_them() -> None:
    with dask.config.set({"kubernetes": {"image": "acme/dask:7"}}):
        assert config.get("count.start") == 0
        assert config.get("image") == "acme/dask:7"
    assert config.get("image") == "ghcr.io/dask/dask:latest"


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
    settings = resolve_settings(name="demo", jupyter=False, custom_cluster_spec=spec)
    assert settings.name == "other"
    assert settings.spec == spec


@pytest.mark.parametrize("as_text", [str, Path, lambda path: path.read_text()])
def test_a_whole_spec_may_be_a_path_or_text(as_text: Callable[[Path], Any], tmp_path: Path) -> None:
    spec = make_cluster_spec("other", n_workers=7)
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(spec))
    assert resolve_settings(custom_cluster_spec=as_text(path)).spec == spec


@pytest.mark.parametrize(
    "option",
    [{"n_workers": 0}, {"image": "a"}, {"worker_env": {}}, {"jupyter": True}, {"idle_timeout": 0}],
)
def test_a_spec_and_what_it_says_cannot_both_be_given(option: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError, match=rf"^{next(iter(option))}: cannot be given beside"):
        resolve_settings(custom_cluster_spec=make_cluster_spec("other"), **option)


COMPANY = make_cluster_spec("company", n_workers=7)


@pytest.mark.parametrize("mode", ["CREATE_OR_CONNECT", "CREATE_ONLY", "CONNECT_ONLY"])
def test_a_name_that_is_given_goes_before_a_configured_spec(mode: str) -> None:
    with dask.config.set({"kubernetes.custom-cluster-spec": COMPANY}):
        assert resolve_settings(create_mode=mode).name == "company"
        settings = resolve_settings(name="mine", create_mode=mode)
    assert settings.name == settings.spec["metadata"]["name"] == "mine"
    selector = settings.spec["spec"]["scheduler"]["service"]["selector"]
    assert selector["dask.org/cluster-name"] == "mine"
    assert make_cluster_spec("company", n_workers=7) == COMPANY, "the configuration stays as it was"


def test_a_configured_spec_is_created_under_the_name_that_is_given() -> None:
    with dask.config.set({"kubernetes.custom-cluster-spec": COMPANY}):
        assert resolve_settings(name="mine").spec == make_cluster_spec("mine", n_workers=7)
        bare = {"kind": "DaskCluster", "metadata": {"name": "bare"}, "spec": None}
        assert resolve_settings(name="mine", custom_cluster_spec=bare).name == "bare"
        with pytest.raises(InvalidSpecError, match=r"^name: 'My Cluster'"):
            resolve_settings(name="My Cluster")
    with dask.config.set({"kubernetes.custom-cluster-spec": bare}):
        assert resolve_settings(name="mine").spec["metadata"] == {"name": "mine"}


def test_connecting_to_a_name_finds_that_one_whatever_the_specs_say() -> None:
    connect = {"name": "mine", "create_mode": "CONNECT_ONLY"}
    assert resolve_settings(**connect, custom_cluster_spec=COMPANY).name == "mine"
    for configured in (COMPANY, "/no/such/file"):
        with dask.config.set({"kubernetes.custom-cluster-spec": configured}):
            assert resolve_settings(**connect, n_workers=2).name == "mine"


def test_what_a_configured_spec_says_is_refused_by_the_name_of_the_key() -> None:
    beside = r"^n_workers: cannot be given beside kubernetes\.custom-cluster-spec.* configuration"
    with dask.config.set({"kubernetes.custom-cluster-spec": COMPANY}):
        with pytest.raises(InvalidSpecError, match=beside):
            resolve_settings(n_workers=2)
        with dask.config.set({"kubernetes.custom-cluster-spec": None}):
            assert resolve_settings(n_workers=2).spec["spec"]["worker"]["replicas"] == 2
    with (
        dask.config.set({"kubernetes.custom-cluster-spec": "/no/such/file"}),
        pytest.raises(InvalidSpecError, match=r"^kubernetes\.custom-cluster-spec: '/no/such"),
    ):
        resolve_settings()


CONFIGURED = """
import json
from dask_k8s_jupyter.clusters.settings import resolve_settings
connected = resolve_settings(name="mine", create_mode="CONNECT_ONLY")
created, left_out = resolve_settings(name="mine"), resolve_settings()
print(json.dumps([connected.name, created.name, created.spec["spec"], left_out.name]))
"""


@pytest.mark.parametrize("shape", ["path", "json", "yaml"])
def test_a_spec_may_be_configured_by_an_environment_variable(shape: str, tmp_path: Path) -> None:
    spec = {"kind": "DaskCluster", "metadata": {"name": "company"}, "spec": {"idleTimeout": 9}}
    path = tmp_path / "cluster.yaml"
    path.write_text(yaml.safe_dump(spec))
    shapes = {"path": str(path), "json": json.dumps(spec), "yaml": path.read_text()}
    variable = {"DASK_KUBERNETES__CUSTOM_CLUSTER_SPEC": shapes[shape]}
    told = subprocess.run(
        [sys.executable, "-c", CONFIGURED],
        env={**os.environ, **variable},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(told.stdout) == ["mine", "mine", {"idleTimeout": 9}, "company"]


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"kind": "Pod"},
        {"kind": "DaskCluster"},
        {"kind": "DaskCluster", "metadata": "demo"},
        "/no/such/file",
        "kind: [\n",
        "just\nwords",
        "{",
        7,
    ],
)
def test_what_is_no_cluster_is_refused(spec: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"^custom_cluster_spec"):
        resolve_settings(custom_cluster_spec=spec)


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("resource_timeout", [0, -1, "60", True, math.nan, math.inf]),
        ("namespace", ["", "Team A", 7, "a" * 64]),
        ("shutdown_on_close", ["yes", 1]),
        ("port_forward_cluster_ip", ["maybe", 0]),
        ("scheduler_forward_port", [0, -1, 65536, "8787", True]),
        ("keep_on_failure", [None, "yes"]),
        ("create_mode", ["sometimes", 7]),
        ("jupyter", ["yes", 1]),
        ("tls", ["yes", 1]),
        ("name", [7, "", "{", "{user[a]}"]),
    ],
)
def test_a_bad_value_is_named(argument: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidSpecError, match=rf"^{argument}: "):
            resolve_settings(**{"name": "demo", argument: value})


@given(argument=st.sampled_from(sorted(_OF_THE_CLUSTER)), value=ANYTHING)
def test_whatever_is_given_is_settings_or_an_error_that_names_it(argument: str, value: Any) -> None:
    try:
        settings = resolve_settings(**{"name": "demo", argument: value})
    except InvalidSpecError as error:
        assert str(error).startswith(argument)
    else:
        json.dumps(settings.spec)
        assert explain_bad_name(settings.name) is None


@given(minimum=ANYTHING, maximum=ANYTHING)
def test_whatever_the_bounds_are_they_are_whole_or_an_error_names_one(
    minimum: Any, maximum: Any
) -> None:
    try:
        low, most = resolve_bounds(minimum, maximum)
    except InvalidSpecError as error:
        assert str(error).startswith(("minimum: ", "maximum: "))
    else:
        assert 0 <= low <= most


def is_number_of_workers(value: Any) -> bool:
    return type(value) is int and value >= 0


def is_name_of_a_group(value: Any) -> bool:
    return isinstance(value, str) and value != ""


@pytest.mark.parametrize(
    ("named", "ask", "is_good"),
    [
        ("n", lambda steering, value: steering.scale(value), is_number_of_workers),
        ("worker_group", lambda steering, value: steering.scale(1, value), is_name_of_a_group),
        ("name", lambda steering, value: steering.delete_worker_group(value), is_name_of_a_group),
        (
            "n_workers",
            lambda steering, value: steering.add_worker_group("fast", value),
            is_number_of_workers,
        ),
    ],
)
@given(value=ANYTHING)
def test_a_wish_that_makes_no_sense_is_named_before_anybody_is_asked(
    named: str, ask: Callable[..., Any], is_good: Callable[[Any], bool], value: Any
) -> None:
    asked: list[Any] = []
    steering = Steering()
    steering.sync = lambda *wish: asked.append(wish)
    if is_good(value):
        ask(steering, value)
        assert asked
        return
    with pytest.raises(InvalidSpecError, match=rf"^{named}: "):
        ask(steering, value)
    assert not asked


@pytest.mark.parametrize(
    ("minimum", "maximum", "named"),
    [(-1, None, "minimum"), (1.5, 3, "minimum"), (5, 4, "minimum"), (0, "10", "maximum")],
)
def test_bad_bounds_are_named(minimum: Any, maximum: Any, named: str) -> None:
    with pytest.raises(InvalidSpecError, match=rf"^{named}: "):
        resolve_bounds(minimum, maximum)


VARIABLES = """
import json
from dask_k8s_jupyter.clusters.settings import resolve_bounds, resolve_settings
settings = resolve_settings()
worker = settings.spec["spec"]["worker"]
container = worker["spec"]["containers"][0]
print(json.dumps([
    settings.name, settings.namespace, settings.create_mode.value, settings.delete_created,
    settings.resource_timeout_s, settings.port_forward, settings.forward_port,
    worker["replicas"], container["image"], container["env"], container["args"][:3],
    container["resources"], resolve_bounds(None, None),
    settings.spec["spec"]["idleTimeout"],
    settings.spec["spec"]["scheduler"]["service"]["type"],
    settings.spec["spec"]["tls"],
    "--jupyter" in settings.spec["spec"]["scheduler"]["spec"]["containers"][0]["args"],
]))
"""


def test_every_key_may_be_an_environment_variable() -> None:
    variables = {
        "NAME": "mine",
        "NAMESPACE": "team",
        "CREATE_MODE": "CONNECT_ONLY",
        "SHUTDOWN_ON_CLOSE": "False",
        "RESOURCE_TIMEOUT": "90",
        "PORT_FORWARD_CLUSTER_IP": "True",
        "SCHEDULER_FORWARD_PORT": "9999",
        "COUNT__START": "3",
        "COUNT__MAX": "8",
        "IMAGE": "acme/dask:7",
        "ENV": "{'A': '1'}",
        "WORKER_COMMAND": "dask worker -v",
        "RESOURCES": "{'limits': {'nvidia.com/gpu': '1'}}",
        "IDLE_TIMEOUT": "60",
        "SCHEDULER_SERVICE_TYPE": "NodePort",
        "SCHEDULER_JUPYTER": "True",
        "TLS": "True",
    }
    environment = {f"DASK_KUBERNETES__{key}": value for key, value in variables.items()}
    told = subprocess.run(
        [sys.executable, "-c", VARIABLES],
        env={**os.environ, **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(told.stdout) == [
        *("mine", "team", "CONNECT_ONLY", False, 90.0, True, 9999, 3, "acme/dask:7"),
        [{"name": "A", "value": "1"}],
        ["dask", "worker", "-v"],
        {"limits": {"nvidia.com/gpu": "1"}},
        [0, 8],
        *(60, "NodePort", True, True),
    ]
