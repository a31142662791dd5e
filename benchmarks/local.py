"""How fast and how small the embedded Kubernetes is.

    python -m benchmarks.local

Four numbers, each with its goal: Pods created a second over TLS by 50 clients while 2 watch (2000),
memory of the server with 5000 Pods (200 MB), how late a watch event reaches its client (10 ms), and
how long ``dask-k8s up --no-lab`` takes to a Ready node (2 s). Server and clients are processes of
their own; the Pods wait for a scheduler that never comes, so that only the API server is measured.
"""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

CLIENTS = 50
WATCHERS = 2
PODS = 5000
LATENCY_SAMPLES = 200
GOALS = {"pods_per_s": 2000.0, "rss_mb": 200.0, "watch_latency_ms": 10.0, "up_to_ready_s": 2.0}
_PODS_PATH = "/api/v1/namespaces/default/pods"


@dataclass
class Server:
    """A running ``dask-k8s up --no-lab`` without the operator's Pod in the way."""

    process: subprocess.Popen[str]
    kubeconfig: str
    url: str
    headers: dict[str, str]
    tls: ssl.SSLContext
    ready_after_s: float

    def rss_mb(self) -> float:
        """Memory of the server's process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def cpu_s(self) -> float:
        """Processor time that the server has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


_SERVE = """
import asyncio, sys
from dask_k8s_jupyter.local import LocalKubernetes
async def main():
    async with LocalKubernetes(operator=False) as kube:
        print(kube.kubeconfig, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def start_server() -> Server:
    """Start the embedded Kubernetes in a process of its own."""
    begin = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", _SERVE], stdout=subprocess.PIPE, text=True)
    if process.stdout is None:
        raise RuntimeError("the server has no output")
    kubeconfig = process.stdout.readline().strip()
    config = yaml.safe_load(Path(kubeconfig).read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    headers = {"Authorization": f"Bearer {user['token']}", "Content-Type": "application/json"}
    tls = ssl.create_default_context(cadata=authority)
    ready_after_s = time.monotonic() - begin
    return Server(process, kubeconfig, cluster["server"], headers, tls, ready_after_s)


def build_pod(name: str) -> bytes:
    """A worker Pod as the operator makes it, roughly."""
    env = [{"name": "DASK_WORKER_NAME", "value": name}]
    env.append({"name": "DASK_SCHEDULER_ADDRESS", "value": "tcp://demo-scheduler.default.svc:8786"})
    container = {
        "name": "worker",
        "image": "ghcr.io/dask/dask:2026.8.0",
        "args": ["dask", "worker", "--name", name, "--dashboard"],
        "env": env,
        "ports": [{"containerPort": 8788, "name": "http-dashboard"}],
        "resources": {"requests": {"cpu": "1", "memory": "2Gi"}},
    }
    labels = {"dask.org/cluster-name": "demo", "dask.org/component": "worker"}
    spec = {"schedulerName": "nobody", "containers": [container]}
    return orjson.dumps({"metadata": {"name": name, "labels": labels}, "spec": spec})


async def _create(session: aiohttp.ClientSession, path: str, bodies: list[bytes]) -> None:
    while bodies:
        async with session.post(path, data=bodies.pop()) as answer:
            await answer.read()
            if answer.status != 201:
                raise RuntimeError(f"a creation was answered with {answer.status}")


async def _watch(session: aiohttp.ClientSession, count: int, seen: dict[str, float]) -> int:
    path = f"{_PODS_PATH}?watch=1&allowWatchBookmarks=true"
    events = 0
    async with session.get(path) as answer:
        async for line in answer.content:
            if b'"ADDED"' in line[:20]:
                events += 1
                if len(seen) < LATENCY_SAMPLES and line.find(b'"late-') > 0:
                    seen[orjson.loads(line)["object"]["metadata"]["name"]] = time.perf_counter()
            if events >= count:
                return events
    return events


class _Creator(asyncio.Protocol):
    """One client that creates one Pod after the other, in as little of our own time as can be.

    Clients and server share the processors: with aiohttp's client half of the time would be theirs.
    """

    def __init__(self, requests: list[bytes]) -> None:
        self.finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Ask for the next when the answer is whole."""
        answer = self._answer = self._answer + data
        head, is_read, body = answer.partition(b"\r\n\r\n")
        if not is_read:
            return
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0])
        if not head.startswith(b"HTTP/1.1 201"):
            self._finish(RuntimeError(f"a creation was answered with {answer.decode()}"))
        elif len(body) == length:
            self._answer = b""
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say why, unless all is done."""
        self._finish(exc or RuntimeError("the server closed a connection"))

    def _ask(self) -> None:
        if self._requests:
            self._transport.write(self._requests.pop())
        else:
            self._finish()

    def _finish(self, error: Exception | None = None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)
        self._transport.close()


class _Counter(asyncio.Protocol):
    """A watcher that only counts what it is told of, to load the server."""

    def __init__(self, request: bytes, count: int) -> None:
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.finished: asyncio.Future[None] = loop.create_future()
        self._request = request
        self._left = count
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the watch."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count the events."""
        if not self.begun.done():
            self.begun.set_result(None)
        mark = b'"type":"ADDED"'
        text = self._tail + data
        self._left -= text.count(mark)
        self._tail = text[-len(mark) + 1 :]
        if self._left <= 0 and not self.finished.done():
            self.finished.set_result(None)


def _build_request(server: Server, method: str, path: str, body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {server.url.rpartition('/')[2]}"]
    lines += [f"{name}: {value}" for name, value in server.headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


async def measure_rate(server: Server) -> float:
    """Pods created a second, counted until every watcher has seen them all."""
    loop = asyncio.get_running_loop()
    host, _, port = server.url.rpartition("/")[2].rpartition(":")
    bodies = (build_pod(f"worker-{index:05d}") for index in range(PODS))
    requests = [_build_request(server, "POST", _PODS_PATH, body) for body in bodies]
    watch = _build_request(server, "GET", f"{_PODS_PATH}?watch=1")
    watchers = []
    for _ in range(WATCHERS):
        made = loop.create_connection(lambda: _Counter(watch, PODS), host, port, ssl=server.tls)
        watchers.append((await made)[1])
    await asyncio.gather(*(watcher.begun for watcher in watchers))
    begin, cpu_begin, own_begin = time.perf_counter(), server.cpu_s(), time.process_time()
    made_by = (
        loop.create_connection(lambda: _Creator(requests), host, port, ssl=server.tls)
        for _ in range(CLIENTS)
    )
    creators = [creator for _, creator in await asyncio.gather(*made_by)]
    await asyncio.gather(*(creator.finished for creator in creators))
    duration_s = time.perf_counter() - begin
    await asyncio.wait_for(asyncio.gather(*(watcher.finished for watcher in watchers)), 10)
    spent_s = {"server": server.cpu_s() - cpu_begin, "clients": time.process_time() - own_begin}
    for who, seconds in spent_s.items():
        print(f"processor time a Pod, {who}: {seconds * 1000 / PODS:.2f} ms")
    return PODS / duration_s


async def measure_latency(server: Server) -> float:
    """Median milliseconds from before a creation is sent to its event at a watcher."""
    connector = aiohttp.TCPConnector(limit=0, ssl=server.tls)
    async with aiohttp.ClientSession(
        server.url, headers=server.headers, connector=connector, read_bufsize=2**20
    ) as session:
        seen: dict[str, float] = {}
        count = PODS + LATENCY_SAMPLES
        watcher = asyncio.create_task(_watch(session, count, seen))
        await asyncio.sleep(1.5)
        sent = {}
        for index in range(LATENCY_SAMPLES):
            name = f"late-{index:05d}"
            sent[name] = time.perf_counter()
            await _create(session, _PODS_PATH, [build_pod(name)])
        await asyncio.wait_for(watcher, 10)
        return statistics.median((seen[name] - sent[name]) * 1000 for name in seen)


def measure_up() -> float:
    """Seconds from ``dask-k8s up --no-lab`` to a Ready node."""
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "out"
        begin = time.monotonic()
        with told.open("w") as out:
            script = Path(sys.executable).with_name("dask-k8s")
            process = subprocess.Popen([script, "up", "--no-lab"], stdout=out, stderr=out)
        try:
            while not _has_ready_node(told.read_text()):
                if time.monotonic() - begin > 30:
                    raise RuntimeError(f"no Ready node within 30 s: {told.read_text()}")
                time.sleep(0.02)
            return time.monotonic() - begin
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def _has_ready_node(said: str) -> bool:
    paths = [word.strip("'\"") for word in said.replace("=", " ").split() if "kubeconfig" in word]
    known = next((Path(path) for path in paths if Path(path).is_file()), None)
    if known is None:
        return False
    command = ["kubectl", f"--kubeconfig={known}", "get", "nodes", "--no-headers"]
    answer = subprocess.run(command, capture_output=True, text=True)
    return " Ready " in answer.stdout


def report(results: dict[str, float]) -> bool:
    """Print each number beside its goal; whether all goals are met."""
    is_met = True
    for name, value in results.items():
        goal = GOALS[name]
        is_good = value >= goal if name == "pods_per_s" else value <= goal
        is_met &= is_good
        print(f"{name:18} {value:10.1f}   goal {goal:7.1f}   {'met' if is_good else 'MISSED'}")
    return is_met


def main() -> int:
    """Measure, and print."""
    results: dict[str, Any] = {"up_to_ready_s": measure_up()}
    server = start_server()
    try:
        print(f"server ready after {server.ready_after_s:.2f} s, {server.rss_mb():.0f} MB")
        results["pods_per_s"] = asyncio.run(measure_rate(server))
        results["rss_mb"] = server.rss_mb()
        results["watch_latency_ms"] = asyncio.run(measure_latency(server))
    finally:
        server.process.terminate()
        server.process.wait(20)
    return 0 if report(results) else 1


if __name__ == "__main__":
    sys.exit(main())
