"""Services, their Endpoints and addresses, and Jobs: the same on any Kubernetes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.resources.kinds import NODES, PODS, SERVICES, Kind

Kubectl = Callable[..., str]
WaitUntil = Callable[..., Awaitable[Any]]

ENDPOINTS = Kind("", "v1", "endpoints", "Endpoints")
JOBS = Kind("batch", "v1", "jobs", "Job")
# Answers with the Pod's name; is ready when a file says so.
SERVE = """
import http.server, os
class Name(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["NAME"].encode())
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Name).serve_forever()
"""
ASK = """
import sys, urllib.request
def ask(url):
    try:
        return urllib.request.urlopen(url, timeout=5).read().decode()
    except OSError as error:
        return str(getattr(error, "reason", error))
print(*map(ask, sys.argv[1:]), sep="|")
"""


@pytest.fixture
def serve(kube_client: KubeClient, namespace: str, dask_image: str) -> Callable[..., Any]:
    """Create a Pod that serves its name, ready unless told otherwise."""

    async def make(name: str, *, ready: bool = True) -> None:
        container = {
            "name": "main",
            "image": dask_image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["python", "-c", SERVE],
            "env": [{"name": "NAME", "value": name}],
            "ports": [{"name": "web", "containerPort": 8000}],
            "readinessProbe": {
                "httpGet": {"port": "web" if ready else 9000},
                "periodSeconds": 1,
            },
        }
        spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
        metadata = {"name": name, "labels": {"app": "web"}}
        await kube_client.create(PODS, {"metadata": metadata, "spec": spec}, namespace)

    return make


async def test_a_services_addresses_lead_to_its_ready_pods_and_to_their_successors(
    serve: Any,
    kube_client: KubeClient,
    namespace: str,
    wait_until: WaitUntil,
    kubectl: Kubectl,
) -> None:
    ports = [{"name": "web", "port": 8080, "targetPort": "web"}]
    spec = {"type": "NodePort", "selector": {"app": "web"}, "ports": ports}
    manifest = {"metadata": {"name": "web"}, "spec": spec}
    created = await kube_client.create(SERVICES, manifest, namespace)
    await serve("good")
    await serve("bad", ready=False)
    # Other tests pretend to have nodes, which nobody can reach.
    nodes = (await kube_client.list(NODES)).items
    told = next(found for node in nodes if (found := node["status"].get("addresses")))
    addresses = {each["type"]: each["address"] for each in told}
    urls = [
        f"http://{created['spec']['clusterIP']}:8080",
        f"http://{addresses['InternalIP']}:{created['spec']['ports'][0]['nodePort']}",
        "http://web:8080",
        f"http://web.{namespace}.svc.cluster.local:8080",
    ]

    async def behind() -> tuple[list[str], list[str]]:
        try:
            found = await kube_client.get(ENDPOINTS, "web", namespace)
        except NotFoundError:
            return [], []
        subsets = found.get("subsets") or [{}]
        ready, unready = (
            [each["targetRef"]["name"] for each in subsets[0].get(field) or ()]
            for field in ("addresses", "notReadyAddresses")
        )
        return ready, unready

    async def are(ready: list[str], unready: list[str]) -> bool:
        return await behind() == (ready, unready)

    def answers() -> set[str]:
        return set(kubectl("exec", "bad", "--", "python", "-c", ASK, *urls).strip().split("|"))

    kubectl("wait", "--for=jsonpath={.status.phase}=Running", "--timeout=90s", "pod/bad")
    await wait_until(lambda: are(["good"], ["bad"]))
    ready = "jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].targetRef.name}"
    await wait_until(lambda: kubectl("get", "endpointslices", "-o", ready) == "good")
    await wait_until(lambda: answers() == {"good"})
    await kube_client.delete(PODS, "good", namespace)
    await serve("better")
    await wait_until(lambda: are(["better"], ["bad"]))
    await wait_until(lambda: answers() == {"better"})
    await kube_client.delete(PODS, "better", namespace, grace_period_s=0)
    await wait_until(lambda: are([], ["bad"]))
    await wait_until(lambda: all("refused" in answer for answer in answers()))


def build_job(image: str, name: str, script: str, **spec: Any) -> dict[str, Any]:
    """A Job of one shell script."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
    }
    pod = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
    }
    return {"metadata": {"name": name}, "spec": {"template": {"spec": pod}, **spec}}


async def test_jobs_run_to_their_ends(
    kube_client: KubeClient,
    namespace: str,
    dask_image: str,
    wait_until: WaitUntil,
    kubectl: Kubectl,
) -> None:
    say = "echo $JOB_COMPLETION_INDEX"
    for job in (
        build_job(dask_image, "many", "true", completions=3, parallelism=2),
        build_job(dask_image, "indexed", say, completions=2, completionMode="Indexed"),
        build_job(dask_image, "fails", "exit 3", backoffLimit=0),
        build_job(dask_image, "late", "sleep 600", activeDeadlineSeconds=1),
        build_job(dask_image, "held", "true", suspend=True),
        build_job(dask_image, "brief", "true", ttlSecondsAfterFinished=0),
    ):
        await kube_client.create(JOBS, job, namespace)

    async def ends(name: str, type_: str) -> dict[str, Any] | None:
        status = (await kube_client.get(JOBS, name, namespace)).get("status") or {}
        found = [c for c in status.get("conditions") or () if c["type"] == type_]
        return status if found and found[0]["status"] == "True" else None

    def reasons(status: dict[str, Any]) -> list[tuple[str, str]]:
        return [(each["type"], each["reason"]) for each in status["conditions"]]

    met = [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]
    many = await wait_until(lambda: ends("many", "Complete"))
    assert (many["succeeded"], many.get("active"), reasons(many)) == (3, None, met)
    assert many["completionTime"] >= many["startTime"]
    indexed = await wait_until(lambda: ends("indexed", "Complete"))
    assert indexed["completedIndexes"] == "0,1"
    fails = await wait_until(lambda: ends("fails", "Failed"))
    limit = "BackoffLimitExceeded"
    assert (fails["failed"], reasons(fails)) == (1, [("FailureTarget", limit), ("Failed", limit)])
    late = await wait_until(lambda: ends("late", "Failed"))
    assert reasons(late)[-1] == ("Failed", "DeadlineExceeded")
    held = await wait_until(lambda: ends("held", "Suspended"))
    assert (reasons(held), "startTime" in held) == ([("Suspended", "JobSuspended")], False)
    await kube_client.patch(JOBS, "held", {"spec": {"suspend": False}}, namespace)
    held = await wait_until(lambda: ends("held", "Complete"))
    assert reasons(held) == [("Suspended", "JobResumed"), *met]
    await wait_until(lambda: "brief" not in kubectl("get", "jobs,pods", "-o", "name"))
    shown = kubectl("get", "jobs", "many", "fails").splitlines()[1:]
    assert [line.split()[:3] for line in shown] == [
        ["many", "Complete", "3/3"],
        ["fails", "Failed", "0/1"],
    ]
    kubectl("delete", "job", "many")
    await wait_until(lambda: "pod/many" not in kubectl("get", "pods", "-o", "name"))
