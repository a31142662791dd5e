"""The story of the notebook, told by a Pod inside the cluster with no more than the user's role."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import yaml

SCRIPT = """
import dask.array as da
from dask_k8s_jupyter import KubeCluster

with KubeCluster(name="inside", n_workers=2, image={image!r}, quiet=True) as cluster:
    with cluster.get_client() as client:
        mean = da.random.random((2_000, 2_000), chunks=(500, 500)).mean().compute()
        assert 0.49 < mean < 0.51, mean
        cluster.scale(1)
        cluster.adapt(minimum=1, maximum=2)
    assert cluster.scheduler_address.startswith("tcp://inside-scheduler.")
print("the story is told")
"""


def build_inside(namespace: str, image: str) -> list[dict[str, Any]]:
    """Build a Pod that runs the script, its account, and the binding to the user's role."""
    account = {"name": "scientist", "namespace": namespace}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": account,
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "dask-user",
            },
            "subjects": [{"kind": "ServiceAccount", **account}],
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "notebook", "namespace": namespace},
            "spec": {
                "serviceAccountName": "scientist",
                "restartPolicy": "Never",
                "containers": [
                    {
                        "name": "notebook",
                        "image": image,
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["python", "-c", SCRIPT.format(image=image)],
                    }
                ],
            },
        },
    ]


async def test_a_pod_with_the_users_role_makes_uses_and_closes_a_cluster(
    kubectl: Callable[..., str],
    kubectl_json: Callable[..., Any],
    namespace: str,
    dask_image: str,
    wait_until: Callable[..., Awaitable[Any]],
) -> None:
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(build_inside(namespace, dask_image)))

    def phase() -> str:
        return kubectl_json("get", "pod", "notebook")["status"].get("phase", "")

    await wait_until(lambda: phase() in ("Succeeded", "Failed"), 120, "the script's end")
    assert "the story is told" in kubectl("logs", "notebook")
    assert phase() == "Succeeded"
    await wait_until(lambda: not kubectl("get", "dsk", "-o", "name"), 30, "the cluster is gone")
