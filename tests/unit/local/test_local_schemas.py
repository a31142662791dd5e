"""Structural schemas and the CEL rules in them."""

import pytest

from dask_k8s_jupyter.local.api import cel, schemas
from dask_k8s_operator.resources.crds import build_crds

WORKER = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "replicas": {"type": "integer", "minimum": 0, "default": 1},
        "policy": {"type": "string", "enum": ["Always", "Never"]},
        "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "port": {"x-kubernetes-int-or-string": True},
        "names": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}},
    },
}


def test_unknown_fields_are_pruned_except_where_they_are_to_be_kept():
    value = {"typo": 1, "spec": {"anything": {"goes": 1}}, "labels": {"a": "b"}}
    schemas.prune(value, WORKER)
    assert value == {"spec": {"anything": {"goes": 1}}, "labels": {"a": "b"}}


def test_what_would_be_pruned_is_named_with_its_path():
    schema = {"type": "object", "properties": {"spec": WORKER}}
    value = {"apiVersion": "v1", "spec": {"spec": {}, "replcas": 1}}
    assert schemas.find_unknown(value, schema) == ["spec.replcas"]


def test_defaults_fill_what_is_missing_and_null_that_is_not_allowed():
    for given in ({"spec": {}}, {"spec": {}, "replicas": None}):
        schemas.default(given, WORKER)
        assert given["replicas"] == 1


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({}, "spec", "Required value"),
        ({"spec": {}, "replicas": -1}, "replicas", "greater than or equal to 0"),
        ({"spec": {}, "replicas": "two"}, "replicas", 'must be of type integer: "string"'),
        ({"spec": {}, "replicas": True}, "replicas", "must be of type integer"),
        ({"spec": [], "replicas": 1}, "spec", "must be of type object"),
        ({"spec": {}, "policy": "Maybe"}, "policy", 'supported values: "Always", "Never"'),
        ({"spec": {}, "port": 1.5}, "port", "must be of type integer,string"),
        ({"spec": {}, "names": ["a", "B"]}, "names[1]", "should match '^[a-z]+$'"),
        ({"spec": {}, "labels": {"a": 1}}, "labels.a", "must be of type string"),
    ],
)
def test_each_kind_of_mistake_is_found_and_named(value, field, message):
    (cause,) = schemas.validate(value, WORKER)
    assert cause.field == field
    assert message in cause.message


def test_what_is_right_passes():
    value = {"spec": {}, "replicas": 2.0, "port": "http", "names": ["a"], "policy": "Never"}
    assert schemas.validate(value, WORKER) == []


@pytest.mark.parametrize(
    ("rule", "value", "result"),
    [
        ("self.minimum <= self.maximum", {"minimum": 1, "maximum": 2}, True),
        ("self.minimum <= self.maximum", {"minimum": 3, "maximum": 2}, False),
        ("size(self.metadata.name) <= 3", {"metadata": {"name": "four"}}, False),
        ("self.name.matches('^[a-z]+$')", {"name": "abc"}, True),
        ("!has(self.a) || self.a > 1", {}, True),
        ("has(self.a.b) && self.a.b == 'x'", {"a": {"b": "x"}}, True),
        ("self.items.all(i, i.size() > 0)", {"items": ["a", ""]}, False),
        ("self.items.exists(i, i == 'a')", {"items": ["b", "a"]}, True),
        ("'a' in self.items ? self.n == 1 : true", {"items": ["a"], "n": 2}, False),
        ("self.n * 2 + 1 == 7 && -self.n < 0", {"n": 3}, True),
        ("self.a__dash__b == 1", {"a-b": 1}, True),
        ("self.flag == 1", {"flag": True}, False),
        ("self.items.filter(i, i > 1).size() == 2", {"items": [1, 2, 3]}, True),
        ("self.missing == 1 || self.n == 3", {"n": 3}, True),
        ("self.name.startsWith(\"a\") && self.name.contains('b')", {"name": "ab"}, True),
        ("self.q / 2 == -3", {"q": -7}, True),
        ("self.list[0] == {}", {"list": [1]}, None),
    ],
)
def test_a_rule_is_evaluated_or_refused(rule, value, result):
    if result is None:
        with pytest.raises(cel.CelError):
            cel.compile_rule(rule)
    else:
        assert cel.compile_rule(rule)(value) is result


@pytest.mark.parametrize(
    "rule", ["self.", "foo(self)", "self.a.frobnicate()", "unknown == 1", "self.a = 1", "has(1)"]
)
def test_a_rule_beyond_what_is_known_is_refused_when_it_is_compiled(rule):
    with pytest.raises(cel.CelError, match="compilation failed"):
        cel.compile_rule(rule)


def test_a_missing_key_fails_the_rule_and_says_so():
    schema = {"x-kubernetes-validations": [{"rule": "self.a > 1"}]}
    (cause,) = schemas.validate_rules({}, schema)
    assert "no such key: a" in cause.message


def test_a_rule_about_the_past_is_asked_only_of_changes():
    schema = {
        "properties": {
            "cluster": {
                "type": "string",
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "immutable"}],
            }
        }
    }
    assert schemas.validate_rules({"cluster": "a"}, schema) == []
    assert schemas.validate_rules({"cluster": "a"}, schema, {"cluster": "a"}) == []
    (cause,) = schemas.validate_rules({"cluster": "b"}, schema, {"cluster": "a"})
    assert (cause.field, cause.message) == ("cluster", 'Invalid value: "b": immutable')


def test_our_own_definitions_are_structural_and_their_rules_are_known():
    for crd in build_crds():
        for version in crd["spec"]["versions"]:
            schema = version["schema"]["openAPIV3Schema"]
            assert schemas.check_structural(schema, "schema") == []
            for _, rule in schemas.iterate_rules(schema, "schema"):
                cel.compile_rule(rule["rule"])
