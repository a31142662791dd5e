"""The classic KubeCluster: from outside, from a Pod that may handle Pods only, and failing."""

from __future__ import annotations

import operator
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import Client, Security

from dask_k8s_jupyter import KubeCluster as OperatorCluster
from dask_k8s_jupyter.classic import KubeCluster, make_pod_spec, to_cluster_spec
from dask_k8s_jupyter.classic.discovery import discover_classic_clusters
from dask_k8s_jupyter.errors import (
    ClusterNotFoundError,
    ImageNotFoundError,
    NameTakenError,
    PodCrashedError,
)
from dask_k8s_jupyter.local.certificates import Authority

# Client and image may differ in the last digit of Python's version.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")

WaitUntil = Callable[..., Awaitable[Any]]
Kubectl = Callable[..., str]
KubectlJson = Callable[..., Any]


def build_template(image: str, *, is_plain: bool = True, **options: Any) -> Any:
    """A worker that ends at once when it is told to; a plain one needs half as much to start."""
    template = make_pod_spec(
        image,
        extra_pod_config={"termination_grace_period_seconds": 2},
        extra_container_config={"imagePullPolicy": "IfNotPresent"},
        **options,
    )
    if is_plain:
        template.spec.containers[0].args += ["--no-nanny", "--no-dashboard"]
    return template


def staying_pods(kubectl_json: KubectlJson) -> list[str]:
    """Names of the Pods that nobody has deleted."""
    pods = kubectl_json("get", "pods")["items"]
    return sorted(
        pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]
    )


async def test_a_cluster_of_bare_pods_computes_scales_and_leaves_nothing(
    namespace: str, dask_image: str, kubectl_json: KubectlJson, wait_until: WaitUntil
) -> None:
    async with KubeCluster(
        build_template(dask_image, is_plain=False, threads_per_worker=2, memory_limit="512Mi"),
        name="bare",
        namespace=namespace,
        n_workers=1,
        env={"COLOUR": "blue"},
        asynchronous=True,
    ) as cluster:
        await cluster.wait_for_workers(1, timeout=120)
        async with Client(cluster, asynchronous=True) as client:
            assert await client.submit(operator.add, 1, 2) == 3
            assert await client.submit(lambda: __import__("os").environ["COLOUR"]) == "blue"
            cluster.scale(2)
            await cluster.wait_for_workers(2, timeout=120)
            assert all(
                worker["nthreads"] == 2 and worker["memory_limit"] == 512 * 2**20
                for worker in cluster.scheduler_info["workers"].values()
            )
            logs = await cluster.get_logs()
            assert "Scheduler at" in logs["Scheduler"]
            assert sum("bare-worker" in pod for pod in logs) == 2
            await cluster.scale_down([0])
            await wait_until(lambda: len(staying_pods(kubectl_json)) == 2)
        with pytest.raises(NameTakenError, match=f"{namespace}/bare-scheduler exists"):
            await KubeCluster(
                build_template(dask_image), name="bare", namespace=namespace, asynchronous=True
            )
        assert len(staying_pods(kubectl_json)) == 2
    await wait_until(lambda: not staying_pods(kubectl_json), 90, "all Pods are deleted")
    await wait_until(
        lambda: not kubectl_json("get", "services", "-l", "app=dask")["items"], what="Service gone"
    )


async def test_it_is_found_by_name_scaled_and_left_alone(
    namespace: str, dask_image: str, kubectl_json: KubectlJson
) -> None:
    common = {"namespace": namespace, "asynchronous": True}
    owner = await KubeCluster(build_template(dask_image), name="bare", n_workers=1, **common)
    with dask.config.set({"kubernetes.namespace": namespace}):
        found = {name: made async for name, made in discover_classic_clusters()}
    guest = await found["bare"].from_name("bare", **common)
    guest.scale(2)
    await guest.wait_for_workers(2, timeout=120)
    assert sorted(guest.observed, key=str) == [0, 1]
    await guest.close()
    assert len(staying_pods(kubectl_json)) == 3
    await owner.close()
    with pytest.raises(ClusterNotFoundError, match=f"no classic Dask cluster {namespace}/bare"):
        await KubeCluster.from_name("bare", **common)


def test_it_adapts_from_a_yaml_file(namespace: str, dask_image: str, tmp_path: Path) -> None:
    template = tmp_path / "worker-spec.yml"
    template.write_text(
        f"""
kind: Pod
metadata:
  labels: {{foo: bar}}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 2
  containers:
  - image: {dask_image}
    imagePullPolicy: IfNotPresent
    args: [dask, worker, --nthreads, '1', --memory-limit, 600MB, --death-timeout, '60']
    name: dask-worker
"""
    )
    with (
        dask.config.set({"kubernetes.worker-template-path": str(template)}),
        KubeCluster(namespace=namespace) as cluster,
        cluster.get_client() as client,
    ):
        cluster.adapt(minimum=0, maximum=2, interval="100 ms")
        assert client.submit(operator.add, 1, 2).result(timeout=120) == 3
        assert cluster.dashboard_link.startswith("http://")


async def test_failures_are_said_with_their_reason_and_leave_nothing(
    namespace: str,
    dask_image: str,
    missing_image: str,
    kubectl_json: KubectlJson,
    wait_until: WaitUntil,
) -> None:
    common = {"namespace": namespace, "asynchronous": True}
    with pytest.raises(ImageNotFoundError, match=f"{namespace}/gone-scheduler"):
        await KubeCluster(build_template(missing_image), name="gone", **common)
    await wait_until(lambda: not staying_pods(kubectl_json))
    broken = build_template(dask_image)
    broken.spec.containers[0].args = ["dask", "worker", "--no-such-option"]
    async with KubeCluster(broken, name="broken", n_workers=1, **common) as cluster:
        with pytest.raises(PodCrashedError, match="no-such-option"):
            await cluster.wait_for_workers(1, timeout=120)
    await wait_until(lambda: not staying_pods(kubectl_json))


async def test_workers_end_with_a_scheduler_pod_that_somebody_deleted(
    namespace: str,
    dask_image: str,
    kubectl: Kubectl,
    kubectl_json: KubectlJson,
    wait_until: WaitUntil,
) -> None:
    async with KubeCluster(
        build_template(dask_image), name="bare", namespace=namespace, n_workers=1, asynchronous=True
    ) as cluster:
        await cluster.wait_for_workers(1, timeout=120)
        kubectl("delete", "pod", "bare-scheduler", "--grace-period=1", "--wait=false")
        await wait_until(lambda: not staying_pods(kubectl_json), 90, "the worker is deleted too")


def test_certificates_of_the_templates_seal_it(namespace: str, dask_image: str) -> None:
    authority = Authority()
    issued = authority.issue("dask", ["127.0.0.1"])
    ca, pem, key = (
        each.decode() for each in (authority.certificate, issued.certificate, issued.key)
    )
    prefix = "DASK_DISTRIBUTED__COMM__"
    env = {f"{prefix}TLS__CA_FILE": ca, f"{prefix}REQUIRE_ENCRYPTION": "True"}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        env |= {f"{prefix}TLS__{role}__CERT": pem, f"{prefix}TLS__{role}__KEY": key}
    security = Security(
        tls_ca_file=ca, tls_client_cert=pem, tls_client_key=key, require_encryption=True
    )
    with (
        KubeCluster(
            build_template(dask_image),
            namespace=namespace,
            n_workers=1,
            env=env,
            protocol="tls://",
            security=security,
        ) as cluster,
        cluster.get_client() as client,
    ):
        assert cluster.scheduler_address.startswith("tls://")
        assert client.submit(operator.add, 1, 2).result(timeout=120) == 3


INSIDE = """
import operator, os, sys
from dask_k8s_jupyter.classic import KubeCluster, make_pod_spec

template = make_pod_spec(
    {image!r},
    extra_container_config={{"imagePullPolicy": "IfNotPresent"}},
    # Else a worker whose scheduler ends beside it takes its whole time for that.
    extra_pod_config={{"terminationGracePeriodSeconds": 2}},
)
template.spec.containers[0].args[-1] = "15"  # the death time-out, which a nanny would begin early
template.spec.containers[0].args.append("--no-nanny")
with KubeCluster(template, name="remote", n_workers=1) as cluster:
    with cluster.get_client() as client:
        assert client.submit(operator.add, 1, 2).result(timeout=120) == 3
    assert cluster.scheduler_address.endswith(":8786"), "no tunnel inside"
cluster = KubeCluster(
    template, name="local", n_workers=1, deploy_mode="local", dashboard_address=":0"
)
with cluster.get_client() as client:
    assert client.submit(operator.mul, 6, 7).result(timeout=120) == 42
print("the story is told")
sys.stdout.flush()
os._exit(0)  # as a process ends that was killed: nothing is closed
"""


PODS_ONLY = {
    "apiGroups": [""],
    "resources": ["pods"],
    "verbs": ["create", "get", "list", "watch", "delete"],
}


@pytest.mark.outside_only("it goes inside by itself")
async def test_pods_are_all_it_needs_and_workers_end_with_their_owner(
    kubectl: Kubectl,
    kubectl_json: KubectlJson,
    dask_image: str,
    wait_until: WaitUntil,
    run_inside: Callable[..., Awaitable[str]],
) -> None:
    told = await run_inside(INSIDE.format(image=dask_image), [PODS_ONLY])
    assert "the story is told" in told

    def phases() -> dict[str, str]:
        pods = kubectl_json("get", "pods")["items"]
        return {pod["metadata"]["name"]: pod["status"].get("phase", "") for pod in pods}

    assert not kubectl_json("get", "services", "-l", "app=dask")["items"]
    await wait_until(
        lambda: all(phase in ("Succeeded", "Failed") for phase in phases().values()),
        90,
        "the workers have seen that their scheduler is gone",
    )
    kubectl("delete", "pod", "notebook", "--wait=false")
    await wait_until(
        lambda: not staying_pods(kubectl_json), 90, "they belong to the notebook's Pod"
    )


@pytest.mark.outside_only("who has both roles")
def test_a_template_leads_to_the_operator(namespace: str, dask_image: str) -> None:
    spec = to_cluster_spec(build_template(dask_image, env={"COLOUR": "red"}), "moved", n_workers=1)
    with (
        OperatorCluster(custom_cluster_spec=spec, namespace=namespace, quiet=True) as cluster,
        cluster.get_client() as client,
    ):
        colour = client.submit(lambda: __import__("os").environ["COLOUR"])
        assert colour.result(timeout=120) == "red"
