"""What a classic cluster is made of: Pods, Service, budget; and the settings they come from."""

from __future__ import annotations

import inspect
import json
import math
from datetime import timedelta
from typing import Any

import dask
import pytest
from anything import ANYTHING
from dask.utils import parse_timedelta
from hypothesis import given
from hypothesis import strategies as st

from dask_k8s_jupyter.classic import make_pod_from_dict, make_pod_spec
from dask_k8s_jupyter.classic.build import (
    TEMPLATE_ANNOTATION,
    build_disruption_budget,
    build_scheduler_pod,
    build_scheduler_service,
    build_worker_pod,
    describe_worker,
)
from dask_k8s_jupyter.classic.podtemplate import PodTemplate
from dask_k8s_jupyter.classic.settings import resolve_classic_settings
from dask_k8s_jupyter.errors import InvalidSpecError

OWNER = {"metadata": {"name": "demo-scheduler", "uid": "u1"}}
TEMPLATE = make_pod_spec("acme/dask:7", env={"A": "1"})


def worker(template: PodTemplate = TEMPLATE, **options: Any) -> dict[str, Any]:
    return build_worker_pod(
        template,
        cluster="demo",
        pod_name="demo-worker-0123456789",
        worker_name=3,
        scheduler_address="tcp://10.0.0.1:8786",
        **options,
    )


def test_a_worker_pod_knows_its_scheduler_its_name_and_its_owner() -> None:
    pod = worker(env={"B": "2"}, owner=OWNER)
    container = pod["spec"]["containers"][0]
    assert container["args"][-2:] == ["--name", "3"]
    assert {each["name"]: each["value"] for each in container["env"]} == {
        "A": "1",
        "B": "2",
        "DASK_SCHEDULER_ADDRESS": "tcp://10.0.0.1:8786",
    }
    assert pod["metadata"]["labels"] == {
        "app": "dask",
        "app.kubernetes.io/managed-by": "dask-classic",
        "dask.org/cluster-name": "demo",
        "dask.org/component": "worker",
    }
    assert pod["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "demo-scheduler", "uid": "u1"}
    ]
    assert [(each["key"], each["value"]) for each in pod["spec"]["tolerations"]] == [
        ("k8s.dask.org/dedicated", "worker"),
        ("k8s.dask.org_dedicated", "worker"),
    ]
    assert "name" not in TEMPLATE["metadata"], "the template stays as it was"


@pytest.mark.parametrize(
    ("container", "key", "words"),
    [
        ({"args": ["dask-worker"]}, "args", ["--name", "3", "--death-timeout", "60"]),
        ({"args": ["dask", "worker", "--death-timeout", "9"]}, "args", ["--name", "3"]),
        ({"command": ["dask", "worker"]}, "command", ["--name", "3", "--death-timeout", "60"]),
        ({"command": ["tini"], "args": ["run.sh"]}, "args", ["--name", "3"]),
        ({"args": ["dask-worker", "--death-timeout=300"]}, "args", ["--name", "3"]),
        ({"args": ["dask", "worker", "--death-timeout="]}, "args", ["--name", "3"]),
        ({"args": ["dask", "cuda", "worker"]}, "args", ["--name", "3", "--death-timeout", "60"]),
        ({"args": ["dask-cuda-worker"]}, "args", ["--name", "3", "--death-timeout", "60"]),
        (
            {"command": ["tini", "--", "dask-cuda-worker"]},
            "command",
            ["--name", "3", "--death-timeout", "60"],
        ),
        ({"args": ["dask", "cuda", "worker", "--death-timeout=9"]}, "args", ["--name", "3"]),
        ({"args": ["dask", "cuda", "config"]}, "args", ["--name", "3"]),
    ],
)
def test_options_are_added_where_the_command_stands(
    container: dict[str, Any], key: str, words: list[str]
) -> None:
    template = make_pod_from_dict({"spec": {"containers": [{"image": "i", **container}]}})
    built = worker(template)["spec"]["containers"][0]
    assert built[key] == [*container[key], *words]


def test_affinity_is_added_beside_what_the_template_asks_for() -> None:
    assert "affinity" not in worker(affinity="none")["spec"]
    preferred = worker(affinity="preferred")["spec"]["affinity"]["nodeAffinity"]
    assert list(preferred) == ["preferredDuringSchedulingIgnoredDuringExecution"]
    asked = {"key": "disk", "operator": "Exists"}
    term = {"nodeSelectorTerms": [{"matchExpressions": [asked]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": term}}
    template = make_pod_from_dict({"spec": {"containers": [{"image": "i"}], "affinity": affinity}})
    node = worker(template, affinity="required")["spec"]["affinity"]["nodeAffinity"]
    terms = node["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [each["key"] for each in terms[0]["matchExpressions"]] == [
        "disk",
        "k8s.dask.org/node-purpose",
    ]


def test_a_scheduler_pod_serves_what_the_template_is_and_remembers_it() -> None:
    pod = build_scheduler_pod(
        TEMPLATE, TEMPLATE, cluster="demo", protocol="tls", idle_timeout="9 s"
    )
    container = pod["spec"]["containers"][0]
    assert pod["metadata"]["name"] == "demo-scheduler"
    assert container["image"] == "acme/dask:7"
    assert container["args"] == [
        *("dask", "scheduler", "--host", "tls://0.0.0.0", "--port", "8786"),
        *("--dashboard-address", ":8787", "--idle-timeout", "9 s"),
    ]
    assert [each["containerPort"] for each in container["ports"]] == [8786, 8787]
    assert json.loads(pod["metadata"]["annotations"][TEMPLATE_ANNOTATION]) == TEMPLATE


def test_service_and_budget_belong_to_the_scheduler_and_take_templates() -> None:
    template = {"metadata": {"annotations": {"x": "y"}}, "spec": {"selector": {"a": "b"}}}
    service = build_scheduler_service("demo", "NodePort", OWNER, template)
    assert service["spec"]["type"] == "NodePort"
    assert service["metadata"]["annotations"] == {"x": "y"}
    assert service["metadata"]["ownerReferences"][0]["uid"] == "u1"
    selector = {"dask.org/cluster-name": "demo", "dask.org/component": "scheduler"}
    assert service["spec"]["selector"] == selector
    budget = build_disruption_budget("demo", OWNER)
    assert budget["spec"] == {"minAvailable": 1, "selector": {"matchLabels": selector}}


@pytest.mark.parametrize(
    ("args", "described"),
    [
        ([], {}),
        (["--nthreads", "2", "--memory-limit", "6GB"], {"nthreads": 2, "memory_limit": "6GB"}),
        (["--nthreads=4"], {"nthreads": 4}),
        (["--nthreads", "$(N)"], {}),
    ],
)
def test_threads_and_memory_are_read_from_the_command(
    args: list[str], described: dict[str, Any]
) -> None:
    template = make_pod_from_dict({"spec": {"containers": [{"args": ["dask", "worker", *args]}]}})
    assert describe_worker(template) == described


def test_what_is_not_said_is_read_from_the_configuration() -> None:
    settings = {
        "kubernetes.worker-template": TEMPLATE.to_dict(),
        "kubernetes.worker-name": "dask-{user}-x-{uuid}",
        "kubernetes.count.start": 4,
        "kubernetes.deploy-mode": "local",
        "kubernetes.scheduler-service-wait-timeout": 0,
    }
    with dask.config.set(settings):
        resolved = resolve_classic_settings()
    assert resolved.worker == TEMPLATE
    assert resolved.scheduler == TEMPLATE
    assert "-x-" in resolved.name
    assert (resolved.n_workers, resolved.deploy_mode) == (4, "local")
    assert resolved.wait_timeout_s is None
    assert resolved.protocol == "tcp"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"pod_template": None}, "pod_template"),
        ({"name": "Bad_Name"}, "name"),
        ({"n_workers": -1}, "n_workers"),
        ({"port": "x"}, "port"),
        ({"port": 99999}, "port"),
        ({"port": True}, "port"),
        ({"namespace": "Team A"}, "namespace"),
        ({"namespace": 7}, "namespace"),
        ({"host": 7}, "host"),
        ({"host": ""}, "host"),
        ({"interface": 7}, "interface"),
        ({"dashboard_address": 99999}, "dashboard_address"),
        ({"dashboard_address": []}, "dashboard_address"),
        ({"idle_timeout": "soon"}, "idle_timeout"),
        ({"idle_timeout": -5}, "idle_timeout"),
        ({"idle_timeout": "-5 s"}, "idle_timeout"),
        ({"idle_timeout": True}, "idle_timeout"),
        ({"idle_timeout": math.nan}, "idle_timeout"),
        ({"env": {"Ä": "1"}}, "env"),
        ({"pod_template": "\0"}, "pod_template"),
        ({"pod_template": {"metadata": "x", "spec": TEMPLATE["spec"]}}, "pod_template"),
        ({"scheduler_service_wait_timeout": math.inf}, "scheduler_service_wait_timeout"),
        ({"env": "A=1"}, "env"),
        ({"deploy_mode": "cloud"}, "deploy_mode"),
        ({"protocol": "udp://"}, "protocol"),
        ({"apply_default_affinity": "maybe"}, "apply_default_affinity"),
        ({"scheduler_pod_template": 7}, "scheduler_pod_template"),
        ({"scheduler_service_wait_timeout": "soon"}, "scheduler_service_wait_timeout"),
        ({"scheduler_service_name_resolution_retries": 0}, "scheduler_service_name_resolution"),
    ],
)
def test_bad_settings_are_refused_by_name(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"^{complaint}"):
        resolve_classic_settings(**{"pod_template": TEMPLATE, "name": "demo", **options})


@pytest.mark.parametrize(
    ("given_one", "said"),
    [
        (None, None),
        (0, None),
        (False, None),
        ("0 s", None),
        (90, "90 s"),
        ("30 minutes", "1800 s"),
        (timedelta(minutes=2), "120 s"),
    ],
)
def test_an_idle_time_out_is_said_in_seconds(given_one: Any, said: str | None) -> None:
    settings = resolve_classic_settings(pod_template=TEMPLATE, name="demo", idle_timeout=given_one)
    assert settings.idle_timeout == said


def test_a_dashboard_may_be_a_port_alone() -> None:
    settings = resolve_classic_settings(pod_template=TEMPLATE, name="demo", dashboard_address=9)
    assert settings.dashboard_address == ":9"


def test_a_variable_may_come_from_elsewhere() -> None:
    secret = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    assert secret in worker(env=[secret])["spec"]["containers"][0]["env"]


OF_A_CLUSTER = sorted(
    set(inspect.signature(resolve_classic_settings).parameters) - {"connects", "ends_with_owner"}
)


@given(argument=st.sampled_from(OF_A_CLUSTER), value=ANYTHING)
def test_whatever_is_given_makes_pods_or_an_error_that_names_it(argument: str, value: Any) -> None:
    try:
        settings = resolve_classic_settings(
            **{"pod_template": TEMPLATE, "name": "demo", argument: value}
        )
    except InvalidSpecError as error:
        assert str(error).startswith(f"{argument}: ")
    else:
        json.dumps(worker(env=settings.env, affinity=settings.affinity))
        json.dumps(settings.build_local_options())
        parse_timedelta(settings.idle_timeout or "1 s")
