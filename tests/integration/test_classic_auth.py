"""A classic cluster of somebody whom ``auth=`` alone makes known to Kubernetes."""

from __future__ import annotations

import base64
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_k8s_jupyter.classic import InCluster, KubeAuth, KubeCluster, KubeConfig, make_pod_spec
from dask_k8s_jupyter.errors import NoKubernetesError, PermissionMissingError

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")

RULES = [
    "--verb=create,get,list,watch,delete",
    "--resource=pods,pods/portforward,pods/log,services",
]


def read_cluster(kubeconfig: Path, folder: Path) -> dict[str, Any]:
    """Where Kubernetes is, as arguments of KubeAuth; its authority in a file."""
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    authority = cluster.get("certificate-authority")
    if not authority:
        authority = folder / "authority.pem"
        authority.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    return {"host": cluster["server"], "ssl_ca_cert": str(authority)}


def write_contexts(kubeconfig: Path, folder: Path, token: str) -> Path:
    """A kubeconfig whose current context leads nowhere, and whose other one is the account's."""
    cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    if not Path(cluster.get("certificate-authority", "/")).is_absolute():
        cluster["certificate-authority"] = str(kubeconfig.parent / cluster["certificate-authority"])
    nowhere = {"cluster": "nowhere", "user": "nobody"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "elsewhere",
        "contexts": [
            {"name": "elsewhere", "context": nowhere},
            {"name": "account", "context": {"cluster": "there", "user": "account"}},
        ],
        "clusters": [
            {"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}},
            {"name": "there", "cluster": cluster},
        ],
        "users": [{"name": "nobody", "user": {}}, {"name": "account", "user": {"token": token}}],
    }
    path = folder / "contexts"
    path.write_text(yaml.safe_dump(document))
    return path


async def test_who_one_is_comes_from_auth_alone(
    namespace: str,
    dask_image: str,
    kubeconfig: Path,
    kubectl: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for command in (
        ["create", "serviceaccount", "scientist"],
        ["create", "role", "pods", *RULES],
        ["create", "rolebinding", "pods", "--role=pods", f"--serviceaccount={namespace}:scientist"],
    ):
        kubectl(*command)
    token = kubectl("create", "token", "scientist").strip()
    account = KubeAuth(**read_cluster(kubeconfig, tmp_path), token=token)
    contexts = write_contexts(kubeconfig, tmp_path, token)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    template = make_pod_spec(
        dask_image,
        extra_pod_config={"termination_grace_period_seconds": 2},
        extra_container_config={"imagePullPolicy": "IfNotPresent"},
    )
    template.spec.containers[0].args += ["--no-nanny", "--no-dashboard"]
    common: dict[str, Any] = {"namespace": namespace, "asynchronous": True}
    with pytest.raises(NoKubernetesError):
        await KubeCluster(template, name="mine", **common)
    with pytest.raises(PermissionMissingError):
        elsewhere = {**common, "namespace": "default"}
        await KubeCluster(template, name="mine", auth=account, **elsewhere)
    ways = [
        KubeConfig(contexts, context="account"),
        [InCluster(), KubeConfig(tmp_path / "none"), account],
    ]
    async with KubeCluster(template, name="mine", n_workers=1, auth=account, **common) as cluster:
        await cluster.wait_for_workers(1, timeout=120)
        for auth in ways:
            guest = await KubeCluster.from_name("mine", auth=auth, **common)
            async with guest.get_client() as client:
                assert await client.submit(operator.add, 1, 2) == 3
            await guest.close()
