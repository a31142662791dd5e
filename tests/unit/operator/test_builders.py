"""Names, labels, environment and owners are those that users of the Dask operator rely on."""

import copy
import json

import pytest

from dask_k8s_operator.resources import builders, names
from dask_k8s_operator.resources.agent_protocol import PRELOAD

PRELOADS = "DASK_DISTRIBUTED__SCHEDULER__PRELOAD"


def env_of(pod, container=0):
    return {
        v["name"]: v.get("value", v.get("valueFrom"))
        for v in pod["spec"]["containers"][container]["env"]
    }


def test_children_have_the_names_of_the_contract(make):
    cluster, group = make.cluster(), make.group()
    assert builders.build_scheduler_pod(cluster)["metadata"]["name"] == "demo-scheduler"
    assert builders.build_scheduler_service(cluster)["metadata"]["name"] == "demo-scheduler"
    assert builders.build_default_group(cluster)["metadata"]["name"] == "demo-default"
    worker = builders.build_worker_pod(group, "0123456789")
    assert worker["metadata"]["name"] == "demo-default-worker-0123456789"
    assert builders.build_runner_pod(make.job())["metadata"]["name"] == "etl-runner"
    assert builders.build_job_cluster(make.job())["metadata"]["name"] == "etl"


@pytest.mark.parametrize(
    ("build", "component", "has_istio"),
    [
        (lambda m: builders.build_scheduler_pod(m.cluster()), "scheduler", True),
        (lambda m: builders.build_scheduler_service(m.cluster()), "scheduler", False),
        (lambda m: builders.build_default_group(m.cluster()), "workergroup", False),
        (lambda m: builders.build_worker_pod(m.group(), "0" * 10), "worker", True),
        (lambda m: builders.build_runner_pod(m.job()), "job-runner", True),
    ],
)
def test_every_child_says_its_cluster_and_component(make, build, component, has_istio):
    labels = build(make)["metadata"]["labels"]
    assert labels["dask.org/component"] == component
    assert labels["dask.org/cluster-name"] == ("etl" if component == "job-runner" else "demo")
    assert (labels.get("sidecar.istio.io/inject") == "false") is has_istio


def test_reserved_labels_win_over_the_section_and_that_over_the_top(make):
    cluster = make.cluster(labels={"a": "top", "b": "top", "dask.org/component": "mine"})
    cluster["spec"]["scheduler"]["metadata"] = {
        "labels": {"b": "section", "dask.org/cluster-name": "x"}
    }
    labels = builders.build_scheduler_pod(cluster)["metadata"]["labels"]
    assert labels["a"] == "top"
    assert labels["b"] == "section"
    assert labels["dask.org/component"] == "scheduler"
    assert labels["dask.org/cluster-name"] == "demo"


@pytest.mark.parametrize(
    ("section", "build"),
    [
        ("scheduler", builders.build_scheduler_pod),
        ("scheduler", builders.build_scheduler_service),
        ("worker", builders.build_default_group),
    ],
)
def test_a_section_speaks_for_every_child_that_is_made_from_it(make, section, build):
    cluster = make.cluster(annotations={"who": "top", "what": "top"})
    cluster["spec"][section]["metadata"] = {"annotations": {"who": section}}
    annotations = build(cluster)["metadata"]["annotations"]
    assert (annotations["who"], annotations["what"]) == (section, "top")


def test_annotations_reach_the_children_but_not_the_bookkeeping_of_others(make):
    annotations = {
        "team": "a",
        "kopf.zalando.org/last": "x",
        "kubectl.kubernetes.io/last-applied-configuration": "y",
        names.AGREED_REPLICAS_ANNOTATION: "3",
    }
    group = make.group(annotations=annotations)
    group["spec"]["worker"]["metadata"] = {"annotations": {"team": "b"}}
    annotations = builders.build_worker_pod(group, "0" * 10)["metadata"]["annotations"]
    own = {names.SPEC_HASH_ANNOTATION, names.PASSED_ON_ANNOTATION}
    assert {k: v for k, v in annotations.items() if k not in own} == {"team": "b"}


def test_a_worker_learns_its_name_and_its_scheduler_unless_the_user_said_otherwise(make):
    group = make.group()
    group["spec"]["worker"]["spec"]["containers"] = [
        {"name": "worker", "env": [{"name": "DASK_WORKER_NAME", "value": "mine"}]},
        {"name": "sidecar"},
    ]
    pod = builders.build_worker_pod(group, "0" * 10)
    address = "tcp://demo-scheduler.team.svc.cluster.local:8786"
    assert env_of(pod, 0) == {"DASK_WORKER_NAME": "mine", "DASK_SCHEDULER_ADDRESS": address}
    assert env_of(pod, 1) == {
        "DASK_WORKER_NAME": "demo-default-worker-0000000000",
        "DASK_SCHEDULER_ADDRESS": address,
    }


def test_workers_built_together_are_those_built_one_by_one(make):
    group, digits = make.group(), ["0" * 10, "1" * 10, "2" * 10]
    group["spec"]["worker"]["spec"]["containers"] = [
        {"name": "worker", "env": [{"name": "ELSE", "value": "x"}]},
        {"name": "sidecar", "env": [{"name": "DASK_WORKER_NAME", "value": "mine"}]},
    ]
    one_by_one = [builders.build_worker_pod(group, d) for d in digits]
    assert builders.build_worker_pods(group, iter(digits)) == one_by_one
    assert builders.build_worker_pods(group, ()) == []


def test_a_bare_client_in_a_runner_finds_the_jobs_cluster(make):
    pod = builders.build_runner_pod(make.job())
    address = "tcp://etl-scheduler.team.svc.cluster.local:8786"
    assert env_of(pod) == {"DASK_SCHEDULER_ADDRESS": address}
    assert pod["spec"]["restartPolicy"] == "OnFailure"


@pytest.mark.parametrize(
    ("given", "preloads"),
    [
        (None, [PRELOAD]),
        ("mine.py", ["mine.py", PRELOAD]),
        ('["a.py", "b"]', ["a.py", "b", PRELOAD]),
        ("['a.py']", ["a.py", PRELOAD]),
        ("", [PRELOAD]),
    ],
)
def test_the_agent_comes_after_the_preloads_of_the_pods_environment(make, given, preloads):
    cluster = make.cluster()
    if given is not None:
        env = [{"name": PRELOADS, "value": given}]
        cluster["spec"]["scheduler"]["spec"]["containers"][0]["env"] = env
    env = env_of(builders.build_scheduler_pod(cluster))
    assert json.loads(env[PRELOADS]) == preloads
    assert "\n" not in env[PRELOADS]


def test_a_preload_list_that_only_kubernetes_knows_is_left_alone(make):
    cluster = make.cluster()
    source = {"configMapKeyRef": {"name": "x", "key": "y"}}
    env = [{"name": PRELOADS, "valueFrom": source}]
    cluster["spec"]["scheduler"]["spec"]["containers"][0]["env"] = env
    assert builders.build_scheduler_pod(cluster)["spec"]["containers"][0]["env"] == env


def test_arguments_for_each_preload_stay_as_many_as_the_preloads(make):
    cluster = make.cluster()
    cluster["spec"]["scheduler"]["spec"]["containers"][0]["env"] = [
        {"name": PRELOADS, "value": '["a.py"]'},
        {"name": f"{PRELOADS}_ARGV", "value": '[["--fast"]]'},
    ]
    env = env_of(builders.build_scheduler_pod(cluster))
    assert json.loads(env[f"{PRELOADS}_ARGV"]) == [["--fast"], []]


def test_the_agent_gets_its_text_and_its_token_by_reference(make):
    env = env_of(builders.build_scheduler_pod(make.cluster()))
    assert env["DASK_K8S_AGENT"] == {"configMapKeyRef": {"name": "demo-agent", "key": "agent.py"}}
    assert env["DASK_K8S_AGENT_TOKEN"] == {"secretKeyRef": {"name": "demo-agent", "key": "token"}}


def test_a_service_keeps_what_the_user_wrote_and_lacks_nothing(make):
    cluster = make.cluster()
    service = builders.build_scheduler_service(cluster)
    assert service["spec"]["selector"] == {
        "dask.org/cluster-name": "demo",
        "dask.org/component": "scheduler",
    }
    assert [port["port"] for port in service["spec"]["ports"]] == [8786, 8787]
    own = {"type": "NodePort", "selector": {"x": "y"}, "ports": [{"name": "dashboard", "port": 1}]}
    cluster["spec"]["scheduler"]["service"] = own
    assert builders.build_scheduler_service(cluster)["spec"] == own


def test_a_crash_leaves_its_last_words_in_the_status_unless_the_user_chose(make):
    group = make.group()
    group["spec"]["worker"]["spec"]["containers"].append(
        {"name": "b", "terminationMessagePolicy": "File"}
    )
    containers = builders.build_worker_pod(group, "0" * 10)["spec"]["containers"]
    policies = [container["terminationMessagePolicy"] for container in containers]
    assert policies == ["FallbackToLogsOnError", "File"]


def test_builders_leave_what_they_are_given_as_it_was(make):
    cluster, group, job = make.cluster(), make.group(), make.job()
    before = copy.deepcopy((cluster, group, job))
    builders.build_scheduler_pod(cluster)
    builders.build_scheduler_service(cluster)
    builders.build_default_group(cluster)["spec"]["worker"]["spec"]["containers"].clear()
    builders.build_worker_pod(group, "0" * 10)
    builders.build_runner_pod(job)
    builders.build_job_cluster(job)
    assert (cluster, group, job) == before


def test_the_longest_cluster_name_gives_children_with_valid_names_and_labels():
    cluster = "c" * names.MAX_CLUSTER_NAME_LENGTH
    assert names.explain_bad_name(cluster) is None
    assert len(names.scheduler_name(cluster)) <= 63
    group = names.default_group_name(cluster)
    assert names.explain_bad_name(group, names.MAX_GROUP_NAME_LENGTH) is None
    assert len(names.worker_name(group, "0" * 10)) <= 253
