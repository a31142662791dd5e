"""A reading of all clusters draws each with what names it, and nobody else's."""

from __future__ import annotations

from typing import Any

from dask_k8s_jupyter.state import observe_clusters
from dask_k8s_operator.kube import ObjectList
from dask_k8s_operator.resources.kinds import DASK_AUTOSCALERS, DASK_CLUSTERS, DASK_WORKER_GROUPS


class FakeClient:
    """Lists what it is given."""

    def __init__(self, objects: dict[Any, list[dict[str, Any]]]) -> None:
        self.objects = objects

    async def list(self, kind: Any, namespace: str | None) -> ObjectList:
        return ObjectList(self.objects[kind], "1")


def make(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": namespace, "name": name, "uid": name}, "spec": spec}


async def test_parts_belong_to_the_cluster_that_they_name_in_their_own_namespace() -> None:
    client: Any = FakeClient(
        {
            DASK_CLUSTERS: [make("b", "demo"), make("a", "other"), make("a", "demo")],
            DASK_WORKER_GROUPS: [
                make("a", "demo-default", cluster="demo", worker={"replicas": 2}),
                make("b", "demo-default", cluster="demo", worker={"replicas": 5}),
            ],
            DASK_AUTOSCALERS: [make("a", "demo", cluster="demo", minimum=1, maximum=3)],
        }
    )
    drawn = [
        (view.namespace, view.name, view.workers.desired, view.adaptive is not None)
        for view in await observe_clusters(client, None)
    ]
    assert drawn == [("a", "demo", 2, True), ("a", "other", 0, False), ("b", "demo", 5, False)]
