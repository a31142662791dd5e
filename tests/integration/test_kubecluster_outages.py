"""An open cluster whose connections through the API break while its Pods live on."""

from __future__ import annotations

import asyncio
import contextlib
import operator
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from distributed import Client
from distributed.core import Status

from dask_k8s_jupyter import KubeCluster

pytestmark = pytest.mark.filterwarnings("ignore:Mismatched versions found")
WaitUntil = Callable[..., Awaitable[Any]]


class Line:
    """A line to the API that can break: every connection through it at once.

    Parameters
    ----------
    host, port
        Where it leads.
    """

    def __init__(self, host: str, port: int) -> None:
        self.is_down = False
        self._there = (host, port)
        self._ends: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def lay(self) -> AsyncIterator[int]:
        """A port of this machine where it begins."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """End every connection without a word, as where a gateway is started again."""
        for end in self._ends:
            end.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            writer.transport.abort()
            return
        there, answer = await asyncio.open_connection(*self._there)
        self._ends |= {writer, answer}
        await asyncio.gather(self._pump(reader, answer), self._pump(there, writer))
        self._ends -= {writer, answer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while read := await reader.read(65536):
                writer.write(read)
                await writer.drain()
        writer.close()


@pytest.fixture
def document(kubeconfig: Path) -> Any:
    """What a kubeconfig of an administrator says."""
    return yaml.safe_load(kubeconfig.read_text())


@pytest.fixture
async def line(
    document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Line]:
    """The line that KUBECONFIG leads through."""
    cluster = document["clusters"][0]["cluster"]
    there = urlsplit(cluster["server"])
    line = Line(str(there.hostname), int(there.port or 443))
    async with line.lay() as port:
        cluster["server"] = f"{there.scheme}://127.0.0.1:{port}"
        # The certificate is for the other end's name.
        for key in ("certificate-authority", "certificate-authority-data"):
            cluster.pop(key, None)
        cluster["insecure-skip-tls-verify"] = True
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(document))
        monkeypatch.setenv("KUBECONFIG", str(path))
        yield line


async def compute(client: Client) -> None:
    """Let a worker multiply."""
    assert await asyncio.wait_for(client.submit(operator.mul, 6, 7, pure=False), 60) == 42


async def test_a_cluster_goes_on_when_the_line_to_the_api_breaks(
    line: Line, namespace: str, dask_image: str, wait_until: WaitUntil
) -> None:
    common: dict[str, Any] = {"namespace": namespace, "quiet": True, "asynchronous": True}
    async with (
        KubeCluster(name="demo", image=dask_image, n_workers=1, **common) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")
        held = client.submit(operator.add, 1, 2)
        assert await held == 3
        await client.publish_dataset(kept=held)
        line.cut()
        # The scheduler forgets what a client held whose connection ended: that is said, at once.
        await wait_until(held.cancelled, 30)
        with pytest.raises(CancelledError, match="scheduler-connection-lost"):
            await held
        await compute(client)
        assert await (await client.get_dataset("kept")) == 3
        async with Client(cluster, asynchronous=True) as impatient:
            impatient._timeout = 1  # what it was made with also limits its first connection
            line.is_down = True
            line.cut()
            await wait_until(lambda: impatient.status == "closed", 60, "it gives up, as Dask's do")
        assert cluster.status == Status.running
        line.is_down = False
        await compute(client)
        async with Client(cluster, asynchronous=True) as another:
            await compute(another)
        # What the cluster itself follows goes on too: the DaskCluster, and the scheduler's workers.
        await cluster.scale(2)
        await cluster.wait_for_workers(2, timeout=120)
        assert len(cluster.observed) == 2
        assert cluster.status == Status.running
