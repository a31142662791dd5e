"""One Pod on the node: its containers, its status, its end.

Guarantees that the API hears the latest status, however many changes there were meanwhile, and
that a Pod marked as deleted is removed from the API only after its processes have ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import ConflictError, KubeError, NotFoundError
from dask_k8s_operator.resources.kinds import PODS

from .. import processes
from ..kubeconfigs import build_kubeconfig
from .containers import Container
from .events import EventRecorder, now_text
from .grace import Grace, find_grace_s
from .mounts import MountLinks
from .podstatus import build_conditions, build_pod_status, find_phase, merge_conditions
from .scene import PodScene
from .settings import NodeSettings, build_pod_variables
from .sources import PodSources
from .volumes import VolumeError

_LOG = logging.getLogger(__name__)
Pod = Mapping[str, Any]
# A write that the API did not take is tried again after this.
_RETRY_S = 1.0
# A volume whose source is missing is tried again after this.
_VOLUME_RETRY_S = 2.0


class PodRunner:
    """Runs one Pod.

    Parameters
    ----------
    pod
        The Pod as it was bound.
    ip, folder
        Its address and the folder for its files.
    """

    def __init__(
        self,
        pod: Pod,
        ip: str,
        folder: Path,
        *,
        settings: NodeSettings,
        client: KubeClient,
        events: EventRecorder,
        session: aiohttp.ClientSession,
        links: MountLinks | None = None,
    ) -> None:
        self.pod = pod
        self.ip = ip
        self.folder = folder
        self.is_over = False
        self._settings = settings
        self._client = client
        self._sources = PodSources(client, settings, pod, ip)
        self._events = events
        self._hurries: set[asyncio.Future[None]] = set()
        self._publishing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._deleted = asyncio.Event()
        self._edited = asyncio.Event()
        self._ending = asyncio.Event()
        self._grace = Grace(find_grace_s(pod))
        self._started_at = now_text()
        self._published: dict[str, Any] = {}
        self._failure: dict[str, str] = {}
        metadata = pod["metadata"]
        base = build_pod_variables(settings, metadata["namespace"], metadata["uid"], ip, folder)
        # What a container runtime sets to the Pod's host name.
        base["HOSTNAME"] = str(pod["spec"].get("hostname") or metadata["name"])[:63]
        scene = PodScene(
            settings,
            pod,
            ip,
            folder,
            events,
            session,
            base,
            self._sources.build_variables,
            self._note_change,
            links,
        )
        self._base = base
        spec = pod["spec"]
        policy = spec.get("restartPolicy", "Always")
        init_policy = "Never" if policy == "Never" else "OnFailure"
        self.init = [
            Container(c, str(c.get("restartPolicy") or init_policy), scene)
            for c in spec.get("initContainers") or ()
        ]
        self.containers = [Container(c, policy, scene) for c in spec["containers"]]
        for container in self.init:
            container.status.is_sidecar = "restartPolicy" in container.spec
        for container in (*self.init[1:], *(self.containers if self.init else ())):
            container.status.state = {"waiting": {"reason": "PodInitializing"}}

    @property
    def place(self) -> str:
        """``namespace/name``."""
        return f"{self.pod['metadata']['namespace']}/{self.pod['metadata']['name']}"

    def find_container(self, name: str) -> Container | None:
        """A container by name."""
        return next((c for c in (*self.init, *self.containers) if c.name == name), None)

    def _note_change(self) -> None:
        self._changed.set()

    # -- life ------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run the Pod until it is over or deleted."""
        publisher = asyncio.ensure_future(self._publish_changes())
        try:
            await self._run_or_fail()
            self.is_over = True
            await self._publish()
            # A finished Pod stays, with its logs, until somebody deletes it.
            await self._deleted.wait()
        finally:
            # To the end, because it is what writes again when a write failed.
            publisher.cancel()
            await asyncio.gather(publisher, return_exceptions=True)
        await self._leave_api()

    async def _run_or_fail(self) -> None:
        """Run to the end; what the node did not foresee makes a Failed Pod, not a stuck one."""
        try:
            self._prepare_folder()
            await self._prepare_account()
            await self._run_containers()
        except Exception as error:  # noqa: BLE001  (one Pod must not end the node)
            _LOG.exception("Pod %s could not be run", self.place)
            message = f"the embedded node could not run it: {type(error).__name__}: {error}"
            self._failure = {"reason": "NodeError", "message": message}
            self._events.record(dict(self.pod), "Warning", "Failed", message)

    def _prepare_folder(self) -> None:
        (self.folder / "tmp").mkdir(parents=True, mode=0o700, exist_ok=True)

    async def _prepare_account(self) -> None:
        """Give the Pod a kubeconfig of its ServiceAccount."""
        metadata, spec = self.pod["metadata"], self.pod["spec"]
        if spec.get("automountServiceAccountToken") is False:
            return
        try:
            token = await self._sources.request_token()
        except KubeError as error:
            _LOG.warning("no token for %s: %s", self.place, error)
            return
        settings, namespace = self._settings, metadata["namespace"]
        content = build_kubeconfig(settings.api_url, settings.authority, token, namespace)
        file = self.folder / "kubeconfig"
        file.touch(mode=0o600)
        # JSON is YAML, and cheaper to write.
        file.write_bytes(orjson.dumps(content))
        self._base["KUBECONFIG"] = str(file)

    async def _run_containers(self) -> None:
        life = asyncio.ensure_future(self._run_in_order())
        deletion = asyncio.ensure_future(self._deleted.wait())
        deadline = asyncio.ensure_future(self._wait_for_deadline())
        try:
            done, _ = await asyncio.wait(
                {life, deletion, deadline}, return_when=asyncio.FIRST_COMPLETED
            )
            if done == {deadline}:
                self._failure = {
                    "reason": "DeadlineExceeded",
                    "message": "Pod was active on the node longer than the specified deadline",
                }
                self._shorten(find_grace_s(self.pod))
            if not life.done():
                await self._stop_containers()
            await life
        except Exception:
            # One container failed as nothing may: the others do not go on without it.
            await self._stop_containers()
            raise
        finally:
            for task in (life, deletion, deadline):
                task.cancel()
            await self._sweep()

    async def _wait_for_deadline(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            deadline_s = self.pod["spec"].get("activeDeadlineSeconds")
            left_s = None if deadline_s is None else began + float(deadline_s) - loop.time()
            if left_s is not None and left_s <= 0:
                return
            self._edited.clear()
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(self._edited.wait(), left_s)

    async def _run_in_order(self) -> None:
        sidecars: list[tuple[Container, asyncio.Task[None]]] = []
        try:
            if not await self._make_volumes():
                return
            for container in self.init:
                if container.status.is_sidecar:
                    life = asyncio.create_task(container.run())
                    sidecars.append((container, life))
                    await self._wait_for_start(container, life)
                elif not await self._run_to_success(container):
                    return
            if not self._ending.is_set():
                await asyncio.gather(*(container.run() for container in self.containers))
        finally:
            self._grace.begin(_now())
            # The last that came goes first: the ones before may still be needed by it.
            for container, life in reversed(sidecars):
                await container.stop(self._grace.find_left_s(_now()))
                await life

    async def _make_volumes(self) -> bool:
        """Make the Pod's volumes, however long their sources take to come; False at its end."""
        while not self._ending.is_set():
            try:
                await self._sources.write_volumes(self.folder / "volumes")
                return True
            except VolumeError as error:
                self._events.record(dict(self.pod), "Warning", "FailedMount", str(error))
                self._note_change()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ending.wait(), _VOLUME_RETRY_S)
        return False

    async def _run_to_success(self, container: Container) -> bool:
        await container.run()
        ended = container.status.state.get("terminated") or {}
        container.status.is_ready = ended.get("exitCode") == 0
        return container.status.is_ready

    async def _wait_for_start(self, container: Container, life: asyncio.Task[None]) -> None:
        signs = [asyncio.create_task(e.wait()) for e in (container.started, self._ending)]
        try:
            await asyncio.wait({life, *signs}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for sign in signs:
                sign.cancel()

    async def _stop_containers(self) -> None:
        """End the containers; sidecars end when the others have, in their own time."""
        self._ending.set()
        self._grace.begin(_now())
        every = [c for c in (*self.init, *self.containers) if not c.status.is_sidecar]
        await asyncio.gather(*(container.stop(self._grace.seconds) for container in every))

    async def _sweep(self) -> None:
        """End what a container's processes left behind in sessions of their own."""
        loop = asyncio.get_running_loop()
        uid = self.pod["metadata"]["uid"]
        await loop.run_in_executor(None, processes.end_marked, processes.POD_MARK, uid, 0.0)

    def note_edit(self, pod: Pod) -> None:
        """Take in that the Pod was edited: its deadline may have become shorter."""
        self.pod = pod
        self._edited.set()

    def note_deletion(self, pod: Pod) -> None:
        """Begin to end the Pod, or end it sooner when its grace has become shorter."""
        self.pod = pod
        self._shorten(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))
        self._deleted.set()

    def note_gone(self) -> None:
        """End the Pod at once: the API knows it no longer."""
        self._shorten(0.0)
        self._deleted.set()

    def _shorten(self, grace_s: float) -> None:
        """Take in what the Pod has for its end, also when that has begun."""
        if not self._grace.change(grace_s, _now()):
            return
        for container in (*self.init, *self.containers):
            # Whose turn has not come hears of it then, unless all end at once.
            if container.is_stopping or grace_s <= 0:
                task = asyncio.ensure_future(container.stop(grace_s))
                self._hurries.add(task)
                task.add_done_callback(self._hurries.discard)

    async def stop(self, grace_s: float) -> None:
        """End the processes because the node stops; the API is not told."""
        self._shorten(grace_s)
        await self._stop_containers()

    def remove_files(self) -> None:
        """Remove the Pod's folder with its logs."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _leave_api(self) -> None:
        metadata = self.pod["metadata"]
        name, namespace, uid = metadata["name"], metadata["namespace"], metadata["uid"]
        while True:
            try:
                await self._client.delete(PODS, name, namespace, grace_period_s=0, uid=uid)
                return
            except (NotFoundError, ConflictError):
                return
            except KubeError as error:
                _LOG.warning("%s could not be removed: %s", self.place, error)
                await asyncio.sleep(_RETRY_S)

    # -- status ----------------------------------------------------------------------------------

    async def _publish_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._publish()

    async def _publish(self) -> None:
        # One at a time: an older status must not arrive after a newer one.
        async with self._publishing:
            await self._write_status()

    async def _write_status(self) -> None:
        status = self._build_status()
        if status == self._published:
            return
        metadata = self.pod["metadata"]
        try:
            await self._client.patch(
                PODS,
                metadata["name"],
                {"metadata": {"uid": metadata["uid"]}, "status": status},
                metadata["namespace"],
                patch_type="strategic",
                subresource="status",
                field_manager="kubelet",
            )
            self._published = status
        except (NotFoundError, ConflictError):
            return
        except KubeError as error:
            _LOG.warning("status of %s was not written: %s", self.place, error)
            asyncio.get_running_loop().call_later(_RETRY_S, self._note_change)

    def _build_status(self) -> dict[str, Any]:
        init = [c.status for c in self.init]
        containers = [c.status for c in self.containers]
        policy = self.pod["spec"].get("restartPolicy", "Always")
        phase = "Failed" if self._failure else find_phase(containers, init, policy)
        if self._deleted.is_set() and self.is_over and phase == "Running":
            ends = [c.state.get("terminated", {}).get("exitCode") for c in containers]
            phase = "Succeeded" if all(code == 0 for code in ends) else "Failed"
        known = self._published.get("conditions") or ()
        conditions = build_conditions(containers, init, phase)
        facts = {
            "hostIP": self._settings.address,
            "podIP": self.ip,
            "podIPs": [{"ip": self.ip}],
            "startTime": self._started_at,
            **self._failure,
        }
        merged = merge_conditions(known, conditions, now_text())
        return build_pod_status(containers, init, phase, merged, facts)


def _now() -> float:
    return asyncio.get_running_loop().time()
