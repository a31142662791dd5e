"""What the operator's tests do with Dask resources in their namespace."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from distributed import Client, Event, get_worker

from dask_k8s_operator.kube import KubeClient, PortForward
from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, EVENTS, PODS
from dask_k8s_operator.resources.names import RETIRING_ANNOTATION

WORKERS = "dask.org/component=worker"


def run_slowly(number: int, seconds: float) -> int:
    import time

    get_worker().log_event("executed", number)
    time.sleep(seconds)
    return number


def run_when_told(number: int, seconds: float, gate: str) -> int:
    import time

    get_worker().log_event("executed", number)
    # However slow the machine is: it cannot be over before the test has seen what it is about.
    Event(gate).wait()
    time.sleep(seconds)
    return number


# Workers cannot import this file: so they travel by value.
run_slowly.__module__ = run_when_told.__module__ = "__main__"


class Dask:
    """Dask resources of one namespace."""

    def __init__(self, client: KubeClient, namespace: str, image: str, wait_until: Any) -> None:
        self.client, self.namespace, self.image = client, namespace, image
        self.wait_until = wait_until

    def container(self, name: str, *args: str, **more: Any) -> dict[str, Any]:
        base = {"name": name, "image": self.image, "imagePullPolicy": "IfNotPresent"}
        return {**base, "args": list(args), **more}

    def cluster_spec(self, replicas: int, *worker_options: str, **changes: Any) -> dict[str, Any]:
        probe = {"httpGet": {"port": 8787, "path": "/health"}, "periodSeconds": 1}
        # Neither nanny nor dashboard: half of what a Pod costs, and no part of the operator's.
        command = ("dask", "scheduler", "--no-dashboard")
        scheduler = self.container("scheduler", *command, readinessProbe=probe)
        worker_options = worker_options or ("--no-nanny",)
        command = ("dask", "worker", "--name", "$(DASK_WORKER_NAME)", "--nthreads=1")
        worker = self.container("worker", *command, "--no-dashboard", *worker_options)
        # A second to end in, so that tests do not wait half a minute for Pods that are going.
        grace = {"terminationGracePeriodSeconds": 1}
        return {
            "worker": {"replicas": replicas, "spec": {"containers": [worker], **grace}},
            "scheduler": {"spec": {"containers": [scheduler], **grace}, "service": {}},
            **changes,
        }

    async def create(self, kind: Any, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}}
        return await self.client.create(kind, {**body, "spec": spec}, self.namespace)

    async def edit(self, kind: Any, name: str, **body: Any) -> dict[str, Any]:
        return await self.client.patch(kind, name, body, self.namespace)

    async def scale(self, kind: Any, name: str, replicas: int) -> None:
        body = {"spec": {"replicas": replicas}}
        await self.client.patch(kind, name, body, self.namespace, subresource="scale")

    async def get(self, kind: Any, name: str) -> dict[str, Any] | None:
        try:
            return await self.client.get(kind, name, self.namespace)
        except NotFoundError:
            return None

    async def status(self, kind: Any, name: str) -> dict[str, Any]:
        return ((await self.get(kind, name)) or {}).get("status") or {}

    async def condition(self, kind: Any, name: str, type_: str) -> tuple[str, str]:
        conditions = (await self.status(kind, name)).get("conditions", ())
        found: dict[str, str] = next((c for c in conditions if c["type"] == type_), {})
        return found.get("status", ""), found.get("reason", "")

    async def pods(self, label: str = WORKERS) -> list[dict[str, Any]]:
        return (await self.client.list(PODS, self.namespace, label_selector=label)).items

    async def names(self, kind: Any, label: str = "dask.org/cluster-name") -> set[str]:
        listed = await self.client.list(kind, self.namespace, label_selector=label)
        return {item["metadata"]["name"] for item in listed.items}

    async def marked(self) -> set[str]:
        """Names of the workers that are meant to go."""
        pods = [pod["metadata"] for pod in await self.pods()]
        return {pod["name"] for pod in pods if RETIRING_ANNOTATION in pod.get("annotations", {})}

    async def events(self) -> dict[str, str]:
        listed = (await self.client.list(EVENTS, self.namespace)).items
        return {event["reason"]: event["message"] for event in listed}

    async def wait_event(self, reason: str, words: str = "") -> None:
        """Wait for an Event with some words: what it tells of is done before."""

        async def is_told() -> bool:
            return words in (await self.events()).get(reason, "\0")

        await self.wait_until(is_told, what=f"an Event {reason} that says {words!r}")

    async def wait_for(self, question: Any, answer: Any, timeout_s: float = 90) -> None:
        async def is_answered() -> bool:
            return bool(await question() == answer)

        await self.wait_until(is_answered, timeout_s=timeout_s)

    async def wait_condition(self, kind: Any, name: str, type_: str, *told: str) -> None:
        await self.wait_for(lambda: self.condition(kind, name, type_), told)

    async def wait_ready(self, name: str, replicas: int, timeout_s: float = 120) -> None:
        async def is_ready() -> bool:
            status = await self.status(DASK_CLUSTERS, name)
            conditions = {c["type"]: c["status"] for c in status.get("conditions", ())}
            return (
                conditions.get("Ready") == "True"
                and status.get("ready") == f"{replicas}/{replicas}"
                and len(await self.pods()) == replicas
            )

        await self.wait_until(is_ready, timeout_s=timeout_s)

    async def wait_message(self, kind: Any, name: str, *parts: str) -> dict[str, Any]:
        async def has_message() -> dict[str, Any] | None:
            status = await self.status(kind, name)
            return status if all(p in status.get("message", "") for p in parts) else None

        found: dict[str, Any] = await self.wait_until(has_message, timeout_s=90)
        return found

    @contextlib.asynccontextmanager
    async def connected(self, name: str, security: Any = None) -> AsyncIterator[Client]:
        forward = PortForward(self.client, self.namespace, port=8786, pod=f"{name}-scheduler")
        scheme = "tls" if security else "tcp"
        async with (
            forward as (host, port),
            Client(f"{scheme}://{host}:{port}", asynchronous=True, security=security) as client,
        ):
            yield client


async def tell(client: Client, gate: str) -> None:
    """Let tasks go on that wait to be told."""
    await Event(gate, client=client).set()


async def executed(client: Client) -> list[int]:
    """Which tasks ran, as often as they did."""
    return sorted(event for _, event in await client.get_events("executed") or ())


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether a worker is ready and not meant to go."""
    metadata = pod["metadata"]
    is_going = RETIRING_ANNOTATION in metadata.get("annotations", {})
    conditions = pod.get("status", {}).get("conditions", ())
    has_condition = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return has_condition and not is_going and "deletionTimestamp" not in metadata
