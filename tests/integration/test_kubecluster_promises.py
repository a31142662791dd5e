"""What docs/kubecluster.md says of a KubeCluster's arguments and methods, from a plain script."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from ports import hold_port

from dask_k8s_jupyter import KubeCluster, errors, make_cluster_spec
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import (
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    PODS,
    Kind,
)

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")

GENEROUS = """
import sys, warnings
from dask_k8s_jupyter import KubeCluster
warnings.simplefilter("ignore")
options = {"namespace": sys.argv[1], "image": sys.argv[2], "n_workers": 0}
KubeCluster(name="ended", shutdown_on_close=False, **options)
closed = KubeCluster(name="closed", shutdown_on_close=False, **options)
closed.close()
"""


def _names(in_api: Callable[..., Any], kind: Kind, namespace: str) -> list[str]:
    return sorted(each["metadata"]["name"] for each in in_api("list", kind, namespace).items)


def test_what_is_not_to_be_shut_down_outlives_close_and_process(
    namespace: str, dask_image: str, in_api: Callable[..., Any]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", GENEROUS, namespace, dask_image],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert _names(in_api, DASK_CLUSTERS, namespace) == ["closed", "ended"]

    connected = KubeCluster.from_name(
        "closed", namespace=namespace, shutdown_on_close=True, quiet=True
    )
    connected.close()
    assert _names(in_api, DASK_CLUSTERS, namespace) == ["ended"]


def test_a_script_suspends_resumes_waits_and_has_groups(
    namespace: str, dask_image: str, scheduler_host: str, in_api: Callable[..., Any]
) -> None:
    port = hold_port()
    with KubeCluster(
        name="demo",
        namespace=namespace,
        image=dask_image,
        n_workers=1,
        scheduler_forward_port=port,
        quiet=True,
    ) as cluster:
        port = port if scheduler_host == "127.0.0.1" else 8787  # inside nothing is forwarded
        assert cluster.dashboard_link == f"http://{scheduler_host}:{port}/status"
        with urllib.request.urlopen(f"http://{scheduler_host}:{port}/health") as answer:
            assert answer.status == 200

        cluster.add_worker_group("extra", n_workers=1)
        cluster.wait(timeout=120)
        assert len(cluster.scheduler_info["workers"]) == 2
        with KubeCluster.from_name("demo", namespace=namespace, quiet=True) as guest:
            assert guest.scheduler_info["id"] == cluster.scheduler_info["id"]
            guest.delete_worker_group("extra")
        assert _names(in_api, DASK_WORKER_GROUPS, namespace) == ["demo-default"]

        cluster.suspend()
        cluster.wait(timeout=120)
        assert _names(in_api, PODS, namespace) == []
        cluster.resume()
        cluster.wait(timeout=120)
        # Those that it had before are not taken for the ones that were waited for.
        assert len(cluster.scheduler_info["workers"]) == 1
        happened = {event["reason"] for event in cluster.events()}
        assert {"Created", "Suspended"} <= happened
    assert _names(in_api, DASK_CLUSTERS, namespace) == []


async def test_a_start_that_takes_longer_than_it_may(
    namespace: str, dask_image: str, kube_client: KubeClient
) -> None:
    spec = make_cluster_spec("demo", image=dask_image, n_workers=0)
    # It runs and is never ready: nothing is wrong with it but the time that it takes.
    container = spec["spec"]["scheduler"]["spec"]["containers"][0]
    container["args"] = ["sleep", "600"]
    with pytest.raises(errors.StartTimeoutError, match=f"{namespace}/demo cannot start"):
        await KubeCluster(
            custom_cluster_spec=spec,
            namespace=namespace,
            resource_timeout=3,
            quiet=True,
            asynchronous=True,
        )
    assert (await kube_client.list(DASK_CLUSTERS, namespace)).items == []
