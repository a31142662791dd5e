"""What the operator costs: ``python -m benchmarks.operator [--kube current] [--workers 1000]``.

Ratios in one run on one API server: scaling a worker group up and down against a bare loop of the
same creations and deletions at the same concurrency; then writes a worker, the time from a scale to
the first POST, memory, what it asks when nothing happens, and CPU by the number of other clusters.

The operator is a process from this checkout, with a namespace of its own. On the embedded
Kubernetes, a process too, worker Pods wait for a scheduler that never comes, so that nobody else
writes. With ``--kube current`` they go to nodes with a label (``--node-selector``) whose taint they
tolerate (``--toleration``): meant are pretended nodes, as kwok makes them. Writes are counted by
the API server's own metrics. Refuses to run beside another operator, which would do the work.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import inspect
import os
import socket
import statistics
import sys
import time
import uuid
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import aiohttp

from dask_k8s_operator.kube import Informer, KubeClient
from dask_k8s_operator.kube.errors import AlreadyExistsError, NotFoundError
from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.kinds import (
    CUSTOM_RESOURCE_DEFINITIONS,
    DASK_CLUSTERS,
    DASK_WORKER_GROUPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
)

from . import looks
from .local import start_server
from .promises import Promises
from .ratios import Ratio
from .workload import NOWHERE, build_bare_pods, build_cluster, build_placement, count_writes

PROMISES = Promises()
CONCURRENCY = 50
TIME_LIMIT_S = 300.0
WORKERS = "dask.org/component=worker"
BARE = "benchmark=bare"


class Bench:
    """One namespace with an operator, and eyes on its Pods."""

    def __init__(
        self,
        client: KubeClient,
        kubeconfig: str,
        namespace: str,
        port: int,
        placement: dict[str, Any],
    ) -> None:
        self.client, self.kubeconfig, self.placement = client, kubeconfig, placement
        self.namespace, self.port = namespace, port

    async def writes(self) -> float:
        """How many writes there were so far, as the API server counts them."""
        ask = ("kubectl", f"--kubeconfig={self.kubeconfig}", "get", "--raw", "/metrics")
        kubectl = await asyncio.create_subprocess_exec(*ask, stdout=PIPE)
        text, _ = await kubectl.communicate()
        if kubectl.returncode:
            raise SystemExit(
                "`kubectl get --raw /metrics` failed: the account has to `get` that path"
            )
        return count_writes(text.decode())

    async def numbers(self) -> dict[str, float]:
        """Read the operator's own numbers, by name with labels."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            lines = (await response.text()).splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    async def is_at_work(self) -> bool:
        """Whether the operator has its lease."""
        with contextlib.suppress(aiohttp.ClientError):
            return bool((await self.numbers()).get("dask_k8s_operator_leading"))
        return False

    async def calls(self, *verbs: str) -> float:
        """How many requests with these verbs the operator has made, those for its lease apart."""
        return sum(
            value
            for name, value in (await self.numbers()).items()
            if name.startswith("dask_k8s_operator_api_calls_total")
            and 'resource="leases"' not in name
            and any(f'verb="{verb}"' in name for verb in verbs)
        )

    @contextlib.asynccontextmanager
    async def pods(self, selector: str) -> AsyncIterator[Informer]:
        """Watch Pods."""
        informer = Informer(self.client, PODS, self.namespace, label_selector=selector)
        task = asyncio.ensure_future(informer.run())
        await informer.wait_synced()
        try:
            yield informer
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def scale(self, cluster: str, replicas: int) -> None:
        """Ask for so many workers of a cluster's default group."""
        body = {"spec": {"replicas": replicas}}
        group = f"{cluster}-default"
        await self.client.patch(
            DASK_WORKER_GROUPS, group, body, self.namespace, subresource="scale"
        )

    async def scale_s(self, cluster: str, pods: Informer, replicas: int) -> float:
        """Seconds until a scale is true."""
        began = time.perf_counter()
        await self.scale(cluster, replicas)
        await until(lambda: len(pods.objects) == replicas)
        return time.perf_counter() - began

    async def loop_s(self, actions: Iterable[Awaitable[Any]], pods: Informer, left: int) -> float:
        """Seconds that a bare loop of requests takes, until its Pods are seen."""
        began = time.perf_counter()
        await asyncio.gather(*actions)
        await until(lambda: len(pods.objects) == left)
        return time.perf_counter() - began

    async def settle(self, pods: Informer) -> None:
        """Wait until nodes, where there are any, have run the Pods, and the last was written."""
        if self.placement is not NOWHERE:
            await until(lambda: all(is_running(pod) for pod in pods.objects.values()), every_s=0.2)
        await asyncio.sleep(2.0)

    async def make_clusters(self, names: Iterable[str]) -> None:
        """Make clusters, and wait until the operator has looked at each."""
        wanted = list(names)
        await asyncio.gather(
            *(
                self.client.create(DASK_CLUSTERS, build_cluster(n, self.placement), self.namespace)
                for n in wanted
            )
        )

        async def is_done() -> bool:
            listed = await self.client.list(DASK_WORKER_GROUPS, self.namespace)
            groups = {g["metadata"]["name"] for g in listed.items if g.get("status")}
            return {f"{name}-default" for name in wanted} <= groups

        await until(is_done, every_s=0.5)
        await asyncio.sleep(2.0)  # the last statuses


def is_running(pod: dict[str, Any]) -> bool:
    """Whether a node has begun to run a Pod."""
    return bool(pod["status"].get("phase") == "Running")


async def until(is_true: Callable[[], Any], every_s: float = 0.002) -> None:
    """Wait until a function, or a coroutine function, returns something true."""
    deadline = time.perf_counter() + TIME_LIMIT_S
    while True:
        answer = is_true()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        if time.perf_counter() > deadline:
            raise TimeoutError(f"not true within {TIME_LIMIT_S:g} s")
        await asyncio.sleep(every_s)


async def measure_scaling(bench: Bench, workers: int, runs: int) -> None:
    """Up and down, against bare loops, pair by pair."""
    await bench.make_clusters(["big"])
    up: list[tuple[float, float]] = []
    down: list[tuple[float, float]] = []
    writes: list[float] = []
    async with bench.pods(WORKERS) as ours, bench.pods(BARE) as bare:
        for _ in range(runs):
            before = await bench.writes()
            up_s = await bench.scale_s("big", ours, workers)
            await bench.settle(ours)
            halfway = await bench.writes()
            down_s = await bench.scale_s("big", ours, 0)
            await asyncio.sleep(2.0)
            after = await bench.writes()
            writes += [(halfway - before) / workers, (after - halfway) / workers]
            group = await bench.client.get(DASK_WORKER_GROUPS, "big-default", bench.namespace)
            pods = build_bare_pods(group, workers)
            up.append((up_s, await bench.loop_s(creations(bench, pods), bare, workers)))
            await bench.settle(bare)
            down.append((down_s, await bench.loop_s(deletions(bench, pods), bare, 0)))
    PROMISES.say_ratio(f"0 -> {workers} / a bare loop of POSTs", build_ratio(up), 1.5)
    PROMISES.say_ratio(f"{workers} -> 0 / a bare loop of DELETEs", build_ratio(down), 1.5)
    PROMISES.say("writes a worker, up", statistics.median(writes[::2]), 1.05, "")
    PROMISES.say("writes a worker, down", statistics.median(writes[1::2]), 1.05, "")


def creations(bench: Bench, pods: list[dict[str, Any]]) -> Iterable[Awaitable[Any]]:
    """Requests that create bare Pods; the client limits how many are under way."""
    return (bench.client.create(PODS, pod, bench.namespace) for pod in pods)


def deletions(bench: Bench, pods: list[dict[str, Any]]) -> Iterable[Awaitable[Any]]:
    """Requests that delete them."""
    names = (pod["metadata"]["name"] for pod in pods)
    return (bench.client.delete(PODS, name, bench.namespace) for name in names)


async def measure_reaction(bench: Bench, tries: int = 15) -> None:
    """From a scale to the first POST: what watches see, less what any POST takes to be seen."""
    moments: dict[str, float] = {}

    def seen(what: str) -> Any:
        return lambda *_: moments.setdefault(what, time.perf_counter())

    delays_ms: list[float] = []
    posts_ms: list[float] = []
    for number in range(1, tries + 1):
        async with bench.pods(WORKERS) as pods, bench.pods(BARE) as bare:
            groups = Informer(bench.client, DASK_WORKER_GROUPS, bench.namespace)
            task = asyncio.ensure_future(groups.run())
            await groups.wait_synced()
            moments.clear()
            groups._on_change, pods._on_change = seen("scale"), seen("pod")
            bare._on_change = seen("bare")
            await bench.scale("big", number)
            await until(lambda: {"scale", "pod"} <= moments.keys())
            delays_ms.append((moments["pod"] - moments["scale"]) * 1000)
            await asyncio.sleep(0.5)
            posts_ms.append(await post_ms(bench, moments))
            task.cancel()
            await asyncio.wait((task,))
    seen_ms, post = statistics.median(delays_ms), statistics.median(posts_ms)
    print(f"from a scale to the first Pod, as watches see both, median: {seen_ms:.2f} ms")
    print(f"from the POST of a Pod to its event, median: {post:.2f} ms")
    PROMISES.say("from a scale to the first POST, median", seen_ms - post, 10.0, " ms")
    async with bench.pods(WORKERS) as pods:
        await bench.scale_s("big", pods, 0)


async def post_ms(bench: Bench, moments: dict[str, float]) -> float:
    """Milliseconds from a POST of our own to the event of its Pod."""
    group = await bench.client.get(DASK_WORKER_GROUPS, "big-default", bench.namespace)
    pods = build_bare_pods(group, 1)
    began = time.perf_counter()
    await asyncio.gather(*creations(bench, pods))
    await until(lambda: "bare" in moments)
    await asyncio.gather(*deletions(bench, pods))
    return (moments["bare"] - began) * 1000


async def measure_idleness(bench: Bench, clusters: int = 50, quiet_s: float = 30.0) -> None:
    """Requests while nothing happens; watches that the API ends are begun anew."""
    await bench.make_clusters(f"idle-{n}" for n in range(clusters))
    verbs = ("get", "list", "create", "patch", "delete")
    before = await bench.calls(*verbs)
    await asyncio.sleep(quiet_s)
    asked = await bench.calls(*verbs) - before
    PROMISES.say(f"requests in {quiet_s:g} s beside {clusters} idle clusters", asked, 0.0, "")


async def measure_memory(bench: Bench, workers: int, clusters: int = 20) -> None:
    """RSS with many workers in some clusters."""
    each = workers // clusters
    async with bench.pods(WORKERS) as pods:
        for number in range(clusters):
            await bench.scale(f"idle-{number}", each)
        await until(lambda: len(pods.objects) == each * clusters)
        rss_mb = (await bench.numbers())["process_resident_memory_bytes"] / 1e6
        PROMISES.say(
            f"RSS with {each * clusters} workers in {clusters} clusters", rss_mb, 100.0, " MB"
        )
        for number in range(clusters):
            await bench.scale(f"idle-{number}", 0)
        await until(lambda: not pods.objects)


def measure_growth(counts: tuple[int, ...]) -> None:
    """CPU of the looks that a change leads to, by how many other clusters there are."""
    costs_ms = looks.measure(counts)
    for count, cost_ms in zip(counts, costs_ms, strict=True):
        print(f"CPU of the looks at a changed cluster beside {count} others: {cost_ms:.2f} ms")
    PROMISES.say(
        "CPU beside the most / beside the fewest", costs_ms[-1] / costs_ms[0], 1.1, " times"
    )


def build_ratio(pairs: list[tuple[float, float]]) -> Ratio:
    """Build the ratio of seconds that were measured pair by pair, ours first."""
    return Ratio(tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs))


@contextlib.asynccontextmanager
async def running_operator(
    client: KubeClient, kubeconfig: str, placement: dict[str, Any]
) -> AsyncIterator[Bench]:
    """Install the definitions, make a namespace and start the operator in a process for it."""
    with contextlib.suppress(NotFoundError):
        other = await client.get(DEPLOYMENTS, "dask-operator", "dask-operator")
        if other.get("status", {}).get("replicas"):
            command = "kubectl -n dask-operator scale deployments --all --replicas=0"
            sys.exit(f"another operator runs and would do the work; end it first: {command}")
    for crd in build_crds():
        with contextlib.suppress(AlreadyExistsError):
            await client.create(CUSTOM_RESOURCE_DEFINITIONS, crd)
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    await client.create(NAMESPACES, {"metadata": {"name": namespace}})
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    where = ["--namespace", namespace, "--lease-namespace", namespace]
    health = ["--health-host=127.0.0.1", f"--health-port={port}", "--log-level=warning"]
    command_line = [sys.executable, "-m", "dask_k8s_operator", *where, *health]
    environment = {**os.environ, "KUBECONFIG": kubeconfig}
    process = await asyncio.create_subprocess_exec(*command_line, env=environment)
    bench = Bench(client, kubeconfig, namespace, port, placement)
    try:
        await until(bench.is_at_work, every_s=0.2)
        yield bench
    finally:
        process.terminate()
        await process.wait()
        await client.delete(NAMESPACES, namespace)


async def measure(kubeconfig: str, options: argparse.Namespace, placement: dict[str, Any]) -> None:
    """Measure and print everything on one API server."""
    async with (
        await KubeClient.connect(kubeconfig=kubeconfig, concurrency=CONCURRENCY) as client,
        running_operator(client, kubeconfig, placement) as bench,
    ):
        await measure_scaling(bench, options.workers, options.runs)
        await measure_reaction(bench)
        await measure_idleness(bench)
        await measure_memory(bench, 2 * options.workers)


def main() -> int:
    """Entry point; 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operator", description=__doc__)
    parser.add_argument("--kube", choices=["local", "current"], default="local")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--clusters", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--node-selector", default="type=kwok", metavar="LABEL=VALUE")
    parser.add_argument("--toleration", default="kwok.x-k8s.io/node", metavar="TAINT")
    options = parser.parse_args()
    measure_growth(tuple(options.clusters))
    if options.kube == "current":
        placement = build_placement(options.node_selector, options.toleration)
        asyncio.run(measure(os.environ["KUBECONFIG"], options, placement))
        return PROMISES.exit_code
    server = start_server()
    try:
        asyncio.run(measure(server.kubeconfig, options, NOWHERE))
    finally:
        server.process.terminate()
        server.process.wait(20)
    return PROMISES.exit_code


if __name__ == "__main__":
    sys.exit(main())
