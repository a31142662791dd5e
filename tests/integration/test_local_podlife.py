"""Volumes, init containers, sidecars and hooks of Pods, the same on any Kubernetes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.resources.kinds import CONFIG_MAPS, PODS, SECRETS

Kubectl = Callable[..., str]
WaitUntil = Callable[..., Awaitable[Any]]
Create = Callable[..., Awaitable[None]]
WaitFor = Callable[[str, str], Awaitable[dict[str, Any]]]

WORK = {"name": "work", "mountPath": "/work"}


@pytest.fixture
def create(kube_client: KubeClient, namespace: str, dask_image: str) -> Create:
    """Create a Pod of shell scripts; keywords go into its main container, its spec by ``pod=``."""

    async def make(
        name: str, script: str, *, init: Any = (), pod: Any = None, labels: Any = None, **more: Any
    ) -> None:
        containers = [
            {"image": dask_image, "imagePullPolicy": "IfNotPresent", **container}
            for container in ({"name": "main", "command": ["sh", "-c", script], **more}, *init)
        ]
        spec = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 20,
            "containers": containers[:1],
            "initContainers": containers[1:],
            **(pod or {}),
        }
        metadata = {"name": name, "labels": labels or {}}
        await kube_client.create(PODS, {"metadata": metadata, "spec": spec}, namespace)

    return make


@pytest.fixture
def wait_for(kube_client: KubeClient, namespace: str, wait_until: WaitUntil) -> WaitFor:
    """Wait for a Pod's phase; returns the Pod."""

    async def wait(name: str, phase: str) -> dict[str, Any]:
        async def reached() -> dict[str, Any] | None:
            pod = await kube_client.get(PODS, name, namespace)
            return pod if pod["status"]["phase"] == phase else None

        found: dict[str, Any] = await wait_until(reached, what=f"{name} is {phase}")
        return found

    return wait


async def test_volumes_are_where_a_container_looks_for_them(
    create: Create,
    wait_for: WaitFor,
    wait_until: WaitUntil,
    kube_client: KubeClient,
    namespace: str,
    kubectl: Kubectl,
) -> None:
    conf = {"metadata": {"name": "conf"}, "data": {"a.txt": "from a map\n"}}
    await kube_client.create(CONFIG_MAPS, conf, namespace)
    word = {"metadata": {"name": "word"}, "stringData": {"b.txt": "from a secret\n"}}
    await kube_client.create(SECRETS, word, namespace)
    labels = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    sources = [
        {"downwardAPI": {"items": [labels]}},
        {"serviceAccountToken": {"path": "token"}},
    ]
    volumes = [
        {"name": "work", "emptyDir": {}},
        {"name": "conf", "configMap": {"name": "conf"}},
        {"name": "word", "secret": {"secretName": "word"}},
        {"name": "maybe", "configMap": {"name": "nowhere", "optional": True}},
        {"name": "about", "projected": {"sources": sources}},
    ]
    mounts = [
        WORK,
        {"name": "conf", "mountPath": "/etc/conf", "readOnly": True},
        {"name": "word", "mountPath": "/etc/one/word.txt", "subPath": "b.txt"},
        {"name": "maybe", "mountPath": "/etc/maybe"},
        {"name": "about", "mountPath": "/etc/about"},
    ]
    first = {
        "name": "first",
        "command": ["sh", "-c", "echo from the first > /work/said.txt"],
        "volumeMounts": [WORK],
    }
    script = (
        "cat said.txt /etc/conf/a.txt $FILE /etc/about/labels; echo; ls /etc/maybe | wc -l;"
        "test -s /etc/about/token && echo token; sleep 600"
    )
    await create(
        "full",
        script,
        init=[first],
        pod={"volumes": volumes, "terminationGracePeriodSeconds": 0},
        labels={"app": "full"},
        volumeMounts=mounts,
        workingDir="/work",
        env=[{"name": "FILE", "value": "/etc/one/word.txt"}],
    )
    await wait_for("full", "Running")
    assert kubectl("exec", "full", "--", "cat", "/etc/conf/a.txt") == "from a map\n"
    said = ["from the first", "from a map", "from a secret", 'app="full"', "0", "token"]
    # A container runs before it has said anything.
    await wait_until(lambda: kubectl("logs", "full").splitlines() == said)


async def test_a_volume_whose_source_is_missing_keeps_the_pod_waiting_and_says_so(
    create: Create,
    wait_for: WaitFor,
    wait_until: WaitUntil,
    kubectl: Kubectl,
) -> None:
    volumes = [{"name": "conf", "configMap": {"name": "later"}}]
    mounts = [{"name": "conf", "mountPath": "/etc/conf"}]
    await create("waits", "cat /etc/conf/a", pod={"volumes": volumes}, volumeMounts=mounts)
    await wait_until(lambda: 'configmap "later" not found' in kubectl("get", "events"))
    await wait_until(lambda: "ContainerCreating" in kubectl("get", "pod", "waits"))
    kubectl("create", "configmap", "later", "--from-literal=a=here")
    await wait_for("waits", "Succeeded")
    assert kubectl("logs", "waits") == "here"


@pytest.mark.local_only("where containers are real, a mount is a mount")
async def test_what_a_program_knows_by_itself_is_found_by_a_variable_or_a_link(
    create: Create,
    wait_for: WaitFor,
    kube_client: KubeClient,
    namespace: str,
    wait_until: WaitUntil,
    kubectl: Kubectl,
    tmp_path: Path,
) -> None:
    kubectl("create", "configmap", "conf", "--from-literal=a=here")
    (tmp_path / "taken").mkdir()
    volumes = [{"name": "conf", "configMap": {"name": "conf"}}]
    mounts = [
        {"name": "conf", "mountPath": str(tmp_path / "free")},
        {"name": "conf", "mountPath": str(tmp_path / "taken")},
    ]
    name = "DASK_K8S_LOCAL_MOUNT" + str(tmp_path / "taken").replace("/", "_").replace("-", "_")
    # Put together by the program, so that nothing in the Pod's spec says it.
    script = f"D={tmp_path}; cat $D/free/a ${name.upper()}/a; ls $D/taken | wc -l; sleep 600"
    spec = {"volumes": volumes, "terminationGracePeriodSeconds": 0}
    await create("knows", script, pod=spec, volumeMounts=mounts)
    await wait_until(lambda: kubectl("logs", "knows") == "herehere0\n")
    await kube_client.delete(PODS, "knows", namespace)
    await wait_until(lambda: not (tmp_path / "free").is_symlink())


async def test_init_containers_run_in_order_and_again_until_they_succeed(
    create: Create, wait_for: WaitFor, wait_until: WaitUntil, kubectl: Kubectl
) -> None:
    once = "echo a >> /work/order; test -e /work/again || { touch /work/again; exit 3; }"
    init = [
        {"name": "one", "command": ["sh", "-c", once], "volumeMounts": [WORK]},
        {
            "name": "two",
            "command": [
                "sh",
                "-c",
                "echo b >> /work/order; while [ ! -e /work/go ]; do sleep 0.1; done",
            ],
            "volumeMounts": [WORK],
        },
    ]
    pod = {"restartPolicy": "OnFailure", "volumes": [{"name": "work", "emptyDir": {}}]}
    await create("ordered", "cat /work/order", init=init, pod=pod, volumeMounts=[WORK])

    def status() -> str:
        return kubectl("get", "pod", "ordered").splitlines()[1].split()[2]

    await wait_until(lambda: status() == "Init:1/2")
    running = "jsonpath={.status.initContainerStatuses[1].state.running}"
    await wait_until(lambda: kubectl("get", "pod", "ordered", "-o", running))
    kubectl("exec", "ordered", "-c", "two", "--", "touch", "/work/go")
    ended = await wait_for("ordered", "Succeeded")
    assert kubectl("logs", "ordered", "-c", "main") == "a\na\nb\n"
    one, two = ended["status"]["initContainerStatuses"]
    assert (one["restartCount"], two["restartCount"]) == (1, 0)
    assert one["state"]["terminated"]["reason"] == "Completed"
    conditions = {c["type"]: c["status"] for c in ended["status"]["conditions"]}
    assert conditions["Initialized"] == "True"


async def test_an_init_container_that_fails_for_good_fails_the_pod(
    create: Create, wait_for: WaitFor, kubectl: Kubectl
) -> None:
    await create("broken", "true", init=[{"name": "one", "command": ["sh", "-c", "exit 3"]}])
    failed = await wait_for("broken", "Failed")
    assert kubectl("get", "pod", "broken").splitlines()[1].split()[2] == "Init:Error"
    (main,) = failed["status"]["containerStatuses"]
    assert main["state"]["waiting"]["reason"] == "PodInitializing"


async def test_a_sidecar_is_there_first_and_ends_last(
    create: Create, wait_for: WaitFor, kubectl: Kubectl
) -> None:
    side = {
        "name": "side",
        "restartPolicy": "Always",
        "command": ["sh", "-c", "trap 'exit 7' TERM; touch /work/up; while :; do sleep 0.1; done"],
        "startupProbe": {
            "exec": {"command": ["test", "-e", "/work/up"]},
            "periodSeconds": 1,
            "failureThreshold": 30,
        },
        "volumeMounts": [WORK],
    }
    pod = {"volumes": [{"name": "work", "emptyDir": {}}]}
    await create("beside", "test -e /work/up", init=[side], pod=pod, volumeMounts=[WORK])
    ended = await wait_for("beside", "Succeeded")
    (main,) = ended["status"]["containerStatuses"]
    (beside,) = ended["status"]["initContainerStatuses"]
    ends = [each["state"]["terminated"] for each in (main, beside)]
    # The second is told to end, and does so by itself.
    assert [end["exitCode"] for end in ends] == [0, 7]
    assert ends[0]["finishedAt"] <= ends[1]["finishedAt"]


async def test_hooks_run_after_the_start_and_before_the_end(
    create: Create,
    wait_for: WaitFor,
    kube_client: KubeClient,
    namespace: str,
    wait_until: WaitUntil,
) -> None:
    script = (
        "while [ ! -e /work/hello ]; do sleep 0.1; done; echo hello;"
        "while [ ! -e /work/bye ]; do sleep 0.1; done; echo goodbye;"
        "trap 'exit 0' TERM; touch /work/said; while :; do sleep 0.1; done"
    )
    # It ends when it was heard, however long that takes: what comes after it ends the container.
    goodbye = ["sh", "-c", "touch /work/bye; while [ ! -e /work/said ]; do sleep 0.1; done"]
    lifecycle = {
        "postStart": {"exec": {"command": ["touch", "/work/hello"]}},
        "preStop": {"exec": {"command": goodbye}},
    }
    pod = {"volumes": [{"name": "work", "emptyDir": {}}], "terminationGracePeriodSeconds": 60}
    await create("polite", script, pod=pod, volumeMounts=[WORK], lifecycle=lifecycle)
    await wait_for("polite", "Running")
    said: list[str] = []

    async def follow() -> None:
        async for line in kube_client.stream_logs("polite", namespace):
            said.append(line.strip())

    following = asyncio.ensure_future(follow())
    await wait_until(lambda: said)
    await kube_client.delete(PODS, "polite", namespace)
    await asyncio.wait_for(following, 90)
    assert said == ["hello", "goodbye"]


async def test_a_container_whose_first_hook_fails_is_ended(
    create: Create, wait_for: WaitFor, wait_until: WaitUntil, kubectl: Kubectl
) -> None:
    lifecycle = {"postStart": {"exec": {"command": ["sh", "-c", "exit 3"]}}}
    await create(
        "rude", "exec sleep 600", lifecycle=lifecycle, pod={"terminationGracePeriodSeconds": 0}
    )
    failed = await wait_for("rude", "Failed")
    assert failed["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
    await wait_until(lambda: "FailedPostStartHook" in kubectl("get", "events"))
