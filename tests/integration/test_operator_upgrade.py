"""Definitions of an earlier release, or of dask-kubernetes, become today's; their clusters stay."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dask_resources import Dask

from dask_k8s_jupyter.local import LocalKubernetes
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.kinds import CUSTOM_RESOURCE_DEFINITIONS, DASK_CLUSTERS

pytestmark = [
    pytest.mark.filterwarnings("ignore:Mismatched versions"),
    pytest.mark.local_only("replaces the definitions, on a Kubernetes that nobody else uses"),
]

DASK_K8S = str(Path(sys.executable).with_name("dask-k8s"))
NEWER = ("tls", "suspend", "idleTimeout", "retireTimeout")


def schema_of(definition: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def build_earlier() -> list[dict[str, Any]]:
    """Definitions as ours, before some fields, columns and the categories were known."""
    definitions = copy.deepcopy(build_crds())
    for definition in definitions:
        remove_newer(schema_of(definition))
        del definition["spec"]["names"]["categories"]
        del definition["spec"]["versions"][0]["additionalPrinterColumns"]
    return definitions


def remove_newer(schema: dict[str, Any]) -> None:
    properties = schema.get("properties", {})
    for name in NEWER:
        properties.pop(name, None)
    for nested in properties.values():
        remove_newer(nested)


def build_foreign() -> list[dict[str, Any]]:
    """Definitions as dask-kubernetes has them: of open objects, without a status of clusters."""
    definitions = copy.deepcopy(build_crds())
    for definition in definitions:
        version = definition["spec"]["versions"][0]
        is_open = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        properties = {"spec": dict(is_open), "status": dict(is_open)}
        version["schema"] = {"openAPIV3Schema": {**is_open, "properties": properties}}
        version["additionalPrinterColumns"] = [
            {"name": "Old", "type": "string", "jsonPath": ".spec.old"}
        ]
        if definition["spec"]["names"]["kind"] != "DaskJob":
            del version["subresources"]["status"]
        definition["metadata"]["annotations"] = {"made-by": "another"}
    return definitions


@pytest.fixture
def kube() -> Iterator[LocalKubernetes]:
    """A Kubernetes where nobody has installed anything."""
    with LocalKubernetes.in_thread(operator=False, cpus=8) as kube:
        yield kube


@pytest.fixture
async def dask(kube: LocalKubernetes, dask_image: str, wait_until: Any) -> AsyncIterator[Dask]:
    async with await KubeClient.connect(kubeconfig=str(kube.kubeconfig)) as client:
        yield Dask(client, "default", dask_image, wait_until)


def kubectl(kube: LocalKubernetes, *arguments: str, manifests: list[dict[str, Any]]) -> None:
    run = ["kubectl", f"--kubeconfig={kube.kubeconfig}", *arguments, "--filename=-"]
    text = yaml.safe_dump_all(manifests)
    ended = subprocess.run(run, input=text, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


def install(kube: LocalKubernetes, image: str) -> str:
    run = [DASK_K8S, "operator", "install", f"--kubeconfig={kube.kubeconfig}"]
    environment = {**os.environ, "DASK_KUBERNETES__IMAGE": image}
    ended = subprocess.run(run, capture_output=True, text=True, timeout=150, env=environment)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize(
    ("definitions", "arguments"),
    [(build_earlier(), ["apply", "--server-side"]), (build_foreign(), ["create"])],
    ids=["of an earlier release", "of another operator"],
)
async def test_what_was_defined_before_becomes_todays_and_its_cluster_works(
    definitions, arguments, kube, dask
):
    kubectl(kube, *arguments, manifests=definitions)
    spec = dask.cluster_spec(1)
    body = {
        "apiVersion": DASK_CLUSTERS.api_version,
        "kind": DASK_CLUSTERS.kind,
        "metadata": {"name": "demo", "labels": {"team": "a"}},
        "spec": {**spec, "old": "field"},
        "status": {"phase": "Created", "old": "field"},
    }
    before = await dask.client.create(DASK_CLUSTERS, body, dask.namespace)
    assert "idleTimeout" not in before["spec"]

    assert "Deployment/dask-operator" in install(kube, dask.image)
    for wanted in build_crds():
        name = wanted["metadata"]["name"]
        found = await dask.client.get(CUSTOM_RESOURCE_DEFINITIONS, name)
        (version,) = found["spec"]["versions"]
        (wanted_version,) = wanted["spec"]["versions"]
        # Not only is ours there: nothing else is left.
        assert schema_of(found) == schema_of(wanted)
        assert version["subresources"] == wanted_version["subresources"]
        assert version["additionalPrinterColumns"] == wanted_version["additionalPrinterColumns"]
        assert found["spec"]["names"]["categories"] == ["dask"]

    await dask.wait_ready("demo", 1)
    after = await dask.get(DASK_CLUSTERS, "demo")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["labels"] == {"team": "a"}
    assert (after["spec"]["idleTimeout"], after["spec"]["tls"]) == (0, False)
    assert "old" not in {**after["spec"], **after["status"]}
    async with dask.connected("demo") as client:
        assert await client.submit(sum, [1, 2]) == 3
    # What the definitions did not know before.
    await dask.edit(DASK_CLUSTERS, "demo", spec={"suspend": True})

    async def is_suspended() -> bool:
        phase = (await dask.status(DASK_CLUSTERS, "demo")).get("phase")
        return phase == "Suspended" and not await dask.pods("dask.org/cluster-name=demo")

    await dask.wait_until(is_suspended)
