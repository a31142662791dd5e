"""What is a part of an installation, and what is not."""

from __future__ import annotations

from typing import Any

from dask_k8s_jupyter.clusters.operatorparts import MARK, mark, select_others
from dask_k8s_operator.resources.kinds import CLUSTER_ROLES, CONFIG_MAPS
from dask_k8s_operator.resources.manifests import build_operator_manifests


def build_item(name: str, **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}}


def test_everything_but_the_namespace_is_marked_beside_its_own_labels() -> None:
    for manifest in build_operator_manifests("team"):
        before = manifest["metadata"].get("labels") or {}
        marked = mark(manifest)["metadata"].get("labels") or {}
        expected = before if manifest["kind"] == "Namespace" else {**before, **MARK}
        assert marked == expected
        assert (manifest["metadata"].get("labels") or {}) == before


def test_what_this_release_has_and_what_a_controller_made_is_none_of_another_release() -> None:
    manifests = build_operator_manifests("team")
    older = build_item("dask-admin")
    parts = [
        (CLUSTER_ROLES, build_item("dask-user")),
        (CLUSTER_ROLES, older),
        (CONFIG_MAPS, build_item("dask-user", ownerReferences=[{"kind": "Other"}])),
        (CONFIG_MAPS, build_item("dask-user")),
    ]
    assert select_others(parts, manifests) == [parts[1], parts[3]]
