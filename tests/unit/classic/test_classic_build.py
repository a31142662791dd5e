"""What a classic cluster is made of: Pods, Service, budget; and the settings they come from."""

from __future__ import annotations

import json
from typing import Any

import dask
import pytest

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
