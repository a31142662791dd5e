"""The node: registers itself, schedules Pods, runs them, keeps Service names.

Guarantees that it acts on what the API says and on nothing else, and that after ``stop`` none of
its processes is left. Pods that the API forgets are ended at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import platform
import socket
import ssl
from collections.abc import Coroutine
from ipaddress import ip_address
from typing import Any

import aiohttp

from dask_k8s_operator.kube import Informer, KubeClient
from dask_k8s_operator.kube.errors import AlreadyExistsError
from dask_k8s_operator.resources.kinds import NODES, PODS, SERVICES

from ..backends import has_address
from .events import EventRecorder, now_text
from .mounts import MountLinks
from .pods import PodRunner
from .quantities import show_bytes, show_cpus
from .scheduler import Scheduler
from .server import NodeServer
from .servicenames import find_all_endpoints, write_services
from .serviceproxy import ServiceProxy, build_routes
from .settings import NodeSettings, write_shims

_LOG = logging.getLogger(__name__)
Pod = dict[str, Any]
# A port of a Service that another process had is tried again after this.
_LISTEN_RETRY_S = 5.0


class Node:
    """One node of an embedded cluster.

    Parameters
    ----------
    client
        Connection to the API; the node closes it when it stops.
    settings
        What the node is told about itself.
    listener, tls
        Where it serves the API server, and how.
    """

    def __init__(
        self,
        client: KubeClient,
        settings: NodeSettings,
        listener: socket.socket,
        tls: ssl.SSLContext,
    ) -> None:
        self._client = client
        self._settings = settings
        self._port = listener.getsockname()[1]
        self._pods = Informer(client, PODS, on_change=self._note_pod)
        self._services = Informer(client, SERVICES, on_change=self._note_service)
        self._events = EventRecorder(client, "kubelet", settings.name)
        self._scheduler = Scheduler(
            client, settings.name, settings.labels, settings.capacity, self._pods.objects
        )
        self._server = NodeServer(listener, tls, self._find_runner)
        self._links = MountLinks(settings.folder / "links")
        self._runners: dict[str, PodRunner] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._clearings: set[asyncio.Future[None]] = set()
        self._addresses_in_use: set[str] = set()
        self._next_address = 0
        self._names_changed = asyncio.Event()
        self._proxy = ServiceProxy()
        self._session: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # -- life of the node ------------------------------------------------------------------------

    async def start(self) -> None:
        """Register with the API and begin to run Pods."""
        self._settings.folder.mkdir(mode=0o700, exist_ok=True)
        write_shims(self._settings)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        await self._server.start()
        await self._register()
        self._spawn(self._pods.run(), self._services.run(), self._events.run())
        await asyncio.gather(self._pods.wait_synced(), self._services.wait_synced())
        self._spawn(self._scheduler.run(), self._write_names())

    def _spawn(self, *coroutines: Coroutine[Any, Any, None]) -> None:
        for coroutine in coroutines:
            task = asyncio.ensure_future(coroutine)
            task.add_done_callback(_log_failure)
            self._tasks.append(task)

    async def stop(self, grace_s: float = 2.0) -> None:
        """End all Pods, wait for them at most ``grace_s``, stop serving."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        runners = [runner for runner in self._runners.values() if not runner.is_over]
        await asyncio.gather(*(runner.stop(grace_s) for runner in runners))
        for life in self._lives.values():
            life.cancel()
        ends = (*self._lives.values(), *self._clearings)
        await asyncio.gather(*ends, return_exceptions=True)
        await self._server.stop()
        await self._proxy.close()
        if self._session is not None:
            await self._session.close()
        await self._client.close()

    async def _register(self) -> None:
        settings = self._settings
        labels = dict(settings.labels)
        body = {"metadata": {"name": settings.name, "labels": labels}, "spec": {}}
        version = await self._client.request("GET", "/version")
        with contextlib.suppress(AlreadyExistsError):
            await self._client.create(NODES, body)
        await self._client.patch(
            NODES,
            settings.name,
            {"status": build_node_status(settings, self._port, str(version["gitVersion"]))},
            subresource="status",
            field_manager="kubelet",
        )

    # -- Pods ------------------------------------------------------------------------------------

    def _note_pod(self, old: Pod | None, new: Pod | None) -> None:
        self._scheduler.note_change(old, new)
        if has_address(old) or has_address(new):
            self._names_changed.set()
        # A name can pass from one Pod to the next between two lists.
        if old is not None and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            self._forget(old)
        if new is None or new["spec"].get("nodeName") != self._settings.name:
            return
        uid = new["metadata"]["uid"]
        runner = self._runners.get(uid)
        if runner is None:
            runner = self._take(new)
        if runner is None:
            return
        if "deletionTimestamp" in new["metadata"]:
            runner.note_deletion(new)
        elif old is None or old["spec"] != new["spec"]:
            runner.note_edit(new)

    def _take(self, pod: Pod) -> PodRunner | None:
        uid = pod["metadata"]["uid"]
        if self._session is None:
            return None
        ip = self._find_address()
        # Short, because the path of a socket in a Pod's temporary folder must fit in 108 bytes.
        folder = self._settings.folder / ip.partition(".")[2]
        runner = PodRunner(
            pod,
            ip,
            folder,
            settings=self._settings,
            client=self._client,
            events=self._events,
            session=self._session,
            links=self._links,
        )
        self._runners[uid] = runner
        self._lives[uid] = asyncio.ensure_future(self._run(runner))
        return runner

    async def _run(self, runner: PodRunner) -> None:
        try:
            await runner.run()
        except Exception:  # noqa: BLE001  (one Pod must not end the node)
            _LOG.exception("Pod %s could not be run", runner.place)

    def _find_address(self) -> str:
        first, count = self._settings.pod_addresses
        for _ in range(count):
            address = str(ip_address(first) + self._next_address % count)
            self._next_address += 1
            if address not in self._addresses_in_use:
                self._addresses_in_use.add(address)
                return address
        raise RuntimeError(f"all {count} addresses for Pods are in use")

    def _forget(self, pod: Pod) -> None:
        uid = pod["metadata"]["uid"]
        runner = self._runners.pop(uid, None)
        if runner is None:
            return
        runner.note_gone()
        clearing = asyncio.ensure_future(self._clear(uid, runner))
        self._clearings.add(clearing)
        clearing.add_done_callback(self._clearings.discard)

    async def _clear(self, uid: str, runner: PodRunner) -> None:
        await asyncio.wait({self._lives[uid]})
        self._lives.pop(uid, None)
        try:
            self._links.release(uid)
        except Exception:  # noqa: BLE001  (its folder and address are given back nevertheless)
            _LOG.exception("links of Pod %s could not be taken back", runner.place)
        try:
            # A Pod may leave gigabytes; its folder is named by its address, free only then.
            await asyncio.get_running_loop().run_in_executor(None, runner.remove_files)
        except Exception:  # noqa: BLE001  (its address is given back nevertheless)
            _LOG.exception("files of Pod %s could not be removed", runner.place)
        finally:
            self._addresses_in_use.discard(runner.ip)

    def _find_runner(self, namespace: str, name: str) -> PodRunner | None:
        pod = self._pods.objects.get((namespace, name))
        return self._runners.get(pod["metadata"]["uid"]) if pod else None

    # -- Service names ---------------------------------------------------------------------------

    def _note_service(self, old: Pod | None, new: Pod | None) -> None:
        self._names_changed.set()

    async def _write_names(self) -> None:
        self._names_changed.set()
        while True:
            with contextlib.suppress(asyncio.TimeoutError):
                retry_s = _LISTEN_RETRY_S if self._proxy.is_lacking else None
                await asyncio.wait_for(self._names_changed.wait(), retry_s)
            self._names_changed.clear()
            services, pods = self._services.objects.values(), self._pods.objects.values()
            behind = find_all_endpoints(services, pods)
            write_services(self._settings.services_file, behind)
            await self._proxy.set_routes(build_routes(behind, self._settings.address))
            # Many Pods change at once when a cluster is scaled.
            await asyncio.sleep(0.02)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _LOG.error("a part of the node ended", exc_info=task.exception())


def build_node_status(settings: NodeSettings, port: int, version: str) -> dict[str, Any]:
    """Build the status that the node reports of itself; its version is that of its API server."""
    room = settings.capacity
    amounts = {
        "cpu": show_cpus(room["cpu"]),
        "memory": show_bytes(int(room["memory"])),
        "pods": str(int(room["pods"])),
    }
    now = now_text()
    pressures = ("MemoryPressure", "DiskPressure", "PIDPressure")
    conditions = [
        _condition(
            name, "False", "KubeletHasNoPressure", "the embedded node does not measure it", now
        )
        for name in pressures
    ]
    conditions.append(_condition("Ready", "True", "KubeletReady", "the node runs Pods", now))
    return {
        "capacity": amounts,
        "allocatable": amounts,
        "conditions": conditions,
        "addresses": [
            {"type": "InternalIP", "address": settings.address},
            {"type": "Hostname", "address": settings.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "nodeInfo": {
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": platform.release(),
            "osImage": "this machine",
            "containerRuntimeVersion": "processes://1",
            "kubeletVersion": version,
            "kubeProxyVersion": "",
            "operatingSystem": platform.system().lower(),
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(
                platform.machine(), platform.machine()
            ),
        },
    }


def _condition(type_: str, status: str, reason: str, message: str, now: str) -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }


def measure_capacity(cpus: float | None, memory_bytes: int | None) -> dict[str, float]:
    """Room for requests; None takes what the machine has."""
    if cpus is None:
        cpus = float(
            len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
    if memory_bytes is None:
        memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": float(cpus), "memory": float(memory_bytes), "pods": 500.0}
