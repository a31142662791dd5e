"""One embedded Kubernetes as a Python object: starts and stops API server, node and operator.

Guarantees that after ``stop`` no process, no listening port and no temporary file of it is left,
also when the process is killed, and that its files are readable by the user alone. Refuses
machines without a loopback network.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
import threading
from collections.abc import Collection, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from dask_k8s_operator.kube import KubeClient

from . import guard, processes
from .addresses import API_PORT, ClusterNetwork, claim_network
from .api.access import ADMIN, User
from .api.faults import Faults
from .api.server import ApiServer
from .certificates import Authority, build_client_context, build_server_context
from .controllers import Controllers
from .kubeconfigs import build_kubeconfig
from .leftovers import create_folder, remove_abandoned, start_guard
from .node.node import Node, measure_capacity
from .node.settings import NodeSettings, build_service_variables
from .operatorpod import install_operator

NODE_NAME = "local"
# A part that does not stop within this is left to the sweep of processes that follows.
_PART_STOP_S = 5.0

_LOG = logging.getLogger(__name__)


class LocalKubernetes:
    """A Kubernetes on this machine: an API server and one node that runs Pods as processes.

    Parameters
    ----------
    cpus
        CPUs that Pods may request in sum; None takes those of the machine.
    memory_bytes
        Memory that Pods may request in sum; None takes that of the machine. Neither is enforced on
        running processes.
    missing_images
        Images that cannot be pulled, so that ErrImagePull can be seen. All others are there, and
        all mean the Python environment of this process.
    operator
        Whether to install the operator's definitions and roles, and to run it as a Pod.
    restart_backoff_s
        First pause of a container that keeps crashing, in seconds; doubles up to five minutes.

    Examples
    --------
    >>> with LocalKubernetes.in_thread() as kube:  # doctest: +SKIP
    ...     print(kube.kubeconfig)
    """

    def __init__(
        self,
        *,
        cpus: float | None = None,
        memory_bytes: int | None = None,
        missing_images: Collection[str] = (),
        operator: bool = True,
        restart_backoff_s: float = 10.0,
    ) -> None:
        self._capacity = measure_capacity(cpus, memory_bytes)
        self._missing_images = frozenset(missing_images)
        self._has_operator = operator
        self._restart_backoff_s = restart_backoff_s
        self._changing = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._folder: Path | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._network: ClusterNetwork | None = None
        self._api: ApiServer | None = None
        self._node: Node | None = None
        self._controllers: Controllers | None = None

    @property
    def folder(self) -> Path:
        """Where the files of this cluster are while it runs."""
        if self._folder is None:
            raise RuntimeError("the embedded Kubernetes has not been started")
        return self._folder

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of its administrator."""
        return self.folder / "kubeconfig"

    @property
    def url(self) -> str:
        """URL of its API server."""
        return self._find_api().url

    @property
    def faults(self) -> Faults:
        """Switches for failures that its API server is to show."""
        return self._find_api().faults

    def _find_api(self) -> ApiServer:
        if self._api is None:
            raise RuntimeError("the embedded Kubernetes has not been started")
        return self._api

    def service_environment(self) -> dict[str, str]:
        """Variables for processes of this machine that are to reach Services by name.

        They also mark the processes, so that none of them outlives the cluster.
        """
        return build_service_variables(self.folder / "node" / "services", self.folder.name)

    # -- start and stop --------------------------------------------------------------------------

    async def start(self) -> None:
        """Start; returns when the node is Ready and the operator's Pod has been created."""
        async with self._changing:
            try:
                self._loop = loop = asyncio.get_running_loop()
                await loop.run_in_executor(None, remove_abandoned)
                self._network = claim_network()
                self._folder = create_folder()
                self._guard = start_guard(self._folder)
                await self._start_parts(self._network)
            except BaseException:
                await self._stop_parts()
                raise

    async def _start_parts(self, network: ClusterNetwork) -> None:
        authority, address = Authority(), network.node_address
        node_files = authority.issue("node", [address]).write(self.folder, "node")
        api_files = authority.issue("kubernetes", [address]).write(self.folder, "api")
        self._api = ApiServer(
            address,
            API_PORT,
            server_tls=build_server_context(api_files, None),
            node_tls=build_client_context(authority.certificate, api_files),
            service_network=network.services,
        )
        await self._api.start()
        pem = authority.certificate
        self._write_kubeconfig(self.kubeconfig, pem, ADMIN)
        node_config = self.folder / "node.kubeconfig"
        groups = ("system:nodes", "system:authenticated")
        self._write_kubeconfig(node_config, pem, User(f"system:node:{NODE_NAME}", groups))
        settings = self._build_node_settings(network, pem)
        tls = build_server_context(node_files, pem)
        client = await KubeClient.connect(node_config)
        self._node = Node(client, settings, network.claim, tls)
        await self._node.start()
        self._controllers = Controllers(
            await KubeClient.connect(self.kubeconfig), job_backoff_s=self._restart_backoff_s
        )
        self._controllers.start()
        if self._has_operator:
            async with await KubeClient.connect(self.kubeconfig) as admin:
                await install_operator(admin)

    def _build_node_settings(self, network: ClusterNetwork, authority: bytes) -> NodeSettings:
        first = network.first_pod_address
        return NodeSettings(
            name=NODE_NAME,
            address=network.node_address,
            folder=self.folder / "node",
            mark=self.folder.name,
            api_url=self.url,
            authority=authority,
            pod_addresses=(str(first), int(network.pods[-1]) - int(first)),
            capacity=self._capacity,
            missing_images=self._missing_images,
            restart_backoff_s=self._restart_backoff_s,
            labels={"kubernetes.io/os": "linux", "kubernetes.io/hostname": NODE_NAME},
        )

    def _write_kubeconfig(self, path: Path, authority: bytes, user: User) -> None:
        token = self._find_api().tokens.issue(user)
        path.touch(mode=0o600)
        # JSON is YAML, and reads faster.
        path.write_bytes(orjson.dumps(build_kubeconfig(self.url, authority, token)))

    async def restart_api(self, down_s: float = 0.0) -> None:
        """End the API server and start it again, on the same port and with the objects it had.

        Every connection breaks. The Pods run on, as on a real node. May be awaited in any loop.

        Parameters
        ----------
        down_s
            How long nobody listens in between, in seconds.
        """
        if self._loop is None or self._loop is asyncio.get_running_loop():
            await self._restart_api(down_s)
        else:
            restart = asyncio.run_coroutine_threadsafe(self._restart_api(down_s), self._loop)
            await asyncio.wrap_future(restart)

    async def _restart_api(self, down_s: float) -> None:
        async with self._changing:
            api = self._find_api()
            await api.stop()
            await asyncio.sleep(down_s)
            await api.start()

    async def stop(self) -> None:
        """End every process, close every port, remove every file; waits for a start under way."""
        async with self._changing:
            await self._stop_parts()

    async def _stop_parts(self) -> None:
        if self._controllers is not None:
            await _finish("controllers", self._controllers.stop())
            self._controllers = None
        if self._node is not None:
            await _finish("node", self._node.stop())
            self._node = None
        if self._api is not None:
            await _finish("API server", self._api.stop())
            self._api = None
        if self._network is not None:
            self._network.claim.close()
            self._network = None
        if self._folder is not None:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(None, self._remove_traces, self._folder)
            self._folder = None

    def _remove_traces(self, folder: Path) -> None:
        processes.end_marked(processes.CLUSTER_MARK, folder.name, grace_s=1.0)
        guard.remove_links(str(folder))
        shutil.rmtree(folder, ignore_errors=True)
        if self._guard is not None:
            if self._guard.stdin is not None:
                self._guard.stdin.close()
            try:
                self._guard.wait(_PART_STOP_S)
            except subprocess.TimeoutExpired:
                # What it would have cleaned up is gone already.
                self._guard.kill()
            self._guard = None

    async def __aenter__(self) -> LocalKubernetes:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @classmethod
    @contextmanager
    def in_thread(cls, **options: Any) -> Iterator[LocalKubernetes]:
        """Run one in a thread with an event loop of its own, for synchronous callers."""
        kube = cls(**options)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="dask-k8s-local", daemon=True)
        thread.start()
        try:
            starting = asyncio.run_coroutine_threadsafe(kube.start(), loop)
            try:
                starting.result()
            except BaseException:
                # An interrupt came to this thread; the other one has to hear of it.
                starting.cancel()
                raise
            yield kube
        finally:
            # All in that thread: the caller's may have a loop of its own that runs.
            for last in (kube.stop, loop.shutdown_default_executor):
                asyncio.run_coroutine_threadsafe(last(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


async def _finish(part: str, stopping: Coroutine[Any, Any, None]) -> None:
    try:
        await asyncio.wait_for(stopping, _PART_STOP_S)
    except asyncio.TimeoutError:
        _LOG.warning("the %s did not stop within %g s and is left behind", part, _PART_STOP_S)
    except Exception:  # noqa: BLE001  the rest has to be stopped all the same
        _LOG.exception("stopping the %s failed", part)
