"""The chart: its generated parts are up to date, and helm makes of values what they mean."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from dask_k8s_operator.resources.manifests import (
    build_chart_files,
    build_deployment,
    build_network_policy,
    operator_rules,
)

CHART = Path(__file__).parents[3] / "operator" / "chart"

# Values of the chart dask-kubernetes-operator, with their defaults there.
UPSTREAM = {
    "image.pullPolicy": "IfNotPresent",
    "imagePullSecrets": [],
    "nameOverride": "",
    "fullnameOverride": "",
    "serviceAccount.create": True,
    "serviceAccount.annotations": {},
    "serviceAccount.name": "",
    "rbac.create": True,
    "rbac.cluster": True,
    "podAnnotations": {},
    "podSecurityContext": {},
    "securityContext.capabilities.drop": ["ALL"],
    "securityContext.runAsNonRoot": True,
    "securityContext.runAsUser": 1000,
    "securityContext.allowPrivilegeEscalation": False,
    "securityContext.readOnlyRootFilesystem": True,
    "resources": {},
    "volumes": [],
    "volumeMounts": [],
    "nodeSelector": {},
    "tolerations": [],
    "affinity": {},
    "priorityClassName": None,
    "kopfArgs": ["--all-namespaces"],
    "metrics.scheduler.enabled": False,
    "metrics.scheduler.serviceMonitor.enabled": False,
    "metrics.scheduler.serviceMonitor.namespace": "",
    "metrics.scheduler.serviceMonitor.namespaceSelector": {},
    "metrics.scheduler.serviceMonitor.additionalLabels": {},
    "metrics.scheduler.serviceMonitor.interval": "15s",
    "metrics.scheduler.serviceMonitor.jobLabel": "",
    "metrics.scheduler.serviceMonitor.targetLabels": ["dask.org/cluster-name"],
    "metrics.scheduler.serviceMonitor.metricRelabelings": [],
    "metrics.worker.enabled": False,
    "metrics.worker.podMonitor.enabled": False,
    "metrics.worker.podMonitor.namespace": "",
    "metrics.worker.podMonitor.namespaceSelector": {},
    "metrics.worker.podMonitor.additionalLabels": {},
    "metrics.worker.podMonitor.interval": "15s",
    "metrics.worker.podMonitor.jobLabel": "",
    "metrics.worker.podMonitor.podTargetLabels": [
        "dask.org/cluster-name",
        "dask.org/workergroup-name",
    ],
    "metrics.worker.podMonitor.metricRelabelings": [],
    "workerAllocation.size": None,
    "workerAllocation.delay": None,
}


@pytest.fixture
def template(helm_program):
    """What helm makes of the chart with some settings, by kind, name and namespace."""

    def run(*settings, namespace="ns"):
        place = ("--namespace", namespace)
        arguments = [helm_program, "template", "r", str(CHART), *place, *settings]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        documents = [document for document in yaml.safe_load_all(done.stdout) if document]
        return {
            (d["kind"], d["metadata"]["name"], d["metadata"].get("namespace")): d for d in documents
        }

    return run


def container_of(documents):
    (deployment,) = (d for (kind, *_), d in documents.items() if kind == "Deployment")
    return deployment["spec"]["template"]["spec"]["containers"][0]


@pytest.mark.parametrize(("name", "default"), UPSTREAM.items())
def test_a_value_of_the_older_chart_has_its_name_and_default(name, default):
    value = yaml.safe_load((CHART / "values.yaml").read_text())
    for part in name.split("."):
        value = value[part]
    assert value == default


def test_the_generated_parts_of_the_chart_are_up_to_date():
    for name, text in build_chart_files().items():
        assert (CHART / name).read_text() == text, (
            "run: python -m dask_k8s_operator.resources.manifests operator/manifests"
        )
    assert {f"crds/{path.name}" for path in (CHART / "crds").iterdir()} <= set(build_chart_files())


def test_helm_finds_nothing_to_say_against_the_chart(helm_program):
    done = subprocess.run(
        [helm_program, "lint", "--strict", str(CHART)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_installs_what_the_manifests_install(template):
    documents = template()
    assert documents["ClusterRole", "r-dask-operator", None]["rules"] == operator_rules()
    assert ("ClusterRole", "dask-user", None) in documents
    mine, theirs = build_deployment("ns", "x"), container_of(documents)
    ours = mine["spec"]["template"]["spec"]["containers"][0]
    for key in ("command", "ports", "livenessProbe", "readinessProbe"):
        assert theirs[key] == ours[key]
    assert theirs["env"][:2] == ours["env"]
    assert theirs["args"] == ["--all-namespaces"]


def test_a_single_namespace_needs_no_right_beyond_it(template):
    flags = ["--set", "rbac.cluster=false", "--set", "kopfArgs={--namespace=ns}"]
    documents = template(*flags)
    assert documents["Role", "r-dask-operator", "ns"]["rules"] == operator_rules()
    assert not any(kind.startswith("ClusterRole") for kind, *_ in documents)
    assert container_of(documents)["args"] == ["--namespace=ns"]
    more = template(*flags, "--set", "rbac.namespaces={ns,other}")
    assert {place for kind, name, place in more if (kind, name) == ("Role", "r-dask-operator")} == {
        "ns",
        "other",
    }


def test_monitors_choose_what_they_are_told_and_quote_it_once(template):
    documents = template(
        "--set=metrics.scheduler.enabled=true",
        "--set=metrics.scheduler.serviceMonitor.enabled=true",
        "--set=metrics.scheduler.serviceMonitor.jobLabel=job",
        "--set=metrics.scheduler.serviceMonitor.namespaceSelector.any=true",
        "--set=metrics.worker.enabled=true",
        "--set=metrics.worker.podMonitor.enabled=true",
        "--set=metrics.worker.podMonitor.namespace=monitoring",
        "--set=metrics.worker.podMonitor.podTargetLabels={a,b}",
        "--set=metrics.operator.podMonitor.enabled=true",
    )
    service = documents["ServiceMonitor", "r-dask-operator-scheduler", "ns"]["spec"]
    assert (service["jobLabel"], service["targetLabels"]) == ("job", ["dask.org/cluster-name"])
    assert service["namespaceSelector"] == {"any": True}
    assert service["endpoints"] == [{"port": "http-dashboard", "interval": "15s"}]
    worker = documents["PodMonitor", "r-dask-operator-worker", "monitoring"]["spec"]
    assert worker["podTargetLabels"] == ["a", "b"]
    assert worker["selector"] == {"matchLabels": {"dask.org/component": "worker"}}
    own = documents["PodMonitor", "r-dask-operator", "ns"]["spec"]
    assert own["podMetricsEndpoints"][0]["path"] == "/metrics"


def test_workers_are_monitored_as_the_older_documentation_says(template):
    documents = template(
        "--set=metrics.worker.enabled=true", "--set=metrics.worker.serviceMonitor.enabled=true"
    )
    assert ("PodMonitor", "r-dask-operator-worker", "ns") in documents


def test_the_network_policy_is_the_one_of_the_manifests(template):
    documents = template("--set=networkPolicy.enabled=true", "--set=networkPolicy.namespaces={a,b}")
    for place in ("a", "b"):
        policy = documents["NetworkPolicy", "dask-schedulers", place]
        # The operator runs where the release is, and only that one is let in.
        assert policy["spec"] == build_network_policy("ns")["spec"]


@pytest.mark.parametrize(
    "setting",
    [
        "image.pulPolicy=Always",
        "image.pullPolicy=Sometimes",
        "kopfArgs=--all-namespaces",
        "workerAllocation.size=0",
        "metrics.scheduler.serviceMonitor.interval=soon",
        "replicaCount=-1",
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(helm_program, setting):
    arguments = [helm_program, "template", "r", str(CHART), "--set", setting]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert setting.split("=")[0].split(".")[-1] in done.stderr
