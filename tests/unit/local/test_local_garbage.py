"""The end of objects in the embedded API: owners, finalizers, grace, namespaces."""

import pytest

from dask_k8s_jupyter.local.api import reading
from dask_k8s_jupyter.local.api.statuses import StatusError


def owner_of(value, blocks=False):
    metadata = value["metadata"]
    return {
        "apiVersion": value["apiVersion"],
        "kind": value["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "blockOwnerDeletion": blocks,
    }


def test_dependents_go_with_their_last_owner(api):
    first = api.create("configmaps", {"metadata": {"name": "first"}})
    second = api.create("configmaps", {"metadata": {"name": "second"}})
    api.pod("one", ownerReferences=[owner_of(first)])
    api.pod("both", ownerReferences=[owner_of(first), owner_of(second)])
    api.delete("configmaps", "first")
    assert api.names("pods") == ["both"]
    api.delete("configmaps", "second")
    assert api.names("pods") == []


def test_an_object_born_of_a_dead_owner_is_collected(api):
    dead = api.create("configmaps", {"metadata": {"name": "dead"}})
    api.delete("configmaps", "dead")
    api.pod("late", ownerReferences=[owner_of(dead)])
    api.backend.collector.drain()
    api.backend.collector.drain()
    assert api.names("pods") == []


def test_orphans_stay_and_lose_their_owner(api):
    owner = api.create("configmaps", {"metadata": {"name": "owner"}})
    api.pod("p", ownerReferences=[owner_of(owner)])
    api.delete("configmaps", "owner", propagation="Orphan")
    assert "ownerReferences" not in api.get("pods", "p")["metadata"]


def test_a_foreground_deletion_waits_for_those_that_block_it(api):
    owner = api.create("configmaps", {"metadata": {"name": "owner"}})
    api.pod("p", ownerReferences=[owner_of(owner, blocks=True)], finalizers=["test/hold"])
    _, is_gone = api.delete("configmaps", "owner", propagation="Foreground")
    assert not is_gone
    assert api.get("configmaps", "owner")["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert "deletionTimestamp" in api.get("pods", "p")["metadata"]
    api.patch("pods", "p", {"metadata": {"finalizers": None}})
    assert api.names("pods") == []
    assert "owner" not in api.names("configmaps")


def test_what_joins_an_owner_that_is_going_goes_too(api):
    owner = api.create("configmaps", {"metadata": {"name": "owner"}})
    api.pod("early", ownerReferences=[owner_of(owner, blocks=True)], finalizers=["test/hold"])
    api.delete("configmaps", "owner", propagation="Foreground")
    api.pod("late", ownerReferences=[owner_of(owner, blocks=True)])
    api.backend.collector.drain()
    assert api.names("pods") == ["early"]
    api.patch("pods", "early", {"metadata": {"finalizers": None}})
    assert "owner" not in api.names("configmaps")


def test_a_finalizer_holds_an_object_until_it_is_removed(api):
    api.create("configmaps", {"metadata": {"name": "x", "finalizers": ["a/b"]}})
    _, is_gone = api.delete("configmaps", "x")
    assert not is_gone
    with pytest.raises(StatusError, match="no new finalizers can be added"):
        api.patch("configmaps", "x", {"metadata": {"finalizers": ["a/b", "c/d"]}})
    api.patch("configmaps", "x", {"metadata": {"finalizers": []}})
    assert "x" not in api.names("configmaps")


def test_a_pod_on_a_node_waits_for_its_node_and_one_on_none_does_not(api):
    api.pod("bound")
    api.backend.bind(api.resource("pods"), "default", "bound", {"target": {"name": "local"}})
    api.pod("free")
    assert api.delete("pods", "free")[1]
    record, is_gone = api.delete("pods", "bound")
    assert not is_gone
    assert record.object["metadata"]["deletionGracePeriodSeconds"] == 30
    record, _ = api.delete("pods", "bound", grace_period_s=5)
    assert record.object["metadata"]["deletionGracePeriodSeconds"] == 5
    assert api.delete("pods", "bound", grace_period_s=0)[1]


def test_a_deletion_of_another_object_of_the_name_is_refused(api):
    api.pod("p")
    with pytest.raises(StatusError, match=r"the UID in the precondition \(other\)"):
        api.delete("pods", "p", uid="other")


def test_a_namespace_goes_when_it_is_empty_and_takes_nothing_new(api):
    api.create("namespaces", {"metadata": {"name": "team"}})
    assert api.names("serviceaccounts", "team") == ["default"]
    api.create("configmaps", {"metadata": {"name": "x", "finalizers": ["a/b"]}}, "team")
    _, is_gone = api.delete("namespaces", "team")
    assert not is_gone
    with pytest.raises(StatusError, match="because it is being terminated"):
        api.create("configmaps", {"metadata": {"name": "y"}}, "team")
    resource = api.resource("configmaps")
    body = {"metadata": {"finalizers": None}}
    api.backend.patch(resource, "team", "x", reading.MERGE_PATCH, body)
    assert "team" not in api.names("namespaces", None)


# -- server-side apply ---------------------------------------------------------------------------
