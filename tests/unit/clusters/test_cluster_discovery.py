"""A discovery names what ``from_name`` finds by its name alone, and nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dask
import pytest

from dask_k8s_jupyter.clusters import discovery
from dask_k8s_jupyter.clusters.discovery import discover_clusters, discover_helm_releases

# Of no namespace in particular: of all of them.
CLUSTERS = {"none": ["blue", "green", "red"], "team-a": ["red", "blue"], "team-b": ["green"]}


class FakeClient:
    """A Kubernetes with clusters in two namespaces, both of which we may read."""

    namespace = "team-a"

    async def __aenter__(self) -> FakeClient:
        return self

    async def __aexit__(self, *reason: object) -> None:
        """Hold nothing."""

    async def list(self, kind: Any, namespace: str | None = None) -> Any:
        named = CLUSTERS[namespace or "none"]
        return SimpleNamespace(items=[{"metadata": {"name": name}} for name in named])


@pytest.mark.parametrize(
    ("configured", "expected"), [(None, ["blue", "red"]), ("team-b", ["green"])]
)
async def test_clusters_are_those_of_the_current_namespace(
    configured: str | None, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connect(auth: Any) -> FakeClient:
        return FakeClient()

    monkeypatch.setattr(discovery, "connect", connect)
    with dask.config.set({"kubernetes.namespace": configured}):
        assert [name async for name, manager in discover_clusters()] == expected


async def test_where_nobody_can_log_in_nothing_is_found() -> None:
    assert [name async for name, manager in discover_helm_releases(auth=[])] == []
