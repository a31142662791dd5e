"""KubeCluster as others find and drive it: dask-ctl's discovery, dask-labextension's manager."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import dask
import distributed.cli.utils
import pytest

from dask_k8s_jupyter import KubeCluster

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")


LOST = "install_signal_handlers"


@pytest.fixture
def dask_ctl_discovery(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The discovery of dask-ctl, whose newest release asks distributed for what it has lost."""
    pytest.importorskip("dask_ctl")
    if not hasattr(distributed.cli.utils, LOST):  # as the documentation says
        nothing: Callable[..., None] = lambda *args: None  # noqa: E731
        monkeypatch.setattr(distributed.cli.utils, LOST, nothing, raising=False)
    with dask.config.set({"ctl.disable_discovery": []}):
        yield importlib.import_module("dask_ctl.discovery")


async def test_dask_ctl_finds_a_running_cluster(
    namespace: str, dask_image: str, dask_ctl_discovery: Any
) -> None:
    async with KubeCluster(
        name="shown",
        namespace=namespace,
        image=dask_image,
        n_workers=0,
        quiet=True,
        asynchronous=True,
    ):
        with dask.config.set({"kubernetes.namespace": namespace}):
            found = dask_ctl_discovery.discover_cluster_names("dask-k8s")
            names = {name: manager async for name, manager in found}
            assert names == {"shown": KubeCluster}
            async with names["shown"].from_name("shown", quiet=True, asynchronous=True) as cluster:
                assert cluster.namespace == namespace
            # dask-ctl itself makes them without `asynchronous`, inside a running event loop.
            managers = [each async for each in dask_ctl_discovery.discover_clusters("dask-k8s")]
            assert [each.name for each in managers] == ["shown"]
            managers[0].close()


def test_the_discoveries_are_registered(dask_ctl_discovery: Any) -> None:
    methods = dask_ctl_discovery.list_discovery_methods()
    assert {"dask-k8s", "dask-k8s-helm", "dask-k8s-classic"} <= set(methods)


async def test_dask_labextension_starts_scales_adapts_and_closes_it(
    namespace: str, dask_image: str, kubectl_json: Callable[..., Any]
) -> None:
    manager_module = importlib.import_module("dask_labextension.manager")
    factory = {
        "module": "dask_k8s_jupyter",
        "class": "KubeCluster",
        "args": [],
        "kwargs": {"name": "lab", "namespace": namespace, "image": dask_image, "n-workers": 0},
    }
    settings = {"labextension.factory": factory, "labextension.default.workers": None}
    with dask.config.set(settings):
        async with manager_module.DaskClusterManager() as manager:
            model = await manager.start_cluster(configuration={"name": "Mine", "workers": 1})
            assert model["name"] == "Mine"
            assert model["dashboard_link"].endswith("/status")
            cluster = manager._clusters[model["id"]]
            await cluster.wait_for_workers(1, timeout=120)
            assert manager.list_clusters()[0]["workers"] == 1
            adapted = manager.adapt_cluster(model["id"], 1, 3)
            assert adapted["adapt"] == {"minimum": 1, "maximum": 3}
            await manager._adaptives[model["id"]]
            assert kubectl_json("get", "daskautoscaler", "lab")["spec"]["maximum"] == 3
            await manager.scale_cluster(model["id"], 0)
            group = kubectl_json("get", "daskworkergroup", "lab-default")
            assert group["spec"]["worker"]["replicas"] == 0
            await manager.close_cluster(model["id"])
            assert manager.list_clusters() == []
    assert kubectl_json("get", "daskclusters")["items"] == []


async def test_dask_labextension_starts_an_adaptive_one(
    namespace: str, dask_image: str, kubectl_json: Callable[..., Any]
) -> None:
    manager_module = importlib.import_module("dask_labextension.manager")
    factory = {
        "module": "dask_k8s_jupyter",
        "class": "KubeCluster",
        "args": [],
        "kwargs": {"name": "lab", "namespace": namespace, "image": dask_image, "n_workers": 0},
    }
    with dask.config.set({"labextension.factory": factory}):
        async with manager_module.DaskClusterManager() as manager:
            model = await manager.start_cluster(
                configuration={"adapt": {"minimum": 0, "maximum": 2}}
            )
            assert model["adapt"] == {"minimum": 0, "maximum": 2}
            await manager._adaptives[model["id"]]
            assert kubectl_json("get", "daskautoscaler", "lab")["spec"]["maximum"] == 2
