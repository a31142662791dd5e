"""The API of the sidebar. Each handler reads the request, asks one function, and answers.

Under ``{base_url}dask-k8s/api/``; JSON in and out. Guarantees that what reaches Kubernetes has
been checked. Refuses to decide anything and to remember anything.
"""

from __future__ import annotations

from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from dask_k8s_jupyter.clusters import actions
from dask_k8s_jupyter.clusters.events import observe_events
from dask_k8s_jupyter.errors import DaskKubernetesError
from dask_k8s_jupyter.state import Problem, build_problem, observe_cluster
from dask_k8s_operator.kube import KubeClient

from . import inspect
from .base import DaskHandler
from .context import observe_context
from .create import build_requested_cluster
from .validate import (
    CreateRequest,
    check_log_lines,
    check_name,
    check_namespace,
    read_adapt,
    read_create,
    read_scale,
)

NAME = r"([^/]+)"


class ContextHandler(DaskHandler):
    """Where we are, what may be done there and what is in the way."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with the context."""
        await self.answer(observe_context(self.hub, self.get_query_argument("namespace", "")))


class ClustersHandler(DaskHandler):
    """The clusters of a namespace."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Answer with all clusters."""
        await self.answer(self._list())

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Make a cluster."""
        await self.answer(self._create(), status=201)

    async def _list(self) -> dict[str, Any]:
        namespace = self.read_namespace(await self.hub.client())
        store = self.hub.borrow(namespace)
        try:
            await store.answered.wait()
            snapshot = store.build_snapshot()
        finally:
            self.hub.give_back(store)
        return {"clusters": snapshot["clusters"], "problem": snapshot["problem"]}

    async def _create(self) -> dict[str, Any]:
        request = read_create(self.read_body())
        client = await self.hub.client()
        spec = build_requested_cluster(request)
        await actions.create_cluster(client, spec, request.namespace)
        problem = await self._adapt_new(client, request)
        view = await observe_cluster(client, request.namespace, request.name)
        return view.to_json() | ({"problem": problem.to_json()} if problem else {})

    async def _adapt_new(self, client: KubeClient, request: CreateRequest) -> Problem | None:
        """Let the new cluster adapt; it is there also when that fails, and so is no failure."""
        if request.adapt is None:
            return None
        bounds = (request.adapt.minimum, request.adapt.maximum)
        try:
            await actions.adapt_cluster(client, request.namespace, request.name, *bounds)
        except DaskKubernetesError as error:
            said = build_problem(error)
            title = f"{request.name} was made, but it does not adapt"
            return Problem(said.code, title, f"{title}: {said.message}", said.fix)
        return None


class ClusterHandler(DaskHandler):
    """Base of the handlers of one cluster."""

    async def connect(self, namespace: str, name: str) -> KubeClient:
        """Check the names in the path and give the connection."""
        check_namespace(namespace)
        check_name(name)
        return await self.hub.client()


class DeleteHandler(ClusterHandler):
    """One cluster as a whole."""

    @web.authenticated
    @authorized
    async def delete(self, namespace: str, name: str) -> None:
        """Delete the cluster, only the one with ``?uid=`` if named; its Pods go with it."""
        await self.answer(self._delete(namespace, name), status=202)

    async def _delete(self, namespace: str, name: str) -> dict[str, str]:
        client = await self.connect(namespace, name)
        uid = self.get_query_argument("uid", "") or None
        await actions.delete_cluster(client, namespace, name, uid=uid)
        return {"namespace": namespace, "name": name}


class ScaleHandler(ClusterHandler):
    """How many workers."""

    @web.authenticated
    @authorized
    async def put(self, namespace: str, name: str) -> None:
        """Fix the number of workers; a cluster that was adaptive is so no longer."""
        await self.answer(self._scale(namespace, name))

    async def _scale(self, namespace: str, name: str) -> dict[str, Any]:
        request = read_scale(self.read_body())
        client = await self.connect(namespace, name)
        await actions.scale_cluster(client, namespace, name, request.replicas, request.group)
        return (await observe_cluster(client, namespace, name)).to_json()


class AdaptHandler(ClusterHandler):
    """Between how many workers."""

    @web.authenticated
    @authorized
    async def put(self, namespace: str, name: str) -> None:
        """Let the cluster choose the number of workers."""
        await self.answer(self._adapt(namespace, name))

    async def _adapt(self, namespace: str, name: str) -> dict[str, Any]:
        request = read_adapt(self.read_body())
        client = await self.connect(namespace, name)
        await actions.adapt_cluster(client, namespace, name, request.minimum, request.maximum)
        return (await observe_cluster(client, namespace, name)).to_json()


class EventsHandler(ClusterHandler):
    """What happened to a cluster and its parts."""

    @web.authenticated
    @authorized
    async def get(self, namespace: str, name: str) -> None:
        """Answer with the newest events, the newest first."""
        await self.answer(self._read(namespace, name))

    async def _read(self, namespace: str, name: str) -> dict[str, Any]:
        client = await self.connect(namespace, name)
        return {"events": await observe_events(client, namespace, name)}


class LogsHandler(ClusterHandler):
    """What a Pod of a cluster wrote."""

    @web.authenticated
    @authorized
    async def get(self, namespace: str, name: str) -> None:
        """Answer with the last lines of one Pod, the scheduler where none is named."""
        await self.answer(self._read(namespace, name))

    async def _read(self, namespace: str, name: str) -> dict[str, Any]:
        tail_lines = check_log_lines(self.get_query_argument("tail", "500"))
        client = await self.connect(namespace, name)
        pod = self.get_query_argument("pod", None)
        return await inspect.observe_log(client, namespace, name, pod=pod, tail_lines=tail_lines)


HANDLERS: tuple[tuple[str, type[DaskHandler]], ...] = (
    ("context", ContextHandler),
    ("clusters", ClustersHandler),
    (f"clusters/{NAME}/{NAME}", DeleteHandler),
    (f"clusters/{NAME}/{NAME}/scale", ScaleHandler),
    (f"clusters/{NAME}/{NAME}/adapt", AdaptHandler),
    (f"clusters/{NAME}/{NAME}/events", EventsHandler),
    (f"clusters/{NAME}/{NAME}/logs", LogsHandler),
)
