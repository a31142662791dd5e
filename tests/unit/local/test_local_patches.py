"""Patches of every type, as rows: what stands, the patch, what results."""

import pytest

from dask_k8s_jupyter.local.api import statuses
from dask_k8s_jupyter.local.api.patches import (
    apply_json_patch,
    apply_merge_patch,
    apply_strategic_patch,
)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
        ({"a": {"b": 1}}, {"a": "text"}, {"a": "text"}),
    ],
)
def test_a_merge_patch_merges_maps_replaces_lists_and_removes_by_null(target, patch, result):
    assert apply_merge_patch(target, patch) == result


KEYS = {"env": "name", "conditions": "type", "containers": "name", "ports": "port"}
LISTS = {
    "properties": {
        name: {"x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": key}
        for name, key in KEYS.items()
    }
    | {"finalizers": {"x-kubernetes-patch-strategy": "merge"}}
}


def test_a_patch_leaves_the_object_it_is_given_alone():
    target = {"spec": {"containers": [{"name": "a"}]}}
    apply_merge_patch(target, {"spec": {"x": 1}})
    apply_json_patch(target, [{"op": "remove", "path": "/spec"}])
    apply_strategic_patch(target, {"spec": {"containers": [{"name": "a", "image": "x"}]}})
    assert target == {"spec": {"containers": [{"name": "a"}]}}


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/a/b", "value": 1}], {"a": {"b": 1}, "l": [1, 2]}),
        ([{"op": "add", "path": "/l/0", "value": 0}], {"a": {}, "l": [0, 1, 2]}),
        ([{"op": "add", "path": "/l/-", "value": 3}], {"a": {}, "l": [1, 2, 3]}),
        ([{"op": "remove", "path": "/l/1"}], {"a": {}, "l": [1]}),
        ([{"op": "replace", "path": "/l", "value": 7}], {"a": {}, "l": 7}),
        ([{"op": "move", "from": "/l", "path": "/m"}], {"a": {}, "m": [1, 2]}),
        ([{"op": "copy", "from": "/l/0", "path": "/m"}], {"a": {}, "l": [1, 2], "m": 1}),
        ([{"op": "test", "path": "/l/0", "value": 1}], {"a": {}, "l": [1, 2]}),
        ([{"op": "add", "path": "/a~1b", "value": 1}], {"a": {}, "l": [1, 2], "a/b": 1}),
    ],
)
def test_a_json_patch_does_its_operations(operations, result):
    assert apply_json_patch({"a": {}, "l": [1, 2]}, operations) == result


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/missing"},
        {"op": "replace", "path": "/missing", "value": 1},
        {"op": "test", "path": "/a", "value": 2},
        {"op": "add", "path": "/l/9", "value": 1},
        {"op": "frobnicate", "path": "/a"},
        {"op": "add", "path": "a", "value": 1},
    ],
)
def test_a_json_patch_that_does_not_apply_is_refused(operation):
    with pytest.raises(statuses.StatusError) as refused:
        apply_json_patch({"a": 1, "l": []}, [operation])
    assert refused.value.code == 422


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        (
            {"env": [{"name": "A", "value": "1"}]},
            {"env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]},
            {"env": [{"name": "A", "value": "2"}, {"name": "B", "value": "3"}]},
        ),
        (
            {"conditions": [{"type": "Ready", "status": "False"}, {"type": "X", "status": "T"}]},
            {"conditions": [{"type": "Ready", "status": "True"}]},
            {"conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "T"}]},
        ),
        (
            {"containers": [{"name": "a"}, {"name": "b"}]},
            {"containers": [{"name": "a", "$patch": "delete"}]},
            {"containers": [{"name": "b"}]},
        ),
        ({"a": {"b": 1, "c": 2}}, {"a": {"$patch": "replace", "d": 3}}, {"a": {"d": 3}}),
        ({"a": {"b": 1}}, {"a": {"$patch": "delete"}}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"$retainKeys": ["c"], "c": 3}}, {"a": {"c": 3}}),
        ({"args": ["a", "b"]}, {"args": ["c"]}, {"args": ["c"]}),
        ({"finalizers": ["a"]}, {"finalizers": ["b"]}, {"finalizers": ["b", "a"]}),
        (
            {"finalizers": ["a", "b"]},
            {"$deleteFromPrimitiveList/finalizers": ["a"]},
            {"finalizers": ["b"]},
        ),
        (
            {"ports": [{"port": 80, "name": "x"}]},
            {"ports": [{"port": 80, "targetPort": 8080}]},
            {"ports": [{"port": 80, "name": "x", "targetPort": 8080}]},
        ),
        (
            {"env": [{"name": "A"}]},
            {"$setElementOrder/env": [{"name": "A"}], "env": []},
            {"env": [{"name": "A"}]},
        ),
    ],
)
def test_a_strategic_patch_merges_known_lists_by_key(target, patch, result):
    assert apply_strategic_patch(target, patch, LISTS) == result


def test_an_item_without_its_merge_key_is_refused():
    with pytest.raises(statuses.StatusError, match="merge key: name"):
        apply_strategic_patch({"env": []}, {"env": [{"value": "1"}]}, LISTS)
