"""Selectors, JSONPath and tables: which objects, and what is printed of them."""

from datetime import datetime, timedelta, timezone

import pytest

from dask_k8s_jupyter.local.api import jsonpath, statuses
from dask_k8s_jupyter.local.api.ages import show_age
from dask_k8s_jupyter.local.api.podcells import find_pod_status
from dask_k8s_jupyter.local.api.resources import Resource
from dask_k8s_jupyter.local.api.selectors import parse_fields, parse_labels
from dask_k8s_jupyter.local.api.tables import build_table

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ("a=b", {"a": "b"}, True),
        ("a==b", {"a": "b"}, True),
        ("a=b", {}, False),
        ("a!=b", {}, True),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b,c)", {"a": "d"}, True),
        ("a notin (b,c)", {}, True),
        ("a", {"a": ""}, True),
        ("!a", {"a": ""}, False),
        ("dask.org/cluster-name=x,dask.org/component", {"dask.org/cluster-name": "x"}, False),
        ("a in (b),c=d", {"a": "b", "c": "d"}, True),
    ],
)
def test_a_label_selector_matches_as_the_api_does(selector, labels, matches):
    predicate = parse_labels(selector)
    assert predicate({"metadata": {"labels": labels}}) is matches


def test_an_empty_selector_selects_everything():
    assert parse_labels("") is None
    assert parse_fields("", "pods") is None


@pytest.mark.parametrize("selector", ["a in b", "=x", "a=b=c", "a in (b"])
def test_what_is_no_label_selector_is_refused(selector):
    with pytest.raises(statuses.StatusError, match="unable to parse requirement"):
        parse_labels(selector)


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("metadata.name=x", True),
        ("metadata.name!=x", False),
        ("status.phase=Running,spec.nodeName=", True),
        ("status.phase!=Running", False),
    ],
)
def test_a_field_selector_matches_as_the_api_does(selector, matches):
    pod = {"metadata": {"name": "x"}, "spec": {}, "status": {"phase": "Running"}}
    assert parse_fields(selector, "pods")(pod) is matches


def test_a_field_that_a_kind_is_not_selected_by_is_refused():
    with pytest.raises(statuses.StatusError, match=r'field label not supported: "spec\.replicas"'):
        parse_fields("spec.replicas=1", "daskclusters")


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.worker.replicas", [2]),
        (".status.conditions[?(@.type=='Ready')].reason", ["Fine"]),
        (".status.conditions[*].type", ["Ready", "Other"]),
        (".status.conditions[-1].type", ["Other"]),
        (".metadata.labels['dask.org/x']", ["y"]),
        (r".metadata.labels.dask\.org/x", ["y"]),
        (".spec.missing.deeper", []),
        (".status.conditions[9]", []),
    ],
)
def test_a_json_path_of_a_printer_column_finds_its_values(path, found):
    value = {
        "metadata": {"labels": {"dask.org/x": "y"}},
        "spec": {"worker": {"replicas": 2}},
        "status": {"conditions": [{"type": "Ready", "reason": "Fine"}, {"type": "Other"}]},
    }
    assert jsonpath.find(path, value) == found


def test_a_json_path_that_is_not_understood_says_where():
    with pytest.raises(ValueError, match=r"\.\.name"):
        jsonpath.parse(".a..name")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (59, "59s"),
        (119, "119s"),
        (120, "2m"),
        (185, "3m5s"),
        (3600, "60m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 1800, "3h30m"),
        (47 * 3600, "47h"),
        (3 * 86400 + 3600, "3d1h"),
        (30 * 86400, "30d"),
    ],
)
def test_an_age_is_told_as_kubectl_tells_it(seconds, shown):
    moment = (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert show_age(moment, NOW) == shown


def _pod(states, phase="Running", deleted=False, restarts=0):
    metadata = {"name": "p"} | ({"deletionTimestamp": "2026-11-20T12:00:00Z"} if deleted else {})
    statuses_of = [
        {"state": state, "ready": "running" in state, "restartCount": restarts} for state in states
    ]
    spec = {"containers": [{"name": str(i)} for i, _ in enumerate(states)]}
    status = {"phase": phase, "containerStatuses": statuses_of}
    return {"metadata": metadata, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("pod", "shown"),
    [
        (_pod([{"running": {}}]), ("1/1", "Running", "0")),
        (_pod([{"running": {}}], deleted=True), ("1/1", "Terminating", "0")),
        (
            _pod([{"waiting": {"reason": "ImagePullBackOff"}}], "Pending"),
            ("0/1", "ImagePullBackOff", "0"),
        ),
        (
            _pod([{"waiting": {"reason": "CrashLoopBackOff"}}], restarts=3),
            ("0/1", "CrashLoopBackOff", "3"),
        ),
        (
            _pod([{"terminated": {"reason": "Completed", "exitCode": 0}}], "Succeeded"),
            ("0/1", "Completed", "0"),
        ),
        (_pod([{"terminated": {"exitCode": 3}}], "Failed"), ("0/1", "ExitCode:3", "0")),
    ],
)
def test_the_status_column_of_a_pod_says_what_kubectl_says(pod, shown):
    assert find_pod_status(pod) == shown


def test_a_custom_resource_prints_its_own_columns():
    resource = Resource(
        "kubernetes.dask.org",
        "v1",
        "daskclusters",
        "DaskCluster",
        "daskcluster",
        schema={"type": "object"},
        columns=(
            {"name": "Workers", "type": "integer", "jsonPath": ".spec.worker.replicas"},
            {"name": "Why", "type": "string", "jsonPath": ".status.message", "priority": 1},
        ),
    )
    table = build_table(
        resource, [{"metadata": {"name": "a"}, "spec": {"worker": {"replicas": 2}}}], {}
    )
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Workers", "Why"]
    assert [row["cells"] for row in table["rows"]] == [["a", 2, None]]
