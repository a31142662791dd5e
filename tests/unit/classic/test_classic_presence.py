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


PAUSE_S = 10.0


class Scheduler:
    """What a scheduler knows of those who speak to it."""

    def __init__(self) -> None:
        self.task_metadata: dict[str, Any] = {}
        # Of "fire-and-forget" there is a client, and no connection.
        self.clients = {"fire-and-forget": SimpleNamespace(last_seen=0.0)}
        self.client_comms: dict[str, Any] = {}

    def note(self) -> None:
        self.task_metadata["cluster-manager-info"] = {"name": "demo"}

    def connect(self, *, is_closed: bool = False) -> None:
        self.clients["Client-1"] = SimpleNamespace(last_seen=0.0)
        self.client_comms["Client-1"] = SimpleNamespace(closed=lambda: is_closed)


@pytest.fixture
def scheduler() -> Scheduler:
    return Scheduler()


def count_looks(presence: Presence, now_s: float, pause_s: float = PAUSE_S) -> int:
    """Look until it is alone, from one pause after now on; how many looks that took."""
    for looks in range(1, 1000):
        if presence.is_alone(now_s + looks * pause_s):
            return looks
    raise AssertionError("it is never alone")


def test_a_note_of_a_cluster_manager_is_a_sign_of_life_each_time(scheduler: Scheduler) -> None:
    presence = Presence(scheduler, 300, 0.0)
    for look in range(1, 100):
        scheduler.note()
        assert not presence.is_alone(look * PAUSE_S)
    assert count_looks(presence, 990.0) == 30


def test_a_client_that_is_connected_is_there_though_it_says_nothing(scheduler: Scheduler) -> None:
    presence = Presence(scheduler, 300, 0.0)
    scheduler.connect()
    assert not any(presence.is_alone(look * PAUSE_S) for look in range(1, 400))
    scheduler.connect(is_closed=True)
    assert count_looks(presence, 3990.0) == 30
    scheduler.connect()
    assert not presence.is_alone(5000.0)


def test_a_machine_that_slept_counts_as_one_late_look(scheduler: Scheduler) -> None:
    presence = Presence(scheduler, 300, 0.0)
    scheduler.note()
    assert not presence.is_alone(PAUSE_S)
    assert not presence.is_alone(PAUSE_S + 8 * 3600)
    scheduler.note()
    assert not presence.is_alone(2 * PAUSE_S + 8 * 3600)


def test_no_short_row_of_looks_is_enough_however_far_they_are_apart(scheduler: Scheduler) -> None:
    presence = Presence(scheduler, 300, 0.0)
    scheduler.note()
    assert not presence.is_alone(0.0)
    assert count_looks(presence, 0.0, pause_s=3600.0) == 15


def test_whoever_made_it_has_a_minute_to_speak_first(scheduler: Scheduler) -> None:
    assert count_looks(Presence(scheduler, 4, 0.0), 0.0, pause_s=0.4) == 150
    heard = Presence(scheduler, 4, 0.0)
    scheduler.note()
    assert not heard.is_alone(0.0)
    assert count_looks(heard, 0.0, pause_s=0.5) == 8


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
