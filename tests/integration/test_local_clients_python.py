"""Other programs' libraries: kubernetes_asyncio, kr8s and kopf, on any Kubernetes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import kr8s.asyncio
import pytest
from kr8s.asyncio.objects import ConfigMap, Deployment, Pod
from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.client.exceptions import ApiException

LABELS = {"app": "clients"}


def _deployment(image: str, replicas: int = 1) -> dict:
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-u", "-c", "print('up'); import time; time.sleep(600)"],
    }
    template = {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }
    spec = {"replicas": replicas, "selector": {"matchLabels": LABELS}, "template": template}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "clients"},
        "spec": spec,
    }


async def _eventually(observe, timeout_s: float = 90):
    ends = time.monotonic() + timeout_s
    while not (found := await observe()):
        assert time.monotonic() < ends, "not in time"
        await asyncio.sleep(0.1)
    return found


async def test_kubernetes_asyncio_writes_reads_watches_and_scales(
    kubeconfig, namespace, dask_image
):
    await config.load_kube_config(config_file=str(kubeconfig))
    async with client.ApiClient() as api:
        core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
        created = await core.create_namespaced_config_map(
            namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="c"), data={"a": "1"})
        )
        with pytest.raises(ApiException) as conflict:
            await core.create_namespaced_config_map(namespace, created)
        assert conflict.value.status == 500 or conflict.value.reason == "Conflict"

        async def change() -> None:
            await core.patch_namespaced_config_map("c", namespace, {"data": {"a": "2"}})
            await core.delete_namespaced_config_map("c", namespace)

        changing = asyncio.create_task(change())
        seen = []
        async with watch.Watch() as stream:
            version = created.metadata.resource_version
            async for event in stream.stream(
                core.list_namespaced_config_map,
                namespace,
                resource_version=version,
                field_selector="metadata.name=c",
                timeout_seconds=90,
            ):
                seen.append((event["type"], event["object"].data["a"]))
                if event["type"] == "DELETED":
                    break
        await changing
        assert seen == [("MODIFIED", "2"), ("DELETED", "2")]

        await apps.create_namespaced_deployment(namespace, _deployment(dask_image))
        await apps.patch_namespaced_deployment_scale(
            "clients", namespace, {"spec": {"replicas": 2}}
        )

        async def is_ready() -> bool:
            found = await apps.read_namespaced_deployment_status("clients", namespace)
            return found.status.ready_replicas == 2

        await _eventually(is_ready)
        pods = await core.list_namespaced_pod(namespace, label_selector="app=clients")
        name = pods.items[0].metadata.name

        async def has_said() -> bool:
            return "up" in await core.read_namespaced_pod_log(name, namespace)

        await _eventually(has_said)
        await apps.delete_namespaced_deployment(
            "clients", namespace, propagation_policy="Foreground"
        )

        async def is_gone() -> bool:
            left = await apps.list_namespaced_deployment(namespace)
            return not left.items

        await _eventually(is_gone)


# It warns of versions that are newer than itself, and of what it leaves to the collector.
@pytest.mark.filterwarnings("ignore:Kubernetes version")
async def test_kr8s_makes_scales_and_removes(kubeconfig, namespace, dask_image):
    api = await kr8s.asyncio.api(kubeconfig=str(kubeconfig), namespace=namespace)
    settings = await ConfigMap(
        {"metadata": {"name": "c", "namespace": namespace}, "data": {"a": "1"}}, api=api
    )
    await settings.create()
    await settings.label(colour="blue")
    await settings.patch({"data": {"a": "2"}})
    assert (await ConfigMap.get("c", namespace=namespace, api=api)).data.a == "2"

    resource = _deployment(dask_image)
    resource["metadata"]["namespace"] = namespace
    deployment = await Deployment(resource, api=api)
    await deployment.create()
    await deployment.scale(2)
    await deployment.wait("condition=Available", timeout=90)

    async def pods() -> list[Pod]:
        return [pod async for pod in Pod.list(namespace=namespace, label_selector=LABELS, api=api)]

    async def are_two() -> list[Pod]:
        # It was available with one of them too.
        found = await pods()
        return found if len(found) == 2 else []

    await _eventually((await _eventually(are_two))[0].ready)
    await deployment.delete(propagation_policy="Background")

    async def is_gone() -> bool:
        return not await pods()

    await _eventually(is_gone)
    await settings.delete()
    assert not await settings.exists()


KOPF_HANDLERS = """
import kopf

@kopf.on.startup()
def settle(settings, **_):
    settings.posting.enabled = False
    settings.persistence.finalizer = "example.org/kopf"

@kopf.on.create("configmaps", labels={"kopf": "yes"})
@kopf.on.update("configmaps", labels={"kopf": "yes"}, field="data")
def answer(body, patch, **_):
    patch.metadata.annotations["heard"] = body["data"]["say"]

@kopf.on.delete("configmaps", labels={"kopf": "yes"})
def farewell(**_):
    print("FAREWELL", flush=True)
"""


async def test_a_kopf_operator_hears_creation_change_and_deletion(
    kubeconfig, namespace, kube_client, tmp_path
):
    from dask_k8s_operator.kube.errors import NotFoundError
    from dask_k8s_operator.resources.kinds import CONFIG_MAPS

    handlers, told = tmp_path / "handlers.py", tmp_path / "out"
    handlers.write_text(KOPF_HANDLERS)
    command = [sys.executable, "-m", "kopf", "run", "--standalone", f"--namespace={namespace}"]
    body = {"metadata": {"name": "c", "labels": {"kopf": "yes"}}, "data": {"say": "hello"}}
    with told.open("w") as out:
        operator = subprocess.Popen([*command, str(handlers)], stdout=out, stderr=out)  # noqa: ASYNC220
        try:
            await kube_client.create(CONFIG_MAPS, body, namespace)

            def has_heard(word: str):
                async def heard() -> bool:
                    found = await kube_client.get(CONFIG_MAPS, "c", namespace)
                    return (found["metadata"].get("annotations") or {}).get("heard") == word

                return heard

            await _eventually(has_heard("hello"))
            await kube_client.patch(CONFIG_MAPS, "c", {"data": {"say": "again"}}, namespace)
            await _eventually(has_heard("again"))
            await kube_client.delete(CONFIG_MAPS, "c", namespace)

            async def is_gone() -> bool:
                try:
                    await kube_client.get(CONFIG_MAPS, "c", namespace)
                except NotFoundError:
                    return True
                return False

            await _eventually(is_gone)
            assert "FAREWELL" in told.read_text()
        finally:
            operator.terminate()
            operator.wait(60)
