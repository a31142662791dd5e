"""``dask-k8s up``: the embedded Kubernetes with the operator, and JupyterLab or a command on top.

Guarantees that it says what it does while it does it, that everything ends together, and that a
second one beside the first gets ports of its own. Refuses a port that was asked for and is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import ProxyHandler, Request, build_opener

from .kubernetes import LocalKubernetes

DEFAULT_BASE_URL = "/notebook/default/demo/"
_FIRST_PORT = 8888
_PORTS_TRIED = 100
# JupyterLab takes about two seconds; a cold disk takes many.
_LAB_TIMEOUT_S = 60.0
_LAB_STOP_S = 4.0

Say = Callable[[str], None]


class UpError(Exception):
    """``up`` cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class UpOptions:
    """What to bring up.

    Parameters
    ----------
    port
        Of JupyterLab; None takes the first free one from 8888 on.
    base_url
        Prefix of JupyterLab, as a hub or Kubeflow gives it.
    notebook_folder
        What JupyterLab shows.
    has_lab
        Whether to start JupyterLab.
    command
        Run this in place of JupyterLab, and end with it.
    cpus, memory_bytes
        Room for Pods' requests; None takes what the machine has.
    """

    port: int | None = None
    base_url: str = DEFAULT_BASE_URL
    notebook_folder: Path = field(default_factory=Path.cwd)
    has_lab: bool = True
    command: Sequence[str] = ()
    cpus: float | None = None
    memory_bytes: int | None = None


def find_port(wanted: int | None) -> int:
    """The port that was asked for, or the first free one."""
    candidates = [wanted] if wanted else range(_FIRST_PORT, _FIRST_PORT + _PORTS_TRIED)
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    if wanted:
        raise UpError(f"port {wanted} of 127.0.0.1 is in use: give another --port, or none")
    raise UpError(f"no port of 127.0.0.1 from {_FIRST_PORT} on is free: give one with --port")


def normalize_base_url(base_url: str) -> str:
    """Give a base URL its slashes.

    Examples
    --------
    >>> normalize_base_url("user/ada"), normalize_base_url("/")
    ('/user/ada/', '/')
    """
    inner = base_url.strip("/")
    return f"/{inner}/" if inner else "/"


async def run_up(options: UpOptions, say: Say) -> int:
    """Bring everything up, wait for a signal or the command's end, take it down; the exit code."""
    stop = asyncio.Event()
    _listen_for_signals(stop)
    began = time.monotonic()

    def tell(message: str) -> None:
        say(f"[dim]{time.monotonic() - began:4.1f} s[/dim]  {message}")

    port = find_port(options.port) if options.has_lab and not options.command else 0
    tell("starting Kubernetes on this machine")
    kube = LocalKubernetes(cpus=options.cpus, memory_bytes=options.memory_bytes)
    try:
        await kube.start()
        tell(f"Kubernetes answers at {kube.url}, the operator is starting")
        if options.command:
            return await _run_command(kube, options.command, stop)
        if options.has_lab:
            return await _run_lab(kube, options, port, stop, say, tell)
        _show_end(say, kube)
        await stop.wait()
        return 0
    finally:
        say("stopping everything")
        await kube.stop()


def _listen_for_signals(stop: asyncio.Event) -> None:
    """The first signal stops in order; the second leaves at once, and the guard cleans up."""

    def note() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, note)


def build_environment(kube: LocalKubernetes) -> dict[str, str]:
    """Environment of what runs on top: it finds the API, and Services by name."""
    return {**os.environ, **kube.service_environment(), "KUBECONFIG": str(kube.kubeconfig)}


def _show_end(say: Say, kube: LocalKubernetes, url: str | None = None) -> None:
    say("")
    if url:
        say(f"  {url}")
    say(f"  export KUBECONFIG={kube.kubeconfig}")
    say("")
    say("[dim]Ctrl-C ends all of it.[/dim]")


async def _run_command(kube: LocalKubernetes, command: Sequence[str], stop: asyncio.Event) -> int:
    # In our own session: the terminal's keyboard is the command's, and so is its Ctrl-C, which the
    # terminal sends to both. SIGTERM still ends all.
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)
    try:
        process = await asyncio.create_subprocess_exec(*command, env=build_environment(kube))
    except OSError as error:
        raise UpError(f"{command[0]} cannot be run: {error.strerror}") from error
    stopping = asyncio.ensure_future(stop.wait())
    ending = asyncio.ensure_future(process.wait())
    await asyncio.wait({stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not ending.done():
        await _end(process)
    code = await ending
    return code if code >= 0 else 128 - code


async def _run_lab(
    kube: LocalKubernetes,
    options: UpOptions,
    port: int,
    stop: asyncio.Event,
    say: Say,
    tell: Say,
) -> int:
    base_url = normalize_base_url(options.base_url)
    token = secrets.token_urlsafe(24)
    log = kube.folder / "jupyterlab.log"
    process = await _start_lab(kube, options, port, base_url, token, log)
    tell("JupyterLab is starting")
    stopping = asyncio.ensure_future(stop.wait())
    ending = asyncio.ensure_future(process.wait())
    address = f"http://127.0.0.1:{port}{base_url}"
    answering = asyncio.ensure_future(_wait_for_lab(f"{address}api", token))
    tasks: set[asyncio.Future[object]] = {stopping, ending, answering}  # type: ignore[arg-type]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if answering.done() and not answering.cancelled() and answering.exception() is None:
            tell("JupyterLab answers")
            _show_end(say, kube, f"{address}lab?token={token}")
            await asyncio.wait({stopping, ending}, return_when=asyncio.FIRST_COMPLETED)
        if stopping.done():
            return 0
        raise UpError(
            f"JupyterLab did not start or has ended; the end of its log:\n{_read_end(log)}"
        )
    finally:
        for task in (stopping, answering):
            task.cancel()
        await _end(process)
        await ending


async def _start_lab(
    kube: LocalKubernetes,
    options: UpOptions,
    port: int,
    base_url: str,
    token: str,
    log: Path,
) -> asyncio.subprocess.Process:
    environment = build_environment(kube)
    # In the environment rather than on the command line, which every user of the machine can read.
    environment["JUPYTER_TOKEN"] = token
    extra = str(_write_jupyter_config(kube.folder))
    known = environment.get("JUPYTER_CONFIG_PATH")
    environment["JUPYTER_CONFIG_PATH"] = f"{extra}{os.pathsep}{known}" if known else extra
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.base_url={base_url}",
        f"--ServerApp.root_dir={options.notebook_folder}",
    ]
    if os.geteuid() == 0:
        command.append("--allow-root")
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            # Ctrl-C is for us: JupyterLab would ask whether it is meant.
            start_new_session=True,
        )
    finally:
        os.close(file)


def _write_jupyter_config(folder: Path) -> Path:
    """Switch our server extension on, also where its configuration file is not installed."""
    config = folder / "jupyter" / "jupyter_server_config.d"
    config.mkdir(parents=True)
    enabled = {"ServerApp": {"jpserver_extensions": {"dask_k8s_jupyter.server": True}}}
    (config / "dask_k8s_jupyter.json").write_text(json.dumps(enabled))
    return config.parent


def _read_end(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-2000:]


async def _wait_for_lab(url: str, token: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LAB_TIMEOUT_S
    while True:
        try:
            await loop.run_in_executor(None, _ask, url, token)
            return
        except OSError:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(0.05)


def _ask(url: str, token: str) -> None:
    request = Request(url, headers={"Authorization": f"token {token}"})  # noqa: S310  (loopback)
    # Never by a proxy, which would see the token and does not reach our loopback.
    with build_opener(ProxyHandler({})).open(request, timeout=5):
        pass


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(process.wait(), _LAB_STOP_S)
    with contextlib.suppress(ProcessLookupError):
        process.kill()
