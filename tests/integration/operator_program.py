"""The operator as a process of its own, as ``python -m dask_k8s_operator`` starts it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import aiohttp
from ports import hold_port


class Program:
    """One ``python -m dask_k8s_operator`` with a lease in the test's namespace."""

    def __init__(self, name: str, namespace: str, kubeconfig: Path, log: Path) -> None:
        self.name, self.namespace, self.kubeconfig, self.log = name, namespace, kubeconfig, log
        self.port = hold_port()
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *arguments: str, **environment: str) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "dask_k8s_operator",
                f"--namespace={self.namespace}",
                f"--lease-namespace={self.namespace}",
                "--health-host=127.0.0.1",
                f"--health-port={self.port}",
                *arguments,
                env={
                    **os.environ,
                    "KUBECONFIG": str(self.kubeconfig),
                    "POD_NAME": self.name,
                    **environment,
                },
                stderr=log,
            )

    async def ask(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session:
            try:
                async with session.get(f"http://127.0.0.1:{self.port}{path}") as response:
                    return response.status, await response.text()
            except aiohttp.ClientError as error:
                return 0, str(error)

    async def is_at_work(self) -> bool:
        status, text = await self.ask("/readyz")
        return status == 200 and f"leads as {self.name}" in text

    async def end(self) -> int:
        if self.process is None or self.process.returncode is not None:
            return 0
        self.process.terminate()
        return await self.process.wait()
