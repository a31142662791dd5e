"""One embedded Kubernetes as a Python object: starts and stops the API server, the node, the operator.

Guarantees that after ``stop`` no process, no listening port and no temporary file of it is left, and
that its files are readable by the user alone. Refuses machines without a loopback network.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from .addresses import API_PORT, ClusterNetwork, claim_network
from .api.access import ADMIN
from .api.server import ApiServer
from .certificates import Authority, build_client_context, build_server_context

CONTEXT_NAME = "dask-k8s-local"


class LocalKubernetes:
    """A Kubernetes on this machine, made of an API server and one node that runs Pods as processes.

    Parameters
    ----------
    cpus
        CPUs that Pods may request in sum; None takes those of the machine.
    memory_bytes
        Memory that Pods may request in sum; None takes that of the machine. Neither is enforced on
        running processes.
    missing_images
        Images that cannot be pulled, so that ErrImagePull can be seen. All others are there.
    operator
        Whether to install the operator's definitions and roles, and to run it as a Pod.

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
        operator: bool = False,
    ) -> None:
        self._cpus = cpus
        self._memory_bytes = memory_bytes
        self._missing_images = frozenset(missing_images)
        self._has_operator = operator
        self._folder: Path | None = None
        self._network: ClusterNetwork | None = None
        self._authority: Authority | None = None
        self.api: ApiServer | None = None

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

    async def start(self) -> None:
        """Start; returns when the API answers and the node is Ready."""
        try:
            await self._start_api()
        except BaseException:
            await self.stop()
            raise

    async def _start_api(self) -> None:
        self._network = claim_network()
        self._folder = Path(tempfile.mkdtemp(prefix="dask-k8s-"))
        self._authority = Authority()
        address = self._network.node_address
        node = self._authority.issue("node", [address]).write(self.folder, "node")
        server = self._authority.issue("kubernetes", [address]).write(self.folder, "api")
        self.api = ApiServer(
            address,
            API_PORT,
            server_tls=build_server_context(server, None),
            node_tls=build_client_context(self._authority.certificate, node),
            service_network=self._network.services,
        )
        await self.api.start()
        self._write_kubeconfig(self.kubeconfig, self.api.tokens.issue(ADMIN))

    def _write_kubeconfig(self, path: Path, token: str) -> None:
        assert self.api is not None and self._authority is not None  # noqa: S101
        content = build_kubeconfig(self.api.url, self._authority.certificate, token)
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(content))

    async def stop(self) -> None:
        """Stop everything and remove every file."""
        if self.api is not None:
            await self.api.stop()
            self.api = None
        if self._network is not None:
            self._network.claim.close()
            self._network = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

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
            asyncio.run_coroutine_threadsafe(kube.start(), loop).result()
            yield kube
        finally:
            asyncio.run_coroutine_threadsafe(kube.stop(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


def build_kubeconfig(
    url: str, authority: bytes, token: str, namespace: str = "default"
) -> dict[str, Any]:
    """Build a kubeconfig with one context."""
    from base64 import b64encode

    name = CONTEXT_NAME
    cluster = {"server": url, "certificate-authority-data": b64encode(authority).decode()}
    context = {"cluster": name, "user": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": context}],
        "current-context": name,
    }
