"""Labels, annotations and specs reach children that are there already, and leave them again."""

import json

import pytest

from dask_k8s_operator.resources.names import PASSED_ON_ANNOTATION as PASSED_ON
from dask_k8s_operator.resources.passing import (
    build_passed_on,
    find_metadata_changes,
    find_spec_changes,
    hash_spec,
    is_outdated,
)


def child_of(top=None, own=None, reserved=None, **extra):
    """A child as it was made, with what somebody else wrote on it since."""
    made = build_passed_on(top or {}, own or {}, reserved or {})
    for part, more in extra.items():
        made[part] = {**made[part], **more}
    return {"metadata": made}


def keys(passed_on):
    return json.loads(passed_on["annotations"][PASSED_ON])


@pytest.mark.parametrize(
    ("before", "after", "others", "changes"),
    [
        ({"a": "1"}, {"a": "1"}, {}, {}),
        ({"a": "1"}, {"a": "2"}, {}, {"a": "2"}),
        ({}, {"a": "1"}, {}, {"a": "1"}),
        ({"a": "1", "b": "1"}, {"b": "1"}, {}, {"a": None}),
        # What somebody else wrote stays; what the parent says wins.
        ({}, {}, {"theirs": "x"}, {}),
        ({"a": "1"}, {"a": "1"}, {"a": "theirs"}, {"a": "1"}),
        ({"a": "1"}, {}, {"b": "theirs"}, {"a": None}),
    ],
)
def test_labels_follow_their_parent(before, after, others, changes):
    child = child_of({"labels": before}, labels=others)
    wanted = build_passed_on({"labels": after}, {}, {})
    assert find_metadata_changes(child, wanted).get("labels", {}) == changes


def test_the_section_wins_over_the_top_and_the_reserved_over_both():
    wanted = build_passed_on(
        {"labels": {"a": "top", "b": "top"}, "annotations": {"x": "top"}},
        {"labels": {"b": "own", "r": "own"}, "annotations": {"x": "own"}},
        {"r": "reserved"},
    )
    assert wanted["labels"] == {"a": "top", "b": "own", "r": "reserved"}
    assert wanted["annotations"]["x"] == "own"
    assert keys(wanted) == {"annotations": ["x"], "labels": ["a", "b"]}


def test_nothing_is_written_down_where_nothing_is_passed_on():
    assert build_passed_on({}, {}, {"r": "1"}) == {"labels": {"r": "1"}, "annotations": {}}


def test_the_trace_goes_with_the_last_key():
    child = child_of({"annotations": {"x": "1"}})
    changes = find_metadata_changes(child, build_passed_on({}, {}, {}))
    assert changes == {"annotations": {"x": None, PASSED_ON: None}}


@pytest.mark.parametrize("trace", ["{", "[]", "3", '{"labels": null}', '{"labels": [1]}'])
def test_a_trace_that_somebody_broke_is_mended(trace):
    child = {"metadata": {"labels": {"a": "1"}, "annotations": {PASSED_ON: trace}}}
    wanted = build_passed_on({"labels": {"a": "1"}}, {}, {})
    assert find_metadata_changes(child, wanted) == {
        "annotations": {PASSED_ON: wanted["annotations"][PASSED_ON]}
    }


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ({"a": 1}, {"a": 1}, None),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": None}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"x": 3}}, {"a": {"x": 3, "y": None}}),
        ({"ports": [1]}, {"ports": [1, 2]}, {"ports": [1, 2]}),
        ({}, {"type": "NodePort"}, {"type": "NodePort"}),
    ],
)
def test_a_changed_spec_is_a_merge_patch_that_takes_away_too(before, after, patch):
    assert find_spec_changes(before, after) == patch


def test_a_pod_knows_its_spec_and_one_that_does_not_say_is_left_alone(make):
    spec = {"containers": [{"name": "worker", "image": "dask"}]}
    pod = make.pod("a", annotations={"dask.org/spec-hash": hash_spec(spec)})
    assert not is_outdated(pod, hash_spec(json.loads(json.dumps(spec))))
    assert is_outdated(pod, hash_spec({**spec, "hostNetwork": True}))
    assert not is_outdated(make.pod("b"), hash_spec(spec))
