"""What the node decides without running anything: fit, environment, status, names, thresholds."""

import pytest

from dask_k8s_jupyter.local.node.environment import (
    ConfigError,
    Downward,
    build_command,
    build_variables,
    expand,
)
from dask_k8s_jupyter.local.node.fit import explain_misfit, sum_requests, sum_used
from dask_k8s_jupyter.local.node.podstatus import (
    ContainerStatus,
    build_conditions,
    find_phase,
    merge_conditions,
)
from dask_k8s_jupyter.local.node.probes import Threshold, find_port
from dask_k8s_jupyter.local.node.quantities import parse_quantity, show_bytes, show_cpus
from dask_k8s_jupyter.local.node.servicenames import build_line, find_all_endpoints
from dask_k8s_jupyter.local.node.starting import explain_start_error, explain_unsupported

CAPACITY = {"cpu": 2.0, "memory": 8 * 1024.0**3, "pods": 3.0}
DOWNWARD = Downward("local", "127.64.0.1", "127.64.1.1", CAPACITY)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        (2, 2),
        ("500m", 0.5),
        ("1.5", 1.5),
        ("2Gi", 2 * 1024**3),
        ("100Ki", 102400),
        ("1G", 1e9),
        ("1e3", 1000),
        ("250u", 0.00025),
        (".5", 0.5),
    ],
)
def test_a_quantity_is_read(text, number):
    assert parse_quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "2 Gi", "Gi", "1Xi", "a lot", "1.2.3"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


def test_quantities_are_written_as_they_are_read():
    assert parse_quantity(show_bytes(12345678)) == 12345678
    assert parse_quantity(show_cpus(0.25)) == 0.25


def _pod(*requests, init=(), name="p", phase="Running", selector=None):
    def containers(every):
        return [{"name": str(i), "resources": {"requests": r}} for i, r in enumerate(every)]

    spec = {"containers": containers(requests), "initContainers": containers(init)}
    if selector:
        spec["nodeSelector"] = selector
    return {"metadata": {"name": name}, "spec": spec, "status": {"phase": phase}}


def test_a_pod_requests_the_sum_of_its_containers_or_its_greediest_init_container():
    pod = _pod({"cpu": "500m"}, {"cpu": "1", "memory": "1Gi"}, init=[{"cpu": "2"}, {"cpu": "1"}])
    assert sum_requests(pod) == {"cpu": 2.0, "memory": 1024.0**3, "pods": 1.0}


def test_finished_pods_take_no_room():
    pods = [_pod({"cpu": "1"}), _pod({"cpu": "1"}, phase="Succeeded")]
    assert sum_used(pods) == {"cpu": 1.0, "pods": 1.0}


@pytest.mark.parametrize(
    ("pod", "used", "sentence"),
    [
        (_pod({"cpu": "2"}), {}, None),
        (_pod({"cpu": "1"}), {"cpu": 1.0}, None),
        (_pod({}), {"cpu": 2.0}, None),
        (_pod({"cpu": "1"}), {"cpu": 1.5}, "1 Insufficient cpu. preemption: 0/1 nodes are "),
        (_pod({"cpu": "9", "memory": "9Gi"}), {}, "1 Insufficient cpu, 1 Insufficient memory. "),
        (_pod({"nvidia.com/gpu": "1"}), {}, "1 Insufficient nvidia.com/gpu. "),
        (_pod({}), {"pods": 3.0}, "1 Too many pods. "),
        (_pod({}, selector={"zone": "a"}), {}, "1 node(s) didn't match Pod's node affinity"),
    ],
)
def test_what_does_not_fit_is_refused_in_the_schedulers_words(pod, used, sentence):
    found = explain_misfit(pod, used, CAPACITY, {})
    if sentence is None:
        assert found is None
    else:
        assert found.startswith(f"0/1 nodes are available: {sentence}")


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(MISSING)", "$(MISSING)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text, expanded):
    assert expand(text, {"A": "1", "B": "2"}) == expanded


POD = {
    "metadata": {"name": "w", "namespace": "n", "uid": "u", "labels": {"a/b": "c"}},
    "spec": {"serviceAccountName": "sa"},
}
SOURCES = {
    ("ConfigMap", "cm"): {"data": {"K": "v", "L": "w"}},
    ("Secret", "s"): {"data": {"P": "cGFzcw==", "BINARY": "/w==", "BROKEN": "a"}},
}


def _variables(**container):
    container = {"name": "c", **container}
    return build_variables(POD, container, DOWNWARD, lambda kind, name: SOURCES.get((kind, name)))


@pytest.mark.parametrize(
    ("container", "variables"),
    [
        (
            {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2 $(C)"}]},
            {"A": "1", "B": "12 $(C)"},
        ),
        ({"env": [{"name": "A"}]}, {"A": ""}),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
            {"A": "w"},
        ),
        (
            {
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}},
                    }
                ]
            },
            {"A": "c"},
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]},
            {"A": "127.64.1.1"},
        ),
        (
            {
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "P"}}},
                    {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "K"}}},
                ]
            },
            {"A": "pass", "B": "v"},
        ),
        ({"envFrom": [{"configMapRef": {"name": "cm"}, "prefix": "X_"}]}, {"X_K": "v", "X_L": "w"}),
        ({"envFrom": [{"secretRef": {"name": "gone", "optional": True}}]}, {}),
        (
            {
                "resources": {"limits": {"cpu": "1500m"}},
                "env": [
                    {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
                ],
            },
            {"A": "2"},
        ),
    ],
)
def test_variables_come_from_where_the_container_says(container, variables):
    assert _variables(**container) == variables


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"envFrom": [{"configMapRef": {"name": "gone"}}]}, 'configmap "gone" not found'),
        (
            {
                "env": [
                    {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "missing"}}}
                ]
            },
            "couldn't find key missing in Secret n/s",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "BINARY"}}}]},
            'key BINARY of secret "s" is not text',
        ),
        ({"envFrom": [{"secretRef": {"name": "s"}}]}, 'key BINARY of secret "s" is not text'),
    ],
)
def test_a_container_without_its_sources_cannot_be_configured(container, message):
    with pytest.raises(ConfigError, match=message):
        _variables(**container)


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({}, None),
        ({"volumeDevices": [{"name": "disk", "devicePath": "/dev/x"}]}, "no block devices"),
        ({"restartPolicy": "Always"}, "restarts init containers that are to go on only"),
    ],
)
def test_what_the_node_cannot_do_is_refused_by_name(container, words):
    said = explain_unsupported({"name": "c", **container}, POD)
    assert said is None if words is None else words in said and "'c'" in said


def test_a_command_with_a_zero_byte_is_an_invalid_argument():
    assert "invalid argument: embedded null byte" in explain_start_error(
        ValueError("embedded null byte")
    )


def test_a_command_line_is_command_and_arguments_expanded():
    container = {"command": ["dask", "worker"], "args": ["--name", "$(NAME)"]}
    assert build_command(container, {"NAME": "w1"}) == ["dask", "worker", "--name", "w1"]
    assert build_command({}, {}) == []


def _container(kind, **details):
    last = details.pop("last", {})
    return ContainerStatus("c", "x", {kind: details}, last_state=last)


RUNNING = _container("running")
DONE = _container("terminated", exitCode=0)
CRASHED = _container("terminated", exitCode=1)
CREATING = _container("waiting", reason="ContainerCreating")
SIDECAR = _container("running")
SIDECAR.is_sidecar = SIDECAR.is_started = True
SIDECAR_ENDED = _container("terminated", exitCode=143)
SIDECAR_ENDED.is_sidecar = SIDECAR_ENDED.is_started = True
LOOPING = _container("waiting", reason="CrashLoopBackOff", last={"terminated": {"exitCode": 1}})


@pytest.mark.parametrize(
    ("containers", "init", "policy", "phase"),
    [
        ([CREATING], [], "Always", "Pending"),
        ([RUNNING], [], "Always", "Running"),
        ([RUNNING, CREATING], [], "Always", "Pending"),
        ([LOOPING], [], "Always", "Running"),
        ([CRASHED], [], "Always", "Running"),
        ([CRASHED], [], "Never", "Failed"),
        ([CRASHED], [], "OnFailure", "Running"),
        ([DONE], [], "OnFailure", "Succeeded"),
        ([DONE, RUNNING], [], "Never", "Running"),
        ([DONE, CRASHED], [], "Never", "Failed"),
        ([CREATING], [CRASHED], "Never", "Failed"),
        ([CREATING], [RUNNING], "Always", "Pending"),
        ([RUNNING], [SIDECAR], "Never", "Running"),
        ([DONE], [SIDECAR_ENDED], "Never", "Succeeded"),
        # Over only when the sidecars have gone, too.
        ([DONE], [SIDECAR], "Never", "Running"),
        ([CRASHED], [SIDECAR], "Never", "Running"),
        ([CREATING], [SIDECAR, CRASHED], "Never", "Pending"),
    ],
)
def test_the_phase_follows_from_the_containers(containers, init, policy, phase):
    assert find_phase(containers, init, policy) == phase


def test_a_condition_keeps_its_time_until_its_status_changes():
    ready = ContainerStatus("c", "x", {"running": {}}, is_ready=True)
    first = merge_conditions([], build_conditions([RUNNING], [], "Running"), "t1")
    second = merge_conditions(first, build_conditions([ready], [], "Running"), "t2")
    times = {c["type"]: (c["status"], c["lastTransitionTime"]) for c in second}
    assert times["Initialized"] == ("True", "t1")
    assert times["Ready"] == ("True", "t2")
    assert first[-1]["message"] == "containers with unready status: [c]"


def test_a_probe_speaks_up_once_its_threshold_is_reached():
    threshold = Threshold(successes=1, failures=3)
    assert [threshold.note(r) for r in (False, False, False, True)] == [None, None, False, True]


def test_a_probe_finds_its_port_by_name():
    container = {"ports": [{"name": "http", "containerPort": 8787}]}
    assert find_port(container, "http") == 8787
    assert find_port(container, 80) == 80
    with pytest.raises(ValueError, match="couldn't find port"):
        find_port(container, "missing")


def _service_pod(name, is_ready, **labels):
    condition = {"type": "Ready", "status": "True" if is_ready else "False"}
    containers = [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]
    return {
        "metadata": {"name": name, "namespace": "n", "labels": labels},
        "spec": {"containers": containers},
        "status": {"podIP": f"127.64.1.{len(name)}", "conditions": [condition]},
    }


@pytest.mark.parametrize(
    ("pods", "line"),
    [
        ([_service_pod("a", True, app="x")], "n svc 127.64.1.1 80=8080\n"),
        ([_service_pod("a", False, app="x")], "n svc 127.64.128.9 \n"),
        ([_service_pod("a", True, app="y")], "n svc 127.64.128.9 \n"),
        (
            [_service_pod("a", True, app="x"), _service_pod("bb", True, app="x")],
            "n svc 127.64.1.1,127.64.1.2 80=8080\n",
        ),
    ],
)
def test_a_service_name_leads_to_ready_pods_only(pods, line):
    service = {
        "metadata": {"name": "svc", "namespace": "n"},
        "spec": {
            "clusterIP": "127.64.128.9",
            "selector": {"app": "x"},
            "ports": [{"port": 80, "targetPort": "http"}],
        },
    }
    ((_, endpoints),) = find_all_endpoints([service], pods)
    assert build_line(service, endpoints) == line
