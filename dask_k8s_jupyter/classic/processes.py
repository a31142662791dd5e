"""The scheduler and the workers of a classic cluster as processes of a SpecCluster: bare Pods.

Guarantees that what ``start`` created ``close`` deletes, that one and no successor of its name; and
that everything belongs to the scheduler's Pod, so that Kubernetes removes it when that one goes.
Only Pods have to be allowed: a Service and a disruption budget are made where they may be.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import uuid
from dataclasses import dataclass
from typing import Any

from distributed.core import Status
from distributed.deploy.spec import ProcessInterface

from dask_k8s_jupyter import config
from dask_k8s_jupyter.clusters.podwatch import PodWatch
from dask_k8s_jupyter.clusters.reach import Address, is_inside
from dask_k8s_jupyter.clusters.servicereach import Wish, reach_service, wants_local_dashboard
from dask_k8s_jupyter.clusters.undisturbed import finish
from dask_k8s_jupyter.errors import (
    ClusterNotFoundError,
    DaskKubernetesError,
    NameTakenError,
    explain,
)
from dask_k8s_operator.kube import KubeClient, PortForward
from dask_k8s_operator.kube.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    KubeError,
    NotFoundError,
)
from dask_k8s_operator.resources import names
from dask_k8s_operator.resources.kinds import PODS, SERVICES

from .build import (
    CLASSIC,
    MANAGED_BY_LABEL,
    POD_DISRUPTION_BUDGETS,
    build_disruption_budget,
    build_scheduler_pod,
    build_scheduler_service,
    build_worker_pod,
)
from .podtemplate import PodTemplate
from .settings import ClassicSettings

logger = logging.getLogger(__name__)
Manifest = dict[str, Any]


@dataclass
class Workshop:
    """What the Pods of one cluster have in common.

    Parameters
    ----------
    client
        Connection to the API.
    namespace
        Where.
    settings
        What was asked for.
    template
        Pod template of workers.
    owner
        Object whose end ends the workers; None for none.
    """

    client: KubeClient
    namespace: str
    settings: ClassicSettings
    template: PodTemplate
    owner: Manifest | None = None

    async def create(self, kind: Any, manifest: Manifest) -> Manifest:
        """Create an object; failures are such that a person understands."""
        try:
            return await self.client.create(kind, manifest, self.namespace)
        except AlreadyExistsError as error:
            name = manifest["metadata"]["name"]
            raise NameTakenError(
                f"Pod {self.namespace}/{name} exists already",
                fix="Choose another name, or connect with `KubeCluster.from_name`",
            ) from error
        except KubeError as error:
            raise explain(error) from error

    async def delete(self, pod: Manifest) -> None:
        """Delete a Pod; one that is gone is fine."""
        metadata = pod["metadata"]
        with contextlib.suppress(NotFoundError, ConflictError):
            await self.client.delete(PODS, metadata["name"], self.namespace, uid=metadata["uid"])


class WorkerPod(ProcessInterface):  # type: ignore[misc]
    """One worker.

    Parameters
    ----------
    scheduler
        Address of the scheduler.
    name
        What the worker is called in Dask.
    workshop
        What makes its Pod.
    pod
        Its Pod, where it exists already.
    **described
        ``nthreads`` and ``memory_limit``, from which SpecCluster counts.
    """

    def __init__(
        self,
        scheduler: str,
        name: Any = None,
        *,
        workshop: Workshop,
        pod: Manifest | None = None,
        **described: Any,
    ) -> None:
        super().__init__(scheduler, name)
        self.name = name
        self.scheduler_address = scheduler
        self.workshop = workshop
        self.pod = pod
        if pod is not None:
            self.status = Status.running

    @property
    def pod_name(self) -> str:
        """Name of its Pod; empty before it has one."""
        return "" if self.pod is None else str(self.pod["metadata"]["name"])

    async def start(self) -> None:
        """Create the Pod; it becomes a worker in its own time."""
        shop = self.workshop
        manifest = build_worker_pod(
            shop.template,
            cluster=shop.settings.name,
            pod_name=f"{shop.settings.name}-worker-{uuid.uuid4().hex[:10]}",
            worker_name=self.name,
            scheduler_address=self.scheduler_address,
            env=shop.settings.env,
            affinity=shop.settings.affinity,
            owner=shop.owner,
        )
        await finish(self._make(manifest))
        await super().start()

    async def _make(self, manifest: Manifest) -> None:
        self.pod = await self.workshop.create(PODS, manifest)

    async def close(self) -> None:
        """Delete the Pod."""
        pod, self.pod = self.pod, None
        if pod is not None:
            await self.workshop.delete(pod)
        await super().close()


class SchedulerPod(ProcessInterface):  # type: ignore[misc]
    """The scheduler.

    Parameters
    ----------
    workshop
        What makes the Pods of this cluster.
    pod
        The scheduler's Pod, where it exists already.
    """

    def __init__(self, workshop: Workshop, pod: Manifest | None = None) -> None:
        super().__init__()
        self.workshop = workshop
        self.pod = pod
        self.dashboard_address: Address | None = None
        self._service: Manifest | None = None
        self._ways = contextlib.AsyncExitStack()

    @property
    def pod_name(self) -> str:
        """Name of its Pod."""
        return names.scheduler_name(self.workshop.settings.name)

    async def start(self) -> None:
        """Create the Pod where there is none, wait until it is ready, lay the ways to it."""
        shop = self.workshop
        if self.pod is None:
            self.pod = await self._create()
        shop.owner = self.pod
        self.pod = await self._wait_ready()
        host = self.pod["status"]["podIP"]
        host = f"[{host}]" if ":" in host else host
        protocol = shop.settings.protocol
        # The Pod is never replaced, so its own address is the one that needs no name to resolve.
        self.address = f"{protocol}://{host}:{names.COMM_PORT}"
        reached, port = await self._reach(names.COMM_PORT)
        self.external_address = f"{protocol}://{reached}:{port}"
        self.dashboard_address = await self._reach(names.DASHBOARD_PORT)
        await super().start()

    async def close(self) -> None:
        """Delete the Pod, and with it all that belongs to it."""
        await self.let_go()
        pod, self.pod = self.pod, None
        if pod is not None:
            await self.workshop.delete(pod)
        await super().close()

    async def let_go(self) -> None:
        """Close the ways to the Pod, which stays."""
        await self._ways.aclose()

    async def is_alive(self) -> bool:
        """Whether its Pod still runs."""
        try:
            pod = await self.workshop.client.get(PODS, self.pod_name, self.workshop.namespace)
        except KubeError:
            return False
        return bool((pod.get("status") or {}).get("phase") == "Running")

    async def _create(self) -> Manifest:
        shop = self.workshop
        settings = shop.settings
        manifest = build_scheduler_pod(
            settings.scheduler or shop.template,
            shop.template,
            cluster=settings.name,
            env=settings.env,
            affinity=settings.affinity,
            protocol=settings.protocol,
            idle_timeout=settings.idle_timeout,
            owner_timeout_s=settings.owner_timeout_s,
            owner=shop.owner,
        )
        await self._remove_ended()
        pod = await finish(self._make(manifest))
        service = build_scheduler_service(
            settings.name, settings.service_type, pod, config.get("scheduler-service-template")
        )
        self._service = await self._create_if_allowed(SERVICES, service)
        budget = build_disruption_budget(settings.name, pod, config.get("scheduler-pdb-template"))
        await self._create_if_allowed(POD_DISRUPTION_BUDGETS, budget)
        return pod

    async def _make(self, manifest: Manifest) -> Manifest:
        self.pod = pod = await self.workshop.create(PODS, manifest)
        return pod

    async def _remove_ended(self) -> None:
        """Make room for the Pod where one of an earlier cluster has ended, and was left."""
        shop = self.workshop
        with contextlib.suppress(KubeError):
            found = await shop.client.get(PODS, self.pod_name, shop.namespace)
            is_ours = (found["metadata"].get("labels") or {}).get(MANAGED_BY_LABEL) == CLASSIC
            if is_ours and (found.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                await shop.delete(found)

    async def _create_if_allowed(self, kind: Any, manifest: Manifest) -> Manifest | None:
        try:
            return await self.workshop.client.create(kind, manifest, self.workshop.namespace)
        except (ForbiddenError, NotFoundError, AlreadyExistsError) as error:
            logger.info("the cluster does without a %s: %s", kind.kind, error)
            return None

    async def _wait_ready(self) -> Manifest:
        shop = self.workshop
        what = f"Dask cluster {shop.namespace}/{shop.settings.name}"
        selector = (
            f"{names.CLUSTER_NAME_LABEL}={shop.settings.name},"
            f"{names.COMPONENT_LABEL}={names.SCHEDULER}"
        )
        timeout_s = shop.settings.wait_timeout_s or math.inf
        async with PodWatch(shop.client, shop.namespace, selector) as watch:
            return await watch.wait_any_ready(what, timeout_s)

    async def _reach(self, port: int) -> Address:
        shop = self.workshop
        pod = self.pod
        if pod is None:
            raise ClusterNotFoundError(f"There is no Pod {shop.namespace}/{self.pod_name}")
        is_dashboard = port == names.DASHBOARD_PORT
        local_port = config.get("scheduler-forward-port") if is_dashboard else None
        must_be_local = is_dashboard and wants_local_dashboard()
        if is_inside(shop.client) and not must_be_local:
            return pod["status"]["podIP"], port
        service = self._service
        if service is not None and shop.settings.service_type != "ClusterIP" and not must_be_local:
            way = reach_service(shop.client, service, port, Wish(local_port=local_port))
            return await self._ways.enter_async_context(way)
        tunnel = PortForward(
            shop.client,
            shop.namespace,
            port=port,
            pod=self.pod_name,
            local_port=local_port or 0,
        )
        return await self._ways.enter_async_context(tunnel)


async def find_own_pod(client: KubeClient, namespace: str) -> Manifest | None:
    """Find the Pod that this process runs in, where it may own what we make; None elsewhere."""
    name = os.environ.get("HOSTNAME")
    # An owner has to be in the namespace of what it owns.
    if not name or not is_inside(client) or namespace != client.namespace:
        return None
    try:
        return await client.get(PODS, name, namespace)
    except KubeError:
        return None


def find_cause(error: BaseException) -> BaseException:
    """SpecCluster wraps what went wrong into a RuntimeError; a person wants what it wraps."""
    cause = error.__cause__ if isinstance(error, RuntimeError) else None
    if isinstance(cause, (DaskKubernetesError, KubeError)):
        error = cause
    return explain(error) if isinstance(error, KubeError) else error
