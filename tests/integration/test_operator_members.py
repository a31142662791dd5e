"""Who holds the certificates of an encrypted cluster belongs to it, and nobody else does."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from cluster_readiness import wait_one_ready
from dask_resources import Dask

from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, PODS
from dask_k8s_operator.resources.names import tls_name
from dask_k8s_operator.resources.tls import CERTIFICATE_KEY, PRIVATE_KEY

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")

CONNECTS = """
import os
from distributed import Client

print("certificates:", "DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in os.environ)
try:
    with Client(os.environ["DASK_SCHEDULER_ADDRESS"], timeout=60) as client:
        print("computed", client.submit(sum, [1, 2]).result(timeout=60))
except Exception as error:
    while error:
        print("refused:", type(error).__name__, error)
        error = error.__cause__
"""


async def environment_of_a_worker(dask: Dask) -> list[dict[str, Any]]:
    """What a worker is told of its scheduler, as it stands in its Pod."""
    (worker,) = await dask.pods("dask.org/cluster-name=demo,dask.org/component=worker")
    variables = worker["spec"]["containers"][0]["env"]
    return [v for v in variables if v["name"] != "DASK_WORKER_NAME"]


def with_certificate_of(cluster: str, environment: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same authority to trust, and the certificate of another cluster to show."""
    changed = copy.deepcopy(environment)
    for variable in changed:
        reference = variable.get("valueFrom", {}).get("secretKeyRef", {})
        if reference.get("key") in (CERTIFICATE_KEY, PRIVATE_KEY):
            reference["name"] = tls_name(cluster)
    return changed


def without_secret(environment: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [variable for variable in environment if "valueFrom" not in variable]


async def test_a_pod_that_holds_the_secret_computes_and_the_same_pod_without_is_refused(dask):
    await dask.create(DASK_CLUSTERS, "demo", dask.cluster_spec(1, tls=True))
    await dask.create(DASK_CLUSTERS, "other", dask.cluster_spec(0, tls=True))
    await wait_one_ready(dask, "demo", 1)
    await wait_one_ready(dask, "other", 0)
    environment = await environment_of_a_worker(dask)
    assert any(tls_name("demo") in str(variable) for variable in environment)
    pods = {
        "member": environment,
        "of-another": with_certificate_of("other", environment),
        "stranger": without_secret(environment),
    }
    for name, variables in pods.items():
        script = dask.container("third", "python", "-c", CONNECTS, env=variables)
        spec = {"containers": [script], "restartPolicy": "Never"}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        await dask.client.create(PODS, body, dask.namespace)
    logs = {}
    for name in pods:

        async def has_ended(name: str = name) -> bool:
            return (await dask.get(PODS, name))["status"].get("phase") in ("Succeeded", "Failed")

        await dask.wait_until(has_ended, timeout_s=150)
        logs[name] = await dask.client.logs(name, dask.namespace)
    assert "computed 3" in logs["member"].splitlines()
    assert "refused" not in logs["member"]
    # The scheduler itself refuses the one, distributed the other: it has nothing to show.
    reasons = {"of-another": ("True", "in <TLS (closed)"), "stranger": ("False", "TLS expects a")}
    for name, (has_certificates, reason) in reasons.items():
        assert f"certificates: {has_certificates}" in logs[name]
        assert reason in logs[name]
        assert "computed" not in logs[name]
