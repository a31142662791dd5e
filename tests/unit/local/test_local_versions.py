"""Versions of custom resources, and Events that do not stay."""

from types import SimpleNamespace

import pytest

from dask_k8s_jupyter.local.api import versions
from dask_k8s_jupyter.local.api.expiry import EventExpiry
from dask_k8s_jupyter.local.api.kinds.custom import DefinitionStrategy, build_custom_resources
from dask_k8s_jupyter.local.api.resources import Registry
from dask_k8s_jupyter.local.api.store import Record, Store


@pytest.fixture
def clock():
    """Tells the time that a test sets."""
    return SimpleNamespace(now=0.0)


def test_an_event_goes_an_hour_after_it_was_last_written(clock):
    store = Store()
    expiry = EventExpiry(store, lambda: clock.now)
    for name in ("a", "b"):
        store.put(("", "events"), {"metadata": {"namespace": "n", "name": name}})
        expiry.note_written("n", name)
    clock.now = 3000.0
    expiry.note_written("n", "a")
    clock.now = 3600.0
    expiry.remove_old()
    assert list(store.collection(("", "events")).records) == [("n", "a")]
    clock.now = 6600.0
    expiry.remove_old()
    assert not store.collection(("", "events")).records


def test_there_are_never_more_events_than_the_bound(monkeypatch):
    monkeypatch.setattr("dask_k8s_jupyter.local.api.expiry.MOST_EVENTS", 2)
    store = Store()
    expiry = EventExpiry(store)
    for name in ("a", "b", "c"):
        store.put(("", "events"), {"metadata": {"namespace": "n", "name": name}})
        expiry.note_written("n", name)
    assert list(store.collection(("", "events")).records) == [("n", "b"), ("n", "c")]


def _definition(*names):
    schema = {"openAPIV3Schema": {"type": "object", "properties": {}}}
    versions = [
        {"name": name, "served": name != "v0", "storage": name == "v1", "schema": schema}
        for name in names
    ]
    return {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "kind": "Widget"},
        "versions": versions,
    }


def test_a_resource_is_served_in_every_version_that_says_so_the_most_stable_first():
    registry = Registry()
    for built in build_custom_resources(_definition("v1beta1", "v0", "v1", "v2")):
        registry.add(built)
    groups = [version for group, version in registry.group_versions() if group == "example.com"]
    assert groups == ["v2", "v1", "v1beta1"]
    assert registry.find("example.com", "v0", "widgets") is None
    assert registry.find_stored(("example.com", "widgets")).version == "v1"


def test_an_object_is_shown_in_the_version_that_is_asked_for():
    definition = _definition("v1", "v1beta1")
    definition["versions"][1]["schema"] = {
        "openAPIV3Schema": {"type": "object", "properties": {"size": {"default": 3}}}
    }
    stored, old = build_custom_resources(definition)
    value = {"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {}, "color": "red"}
    record = Record(value, 7)
    assert versions.show(stored, record) is record
    shown = versions.show(old, record)
    assert (shown.object["apiVersion"], shown.version) == ("example.com/v1beta1", 7)
    assert (shown.object["size"], "color" in shown.object) == (3, False)


@pytest.mark.parametrize(
    ("names", "said"),
    [(("v1", "v2"), []), (("v1", "v2", "v2"), ["must contain unique version names"])],
)
def test_versions_of_a_definition_have_names_of_their_own(names, said):
    spec = {**_definition(*names), "conversion": {"strategy": "None"}}
    value = {"metadata": {"name": "widgets.example.com"}, "spec": spec}
    causes = DefinitionStrategy(SimpleNamespace()).validate(None, value, None)
    assert [cause.message.rpartition(": ")[2] for cause in causes] == said
