"""One container of a Pod: start, watch, restart, end.

Guarantees that its status says at every moment what happened to it, in the words of the kubelet,
and that when it is over no process of it is left. Refuses what it cannot do (mounts, lifecycle
hooks) before it starts anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from ..processes import is_process
from .environment import ConfigError, build_command
from .events import EventRecorder, now_text
from .logs import read_termination_message
from .podstatus import ContainerStatus
from .probes import ProbeResult, repeat_probe, run_probe
from .settings import NodeSettings, join_python_path
from .starting import (
    StartFailure,
    check_image,
    explain_start_error,
    explain_unsupported,
    find_executable,
)

_LONGEST_BACKOFF_S = 300.0
# A container that ran this long begins with a short back-off again.
_FORGIVEN_AFTER_S = 600.0
# How long a first sight of an error stands before the back-off is shown in its place.
_FIRST_SIGHT_S = 1.0
# What a container is configured from may come any moment.
_CONFIG_RETRY_S = 3.0
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class PodScene:
    """What the containers of a Pod share."""

    settings: NodeSettings
    pod: Mapping[str, Any]
    ip: str
    folder: Path
    events: EventRecorder
    session: aiohttp.ClientSession
    base_variables: Mapping[str, str]
    build_variables: Callable[[Mapping[str, Any]], Any]
    on_change: Callable[[], None]

    def record(self, type_: str, reason: str, message: str, container: str) -> None:
        """Record an Event about a container."""
        self.events.record(dict(self.pod), type_, reason, message, container)


class Container:
    """Runs one container of a Pod.

    Parameters
    ----------
    spec
        The container, as in the Pod's spec.
    restart_policy
        ``Always``, ``OnFailure`` or ``Never``; init containers have a policy of their own.
    """

    def __init__(self, spec: Mapping[str, Any], restart_policy: str, scene: PodScene) -> None:
        self.spec = spec
        self.name = str(spec["name"])
        self.status = ContainerStatus(self.name, str(spec.get("image", "")))
        self._policy = restart_policy
        self._scene = scene
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._backoff_s = 0.0
        self._grace_s = float(scene.pod["spec"].get("terminationGracePeriodSeconds") or 0)
        self._variables: dict[str, str] = {}
        self._endings: set[asyncio.Future[None]] = set()

    @property
    def log_path(self) -> Path:
        """Log of the present run."""
        return self._log_of(self.status.restarts)

    @property
    def previous_log_path(self) -> Path | None:
        """Log of the run before; None when there was none."""
        return self._log_of(self.status.restarts - 1) if self.status.restarts else None

    def _log_of(self, run: int) -> Path:
        return self._scene.folder / f"{self.name}.{run}.log"

    # -- life ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run until the container is over for good."""
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            try:
                await self._start()
            except StartFailure as failure:
                if not await self._endure(failure):
                    return
                continue
            if self._stopping.is_set() and self._process is not None:
                # Told to end while its process was being made: nobody has signalled it yet.
                self._keep(self._end_process(self._process, self._grace_s))
            await self._supervise()
            if asyncio.get_running_loop().time() - began > _FORGIVEN_AFTER_S:
                self._backoff_s = 0.0
            code = int(self.status.state["terminated"]["exitCode"])
            if not self._is_restarted(code):
                return
            await self._back_off()
            self._begin_next_run()

    def _is_restarted(self, exit_code: int) -> bool:
        if self._stopping.is_set():
            return False
        return self._policy == "Always" or (self._policy == "OnFailure" and exit_code != 0)

    def _begin_next_run(self) -> None:
        if self._stopping.is_set():
            return
        if ended := self.status.state.get("terminated"):
            self.status.last_state = {"terminated": ended}
        old = self._log_of(self.status.restarts - 1)
        self.status.restarts += 1
        old.unlink(missing_ok=True)

    async def _back_off(self) -> None:
        """Pause before the next run; the first restart comes at once."""
        scene, pause_s = self._scene, self._backoff_s
        first = scene.settings.restart_backoff_s
        self._backoff_s = min(_LONGEST_BACKOFF_S, pause_s * 2 or first)
        if not pause_s:
            return
        metadata = scene.pod["metadata"]
        place = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        if ended := self.status.state.get("terminated"):
            self.status.last_state = {"terminated": ended}
        message = f"back-off {int(pause_s)}s restarting failed container={self.name} pod={place}"
        self._set_state({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
        text = f"Back-off restarting failed container {self.name} in pod {place}"
        scene.record("Warning", "BackOff", text, self.name)
        await self._pause(pause_s)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _endure(self, failure: StartFailure) -> bool:
        """Show why the container did not start; returns whether to try again."""
        scene = self._scene
        waiting = {"reason": failure.reason, "message": failure.message}
        if failure.is_of_image:
            self._set_state({"waiting": waiting})
            await self._pause(_FIRST_SIGHT_S)
            await self._wait_for_image(failure)
            return not self._stopping.is_set()
        if failure.reason.startswith("CreateContainer"):
            self._set_state({"waiting": waiting})
            await self._pause(_CONFIG_RETRY_S)
            return not self._stopping.is_set()
        ended = {
            "exitCode": 128,
            "reason": "StartError",
            "message": failure.message,
            "startedAt": _EPOCH,
            "finishedAt": now_text(),
        }
        self.status.container_id = f"local://{scene.pod['metadata']['uid']}/{self.name}"
        if not self._is_restarted(128):
            self._set_state({"terminated": ended})
            return False
        self.status.last_state = {"terminated": ended}
        self._set_state({"waiting": waiting})
        await self._pause(_FIRST_SIGHT_S)
        await self._back_off()
        self._begin_next_run()
        return not self._stopping.is_set()

    async def _wait_for_image(self, failure: StartFailure) -> None:
        pause_s = self._backoff_s or self._scene.settings.restart_backoff_s
        self._backoff_s = min(_LONGEST_BACKOFF_S, pause_s * 2)
        if failure.reason == "ErrImagePull":
            message = f'Back-off pulling image "{self.status.image}"'
            self._scene.record("Normal", "BackOff", message, self.name)
            self._scene.record("Warning", "Failed", "Error: ImagePullBackOff", self.name)
            text = f"{message}: ErrImagePull: {failure.message}"
            self._set_state({"waiting": {"reason": "ImagePullBackOff", "message": text}})
        await self._pause(pause_s)

    async def stop(self, grace_s: float) -> None:
        """End the container: SIGTERM, and SIGKILL when the grace is over."""
        self._grace_s = grace_s
        was_stopping = self._stopping.is_set()
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None:
            return
        if not was_stopping:
            text = f"Stopping container {self.name}"
            self._scene.record("Normal", "Killing", text, self.name)
        await self._end_process(process, grace_s)

    async def _end_process(self, process: asyncio.subprocess.Process, grace_s: float) -> None:
        with contextlib.suppress(ProcessLookupError):
            if grace_s > 0:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(process.wait(), grace_s)
            self._kill_group(process)

    def _keep(self, ending: Coroutine[Any, Any, None]) -> None:
        """Let a process be ended in the background."""
        task = asyncio.ensure_future(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    def _kill_group(self, process: asyncio.subprocess.Process) -> None:
        # The process leads its session: what it left behind goes with it, as a container would.
        if process.returncode is not None and is_process(process.pid):
            # The kernel gives a number away again only when its group is empty.
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    # -- starting --------------------------------------------------------------------------------

    async def _start(self) -> None:
        scene = self._scene
        check_image(self.spec, scene.settings.missing_images, self._record)
        if unsupported := explain_unsupported(self.spec, scene.pod):
            self._record("Warning", "Failed", f"Error: {unsupported}")
            raise StartFailure("CreateContainerError", unsupported)
        command = await self._configure()
        try:
            executable = find_executable(command[0], self._variables.get("PATH", ""))
        except (OSError, ValueError) as error:
            raise self._refuse_start(error) from error
        folder = Path(self.spec.get("workingDir") or scene.folder)
        log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                executable=executable,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._variables,
                cwd=folder,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise self._refuse_start(error) from error
        finally:
            os.close(log)
        self._show_running()

    def _show_running(self) -> None:
        scene = self._scene
        scene.record("Normal", "Started", f"Started container {self.name}", self.name)
        uid = scene.pod["metadata"]["uid"]
        self.status.container_id = f"local://{uid}/{self.name}/{self.status.restarts}"
        self.status.is_started = "startupProbe" not in self.spec
        self.status.is_ready = self.status.is_started and "readinessProbe" not in self.spec
        self._set_state({"running": {"startedAt": now_text()}})

    async def _configure(self) -> list[str]:
        scene = self._scene
        try:
            own = await scene.build_variables(self.spec)
        except ConfigError as error:
            scene.record("Warning", "Failed", f"Error: {error}", self.name)
            raise StartFailure("CreateContainerConfigError", str(error)) from error
        self._variables = {**scene.base_variables, **own}
        base_path = scene.base_variables.get("PYTHONPATH")
        if own.get("PYTHONPATH"):
            self._variables["PYTHONPATH"] = join_python_path(base_path, own["PYTHONPATH"])
        command = build_command(self.spec, self._variables)
        if not command:
            why = "failed to generate container spec: no command specified"
            scene.record("Warning", "Failed", f"Error: {why}", self.name)
            raise StartFailure("CreateContainerError", why)
        return command

    def _refuse_start(self, error: OSError | ValueError) -> StartFailure:
        message = explain_start_error(error)
        self._record("Warning", "Failed", f"Error: {message}")
        return StartFailure("RunContainerError", message)

    def _record(self, type_: str, reason: str, message: str) -> None:
        self._scene.record(type_, reason, message, self.name)

    # -- running ---------------------------------------------------------------------------------

    async def _supervise(self) -> None:
        process = self._process
        if process is None:
            return
        started = self.status.state["running"]["startedAt"]
        probes = asyncio.ensure_future(self._run_probes())
        try:
            code = await process.wait()
        finally:
            probes.cancel()
            self._kill_group(process)
        self.status.is_ready = self.status.is_started = False
        ended: dict[str, Any] = {
            "exitCode": code if code >= 0 else 128 - code,
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": started,
            "finishedAt": now_text(),
            "containerID": self.status.container_id,
        }
        if code and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            ended["message"] = read_termination_message(self.log_path)
        self._set_state({"terminated": ended})

    async def _run_probes(self) -> None:
        if "startupProbe" in self.spec:
            started = asyncio.Event()
            startup = asyncio.ensure_future(self._repeat("startupProbe", started))
            try:
                await started.wait()
            finally:
                startup.cancel()
            self.status.is_started = True
            self.status.is_ready = "readinessProbe" not in self.spec
            self._scene.on_change()
        kinds = [kind for kind in ("readinessProbe", "livenessProbe") if kind in self.spec]
        await asyncio.gather(*(self._repeat(kind) for kind in kinds))

    async def _repeat(self, kind: str, passed: asyncio.Event | None = None) -> None:
        probe, word = self.spec[kind], kind.removesuffix("Probe").capitalize()
        scene = self._scene

        def on_failure(message: str) -> None:
            scene.record("Warning", "Unhealthy", f"{word} probe failed: {message}", self.name)

        def on_verdict(is_success: bool) -> None:
            if kind == "readinessProbe":
                self.status.is_ready = is_success
                scene.on_change()
            elif is_success and passed is not None:
                passed.set()
            elif not is_success:
                self._restart_unhealthy(word.lower())

        async def once() -> ProbeResult:
            return await run_probe(probe, self.spec, scene.ip, scene.session, self._run_command)

        await repeat_probe(probe, once, on_failure, on_verdict)

    def _restart_unhealthy(self, word: str) -> None:
        text = f"Container {self.name} failed {word} probe, will be restarted"
        self._scene.record("Normal", "Killing", text, self.name)
        if self._process is not None:
            self._keep(self._end_process(self._process, self._grace_s))

    async def start_command(
        self, command: list[str], *, has_input: bool
    ) -> asyncio.subprocess.Process:
        """Start a further process beside the container's own, in its environment and folder."""
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if has_input else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self._variables,
            cwd=self.spec.get("workingDir") or self._scene.folder,
            start_new_session=True,
        )

    async def _run_command(self, command: list[str], timeout_s: float) -> ProbeResult:
        try:
            process = await self.start_command(command, has_input=False)
        except (OSError, ValueError) as error:
            return ProbeResult(False, f'exec: "{command[0]}": {error}')
        try:
            output, errors = await asyncio.wait_for(process.communicate(), timeout_s)
        except asyncio.TimeoutError:
            self._kill_group(process)
            return ProbeResult(False, f"command timed out after {timeout_s:g}s")
        said = (output + errors).decode(errors="replace")
        return ProbeResult(process.returncode == 0, said[:1024])

    def _set_state(self, state: dict[str, Any]) -> None:
        self.status.state = state
        self._scene.on_change()
