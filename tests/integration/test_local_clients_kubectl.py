"""What people type: the machine's kubectl and a newer one, on any Kubernetes."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: IMAGE
        imagePullPolicy: IfNotPresent
        command: [python, -u, -m, http.server, "8080"]
        ports: [{containerPort: 8080}]
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
        env: [{name: COLOUR, value: "blue"}]
"""
SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: "COLOUR"}
"""


def _find_kubectls() -> list[str]:
    """The machine's own, and a newer one where a real Kubernetes has been built here."""
    newer = sorted(Path.home().glob(".cache/real-kube/*/bin/kubectl"))
    return ["kubectl", *(str(path) for path in newer[:1])]


@pytest.fixture(
    scope="module", params=_find_kubectls(), ids=lambda path: path.split("/")[0] or "newer"
)
def program(request: pytest.FixtureRequest) -> str:
    """Path of a kubectl."""
    if not shutil.which(request.param):
        pytest.fail("kubectl is not installed; `make test` installs it where it can")
    return str(request.param)


@pytest.fixture
def run(program: str, kubeconfig: Path, namespace: str) -> Callable[..., str]:
    """Run this kubectl in the test's namespace; returns what it prints."""

    def call(*arguments: str, stdin: str | None = None, code: int | None = 0) -> str:
        command = [program, f"--kubeconfig={kubeconfig}", f"--namespace={namespace}", *arguments]
        ended = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)
        said = ended.stdout + ended.stderr
        assert code in (None, ended.returncode), f"{' '.join(arguments)}: {said}"
        return said

    return call


@pytest.fixture
def follow(
    program: str, kubeconfig: Path, namespace: str, tmp_path: Path
) -> Iterator[Callable[..., Callable[[str], str]]]:
    """Start a kubectl that does not end; its call waits until it has said something."""
    started = []

    def start(*arguments: str) -> Callable[[str], str]:
        command = [program, f"--kubeconfig={kubeconfig}", f"--namespace={namespace}", *arguments]
        told = tmp_path / f"{arguments[0]}.out"
        with told.open("w") as out:
            started.append(subprocess.Popen(command, stdout=out, stderr=out))

        def wait_for(words: str) -> str:
            ends = time.monotonic() + 90
            while words not in told.read_text() and time.monotonic() < ends:
                time.sleep(0.05)
            assert words in told.read_text(), f"{' '.join(arguments)}: {told.read_text()}"
            return told.read_text()

        return wait_for

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_deployment_lives_its_life_under_kubectl(run, follow, dask_image):
    web = WEB.replace("IMAGE", dask_image)
    watch = follow("get", "pods", "-w", "-o", "wide")
    assert "deployment.apps/web created" in run("apply", "-f", "-", stdin=web)
    run("wait", "--for=condition=Available", "--timeout=60s", "deployment/web")
    watch("1/1")
    assert "unchanged" in run("apply", "-f", "-", stdin=web)
    assert "1/1" in run("get", "deployments,replicasets,services,pods", "-o", "wide")

    green = web.replace("blue", "green")
    changed = run("diff", "-f", "-", stdin=green, code=1)
    assert "+          value: green" in changed or "green" in changed
    assert run("get", "deployment", "web", "-o", "jsonpath={..env[0].value}") == "blue"
    run("apply", "-f", "-", stdin=green)
    run("rollout", "status", "deployment/web", "--timeout=60s")
    # The Pod before may still be ending.
    colours = run("get", "pods", "-l", "app=web", "-o", "jsonpath={..env[0].value}")
    assert "green" in colours

    run("scale", "deployment/web", "--replicas=2")
    run("wait", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=60s", "deployment/web")
    described = run("describe", "deployment", "web")
    assert "2 desired" in described and "COLOUR:  green" in " ".join(described.split()).replace(
        "COLOUR: ", "COLOUR:  "
    )
    assert "Started" in run("describe", "pods", "-l", "app=web")
    run("delete", "deployment", "web", "--wait", "--timeout=60s")
    run("wait", "--for=delete", "pods", "-l", "app=web", "--timeout=60s")


def test_logs_are_followed_and_ports_forwarded(run, follow, dask_image):
    run("apply", "-f", "-", stdin=WEB.replace("IMAGE", dask_image))
    run("wait", "--for=condition=Available", "--timeout=60s", "deployment/web")
    forwarded = follow("port-forward", "service/web", ":8080")("Forwarding from 127.0.0.1:")
    port = int(forwarded.split("127.0.0.1:")[1].split(" ")[0])
    logs = follow("logs", "-f", "deployment/web")
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"GET /no-such-page HTTP/1.0\r\n\r\n")
        assert b"404" in client.recv(4096)
    logs("GET /no-such-page")


def test_commands_run_in_a_pod_and_files_come_and_go(run, dask_image, tmp_path):
    run("apply", "-f", "-", stdin=WEB.replace("IMAGE", dask_image))
    run("wait", "--for=condition=Available", "--timeout=60s", "deployment/web")
    pod = run("get", "pods", "-l", "app=web", "-o", "name").strip().partition("/")[2]
    assert run("exec", pod, "--", "python", "-c", "print(6 * 7)").strip().endswith("42")
    said = run("exec", "-i", pod, "--", "python", "-c", "print(input()[::-1])", stdin="olleh\n")
    assert said.strip().endswith("hello")
    run("exec", pod, "--", "python", "-c", "raise SystemExit(3)", code=3)
    here, there = tmp_path / "here.txt", f"/tmp/there-{pod}.txt"
    here.write_text("carried")
    run("cp", str(here), f"{pod}:{there}")
    run("cp", f"{pod}:{there}", str(tmp_path / "back.txt"))
    assert (tmp_path / "back.txt").read_text() == "carried"
    run("exec", pod, "--", "rm", there)


def test_server_side_apply_owns_its_fields(run):
    red, blue = (SETTINGS.replace("COLOUR", colour) for colour in ("red", "blue"))
    run("apply", "--server-side", "--field-manager=one", "-f", "-", stdin=red)
    refused = run("apply", "--server-side", "--field-manager=two", "-f", "-", stdin=blue, code=1)
    assert 'conflict with "one"' in refused and ".data.colour" in refused
    forced = ("apply", "--server-side", "--force-conflicts", "--field-manager=two", "-f", "-")
    run(*forced, stdin=blue)
    assert run("get", "configmap", "settings", "-o", "jsonpath={.data.colour}") == "blue"


@pytest.mark.local_only("several API servers count each their own")
def test_the_api_counts_what_it_is_asked(run):
    def count_taken_names() -> float:
        lines = run("get", "--raw", "/metrics").splitlines()
        marks = ("apiserver_request_total{", 'resource="configmaps"', 'verb="POST"', 'code="409"')
        counted = [line for line in lines if all(mark in line for mark in marks)]
        return sum(float(line.rpartition(" ")[2]) for line in counted)

    run("create", "configmap", "settings")
    before = count_taken_names()
    assert "already exists" in run("create", "configmap", "settings", code=1)
    assert count_taken_names() > before


def test_kinds_and_fields_are_explained(run):
    known = run("api-resources")
    for name in ("pods", "deployments", "daskclusters", "resourcequotas", "leases"):
        assert name in known
    assert "replicas" in run("explain", "deployment.spec")
    assert "image" in run("explain", "pods.spec.containers", "--recursive")
    assert "scheduler" in run("explain", "daskcluster.spec")
    assert "field" in run("explain", "pods.spec.nonsense", code=1)
    assert "doesn't have a resource type" in run("get", "nonsenses", code=1)
    assert 'unknown field "data2"' in run(
        "apply", "-f", "-", stdin=SETTINGS + "data2: {}\n", code=1
    )


def test_who_may_do_what_is_told_and_enforced(run, namespace):
    run("create", "serviceaccount", "reader")
    run("create", "role", "reader", "--verb=get,list", "--resource=pods")
    run("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader")
    reader = f"--as=system:serviceaccount:{namespace}:reader"
    # A real API server reads its rules from a watch.
    ends = time.monotonic() + 90
    while "yes" not in run("auth", "can-i", "list", "pods", reader, code=None):
        assert time.monotonic() < ends, "the role is not known"
        time.sleep(0.1)
    assert "no" in run("auth", "can-i", "delete", "pods", reader, code=1)
    assert "[get list]" in run("auth", "can-i", "--list", reader)
    refused = run("delete", "pod", "any", reader, code=1)
    assert 'cannot delete resource "pods"' in refused
    assert "No resources found" in run("get", "pods", reader)
    assert 'cannot list resource "secrets"' in run("get", "secrets", reader, code=1)


def test_a_quota_that_is_full_refuses_the_next_pod(run, dask_image):
    run("create", "quota", "small", "--hard=pods=1")
    command = ("--restart=Never", f"--image={dask_image}", "--image-pull-policy=IfNotPresent")
    sleep = ("--command", "--", "sleep", "600")
    # The count of a real cluster is written by a controller, a moment later.
    run("wait", "--for=jsonpath={.status.used.pods}=0", "--timeout=60s", "quota/small")
    run("run", "first", *command, *sleep)
    refused = run("run", "second", *command, *sleep, code=1)
    assert "exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1" in refused
    run("delete", "pod", "first", "--grace-period=1")


def test_short_commands_make_objects(run, dask_image):
    run("create", "configmap", "c", "--from-literal=a=b")
    run("create", "secret", "generic", "s", "--from-literal=a=b")
    run("create", "job", "j", f"--image={dask_image}", "--", "python", "-c", "print('done')")
    run("label", "configmap", "c", "x=y")
    run("patch", "configmap", "c", "--type=merge", "-p", '{"data":{"a":"c"}}')
    found = json.loads(
        run("get", "configmaps,secrets", "c", "s", "-o", "json", "--ignore-not-found")
    )
    assert {item["kind"] for item in found["items"]} == {"ConfigMap", "Secret"}
    assert json.loads(run("get", "configmap", "c", "-o", "json"))["data"] == {"a": "c"}


WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.%(group)s}
spec:
  group: %(group)s
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1beta1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {
      size: {type: integer}}}}}}
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {
      size: {type: integer}, color: {type: string, default: red}}}}}}
"""
LIST = """
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: listed}, data: {a: "%(text)s"}}
- {apiVersion: %(group)s/v1beta1, kind: Widget, metadata: {name: w}, spec: {size: %(size)d}}
"""


async def test_a_list_is_applied_and_an_object_is_served_in_every_version(
    kubectl: Callable[..., str], namespace: str, wait_until: Callable[..., Awaitable[Any]]
) -> None:
    group = f"{namespace}.example.com"
    kubectl("apply", "-f", "-", stdin=WIDGETS % {"group": group})
    try:
        kubectl("wait", "--for=condition=Established", "--timeout=90s", f"crd/widgets.{group}")
        await wait_until(lambda: "widgets" in kubectl("api-resources", f"--api-group={group}"))
        said = [
            kubectl("apply", "-f", "-", stdin=LIST % {"group": group, "text": text, "size": size})
            for text, size in (("one", 1), ("two", 1), ("two", 3))
        ]
        words = [[line.split()[-1] for line in text.splitlines()] for text in said]
        assert words == [
            ["created", "created"],
            ["configured", "unchanged"],
            ["unchanged", "configured"],
        ]
        old, new = (
            json.loads(kubectl("get", f"widgets.{version}.{group}", "w", "-o", "json"))
            for version in ("v1beta1", "v1")
        )
        assert (old["apiVersion"], old["spec"]) == (f"{group}/v1beta1", {"size": 3})
        assert (new["apiVersion"], new["spec"]) == (f"{group}/v1", {"size": 3, "color": "red"})
        assert old["metadata"]["uid"] == new["metadata"]["uid"]
        kubectl("patch", f"widgets.v1.{group}", "w", "--type=merge", '-p={"spec":{"color":"blue"}}')
        kubectl("patch", f"widgets.v1beta1.{group}", "w", "--type=merge", '-p={"spec":{"size":4}}')
        listed = kubectl("get", f"widgets.v1.{group}", "-o", "jsonpath={.items[*].spec}")
        assert json.loads(listed)["size"] == 4
        kubectl("delete", f"widgets.v1beta1.{group}", "w")
        assert kubectl("get", f"widgets.v1.{group}", "-o", "name") == ""
    finally:
        kubectl("delete", "crd", f"widgets.{group}")


def test_the_node_has_the_version_of_its_api_server(kubectl: Callable[..., str]) -> None:
    server = json.loads(kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    nodes = json.loads(kubectl("get", "nodes", "-o", "json"))["items"]
    # Other tests pretend to have nodes, which say nothing of themselves.
    said = {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes} - {""}
    assert said == {server}
