"""An encrypted cluster: for its own it works, others it refuses, lost certificates it replaces."""

from __future__ import annotations

import base64

import pytest
from dask_resources import Dask, run_slowly
from distributed.security import Security

from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, DASK_JOBS, PODS, SECRETS

# The image has another patch release of Python than the machine that tests.
pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions")

# A client without TLS; and one with TLS that trusts anybody and shows no certificate.
PLAIN = """
from distributed import Client
try:
    Client("tcp://{host}:8786", timeout=5)
except OSError as error:
    print("refused:", error)
"""
BARE = """
import socket, ssl
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
try:
    with context.wrap_socket(socket.create_connection(("{host}", 8786), timeout=60)) as wire:
        print("let in" if wire.recv(1) else "refused: closed")
except (ssl.SSLError, ConnectionResetError) as error:
    # Whether the alert or the end of the connection is seen first is a matter of luck.
    print("refused:", error)
"""


async def test_an_encrypted_cluster_works_for_its_own_and_refuses_a_third_pod(dask):
    spec = dask.cluster_spec(2, tls=True)
    # Workers without a name of the operator's are found by their address.
    arguments = spec["worker"]["spec"]["containers"][0]["args"]
    named = arguments.index("--name")
    del arguments[named : named + 2]
    await dask.create(DASK_CLUSTERS, "demo", spec)
    address = f"demo-scheduler.{dask.namespace}.svc.cluster.local:8786"
    runner = dask.container("job", "python", "-c", "import distributed as d; print(d.Client())")
    job = {"job": {"spec": {"containers": [runner]}}, "cluster": {"spec": dask.cluster_spec(0)}}
    job["cluster"]["spec"]["tls"] = True
    await dask.create(DASK_JOBS, "etl", job)
    await dask.wait_ready("demo", 2)
    assert (await dask.status(DASK_CLUSTERS, "demo"))["schedulerAddress"] == f"tls://{address}"
    secret = await dask.get(SECRETS, "demo-tls") or {}
    texts = await read_certificates(dask)
    assert [owner["name"] for owner in secret["metadata"]["ownerReferences"]] == ["demo"]

    host = address.partition(":")[0]
    for name, code in (("plain", PLAIN.format(host=host)), ("bare", BARE.format(host=host))):
        container = dask.container("third", "python", "-c", code)
        spec = {"containers": [container], "restartPolicy": "Never"}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        await dask.client.create(PODS, body, dask.namespace)
    async with dask.connected("demo", security_of(texts)) as client:
        await client.wait_for_workers(2)
        workers = (await client.scheduler.identity(n_workers=-1))["workers"]
        assert {worker.partition("://")[0] for worker in workers} == {"tls"}
        futures = client.map(run_slowly, range(8), seconds=0.2, pure=False)
        assert await client.submit(sum, futures) == sum(range(8))
        # The agent is asked over HTTP as before.
        await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"replicas": 1}})
        await dask.wait_ready("demo", 1)
        assert await client.gather(futures) == list(range(8))

    async def have_ended() -> bool:
        pods = [await dask.get(PODS, name) for name in ("plain", "bare")]
        return all(pod and pod["status"]["phase"] == "Succeeded" for pod in pods)

    await dask.wait_until(have_ended, timeout_s=150)
    for name in ("plain", "bare"):
        assert "refused:" in await dask.client.logs(name, dask.namespace)

    async def job_state() -> str | None:
        return (await dask.status(DASK_JOBS, "etl")).get("jobStatus")

    await dask.wait_for(job_state, "Successful", timeout_s=150)
    assert "<Client: 'tls://" in await dask.client.logs("etl-runner", dask.namespace)

    await replace_lost_certificates(dask, texts["ca.crt"])


async def replace_lost_certificates(dask: Dask, authority: str) -> None:
    """The Secret is deleted: it is made again when a worker needs it, and all trust the new one."""
    scheduler = (await dask.get(PODS, "demo-scheduler"))["metadata"]["uid"]
    await dask.client.delete(SECRETS, "demo-tls", dask.namespace)
    await dask.edit(DASK_CLUSTERS, "demo", spec={"worker": {"replicas": 2}})

    async def is_anew() -> bool:
        pod = await dask.get(PODS, "demo-scheduler")
        return bool(pod and pod["metadata"]["uid"] != scheduler)

    # After the ten seconds that a scheduler has to be without work and results.
    await dask.wait_until(is_anew)
    await dask.wait_ready("demo", 2)
    texts = await read_certificates(dask)
    assert texts["ca.crt"] != authority
    async with dask.connected("demo", security_of(texts)) as client:
        await client.wait_for_workers(2)
        assert await client.submit(sum, [1, 2]) == 3


async def read_certificates(dask: Dask) -> dict[str, str]:
    secret = await dask.get(SECRETS, "demo-tls") or {}
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def security_of(texts: dict[str, str]) -> Security:
    return Security(
        tls_ca_file=texts["ca.crt"],
        tls_client_cert=texts["tls.crt"],
        tls_client_key=texts["tls.key"],
        require_encryption=True,
    )
