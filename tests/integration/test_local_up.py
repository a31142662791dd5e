"""``dask-k8s up``: it comes up, two live side by side, and nothing of it stays, however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from dask_k8s_jupyter.local import processes

pytestmark = pytest.mark.local_only("it is about the embedded Kubernetes alone")

DASK_K8S = str(Path(sys.executable).with_name("dask-k8s"))
Start = Callable[..., "Up"]
NAMES = ["web.default", "web.default.svc.cluster.local"]


class Up:
    """A running ``dask-k8s up``, with what it printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.output = ""
        self.kubeconfig = Path()

    def wait_for_kubeconfig(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if found := re.search(r"export KUBECONFIG=(\S+)", line):
                self.kubeconfig = Path(found[1])
                return
        raise AssertionError(f"it ended: {self.output}")

    @property
    def mark(self) -> str:
        return self.kubeconfig.parent.name

    def leftovers(self) -> list[int]:
        return processes.find_marked(processes.CLUSTER_MARK, self.mark)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        command = ["kubectl", f"--kubeconfig={self.kubeconfig}", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, input=stdin)
        return done.stdout


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start one; whatever is still running is ended with the test."""
    started: list[Up] = []

    def run(*arguments: str) -> Up:
        command = [DASK_K8S, "up", *arguments]
        environment = {k: v for k, v in os.environ.items() if k != "KUBECONFIG"}
        up = Up(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=tmp_path,
                env=environment,
            )
        )
        started.append(up)
        up.wait_for_kubeconfig()
        return up

    yield run
    for up in started:
        up.process.kill()
        up.process.wait()
        if up.process.stdout is not None:
            up.process.stdout.close()


def wait_for(is_true: Callable[[], bool], timeout_s: float = 60) -> None:
    """Wait without an event loop."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: any:1
    command: [python, -m, http.server, "8080"]
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
"""


async def run_in_kernel(server: str, token: str, code: str) -> str:
    """Run code in a new kernel of a Jupyter server; returns what it prints."""
    headers = {"Authorization": f"token {token}"}
    printed = ""
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.post(f"{server}/api/kernels", json={}) as answer:
            kernel = (await answer.json())["id"]
        async with session.ws_connect(f"{server}/api/kernels/{kernel}/channels") as channels:
            header = {"msg_id": "1", "session": "s", "username": "", "msg_type": "execute_request"}
            content = {"code": code, "silent": False}
            message = {"header": {**header, "version": "5.3"}, "content": content}
            await channels.send_json(
                {**message, "parent_header": {}, "metadata": {}, "channel": "shell"}
            )
            async for received in channels:
                said = received.json()
                if said["parent_header"].get("msg_id") != "1":
                    continue
                printed += said["content"].get("text", "")
                printed += "".join(said["content"].get("traceback", ()))
                # The last word on what was printed; the reply may overtake that.
                if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
                    break
        await session.delete(f"{server}/api/kernels/{kernel}")
    return printed


def test_jupyterlab_answers_at_its_url_and_everything_ends_with_ctrl_c(start: Start) -> None:
    up = start("--base-url", "/user/ada")
    (url,) = re.findall(r"http://\S+", up.output.split("export")[0])
    assert "/user/ada/lab?token=" in url
    with urllib.request.urlopen(url) as page:  # noqa: S310  (our own page on loopback)
        assert page.status == 200
    assert "dask-operator" in up.kubectl("get", "pods", "--all-namespaces")
    # A Service's name and address lead there from a kernel, also when its Pod has been replaced.
    server, _, token = url.partition("/lab?token=")
    for _ in range(2):
        up.kubectl("apply", "-f", "-", stdin=WEB)
        up.kubectl("wait", "--for=condition=Ready", "--timeout=90s", "pod/web")
        address = up.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
        code = (
            "import urllib.request as u\n"
            f"print([u.urlopen(f'http://{{host}}:8080').status for host in {[*NAMES, address]}])"
        )
        assert asyncio.run(run_in_kernel(server, token, code)) == "[200, 200, 200]\n"
        up.kubectl("delete", "pod", "web")
    assert len(up.leftovers()) >= 2
    assert up.kubeconfig.stat().st_mode & 0o077 == 0
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert up.leftovers() == []
    assert not up.kubeconfig.parent.exists()


def test_a_second_one_beside_the_first_is_another_cluster(start: Start) -> None:
    one, two = start("--no-lab"), start("--no-lab", "--cpus", "3")
    one.kubectl("create", "namespace", "only-in-one")
    assert "only-in-one" not in two.kubectl("get", "namespaces")
    cpus = two.kubectl("get", "nodes", "-o", "jsonpath={.items[0].status.allocatable.cpu}")
    assert cpus == "3"
    for up in (one, two):
        up.process.terminate()
        assert up.process.wait(60) == 0


def test_a_killed_one_leaves_nothing_behind(start: Start) -> None:
    up = start("--no-lab")
    wait_for(lambda: bool(up.leftovers()))
    up.process.kill()
    up.process.wait()
    wait_for(lambda: up.leftovers() == [] and not up.kubeconfig.parent.exists())


def test_a_command_sees_the_cluster_and_its_exit_code_is_passed_on(tmp_path: Path) -> None:
    script = 'kubectl get nodes --no-headers; echo "$KUBECONFIG"; exit 3'
    command = [DASK_K8S, "up", "--", "sh", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 3, done.stderr
    node, kubeconfig = done.stdout.splitlines()
    assert "Ready" in node
    assert not Path(kubeconfig).exists()


def test_ctrl_c_is_the_commands_own(tmp_path: Path) -> None:
    script = (
        "import time\n"
        "try:\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    time.sleep(1)\n    raise SystemExit(7)\n"
    )
    command = [DASK_K8S, "up", "--", sys.executable, "-c", script]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=tmp_path, start_new_session=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        # As a terminal does: to the whole foreground group.
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 7
    finally:
        # The command too: it holds the other end of the pipe.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_port_that_is_taken_is_said_plainly(tmp_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [DASK_K8S, "up", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use" in done.stdout
