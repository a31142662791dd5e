"""The ways to what a scheduler serves: by its Service's address, by a tunnel, and its Jupyter."""

from __future__ import annotations

import functools
import json
import operator
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from dask_k8s_jupyter import KubeCluster
from dask_k8s_jupyter.clusters import schedulerway
from dask_k8s_jupyter.config import BASE_URL_VARIABLE
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import NODES, PODS, SERVICES

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine tells its nodes late that a scheduler is ready."""
    find = functools.partial(schedulerway.find_direct_address, timeout_s=60.0)
    monkeypatch.setattr(schedulerway, "find_direct_address", find)


async def find_node_port(client: KubeClient, namespace: str) -> int:
    """The port of every node that leads to the scheduler of the cluster ``demo``."""
    service = await client.get(SERVICES, "demo-scheduler", namespace)
    return next(int(p["nodePort"]) for p in service["spec"]["ports"] if p["port"] == 8786)


async def find_node_address(client: KubeClient) -> str:
    """The address of a node."""
    # Other tests pretend to have nodes, which nobody can reach.
    nodes = (await client.list(NODES)).items
    told = next(found for node in nodes if (found := node["status"].get("addresses")))
    found = {each["type"]: each["address"] for each in told}
    return str(found["InternalIP"])


async def compute(cluster: KubeCluster) -> int:
    """Let a worker of the cluster add two numbers."""
    async with cluster.get_client() as client:
        return int(await client.submit(operator.add, 1, 2))


@pytest.mark.outside_only("inside, the Service's name leads there")
async def test_a_load_balancer_leads_to_the_scheduler_once_it_has_an_address(
    namespace: str,
    dask_image: str,
    kube_client: KubeClient,
    kubectl: Callable[..., str],
    request: pytest.FixtureRequest,
) -> None:
    common: dict[str, Any] = {"namespace": namespace, "quiet": True, "asynchronous": True}
    async with KubeCluster(
        name="demo", image=dask_image, n_workers=1, scheduler_service_type="LoadBalancer", **common
    ) as cluster:
        # Nobody here gives load balancers addresses: that holds up nobody.
        assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")
        assert await compute(cluster) == 3
        if request.config.getoption("--kube") == "local":
            pod = await kube_client.get(PODS, "demo-scheduler", namespace)
            address = pod["status"]["podIP"]
        else:
            # What arrives there at the Service's port, kube-proxy takes for the balancer's.
            address = await find_node_address(kube_client)
        status = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
        patch = ("--subresource=status", "--type=merge", f"--patch={json.dumps(status)}")
        kubectl("patch", "service", "demo-scheduler", *patch)
        async with await KubeCluster.from_name("demo", **common) as guest:
            assert guest.scheduler_address == f"tcp://{address}:8786"
            assert await compute(guest) == 3


@pytest.mark.outside_only("inside, the Service's name leads there")
async def test_a_node_port_leads_to_the_scheduler(
    namespace: str, dask_image: str, kube_client: KubeClient
) -> None:
    async with KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=1,
        scheduler_service_type="NodePort",
        quiet=True,
        asynchronous=True,
    ) as cluster:
        address = await find_node_address(kube_client)
        port = await find_node_port(kube_client, namespace)
        assert cluster.scheduler_address == f"tcp://{address}:{port}"
        assert await compute(cluster) == 3


async def test_the_jupyter_server_of_a_scheduler_opens_at_its_link(
    namespace: str, dask_image: str, scheduler_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a notebook the dashboard's link leads through the notebook server; this one cannot.
    monkeypatch.setenv(BASE_URL_VARIABLE, "/notebook/default/demo/")
    async with (
        KubeCluster(
            name="demo",
            namespace=namespace,
            image=dask_image,
            n_workers=0,
            jupyter=True,
            quiet=True,
            asynchronous=True,
        ) as cluster,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser,
    ):
        link = cluster.jupyter_link
        assert link.startswith(f"http://{scheduler_host}:")
        async with browser.get(link) as page:
            assert (page.status, page.url.path) == (200, "/jupyter/lab")
            assert "JupyterLab" in await page.text()
        server = link.removesuffix("/lab")
        async with browser.get(f"{server}/api/status") as status:
            assert (await status.json())["kernels"] == 0
        async with browser.ws_connect(f"{server}/api/events/subscribe") as events:
            assert not events.closed
