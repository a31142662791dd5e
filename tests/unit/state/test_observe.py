"""A reading of all clusters draws each with what names it, and nobody else's."""

from __future__ import annotations

from typing import Any

from dask_k8s_jupyter.state import observe_clusters
from dask_k8s_jupyter.state.autoscalers import index_autoscalers
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


def test_the_oldest_autoscaler_of_a_group_scales_it() -> None:
    def scaling(name: str, day: int, **more: Any) -> dict[str, Any]:
        made = make("a", name, **{"cluster": "demo", **more})
        made["metadata"]["creationTimestamp"] = f"2026-11-{day:02}T10:00:00Z"
        return made

    going = scaling("going", 1)
    going["metadata"]["deletionTimestamp"] = "2026-11-20T11:00:00Z"
    listed = [
        scaling("younger", 3),
        scaling("older", 2),
        scaling("gpu", 4, workerGroup="demo-gpu"),
        scaling("elsewhere", 1, cluster="other"),
        make("b", "far", cluster="demo"),
        going,
    ]
    indexed = index_autoscalers(listed, "a", "demo")
    assert {group: found["metadata"]["name"] for group, found in indexed.items()} == {
        "demo-default": "older",
        "demo-gpu": "gpu",
    }


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
