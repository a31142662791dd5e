"""A classic scheduler ends when nobody has spoken to it for the time-out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dask
import pytest

from dask_k8s_jupyter.classic import make_pod_spec
from dask_k8s_jupyter.classic.build import PRESENCE_VARIABLE, build_scheduler_pod
from dask_k8s_jupyter.classic.presence import TIMEOUT_VARIABLE, Presence
from dask_k8s_jupyter.classic.settings import resolve_classic_settings
from dask_k8s_jupyter.errors import InvalidSpecError

POD = {"spec": {"containers": [{"image": "acme/dask:7"}]}}


def build_scheduler() -> Any:
    return SimpleNamespace(
        task_metadata={}, clients={"fire-and-forget": SimpleNamespace(last_seen=999)}
    )


def test_a_note_of_a_cluster_manager_is_a_sign_of_life_each_time() -> None:
    scheduler = build_scheduler()
    presence = Presence(scheduler, 100.0)
    assert presence.count_silence_s(107.0) == 7
    for now_s in (110.0, 120.0):
        scheduler.task_metadata["cluster-manager-info"] = {"name": "demo"}
        assert presence.count_silence_s(now_s) == 0
    assert presence.count_silence_s(150.0) == 30


def test_a_clients_heartbeat_is_a_sign_of_life_and_fire_and_forget_is_none() -> None:
    scheduler = build_scheduler()
    presence = Presence(scheduler, 100.0)
    scheduler.clients["Client-1"] = SimpleNamespace(last_seen=104.0)
    assert presence.count_silence_s(105.0) == 1
    del scheduler.clients["Client-1"]
    assert presence.count_silence_s(110.0) == 6


@pytest.mark.parametrize(
    ("said", "timeout_s"),
    [("5 minutes", 300), (90, 90), ("90", 90), (None, None), (0, None)],
)
def test_the_time_out_is_the_configurations(said: Any, timeout_s: float | None) -> None:
    with dask.config.set({"kubernetes.owner-timeout": said}):
        settings = resolve_classic_settings(pod_template=POD, name="demo")
        assert settings.owner_timeout_s == timeout_s
        kept = resolve_classic_settings(pod_template=POD, name="demo", ends_with_owner=False)
        assert kept.owner_timeout_s is None


@pytest.mark.parametrize("said", ["soon", -1, [5]])
def test_a_time_out_that_is_none_is_named(said: Any) -> None:
    with (
        dask.config.set({"kubernetes.owner-timeout": said}),
        pytest.raises(InvalidSpecError, match=r"^kubernetes\.owner-timeout: "),
    ):
        resolve_classic_settings(pod_template=POD, name="demo")


def test_the_scheduler_is_handed_what_watches_over_it() -> None:
    template = make_pod_spec("acme/dask:7")
    pod = build_scheduler_pod(template, template, cluster="demo", owner_timeout_s=300)
    container = pod["spec"]["containers"][0]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert variables[TIMEOUT_VARIABLE] == "300"
    compile(variables[PRESENCE_VARIABLE], "presence", "exec")
    # Kubernetes would replace these.
    assert "$(" not in variables[PRESENCE_VARIABLE]
    assert container["args"][-2] == "--preload"
    without = build_scheduler_pod(template, template, cluster="demo")["spec"]["containers"][0]
    assert "--preload" not in without["args"]
    assert not {each["name"] for each in without["env"]} & set(variables)
