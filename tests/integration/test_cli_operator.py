"""``dask-k8s doctor`` and ``operator``: what is healthy, what is missing, and how to mend it."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_k8s_jupyter.clusters.operatorparts import MARK
from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.kinds import (
    CLUSTER_ROLES,
    CONFIG_MAPS,
    CUSTOM_RESOURCE_DEFINITIONS,
    DASK_CLUSTERS,
    DEPLOYMENTS,
    GROUP,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
)

DASK_K8S = str(Path(sys.executable).with_name("dask-k8s"))
PATIENCE_S = 150

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(dask_image: str) -> Run:
    """Run ``dask-k8s`` with a kubeconfig; fails unless it ends with ``code``."""

    def run(
        kubeconfig: Path | str, *arguments: str, code: int = 0, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [DASK_K8S, *arguments, "--kubeconfig", str(kubeconfig)],
            env={**os.environ, "DASK_KUBERNETES__IMAGE": dask_image},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert ended.returncode == code, f"{arguments}: {ended.stdout}{ended.stderr}"
        assert "Traceback" not in ended.stderr
        return ended

    return run


async def test_a_healthy_cluster(
    run: Run, kubeconfig: Path, kube_client: KubeClient, namespace: str
) -> None:
    said = json.loads(run(kubeconfig, "doctor", "-n", namespace, "-o", "json").stdout)
    outcomes = {(found["check"], found["outcome"]) for found in said["findings"]}
    assert said["ok"]
    assert outcomes == {
        (check, "ok")
        for check in (
            *("configuration", "connection", "version", "definitions", "operator", "namespace"),
            *("permissions", "cluster", "name resolution", "image", "dashboard"),
        )
    }
    # It leaves nothing behind.
    assert (await kube_client.list(DASK_CLUSTERS, namespace)).items == []


def test_a_healthy_cluster_without_touching_it(run: Run, kubeconfig: Path, namespace: str) -> None:
    said = run(kubeconfig, "doctor", "--passive", "-n", namespace)
    assert "✗" not in said.stdout
    assert "? No cluster runs" in said.stdout
    assert said.stdout.splitlines()[-1] == "All is well, as far as could be seen."


def test_an_image_that_cannot_be_pulled(
    run: Run, kubeconfig: Path, namespace: str, missing_image: str
) -> None:
    said = run(kubeconfig, "doctor", "-n", namespace, "--image", missing_image, code=1).stdout
    assert "✗ DaskCluster" in said
    assert missing_image in said
    assert "Check the image's name" in said


def test_a_namespace_that_is_not_there(run: Run, kubeconfig: Path) -> None:
    said = run(kubeconfig, "doctor", "-n", "no-such-namespace", code=1).stdout
    assert "✗ There is no namespace no-such-namespace" in said


@pytest.mark.parametrize(
    ("server", "token", "said", "fix"),
    [
        (None, "stale", "Kubernetes refused", "Log in again"),
        ("https://127.0.0.1:1", "any", "https://127.0.0.1:1", "Check the network"),
    ],
)
def test_a_kubernetes_that_cannot_be_reached_or_does_not_know_us(
    server: str | None,
    token: str,
    said: str,
    fix: str,
    run: Run,
    kubeconfig: Path,
    tmp_path: Path,
) -> None:
    document = yaml.safe_load(kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token}
    if server:
        document["clusters"][0]["cluster"]["server"] = server
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    found = json.loads(run(path, "doctor", "-o", "json", code=1).stdout)["findings"]
    assert [finding["check"] for finding in found] == ["configuration", "connection", "rest"]
    assert said in found[1]["message"]
    assert fix in found[1]["fix"]


async def test_a_doctor_who_is_interrupted_leaves_nothing_behind(
    kubeconfig: Path,
    dask_image: str,
    namespace: str,
    kubectl_json: Callable[..., Any],
    wait_until: Callable[..., Awaitable[Any]],
) -> None:
    examining = subprocess.Popen(  # noqa: ASYNC220
        [DASK_K8S, "doctor", "-n", namespace, "--image", dask_image],
        # A worker that never joins: there is time enough to interrupt.
        env={**os.environ, "DASK_KUBERNETES__WORKER_COMMAND": "sh -c 'sleep 600'"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    await wait_until(lambda: kubectl_json("get", "daskclusters")["items"])
    examining.send_signal(signal.SIGINT)
    said = examining.communicate(timeout=PATIENCE_S)[1]
    assert examining.returncode == 1
    assert "Traceback" not in said
    assert kubectl_json("get", "daskclusters")["items"] == []


@pytest.fixture
async def newcomer(
    kubeconfig: Path, kube_client: KubeClient, namespace: str, tmp_path: Path
) -> Path:
    """Path of the kubeconfig of a service account that nobody has allowed anything."""
    await kube_client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "newcomer"}}, namespace)
    issued = await kube_client.request(
        "POST",
        f"{SERVICE_ACCOUNTS.path(namespace, 'newcomer')}/token",
        body={"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    )
    document = yaml.safe_load(kubeconfig.read_text())  # noqa: ASYNC240  a few kB, once
    for user in document["users"]:
        user["user"] = {"token": issued["status"]["token"]}
    path = tmp_path / "newcomer"
    path.write_text(yaml.safe_dump(document))
    return path


async def test_without_permissions_and_with_those_that_it_advises(
    run: Run, newcomer: Path, kube_client: KubeClient, namespace: str
) -> None:
    said = run(newcomer, "doctor", "-n", namespace, code=1).stdout
    assert f"knows you as system:serviceaccount:{namespace}:newcomer" in said
    assert "missing is create, delete daskclusters.kubernetes.dask.org" in said
    assert "missing is list pods; get, create pods/portforward" in said
    advice = (
        f"kubectl create rolebinding dask-users -n {namespace} --clusterrole=dask-user "
        f"--serviceaccount={namespace}:newcomer"
    )
    assert said.count(advice) == 1
    # A lease that everybody may read tells that the operator is alive.
    assert "✓ The operator" in said

    binding = {
        "metadata": {"name": "dask-users"},
        "roleRef": {"apiGroup": CLUSTER_ROLES.group, "kind": "ClusterRole", "name": "dask-user"},
        "subjects": [{"kind": "ServiceAccount", "name": "newcomer", "namespace": namespace}],
    }
    await kube_client.create(ROLE_BINDINGS, binding, namespace)
    after = run(newcomer, "doctor", "--passive", "-n", namespace).stdout
    assert "You may not" not in after
    assert "✗" not in after


async def test_only_administrators_install(run: Run, newcomer: Path) -> None:
    said = run(newcomer, "operator", "install", code=1).stderr
    assert "You may not" in said
    assert "has to be an administrator" in said


def test_the_operator_is_seen(run: Run, kubeconfig: Path) -> None:
    said = json.loads(run(kubeconfig, "operator", "status", "-o", "json").stdout)
    assert said["outcome"] == "running"
    assert said["definitions"] == said["this_release"]


@pytest.fixture
def bare_kubernetes() -> Iterator[Path]:
    """Kubeconfig of an embedded Kubernetes where nobody has installed anything."""
    from dask_k8s_jupyter.local import LocalKubernetes

    with LocalKubernetes.in_thread(operator=False) as kube:
        yield kube.kubeconfig


@pytest.mark.local_only("installs and uninstalls, on a Kubernetes that nobody else uses")
async def test_from_nothing_to_an_operator_and_back(run: Run, bare_kubernetes: Path) -> None:
    said = run(bare_kubernetes, "doctor", code=1).stdout
    assert "does not know Dask clusters" in said
    assert "`dask-k8s operator install`" in said

    async with await KubeClient.connect(bare_kubernetes) as client:
        for crd in build_crds():
            await client.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
        said = run(bare_kubernetes, "doctor", code=1).stdout
        assert "✓ It knows Dask clusters" in said
        assert "✗ There is no operator in the cluster" in said

        applied = run(bare_kubernetes, "operator", "install").stdout
        assert "Deployment/dask-operator" in applied
        assert "runs in namespace dask-operator" in applied

        await _check_next_release(run, bare_kubernetes, client)

        run(bare_kubernetes, "create", "demo", "--n-workers", "0")
        refused = run(bare_kubernetes, "operator", "uninstall", code=1).stderr
        assert "This deletes 1 DaskCluster (default/demo) with all Pods" in refused
        assert "nothing was changed" in refused
        deleted = run(bare_kubernetes, "operator", "uninstall", "--yes").stdout
        assert "Deployment/dask-operator" in deleted
        assert f"CustomResourceDefinition/daskthings.{GROUP}" in deleted
        assert "Namespace/dask-operator" in deleted
        assert "Nothing was there" in run(bare_kubernetes, "operator", "uninstall", "--yes").stdout
        with pytest.raises(NotFoundError):
            await client.list(DASK_CLUSTERS)


async def _check_next_release(run: Run, kubeconfig: Path, client: KubeClient) -> None:
    """What an earlier release had applied with kubectl and this one lacks goes."""
    before = await client.get(DEPLOYMENTS, "dask-operator", "dask-operator")
    earlier: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "dask-operator", "labels": {"from": "earlier"}},
    }
    await client.patch(
        DEPLOYMENTS,
        "dask-operator",
        earlier,
        "dask-operator",
        patch_type="apply",
        field_manager="kubectl",
    )
    metadata = {"name": "of-another-release", "labels": dict(MARK)}
    await client.create(CONFIG_MAPS, {"metadata": metadata}, "dask-operator")
    await client.create(CONFIG_MAPS, {"metadata": {"name": "of-somebody"}}, "dask-operator")
    await client.create(CLUSTER_ROLES, {"metadata": metadata, "rules": []})
    said = run(kubeconfig, "operator", "install").stdout
    pruned = said.partition("Deleted what another release had: ")[2].splitlines()[0]
    assert sorted(pruned.split(", ")) == [
        "ClusterRole/of-another-release",
        "ConfigMap/of-another-release",
    ]
    with pytest.raises(NotFoundError):
        await client.get(CLUSTER_ROLES, "of-another-release")
    await client.get(CONFIG_MAPS, "of-somebody", "dask-operator")
    after = await client.get(DEPLOYMENTS, "dask-operator", "dask-operator")
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    # Later releases may know more kinds.
    later = copy.deepcopy(build_crds()[-1])
    later["metadata"] = {"name": f"daskthings.{GROUP}", "labels": dict(MARK)}
    names = {"plural": "daskthings", "singular": "daskthing", "kind": "DaskThing"}
    later["spec"]["names"] = {**names, "listKind": "DaskThingList"}
    await client.create(CUSTOM_RESOURCE_DEFINITIONS, later)
