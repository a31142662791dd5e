"""What a person says about the way to a Helm release, and about its names, is what happens."""

from __future__ import annotations

import asyncio
import contextlib
import operator
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from helm_resources import build_release, lay_down
from ports import hold_port

from dask_k8s_jupyter import HelmCluster, InCluster, KubeConfig
from dask_k8s_jupyter.errors import ClusterNotFoundError, NoKubernetesError
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import NODES, SERVICES

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")
NAMES = {"scheduler_name": "head", "worker_name": "hand"}


@contextlib.asynccontextmanager
async def relay_to(host: str, port: int) -> AsyncIterator[int]:
    """A port of this machine that leads to another one, as where nodes are behind a gateway."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while read := await reader.read(65536):
                writer.write(read)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, answer = await asyncio.open_connection(host, port)
        await asyncio.gather(pump(reader, answer), pump(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
async def connect(
    kubectl: Callable[..., str], namespace: str, dask_image: str
) -> Callable[..., HelmCluster]:
    """Connect to a release with one worker, node ports, and roles of other names than usual."""
    roles = (NAMES["scheduler_name"], NAMES["worker_name"])
    release = build_release("mine", namespace, dask_image, service_type="NodePort", names=roles)
    lay_down(kubectl, release)

    def build(**options: Any) -> HelmCluster:
        common = {"namespace": namespace, "asynchronous": True, **NAMES}
        return HelmCluster("mine", **common | options)

    return build


async def compute(cluster: HelmCluster) -> int:
    """Let a worker of the cluster add two numbers."""
    await cluster.wait_for_workers(1, timeout=120)
    async with cluster.get_client() as client:
        return int(await client.submit(operator.add, 1, 2))


async def find_node(client: KubeClient, namespace: str) -> tuple[str, int]:
    """The address of a node, and its port that leads to the scheduler."""
    nodes = (await client.list(NODES)).items
    addresses = next(found for node in nodes if (found := node["status"].get("addresses")))
    host = next(str(each["address"]) for each in addresses if each["type"] == "InternalIP")
    ports = (await client.get(SERVICES, "mine-dask-head", namespace))["spec"]["ports"]
    return host, next(int(port["nodePort"]) for port in ports if port["port"] == 8786)


async def test_each_way_that_is_named_is_taken(
    connect: Callable[..., HelmCluster], kube_client: KubeClient, namespace: str
) -> None:
    host, port = await find_node(kube_client, namespace)
    local_port = hold_port()
    async with relay_to(host, port) as relayed:
        ways: list[tuple[dict[str, Any], str]] = [
            ({}, f"tcp://{host}:{port}"),
            ({"node_host": host}, f"tcp://{host}:{port}"),
            ({"node_port": port}, f"tcp://{host}:{port}"),
            ({"node_host": "127.0.0.1", "node_port": relayed}, f"tcp://127.0.0.1:{relayed}"),
            ({"port_forward_cluster_ip": local_port}, f"tcp://127.0.0.1:{local_port}"),
        ]
        for said, address in ways:
            async with connect(**said) as cluster:
                assert cluster.scheduler_address == address, said
                assert await compute(cluster) == 3, said
    async with connect(port_forward_cluster_ip=True) as cluster:
        assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")
        assert cluster.scheduler_address != f"tcp://{host}:{port}"
        assert await compute(cluster) == 3
        async with aiohttp.ClientSession() as browser, browser.get(cluster.dashboard_link) as page:
            assert page.status == 200


async def test_the_roles_have_the_names_that_are_said(
    connect: Callable[..., HelmCluster], kubectl_json: Callable[..., Any]
) -> None:
    async with connect(name="called") as cluster:
        assert cluster.name == "called"
        await cluster.scale(1, worker_group="high-mem")
        await cluster.wait_for_workers(2, timeout=120)
        await cluster.scale(0, worker_group="high-mem")
        logs = await cluster.get_logs()
        assert any(pod.startswith("mine-dask-hand-") for pod in logs)
    scaled = kubectl_json("get", "deployment", "mine-dask-hand-high-mem")
    assert scaled["spec"]["replicas"] == 0
    with pytest.raises(ClusterNotFoundError, match="has no Deployment"):
        await connect(scheduler_name="scheduler")


async def test_who_one_is_comes_from_auth_alone(
    connect: Callable[..., HelmCluster],
    kubeconfig: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(NoKubernetesError):
        await connect()
    with pytest.raises(NoKubernetesError, match=r"InCluster: .*; KubeConfig: "):
        await connect(auth=[InCluster(), KubeConfig(config_file=tmp_path / "none")])
    for auth in (KubeConfig(kubeconfig), [InCluster(), KubeConfig(config_file=kubeconfig)]):
        async with connect(auth=auth) as cluster:
            assert await compute(cluster) == 3
