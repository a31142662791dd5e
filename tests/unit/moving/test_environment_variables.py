"""Every key of the configuration can be set by an environment variable, and is honoured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.config
import pytest
import yaml

from dask_k8s_jupyter import config
from dask_k8s_jupyter.classic.settings import ClassicSettings, resolve_classic_settings
from dask_k8s_jupyter.clusters.settings import Settings, resolve_bounds, resolve_settings

POD = {"spec": {"containers": [{"image": "acme/dask:7"}]}}
Reader = Callable[[], Any]


def classic(read: Callable[[ClassicSettings], Any], **given: Any) -> Reader:
    return lambda: read(resolve_classic_settings(pod_template=POD, **given))


def operators(read: Callable[[Settings], Any]) -> Reader:
    return lambda: read(resolve_settings())


def section(name: str, read: Callable[[Any], Any]) -> Reader:
    return operators(lambda settings: read(settings.spec["spec"][name]))


def container(name: str, read: Callable[[Any], Any]) -> Reader:
    return section(name, lambda said: read(said["spec"]["containers"][0]))


# A key, what its variable says, who reads it, and what that has to be.
TABLE: list[tuple[str, str, Reader, Any]] = [
    ("name", "mine", operators(lambda made: made.name), "mine"),
    ("name", "mine", classic(lambda made: made.name), "mine"),
    ("namespace", "team", operators(lambda made: made.namespace), "team"),
    ("namespace", "team", classic(lambda made: made.namespace), "team"),
    ("image", "a/b:1", container("worker", lambda made: made["image"]), "a/b:1"),
    ("count.start", "3", section("worker", lambda made: made["replicas"]), 3),
    ("count.start", "3", classic(lambda made: made.n_workers), 3),
    ("count.max", "8", lambda: resolve_bounds(None, None), (0, 8)),
    (
        "resources",
        "{'limits': {'cpu': '2'}}",
        container("worker", lambda made: made["resources"]),
        {"limits": {"cpu": "2"}},
    ),
    (
        "env",
        "{'A': '1'}",
        container("scheduler", lambda made: made["env"]),
        [{"name": "A", "value": "1"}],
    ),
    ("env", "{'A': '1'}", classic(lambda made: made.env), {"A": "1"}),
    (
        "worker-command",
        "dask worker -v",
        container("worker", lambda made: made["args"][:3]),
        ["dask", "worker", "-v"],
    ),
    (
        "scheduler-service-type",
        "NodePort",
        section("scheduler", lambda made: made["service"]["type"]),
        "NodePort",
    ),
    ("scheduler-service-type", "NodePort", classic(lambda made: made.service_type), "NodePort"),
    ("port-forward-cluster-ip", "True", operators(lambda made: made.port_forward), True),
    ("create-mode", "CREATE_ONLY", operators(lambda made: made.create_mode.value), "CREATE_ONLY"),
    ("shutdown-on-close", "False", operators(lambda made: made.delete_created), False),
    ("idle-timeout", "60", operators(lambda made: made.spec["spec"]["idleTimeout"]), 60),
    ("idle-timeout", "2 minutes", classic(lambda made: made.idle_timeout), "120 s"),
    ("resource-timeout", "90", operators(lambda made: made.resource_timeout_s), 90),
    (
        "custom-cluster-spec",
        "{kind: DaskCluster, metadata: {name: demo}, spec: {}}",
        operators(lambda made: made.name),
        "demo",
    ),
    ("scheduler-forward-port", "9999", operators(lambda made: made.forward_port), 9999),
    (
        "scheduler-jupyter",
        "True",
        container("scheduler", lambda made: "--jupyter" in made["args"]),
        True,
    ),
    ("tls", "True", operators(lambda made: "tls" in made.spec["spec"]), True),
    ("deploy-mode", "local", classic(lambda made: made.deploy_mode), "local"),
    ("owner-timeout", "2 minutes", classic(lambda made: made.owner_timeout_s), 120),
    ("host", "10.0.0.1", classic(lambda made: made.host), "10.0.0.1"),
    ("port", "8786", classic(lambda made: made.port), 8786),
    ("interface", "eth0", classic(lambda made: made.interface), "eth0"),
    ("protocol", "tls://", classic(lambda made: made.protocol), "tls"),
    ("dashboard-address", ":9797", classic(lambda made: made.dashboard_address), ":9797"),
    (
        "worker-template",
        str(POD),
        lambda: resolve_classic_settings().worker["spec"]["containers"][0]["image"],
        "acme/dask:7",
    ),
    (
        "worker-template-path",
        "<a file>",
        lambda: resolve_classic_settings().worker["spec"]["containers"][0]["image"],
        "acme/dask:7",
    ),
    ("worker-name", "older", classic(lambda made: made.name), "older"),
    (
        "scheduler-template",
        "{'spec': {'containers': [{'image': 'c/d:2'}]}}",
        classic(lambda made: made.scheduler["spec"]["containers"][0]["image"]),
        "c/d:2",
    ),
    (
        "scheduler-service-template",
        "{'metadata': {'labels': {'a': 'b'}}}",
        lambda: config.get("scheduler-service-template"),
        {"metadata": {"labels": {"a": "b"}}},
    ),
    (
        "scheduler-pdb-template",
        "{'metadata': {'labels': {'a': 'b'}}}",
        lambda: config.get("scheduler-pdb-template"),
        {"metadata": {"labels": {"a": "b"}}},
    ),
    ("scheduler-service-wait-timeout", "9", classic(lambda made: made.wait_timeout_s), 9),
    (
        "scheduler-service-name-resolution-retries",
        "3",
        lambda: config.get("scheduler-service-name-resolution-retries"),
        3,
    ),
]


@pytest.fixture
def begin_anew() -> Iterator[Callable[[], None]]:
    """Read the configuration as a process does that begins; restored afterwards."""
    yield lambda: dask.config.refresh(paths=[])
    dask.config.refresh()


@pytest.mark.parametrize(
    ("key", "text", "read", "expected"),
    TABLE,
    ids=[f"{number}-{key}" for number, (key, *_) in enumerate(TABLE)],
)
def test_a_variable_is_honoured(
    key: str,
    text: str,
    read: Reader,
    expected: Any,
    begin_anew: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if text == "<a file>":
        (tmp_path / "worker.yml").write_text(yaml.safe_dump(POD))
        text = str(tmp_path / "worker.yml")
    variable = key.upper().replace("-", "_").replace(".", "__")
    monkeypatch.setenv(f"DASK_KUBERNETES__{variable}", text)
    begin_anew()
    assert read() == expected


def test_every_key_is_in_the_table() -> None:
    section = config.DEFAULTS["kubernetes"]
    keys = {key for key in section if key != "count"} | {f"count.{key}" for key in section["count"]}
    assert {key for key, *_ in TABLE} == keys
