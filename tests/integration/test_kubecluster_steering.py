"""What a person does with a KubeCluster that runs: wait, look at events, be told of versions."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable
from typing import Any

import distributed.versions
import pytest

from dask_k8s_jupyter import KubeCluster, errors, make_cluster_spec
from dask_k8s_jupyter.clusters import fitting
from dask_k8s_jupyter.state import AdaptiveRange, observe_cluster
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import (
    DASK_AUTOSCALERS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    PODS,
)

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")

WaitUntil = Callable[..., Awaitable[Any]]
# A program whose Dask says that it is an older one.
OLD = """
import sys
import distributed.versions
real = distributed.versions.get_package_info
def old(packages):
    return {**real(packages), "dask": "2024.1.0", "distributed": "2024.1.0"}
distributed.versions.get_package_info = old
from dask.__main__ import main
sys.argv = ["dask", *sys.argv[1:]]
main()
"""


async def test_waiting_ends_when_every_worker_of_every_group_is_ready(
    namespace: str, dask_image: str, kube_client: KubeClient
) -> None:
    async with KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=1,
        env={"COLOUR": "blue"},
        worker_env={"COLOUR": "red"},
        scheduler_resources={"requests": {"memory": "64Mi"}},
        quiet=True,
        asynchronous=True,
    ) as cluster:
        await cluster.add_worker_group("extra", n_workers=1)
        await cluster.wait(timeout=120)
        assert len(cluster.scheduler_info["workers"]) == 2
        pods = (await kube_client.list(PODS, namespace)).items
        assert len(pods) == 3
        for pod in pods:
            conditions = {each["type"]: each["status"] for each in pod["status"]["conditions"]}
            assert conditions["Ready"] == "True"
            container = pod["spec"]["containers"][0]
            is_scheduler = pod["metadata"]["name"] == "demo-scheduler"
            colour = "blue" if is_scheduler else "red"
            assert {"name": "COLOUR", "value": colour} in container["env"]
        happened = await cluster.events()
        assert "Created" in {event["reason"] for event in happened}
        assert happened == sorted(happened, key=lambda event: event["time"], reverse=True)
        assert cluster.generate_rich_output().plain.splitlines()[-1].startswith("✓ The scheduler")
        with pytest.raises(errors.InvalidSpecError, match=r"^n: "):
            await cluster.scale(-1)
        with pytest.raises(errors.InvalidSpecError, match=r"^image: cannot be given beside"):
            await cluster.add_worker_group("no", image="acme/dask:7", custom_spec={"spec": {}})
        with pytest.raises(errors.StartTimeoutError, match="workers are ready after 0 s"):
            await cluster.scale(2)
            await cluster.wait(timeout=0)


async def test_each_group_adapts_by_itself(
    namespace: str, dask_image: str, kube_client: KubeClient
) -> None:
    async def bounds() -> dict[str, tuple[str | None, int, int]]:
        found = (await kube_client.list(DASK_AUTOSCALERS, namespace)).items
        specs = {each["metadata"]["name"]: each["spec"] for each in found}
        return {
            name: (spec.get("workerGroup"), spec["minimum"], spec["maximum"])
            for name, spec in specs.items()
        }

    async def replicas(group: str) -> int:
        found = await kube_client.get(DASK_WORKER_GROUPS, group, namespace)
        return int(found["spec"]["worker"]["replicas"])

    async with KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=0,
        quiet=True,
        asynchronous=True,
    ) as cluster:
        await cluster.add_worker_group("extra", n_workers=0)
        with pytest.raises(errors.ClusterNotFoundError, match="no worker group 'gpu'"):
            await cluster.adapt(maximum=1, worker_group="gpu")
        await cluster.adapt(minimum=0, maximum=2)
        await cluster.adapt(minimum=1, maximum=2, worker_group="extra")
        assert await bounds() == {"demo": (None, 0, 2), "demo-extra": ("demo-extra", 1, 2)}
        view = await observe_cluster(kube_client, namespace, "demo")
        assert view.list_ranges() == [(None, AdaptiveRange(0, 2)), ("extra", AdaptiveRange(1, 2))]
        # Its minimum is made, though there is no load; the default group stays as it is.
        await cluster.wait_for_workers(1, timeout=120)
        assert (await replicas("demo-extra"), await replicas("demo-default")) == (1, 0)
        await cluster.adapt(minimum=1, maximum=1, worker_group="demo-extra")
        assert (await bounds())["demo-extra"] == ("demo-extra", 1, 1)
        await cluster.scale(0, worker_group="extra")
        assert await bounds() == {"demo": (None, 0, 2)}
        await cluster.adapt(maximum=1, worker_group="extra")
        await cluster.delete_worker_group("extra")
        assert await bounds() == {"demo": (None, 0, 2)}


async def test_a_failed_start_is_kept_for_a_look_where_that_is_wanted(
    namespace: str, dask_image: str, kube_client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "ROOM_PATIENCE_S", 1.0)
    with pytest.raises(errors.PodDoesNotFitError):
        await KubeCluster(
            name="demo",
            namespace=namespace,
            image=dask_image,
            scheduler_resources={"requests": {"memory": "100Ti"}},
            keep_on_failure=True,
            quiet=True,
            asynchronous=True,
        )
    cluster = await kube_client.get(DASK_CLUSTERS, "demo", namespace)
    assert "Insufficient memory" in cluster["status"]["message"]


@pytest.mark.parametrize("role", ["scheduler", "worker"])
async def test_other_versions_there_are_said_in_one_warning(
    role: str, namespace: str, dask_image: str, wait_until: WaitUntil
) -> None:
    spec = make_cluster_spec("demo", image=dask_image, n_workers=1)
    container = spec["spec"][role]["spec"]["containers"][0]
    # A nanny would start the worker in a process where nothing pretends.
    options = ["--no-nanny"] if role == "worker" else []
    container["args"] = ["python", "-c", OLD, *container["args"][1:], *options]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        async with KubeCluster(
            custom_cluster_spec=spec, namespace=namespace, quiet=True, asynchronous=True
        ) as cluster:
            await cluster.wait_for_workers(1, timeout=120)

            def told() -> list[str]:
                kinds = (errors.VersionMismatchWarning, distributed.versions.VersionMismatchWarning)
                return [str(w.message) for w in caught if issubclass(w.category, kinds)]

            await wait_until(told, what="the versions are compared")
            async with cluster.get_client():
                pass
    (said,) = told()
    assert f"DaskCluster {namespace}/demo: dask " in said
    where = "the scheduler" if role == "scheduler" else "the workers of demo-default"
    assert f"here, 2024.1.0 in {where}" in said
    assert "`pip install dask==2024.1.0 distributed==2024.1.0`" in said
