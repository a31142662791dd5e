"""Starts that fail: each says why, within seconds, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_k8s_jupyter import KubeCluster, errors, make_cluster_spec
from dask_k8s_jupyter.clusters import actions, fitting, startup
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.kinds import (
    CUSTOM_RESOURCE_DEFINITIONS,
    DASK_CLUSTERS,
    PODS,
    SERVICE_ACCOUNTS,
    Kind,
)

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")

RESOURCE_QUOTAS = Kind("", "v1", "resourcequotas", "ResourceQuota")
SEES_NODES = "whoever does not see the nodes cannot know that none will come"
SOON_S = 60
# Whoever is told why by nothing but this has failed the test long before.
RESOURCE_TIMEOUT_S = 600


async def soon(asked: Awaitable[Any]) -> Any:
    """Await what has to end well before any time-out of its own."""
    return await asyncio.wait_for(asked, SOON_S)


@pytest.fixture(autouse=True)
def grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the first worker's failure: on a busy machine it takes longer to be known."""
    monkeypatch.setattr(startup, "WORKER_GRACE_S", SOON_S / 2)


@pytest.fixture
def room_patience_s(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """How long one waits for room; the embedded Kubernetes has no autoscaler to bring some."""
    if request.config.getoption("--kube") == "local":
        monkeypatch.setattr(fitting, "ROOM_PATIENCE_S", 2.0)
    return fitting.ROOM_PATIENCE_S


async def _fail(expected: type[Exception], **options: Any) -> str:
    """Start a cluster that cannot start; returns what the exception says."""
    common = {"resource_timeout": RESOURCE_TIMEOUT_S, "quiet": True, "asynchronous": True}
    with pytest.raises(expected) as caught:
        await soon(KubeCluster(**common, **options))
    assert type(caught.value) is expected
    return str(caught.value)


@pytest.fixture
async def left_behind(kube_client: KubeClient, namespace: str) -> Callable[[], Any]:
    """Names of the clusters in the test's namespace."""

    async def names() -> list[str]:
        clusters = (await kube_client.list(DASK_CLUSTERS, namespace)).items
        return [cluster["metadata"]["name"] for cluster in clusters]

    return names


@pytest.mark.parametrize("role", ["scheduler", "worker"])
async def test_a_program_that_crashes(
    role: str, namespace: str, dask_image: str, left_behind: Callable[[], Any]
) -> None:
    spec = make_cluster_spec("demo", image=dask_image, n_workers=1)
    container = spec["spec"][role]["spec"]["containers"][0]
    # Over at once: whoever looks does not meet it running, and take the start for a success.
    container["args"] = ["sh", "-c", "echo reading; echo no DATABASE_URL; exit 1"]
    said = await _fail(errors.PodCrashedError, custom_cluster_spec=spec, namespace=namespace)
    assert f"DaskCluster {namespace}/demo cannot start: {role}" in said
    assert "no DATABASE_URL" in said.split("Its last lines:")[1]
    assert await left_behind() == []


@pytest.mark.parametrize("role", ["scheduler", "worker"])
async def test_a_command_that_is_not_in_the_image(
    role: str, namespace: str, dask_image: str, left_behind: Callable[[], Any]
) -> None:
    spec = make_cluster_spec("demo", image=dask_image, n_workers=1)
    spec["spec"][role]["spec"]["containers"][0]["args"] = ["no-such-program"]
    said = await _fail(errors.CommandNotFoundError, custom_cluster_spec=spec, namespace=namespace)
    assert "no-such-program" in said
    assert role in said
    assert await left_behind() == []


async def test_an_image_that_cannot_be_pulled(
    namespace: str, missing_image: str, left_behind: Callable[[], Any]
) -> None:
    said = await _fail(
        errors.ImageNotFoundError, name="demo", image=missing_image, namespace=namespace
    )
    assert missing_image in said
    assert await left_behind() == []


async def test_a_pod_that_fits_nowhere(
    namespace: str, dask_image: str, left_behind: Callable[[], Any], room_patience_s: float
) -> None:
    began = time.monotonic()
    said = await _fail(
        errors.PodDoesNotFitError,
        name="demo",
        namespace=namespace,
        image=dask_image,
        resources={"requests": {"memory": "100Ti"}},
    )
    assert time.monotonic() - began >= room_patience_s
    assert "Insufficient memory" in said
    assert await left_behind() == []


@pytest.mark.parametrize(("room", "role"), [(0, "scheduler"), (1, "worker")])
async def test_a_quota_that_is_full(
    room: int,
    role: str,
    namespace: str,
    dask_image: str,
    kube_client: KubeClient,
    left_behind: Callable[[], Any],
    wait_until: Callable[..., Awaitable[Any]],
) -> None:
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"pods": str(room)}}}
    await kube_client.create(RESOURCE_QUOTAS, quota, namespace)

    async def is_counted() -> bool:
        found = await kube_client.get(RESOURCE_QUOTAS, "few", namespace)
        return bool(found.get("status", {}).get("used"))

    await wait_until(is_counted, what="Kubernetes has counted what the quota is for")
    said = await _fail(
        errors.RefusedError, name="demo", namespace=namespace, image=dask_image, n_workers=1
    )
    pods = {"scheduler": f"Pod {namespace}/demo-scheduler", "worker": "a worker Pod"}
    assert f"DaskCluster {namespace}/demo cannot start: creation of {pods[role]}" in said
    assert "exceeded quota: few" in said
    assert await left_behind() == []

    async def is_empty() -> bool:
        return (await kube_client.list(PODS, namespace)).items == []

    await wait_until(is_empty, what="its Pods go with it")


@pytest.mark.outside_only(SEES_NODES)
async def test_a_worker_that_fits_nowhere_ends_the_start(
    namespace: str, dask_image: str, left_behind: Callable[[], Any], room_patience_s: float
) -> None:
    said = await _fail(
        errors.PodDoesNotFitError,
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=1,
        worker_resources={"requests": {"memory": "100Ti"}},
    )
    assert f"DaskCluster {namespace}/demo cannot start: 1 Pod does not fit" in said
    assert "Insufficient memory" in said
    assert "(demo-default-worker-" in said
    assert await left_behind() == []


@pytest.mark.outside_only(SEES_NODES)
async def test_workers_that_fit_nowhere_end_the_waits_for_all_of_them(
    namespace: str, dask_image: str, capsys: pytest.CaptureFixture[str], room_patience_s: float
) -> None:
    async with KubeCluster(
        name="demo", namespace=namespace, image=dask_image, n_workers=1, asynchronous=True
    ) as cluster:
        await cluster.add_worker_group(
            "huge", n_workers=1, resources={"requests": {"memory": "100Ti"}}
        )
        with pytest.raises(errors.PodDoesNotFitError, match=r"Insufficient .*\(demo-huge-worker-"):
            await soon(cluster.wait())
        with pytest.raises(errors.PodDoesNotFitError, match="Insufficient memory"):
            await soon(cluster.wait_for_workers(2))
        # The worker that fits is all that is asked for here.
        await cluster.wait_for_workers(1, timeout=SOON_S)
    assert "1 Pod does not fit: " in capsys.readouterr().out


@pytest.mark.local_only("how large a node is must be known")
async def test_a_worker_whose_room_is_only_taken_is_waited_for(
    namespace: str, dask_image: str, kube_client: KubeClient, room_patience_s: float
) -> None:
    container = {
        "name": "other",
        "image": dask_image,
        "command": ["sleep", "600"],
        "resources": {"requests": {"cpu": "5"}},
    }
    other = {"metadata": {"name": "other"}, "spec": {"containers": [container]}}
    await kube_client.create(PODS, other, namespace)
    async with KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=1,
        worker_resources={"requests": {"cpu": "5"}},
        quiet=True,
        asynchronous=True,
    ) as cluster:
        with pytest.raises(errors.StartTimeoutError, match=r"1 Pod does not fit: .*Insufficient"):
            await cluster.wait(timeout=room_patience_s + 1)
        await kube_client.delete(PODS, "other", namespace)
        await cluster.wait(timeout=SOON_S)
        await cluster.scale(2)
        # Its own worker takes the room now, and stays.
        with pytest.raises(errors.PodDoesNotFitError, match="Insufficient"):
            await soon(cluster.wait())


async def test_workers_that_crash_later_end_the_wait_for_them(
    namespace: str, dask_image: str
) -> None:
    async with KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=0,
        worker_command=["python", "-c", "raise SystemExit('out of licences')"],
        quiet=True,
        asynchronous=True,
    ) as cluster:
        await cluster.scale(1)
        with pytest.raises(errors.PodCrashedError, match="out of licences"):
            await soon(cluster.wait_for_workers(1, timeout=RESOURCE_TIMEOUT_S))


async def test_workers_that_are_too_many_for_the_time(namespace: str, dask_image: str) -> None:
    async with KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=0,
        quiet=True,
        asynchronous=True,
    ) as cluster:
        with pytest.raises(errors.StartTimeoutError, match="0 of 1 workers have joined"):
            await cluster.wait_for_workers(1, timeout=0.5)


async def test_a_name_that_is_not_valid() -> None:
    said = await _fail(errors.InvalidSpecError, name="My Cluster")
    assert "'My Cluster' is not a valid name" in said


async def test_a_cluster_that_the_api_refuses(
    namespace: str, dask_image: str, left_behind: Callable[[], Any]
) -> None:
    spec = make_cluster_spec("demo", image=dask_image)
    del spec["spec"]["scheduler"]["service"]
    said = await _fail(errors.InvalidSpecError, custom_cluster_spec=spec, namespace=namespace)
    assert "service" in said
    assert await left_behind() == []


@pytest.mark.outside_only("who may look nowhere else is told that he may not")
async def test_a_namespace_that_is_not_there(dask_image: str) -> None:
    said = await _fail(
        errors.ClusterNotFoundError, name="demo", image=dask_image, namespace="no-such-namespace"
    )
    assert "There is no namespace no-such-namespace" in said


async def test_no_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    said = await _fail(errors.NoKubernetesError, name="demo")
    assert str(tmp_path / "nothing") in said
    assert "dask-k8s up" in said


async def test_an_api_that_does_not_answer(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    _write_kubeconfig(kubeconfig, {"server": "https://127.0.0.1:1"}, {"token": "x"})
    said = await _fail(errors.KubernetesUnreachableError, name="demo", kubeconfig=str(kubeconfig))
    assert "https://127.0.0.1:1" in said


async def test_a_token_that_the_api_does_not_know(kubeconfig: Path, tmp_path: Path) -> None:
    cluster = _read_cluster(kubeconfig)
    _write_kubeconfig(tmp_path / "kubeconfig", cluster, {"token": "stale"})
    await _fail(errors.NotLoggedInError, name="demo", kubeconfig=str(tmp_path / "kubeconfig"))


@pytest.fixture
async def powerless(
    kubeconfig: Path, kube_client: KubeClient, namespace: str, tmp_path: Path
) -> str:
    """Path of a kubeconfig of a service account that may do nothing."""
    await kube_client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "powerless"}}, namespace)
    issued = await kube_client.request(
        "POST",
        f"{SERVICE_ACCOUNTS.path(namespace, 'powerless')}/token",
        body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    cluster = _read_cluster(kubeconfig)
    path = tmp_path / "powerless"
    _write_kubeconfig(path, cluster, {"token": issued["status"]["token"]})
    return str(path)


async def test_a_missing_permission(
    powerless: str, namespace: str, dask_image: str, left_behind: Callable[[], Any]
) -> None:
    said = await _fail(
        errors.PermissionMissingError,
        name="demo",
        namespace=namespace,
        image=dask_image,
        kubeconfig=powerless,
    )
    assert f"create daskclusters.kubernetes.dask.org in namespace {namespace}" in said
    assert "get pods/portforward" in said
    assert "--clusterrole=dask-user" in said
    assert await left_behind() == []


async def test_a_permission_that_is_missing_for_one_action(powerless: str, namespace: str) -> None:
    async with await KubeClient.connect(powerless) as client:
        with pytest.raises(errors.PermissionMissingError, match="may not delete daskclusters"):
            await actions.delete_cluster(client, namespace, "demo")


@pytest.fixture
def bare_kubernetes() -> Iterator[Any]:
    """An embedded Kubernetes where nobody has installed anything."""
    from dask_k8s_jupyter.local import LocalKubernetes

    with LocalKubernetes.in_thread(operator=False) as kube:
        yield kube


@pytest.mark.local_only("needs a Kubernetes without the operator, which one shares with nobody")
async def test_a_kubernetes_without_crds_and_then_without_an_operator(
    bare_kubernetes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One at work answers within a second; nobody comes here.
    monkeypatch.setattr(startup, "OPERATOR_SILENT_AFTER_S", 2.0)
    kubeconfig = str(bare_kubernetes.kubeconfig)
    said = await _fail(errors.NotInstalledError, name="demo", kubeconfig=kubeconfig)
    assert "kubernetes.dask.org" in said
    async with await KubeClient.connect(kubeconfig) as client:
        for crd in build_crds():
            await client.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
        said = await _fail(errors.OperatorSilentError, name="demo", kubeconfig=kubeconfig)
        assert "DaskCluster default/demo cannot start: nobody has acted on it" in said
        assert (await client.list(DASK_CLUSTERS, "default")).items == []


def _read_cluster(kubeconfig: Path) -> dict[str, Any]:
    cluster: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    return cluster


def _write_kubeconfig(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> None:
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "it",
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
                "clusters": [{"name": "it", "cluster": cluster}],
                "users": [{"name": "me", "user": user}],
            }
        )
    )
