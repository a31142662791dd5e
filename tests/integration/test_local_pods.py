"""Pods on a node: how they start, fail and end, told in the same words on any Kubernetes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dask_k8s_operator.kube import KubeClient, PortForward
from dask_k8s_operator.resources.kinds import PODS, SERVICES

Kubectl = Callable[..., str]
WaitUntil = Callable[..., Awaitable[Any]]
MakePod = Callable[..., Awaitable[dict[str, Any]]]
HELD = "dask-k8s-jupyter.test/held"

ECHO = """
import asyncio
async def answer(reader, writer):
    while block := await reader.read(65536):
        writer.write(block)
        await writer.drain()
    writer.close()
async def main():
    server = await asyncio.start_server(answer, "0.0.0.0", 9000)
    await server.serve_forever()
asyncio.run(main())
"""


@pytest.fixture
def make_pod(kube_client: KubeClient, namespace: str, dask_image: str) -> MakePod:
    """Create a Pod of one container; keywords go into the container, the Pod's own by ``pod=``."""

    async def make(
        name: str, *, pod: dict[str, Any] | None = None, labels: Any = None, **more: Any
    ) -> dict[str, Any]:
        container = {"name": "main", "image": dask_image, "imagePullPolicy": "IfNotPresent", **more}
        spec = {"terminationGracePeriodSeconds": 1, "containers": [container], **(pod or {})}
        metadata = {"name": name, "labels": labels or {}}
        return await kube_client.create(PODS, {"metadata": metadata, "spec": spec}, namespace)

    return make


@pytest.fixture
def state_of(kube_client: KubeClient, namespace: str) -> Callable[[str], Awaitable[dict[str, Any]]]:
    """The first container's status of a Pod; empty while there is none."""

    async def state(name: str) -> dict[str, Any]:
        pod = await kube_client.get(PODS, name, namespace)
        found: list[dict[str, Any]] = pod["status"].get("containerStatuses") or [{}]
        return found[0]

    return state


async def wait_for_phase(
    kube_client: KubeClient, namespace: str, wait_until: WaitUntil, name: str, phase: str
) -> dict[str, Any]:
    """Wait for a Pod's phase; returns the Pod."""

    async def reached() -> dict[str, Any] | None:
        pod = await kube_client.get(PODS, name, namespace)
        return pod if pod["status"]["phase"] == phase else None

    found: dict[str, Any] = await wait_until(reached, what=f"{name} is {phase}")
    return found


async def test_a_pod_runs_its_command_to_the_end_and_keeps_its_log(
    make_pod: MakePod,
    kube_client: KubeClient,
    namespace: str,
    wait_until: WaitUntil,
    kubectl: Kubectl,
) -> None:
    env = [
        {"name": "WHO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "WORDS", "value": "$(WHO) in $(MISSING)"},
    ]
    script = "import os, sys; print(sys.argv[1]); print(os.environ['WORDS']); print('last')"
    await make_pod(
        "done", pod={"restartPolicy": "Never"}, command=["python", "-c", script, "$(WHO)"], env=env
    )
    pod = await wait_for_phase(kube_client, namespace, wait_until, "done", "Succeeded")
    (status,) = pod["status"]["containerStatuses"]
    assert status["state"]["terminated"]["reason"] == "Completed"
    assert kubectl("logs", "done") == "done\ndone in $(MISSING)\nlast\n"
    assert kubectl("logs", "done", "--tail=1") == "last\n"
    ready = {c["type"]: c for c in pod["status"]["conditions"]}["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "PodCompleted")


async def test_a_command_that_is_missing_is_a_start_error_with_runcs_words(
    make_pod: MakePod, state_of: Any, wait_until: WaitUntil
) -> None:
    await make_pod("nocmd", args=["dask-foo"])

    async def failed() -> dict[str, Any] | None:
        status = await state_of("nocmd")
        ended = (status.get("lastState") or {}).get("terminated")
        return ended if ended and status["restartCount"] else None

    ended = await wait_until(failed)
    assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
    assert 'exec: "dask-foo": executable file not found in $PATH' in ended["message"]


async def test_a_container_that_crashes_waits_longer_each_time_and_keeps_its_last_words(
    make_pod: MakePod, state_of: Any, wait_until: WaitUntil, kubectl: Kubectl
) -> None:
    await make_pod(
        "crash",
        command=["sh", "-c", "echo last words; exit 3"],
        terminationMessagePolicy="FallbackToLogsOnError",
    )

    async def loops() -> dict[str, Any] | None:
        status = await state_of("crash")
        waiting = (status.get("state") or {}).get("waiting") or {}
        return status if waiting.get("reason") == "CrashLoopBackOff" else None

    status = await wait_until(loops)
    ended = status["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (3, "Error", "last words\n")
    assert "restarting failed container=main pod=crash_" in status["state"]["waiting"]["message"]
    assert kubectl("logs", "crash", "--previous") == "last words\n"


async def test_an_image_that_is_missing_is_backed_off_from(
    make_pod: MakePod, state_of: Any, wait_until: WaitUntil, missing_image: str, kubectl: Kubectl
) -> None:
    await make_pod("noimage", image=missing_image, command=["true"])
    reasons = set()

    async def backs_off() -> bool:
        waiting = ((await state_of("noimage")).get("state") or {}).get("waiting") or {}
        reasons.add(waiting.get("reason"))
        return "ImagePullBackOff" in reasons

    await wait_until(backs_off)
    assert reasons <= {None, "ContainerCreating", "ErrImagePull", "ImagePullBackOff"}
    with pytest.raises(AssertionError, match="trying and failing to pull image"):
        kubectl("logs", "noimage")


async def test_what_does_not_fit_waits_with_the_schedulers_reason(
    make_pod: MakePod,
    kube_client: KubeClient,
    namespace: str,
    wait_until: WaitUntil,
    kubectl: Kubectl,
) -> None:
    await make_pod("huge", command=["true"], resources={"requests": {"memory": "900Ti"}})

    async def refused() -> dict[str, Any] | None:
        pod = await kube_client.get(PODS, "huge", namespace)
        conditions = pod["status"].get("conditions") or ()
        found = [c for c in conditions if c["type"] == "PodScheduled" and c["status"] == "False"]
        return found[0] if found else None

    condition = await wait_until(refused)
    assert condition["reason"] == "Unschedulable"
    assert "nodes are available: 1 Insufficient memory" in condition["message"]
    await wait_until(lambda: "FailedScheduling" in kubectl("get", "events"))
    table = kubectl("get", "pods", "-o", "wide").splitlines()
    assert table[0].split()[:5] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert table[1].split()[:4] == ["huge", "0/1", "Pending", "0"]


async def test_a_container_without_its_secret_says_which(
    make_pod: MakePod, state_of: Any, wait_until: WaitUntil, kubectl: Kubectl
) -> None:
    reference = {"secretKeyRef": {"name": "later", "key": "word"}}
    await make_pod(
        "configured",
        pod={"restartPolicy": "Never"},
        command=["sh", "-c", "echo $WORD"],
        env=[{"name": "WORD", "valueFrom": reference}],
    )

    async def waits() -> str | None:
        waiting = ((await state_of("configured")).get("state") or {}).get("waiting") or {}
        is_it = waiting.get("reason") == "CreateContainerConfigError"
        return waiting["message"] if is_it else None

    assert 'secret "later" not found' in await wait_until(waits)
    kubectl("create", "secret", "generic", "later", "--from-literal=word=found")

    async def ended() -> bool:
        return "terminated" in ((await state_of("configured")).get("state") or {})

    await wait_until(ended)
    assert kubectl("logs", "configured") == "found\n"


async def test_a_deleted_pod_may_end_politely_and_is_killed_when_it_does_not(
    make_pod: MakePod,
    kube_client: KubeClient,
    namespace: str,
    wait_until: WaitUntil,
    kubectl: Kubectl,
) -> None:
    polite = "trap 'exit 0' TERM; while true; do sleep 0.1; done"
    stubborn = "trap '' TERM; while true; do sleep 0.1; done"
    await make_pod(
        "polite", pod={"terminationGracePeriodSeconds": 60}, command=["sh", "-c", polite]
    )
    await make_pod(
        "stubborn", pod={"terminationGracePeriodSeconds": 2}, command=["sh", "-c", stubborn]
    )
    for name in ("polite", "stubborn"):
        await wait_for_phase(kube_client, namespace, wait_until, name, "Running")
    await kube_client.patch(PODS, "stubborn", {"metadata": {"finalizers": [HELD]}}, namespace)
    kubectl("delete", "pod", "polite", "stubborn", "--wait=false")
    # It is held, so that it can be looked at however soon it is killed.
    assert "Terminating" in kubectl("get", "pod", "stubborn")
    code = "jsonpath={.status.containerStatuses[0].state.terminated.exitCode}"
    await wait_until(lambda: kubectl("get", "pod", "stubborn", "-o", code) == "137")
    await kube_client.patch(PODS, "stubborn", {"metadata": {"finalizers": None}}, namespace)
    await wait_until(lambda: kubectl("get", "pods", "-o", "name") == "")


async def test_a_readiness_probe_decides_whom_a_service_name_leads_to(
    make_pod: MakePod,
    kube_client: KubeClient,
    namespace: str,
    wait_until: WaitUntil,
    kubectl: Kubectl,
) -> None:
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}}
    await kube_client.create(SERVICES, service, namespace)
    probe = {"httpGet": {"port": "web", "path": "/"}, "periodSeconds": 1}
    await make_pod(
        "web",
        labels={"app": "web"},
        command=["python", "-m", "http.server", "8000"],
        ports=[{"name": "web", "containerPort": 8000}],
        readinessProbe=probe,
    )
    kubectl("wait", "--for=condition=Ready", "--timeout=90s", "pod/web")
    script = (
        "import urllib.request as u;"
        f"print([u.urlopen('http://'+h).status for h in ('web', 'web.{namespace}', "
        f"'web.{namespace}.svc.cluster.local')])"
    )
    await make_pod("client", pod={"restartPolicy": "OnFailure"}, command=["python", "-c", script])
    await wait_for_phase(kube_client, namespace, wait_until, "client", "Succeeded")
    assert kubectl("logs", "client") == "[200, 200, 200]\n"


async def test_a_port_forward_carries_bytes_of_many_connections(
    make_pod: MakePod, kube_client: KubeClient, namespace: str, wait_until: WaitUntil
) -> None:
    probe = {"tcpSocket": {"port": 9000}, "periodSeconds": 1}
    await make_pod("echo", command=["python", "-c", ECHO], readinessProbe=probe)

    async def is_ready() -> bool:
        pod = await kube_client.get(PODS, "echo", namespace)
        conditions = pod["status"].get("conditions") or ()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    await wait_until(is_ready)

    async def exchange(number: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        sent = bytes([number]) * 300_000
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        writer.close()
        await writer.wait_closed()

    async with PortForward(kube_client, namespace, port=9000, pod="echo") as (host, port):
        await asyncio.gather(*(exchange(number) for number in range(20)))


async def test_kubectls_own_port_forward_reaches_the_pod(
    make_pod: MakePod, kubeconfig: Any, namespace: str, kubectl: Kubectl
) -> None:
    probe = {"tcpSocket": {"port": 9000}, "periodSeconds": 1}
    await make_pod("echo", command=["python", "-c", ECHO], readinessProbe=probe)
    kubectl("wait", "--for=condition=Ready", "--timeout=90s", "pod/echo")
    forward = await asyncio.create_subprocess_exec(
        *("kubectl", f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"),
        *("port-forward", "pod/echo", ":9000"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert forward.stdout is not None
        line = (await asyncio.wait_for(forward.stdout.readline(), 90)).decode()
        port = int(line.split("127.0.0.1:")[1].split()[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), 60) == b"hello"
        writer.close()
        await writer.wait_closed()
    finally:
        forward.terminate()
        await forward.wait()


async def test_an_account_is_forbidden_what_it_was_not_granted(
    make_pod: MakePod,
    kube_client: KubeClient,
    namespace: str,
    wait_until: WaitUntil,
    kubectl: Kubectl,
) -> None:
    account = f"system:serviceaccount:{namespace}:default"
    assert kubectl_answer(kubectl, "auth", "can-i", "list", "pods", f"--as={account}") == "no"
    with pytest.raises(AssertionError, match=f'User "{account}" cannot list resource "pods"'):
        kubectl("get", "pods", f"--as={account}")
    kubectl(
        *("create", "rolebinding", "viewer", "--clusterrole=view"),
        f"--serviceaccount={namespace}:default",
    )

    async def may() -> bool:
        return kubectl_answer(kubectl, "auth", "can-i", "list", "pods", f"--as={account}") == "yes"

    await wait_until(may)
    assert kubectl_answer(kubectl, "auth", "can-i", "delete", "pods", f"--as={account}") == "no"
    script = (
        "import asyncio\nfrom dask_k8s_operator.kube import KubeClient\n"
        "from dask_k8s_operator.resources.kinds import PODS, SECRETS\n"
        "async def main():\n"
        "    async with await KubeClient.connect() as client:\n"
        "        pods = await client.list(PODS, client.namespace)\n"
        "        print(len(pods.items), await client.can_i('list', SECRETS, client.namespace))\n"
        "asyncio.run(main())\n"
    )
    await make_pod("inside", pod={"restartPolicy": "Never"}, command=["python", "-c", script])
    await wait_for_phase(kube_client, namespace, wait_until, "inside", "Succeeded")
    assert kubectl("logs", "inside") == "1 False\n"


def kubectl_answer(kubectl: Kubectl, *arguments: str) -> str:
    """The word that kubectl prints, whatever its exit code."""
    try:
        return kubectl(*arguments).strip()
    except AssertionError as error:
        return str(error).split(":", 1)[1].split()[-1]


def test_a_namespace_takes_everything_in_it_along(kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "configmap", "x", "--from-literal=a=b")
    kubectl("delete", "namespace", namespace)
    with pytest.raises(AssertionError, match="not found"):
        kubectl("get", "namespace", namespace)
    # The fixture deletes it once more.
    kubectl("create", "namespace", namespace)


def test_a_watch_prints_what_changes(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "x")
    shown = json.loads(kubectl("get", "configmap", "x", "-o", "json"))
    assert shown["metadata"]["name"] == "x"
    kubectl("label", "configmap", "x", "seen=yes")
    assert "seen=yes" in kubectl("get", "configmap", "x", "--show-labels")
    assert kubectl("get", "configmap", "-l", "seen=yes", "-o", "name") == "configmap/x\n"
    assert kubectl("get", "configmap", "-l", "seen!=yes,seen", "-o", "name") == ""
    assert "x" in kubectl("get", "configmap", "--field-selector=metadata.name=x")
