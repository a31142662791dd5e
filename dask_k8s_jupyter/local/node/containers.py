"""One container of a Pod: start, watch, restart, end.

Guarantees that its status says at every moment what happened to it, in the words of the kubelet,
that its lifecycle hooks run, and that when it is over no process of it is left. Refuses what it
cannot do (block devices) before it starts anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from ..processes import is_process
from .commands import run_to_end, start_command
from .configuring import Configuration, configure
from .events import now_text
from .hooks import run_hook, run_while
from .logs import read_termination_message
from .podstatus import ContainerStatus
from .probes import ProbeResult, repeat_probe, run_probe
from .scene import PodScene
from .starting import StartFailure, check_image, explain_start_error, find_executable

_LONGEST_BACKOFF_S = 300.0
# A container that ran this long begins with a short back-off again.
_FORGIVEN_AFTER_S = 600.0
# How long a first sight of an error stands before the back-off is shown in its place.
_FIRST_SIGHT_S = 1.0
# What a container is configured from may come any moment.
_CONFIG_RETRY_S = 3.0
_EPOCH = "1970-01-01T00:00:00Z"
# What a container has for its end at least, after a hook that took all its time.
_LEAST_GRACE_S = 2.0


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
        self._configuration = Configuration()
        self.started = asyncio.Event()
        self._started_at = ""
        # Whose hook before the end has begun: it runs once, however often the end is asked for.
        self._parting: asyncio.subprocess.Process | None = None
        self._endings: set[asyncio.Future[None]] = set()

    @property
    def is_stopping(self) -> bool:
        """Whether it has been told to end."""
        return self._stopping.is_set()

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
                self._keep(self._end_gently(self._process, self._grace_s))
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
        await self._end_gently(process, grace_s)

    async def _end_gently(self, process: asyncio.subprocess.Process, grace_s: float) -> None:
        """Run the hook that comes before the end; what is left of the grace is the process's."""
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace_s > 0 and self._parting is not process:
            self._parting = process
            loop = asyncio.get_running_loop()
            began = loop.time()
            if await self._run_hook(hook, grace_s):
                self._record("Warning", "FailedPreStopHook", "PreStopHook failed")
            grace_s = max(_LEAST_GRACE_S, grace_s - (loop.time() - began))
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
        configuration = self._configuration = await self._configure()
        try:
            path = configuration.variables.get("PATH", "")
            executable = find_executable(configuration.command[0], path)
        except (OSError, ValueError) as error:
            raise self._refuse_start(error) from error
        log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *configuration.command,
                executable=executable,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=configuration.variables,
                cwd=configuration.folder,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise self._refuse_start(error) from error
        finally:
            os.close(log)
        await self._welcome(self._process)

    async def _configure(self) -> Configuration:
        try:
            return await configure(self.spec, self._scene)
        except StartFailure as failure:
            self._record("Warning", "Failed", f"Error: {failure}")
            raise

    async def _welcome(self, process: asyncio.subprocess.Process) -> None:
        """Show that the container runs, once its hook for that has been run."""
        self._started_at = now_text()
        uid = self._scene.pod["metadata"]["uid"]
        self.status.container_id = f"local://{uid}/{self.name}/{self.status.restarts}"
        self._record("Normal", "Started", f"Started container {self.name}")
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if hook and (why := await run_while(process, self._run_hook(hook, None))):
            self._record("Warning", "FailedPostStartHook", "PostStartHook failed")
            self._record("Normal", "Killing", "FailedPostStartHook")
            self._set_state({"waiting": {"reason": "PostStartHookError", "message": why}})
            await self._end_process(process, self._grace_s)
            return
        self.status.is_started = "startupProbe" not in self.spec
        self.status.is_ready = self.status.is_started and "readinessProbe" not in self.spec
        if self.status.is_started:
            self.started.set()
        self._set_state({"running": {"startedAt": self._started_at}})

    async def _run_hook(self, hook: Mapping[str, Any], timeout_s: float | None) -> str | None:
        async def run(command: list[str], timeout_s: float | None) -> str | None:
            result = await self._run_command(command, timeout_s)
            return None if result.is_success else result.message or f"{command} failed"

        scene = self._scene
        return await run_hook(hook, self.spec, scene.ip, scene.session, run, timeout_s)

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
            "startedAt": self._started_at,
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
            self.started.set()
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
            self._keep(self._end_gently(self._process, self._grace_s))

    async def start_command(
        self, command: list[str], *, has_input: bool
    ) -> asyncio.subprocess.Process:
        """Start a further process beside the container's own, in its environment and folder."""
        return await start_command(self._configuration, command, has_input=has_input)

    async def _run_command(self, command: list[str], timeout_s: float | None) -> ProbeResult:
        if not command:
            return ProbeResult(False, "exec: no command is given")
        try:
            process = await self.start_command(command, has_input=False)
        except (OSError, ValueError) as error:
            return ProbeResult(False, f'exec: "{command[0]}": {error}')
        try:
            code, said = await run_to_end(process, timeout_s)
        except asyncio.TimeoutError:
            return ProbeResult(False, f"command timed out after {timeout_s:g}s")
        finally:
            if process.returncode is None:
                self._kill_group(process)
        return ProbeResult(code == 0, said[:1024])

    def _set_state(self, state: dict[str, Any]) -> None:
        self.status.state = state
        self._scene.on_change()
