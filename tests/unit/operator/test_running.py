"""Settings, health, and which objects a change concerns."""

import json
import logging
from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest

from dask_k8s_operator.__main__ import JsonFormatter
from dask_k8s_operator.controller.apply import diff_status
from dask_k8s_operator.controller.cache import Cache
from dask_k8s_operator.controller.relations import affected
from dask_k8s_operator.health import explain_ill, explain_unready
from dask_k8s_operator.kube import WorkQueue
from dask_k8s_operator.kube.errors import ForbiddenError
from dask_k8s_operator.kube.usage import ApiUsage
from dask_k8s_operator.metrics import Metrics
from dask_k8s_operator.plugins import GROUP, load_plugins
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_JOBS,
    DASK_WORKER_GROUPS,
    PODS,
    SERVICES,
)
from dask_k8s_operator.scheduler import scheduler_url
from dask_k8s_operator.settings import Settings, parse_settings


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, Settings()),
        (["--namespace", "a", "--namespace", "b"], {}, Settings(namespaces=("a", "b"))),
        ([], {"NAMESPACES": "a, b,"}, Settings(namespaces=("a", "b"))),
        (["--namespace", "c"], {"NAMESPACES": "a"}, Settings(namespaces=("c",))),
        (
            [],
            {"LOG_FORMAT": "json", "LOG_LEVEL": "Debug"},
            Settings(log_format="json", log_level="DEBUG"),
        ),
        (["--health-port", "0"], {"HEALTH_PORT": "9"}, Settings(health_port=0)),
        ([], {"CONCURRENCY": "5"}, Settings(concurrency=5)),
        (
            ["--worker-batch-size", "9"],
            {"WORKER_BATCH_SIZE": "5", "WORKER_BATCH_DELAY": "1.5"},
            Settings(worker_batch_size=9, worker_batch_delay_s=1.5),
        ),
        (["-A"], {"NAMESPACES": "a"}, Settings()),
        (["-n", "a", "--debug"], {}, Settings(namespaces=("a",), log_level="DEBUG")),
        (["--no-leader-election"], {}, Settings(leader_election=False)),
        ([], {"LEADER_ELECTION": "false"}, Settings(leader_election=False)),
        (
            ["--lease-namespace", "x"],
            {"LEASE_NAME": "l"},
            Settings(lease_namespace="x", lease_name="l"),
        ),
    ],
)
def test_a_flag_wins_over_its_variable_and_that_over_the_default(arguments, environment, expected):
    variables = {f"DASK_K8S_OPERATOR_{name}": value for name, value in environment.items()}
    assert parse_settings(arguments, variables) == expected


@pytest.mark.parametrize(
    ("size", "delay", "expected"),
    [
        ("20", "5", Settings(worker_batch_size=20, worker_batch_delay_s=5.0)),
        ("None", "null", Settings()),
    ],
)
def test_dasks_own_settings_of_worker_allocation_count_too(size, delay, expected):
    prefix = "DASK_KUBERNETES__CONTROLLER__WORKER_ALLOCATION__"
    variables = {f"{prefix}BATCH_SIZE": size, f"{prefix}DELAY": delay}
    assert parse_settings([], variables) == expected


@pytest.mark.parametrize(
    "arguments",
    [["--log-format", "xml"], ["--concurrency", "0"], ["--what"], ["--all-namespaces", "-n", "a"]],
)
def test_a_setting_that_cannot_work_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        parse_settings(arguments, {})
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("LOG_FORMAT", "xml", "--log-format"),
        ("LOG_LEVEL", "loud", "--log-level"),
        ("LEADER_ELECTION", "perhaps", "--leader-election"),
        ("CONCURRENCY", "0", "--concurrency"),
        ("CONCURRENCY", "many", "--concurrency"),
        ("HEALTH_PORT", "70000", "--health-port"),
        ("WORKER_BATCH_SIZE", "-1", "--worker-batch-size"),
    ],
)
def test_a_variable_that_cannot_work_is_refused_too(name, value, flag, capsys):
    with pytest.raises(SystemExit):
        parse_settings([], {f"DASK_K8S_OPERATOR_{name}": value})
    assert flag in capsys.readouterr().err


def test_the_json_log_has_one_object_a_line():
    record = logging.LogRecord("x", logging.WARNING, "f", 1, "two\nlines %s", ("ö",), None)
    entry = json.loads(JsonFormatter().format(record))
    assert (entry["level"], entry["message"]) == ("warning", "two\nlines ö")


class FakeInformer:
    def __init__(self, stuck_s=0.0, error=None, is_synced=True):
        self.last_progress = 1000.0 - stuck_s
        self.error = error
        self.is_synced = is_synced


@pytest.mark.parametrize(
    ("informer", "ill", "unready"),
    [
        (FakeInformer(), None, None),
        (FakeInformer(stuck_s=901), "a watch has made no progress for 901 s", None),
        (FakeInformer(stuck_s=899, error=OSError("gone")), None, "not connected: gone"),
        (
            FakeInformer(stuck_s=901, error=OSError("gone")),
            "a watch has made no progress for 901 s: gone",
            "not connected: gone",
        ),
        # A restart would bring neither a permission nor a definition.
        (
            FakeInformer(stuck_s=901, error=ForbiddenError(403, "Forbidden", "no")),
            None,
            "not connected: no",
        ),
        (FakeInformer(is_synced=False), None, "still reading what there is"),
    ],
)
def test_health_is_the_progress_of_the_watches(informer, ill, unready):
    assert explain_ill([FakeInformer(), informer], 1000.0, 900.0) == ill
    assert explain_unready([FakeInformer(), informer]) == unready


def test_a_plugin_that_cannot_be_loaded_is_named_and_the_others_are_loaded(caplog):
    points = [
        EntryPoint("broken", "no_such_module_of_mine", GROUP),
        EntryPoint("fine", "json:loads", GROUP),
    ]
    plugins = load_plugins(found=points)
    assert plugins.describe() == [
        "plugin broken: ModuleNotFoundError: No module named 'no_such_module_of_mine'",
        "plugin fine: ok",
    ]
    assert "plugin broken (no_such_module_of_mine) cannot be loaded" in caplog.text


async def test_without_a_plugin_nothing_runs_beside_the_operator():
    await load_plugins(found=[]).run()
    await load_plugins(found=[EntryPoint("broken", "no_such_module_of_mine", GROUP)]).run()


class FakeObserved:
    def __init__(self, controller=None):
        self.controller = controller
        self.usages = [ApiUsage(), ApiUsage()]


def test_the_numbers_add_up_over_informers_and_connections(make):
    groups = {("team", str(n)): make.group(status={"workers": {"ready": n}}) for n in (2, 3)}
    informers = [
        SimpleNamespace(kind=DASK_WORKER_GROUPS, objects=groups, last_progress=990.0, error=None),
        SimpleNamespace(kind=PODS, objects={}, last_progress=999.0, error=OSError("gone")),
    ]
    observed = FakeObserved(SimpleNamespace(informers=informers, queue=WorkQueue()))
    for usage in observed.usages:
        usage.answers["get", "pods", 200] += 2
        usage.add_patience(1.5)
    metrics = Metrics(observed, monotonic=lambda: 1000.0)
    metrics.note_reconcile(DASK_CLUSTERS, "done", 0.002)
    text = metrics.write().decode()
    for sample in (
        'workers{state="ready"} 5.0',
        'objects{kind="DaskWorkerGroup"} 2.0',
        'watch_silent_seconds{kind="DaskWorkerGroup"} 10.0',
        'watch_connected{kind="Pod"} 0.0',
        'api_calls_total{code="200",resource="pods",verb="get"} 4.0',
        "api_throttled_seconds_total 3.0",
        'reconcile_seconds_count{kind="DaskCluster",outcome="done"} 1.0',
        "leading 1.0",
    ):
        assert f"dask_k8s_operator_{sample}" in text, sample


def test_an_operator_that_waits_for_its_turn_tells_only_that():
    text = Metrics(FakeObserved()).write().decode()
    assert "dask_k8s_operator_leading 0.0" in text
    assert "queue_depth" not in text


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        (None, None, []),
        ({"a": 1}, None, []),
        (None, {"a": 1}, [{"op": "add", "path": "/status", "value": {"a": 1}}]),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [{"op": "add", "path": "/status/a", "value": 2}]),
        ({"a": 1, "b": 2}, {"a": 1}, [{"op": "remove", "path": "/status/b"}]),
        ({"a/b~": 1}, {}, [{"op": "remove", "path": "/status/a~1b~0"}]),
    ],
)
def test_a_status_is_written_only_where_it_changed(before, after, patch):
    assert diff_status(before, after) == patch


def concerned(cache, kind, old, new):
    return sorted((r.kind.kind, r.name) for r in affected(cache, kind, old, new))


def test_a_change_wakes_what_looks_at_it_and_nothing_else(make):
    cache = Cache()
    cluster, group, autoscaler = make.cluster(), make.group(), make.autoscaler()
    cache.informed(DASK_WORKER_GROUPS, None, group)
    cache.informed(DASK_AUTOSCALERS, None, autoscaler)
    own = [("DaskCluster", "demo"), ("DaskJob", "demo")]
    members = [("DaskAutoscaler", "demo"), ("DaskWorkerGroup", "demo-default")]
    assert concerned(cache, DASK_CLUSTERS, cluster, cluster) == own
    assert concerned(cache, DASK_CLUSTERS, None, cluster) == sorted(own + members)
    both = [("DaskCluster", "demo"), ("DaskWorkerGroup", "demo-default")]
    assert concerned(cache, DASK_WORKER_GROUPS, group, group) == both
    assert concerned(cache, DASK_JOBS, None, make.job()) == [("DaskJob", "etl")]


@pytest.mark.parametrize(
    ("kind", "component", "request_"),
    [
        (PODS, "scheduler", ("DaskCluster", "demo")),
        (SERVICES, "scheduler", ("DaskCluster", "demo")),
        (PODS, "worker", ("DaskWorkerGroup", "demo-default")),
        (PODS, "job-runner", ("DaskJob", "demo")),
    ],
)
def test_a_child_wakes_its_owner(make, kind, component, request_):
    labels = {"dask.org/cluster-name": "demo", "dask.org/component": component}
    if component == "worker":
        labels["dask.org/workergroup-name"] = "demo-default"
    assert concerned(Cache(), kind, None, make.pod("x", labels=labels)) == [request_]


@pytest.mark.parametrize(
    ("ports", "ip", "url"),
    [
        ([], "10.0.0.5", "http://10.0.0.5:8787"),
        ([], None, None),
        ([{"name": "http-dashboard", "containerPort": 9000}], "10.0.0.5", "http://10.0.0.5:9000"),
        ([{"name": "dashboard", "containerPort": 9001}], "10.0.0.5", "http://10.0.0.5:9001"),
        ([{"name": "tcp-comm", "containerPort": 8786}], "fd00::5", "http://[fd00::5]:8787"),
    ],
)
def test_a_scheduler_is_found_by_its_pods_address_and_either_port_name(make, ports, ip, url):
    pod = make.scheduler_pod(ip=ip)
    pod["spec"]["containers"][0]["ports"] = ports
    assert scheduler_url(pod) == url
