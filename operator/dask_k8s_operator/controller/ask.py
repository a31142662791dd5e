"""Finds the scheduler that belongs to an object, with its agent's token, and asks it.

Guarantees that a token is read once and again whenever a scheduler did not answer, and that whoever
asks stands aside until there is an answer. Refuses to ask a scheduler that does not run: there is
nothing to lose there, and the answer says so.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from ..kube import KubeClient
from ..kube.errors import NotFoundError
from ..reconcile.plan import Manifest
from ..reconcile.pods import has_started, standing
from ..resources.agent_protocol import Answer, SchedulerReport
from ..resources.kinds import DASK_CLUSTERS, PODS, SECRETS
from ..resources.names import AGENT_TOKEN_KEY, agent_name, scheduler_name, tls_name
from ..resources.owners import is_owned_by
from ..scheduler import SchedulerClient, SchedulerPlace, scheduler_url
from .cache import Cache

_ABSENT = "no scheduler runs"


class Asker:
    """Asks the schedulers of clusters, groups and autoscalers.

    Parameters
    ----------
    client
        To read tokens with.
    schedulers
        To ask with.
    cache
        To find scheduler Pods in.
    aside
        Entered while a scheduler is waited for, so that others get their turn.
    """

    def __init__(
        self,
        client: KubeClient,
        schedulers: SchedulerClient,
        cache: Cache,
        aside: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self._client = client
        self._aside = aside
        self._schedulers = schedulers
        self._cache = cache
        self._tokens: dict[str, str] = {}
        self._has_agent: dict[str, bool] = {}

    async def report(self, group: Manifest) -> SchedulerReport:
        """Ask for all workers of the cluster that a group belongs to."""
        cluster, place = await self._find(group)
        if place is None:
            # Workers go without a word where no scheduler runs, so a watch's word of old is not
            # enough.
            cluster, place = await self._find(group, now=True)
        if cluster is None or place is None:
            return SchedulerReport(problem=_ABSENT, is_absent=True)
        async with self._aside():
            report = await self._schedulers.report(place)
        self._has_agent[cluster] = report.has_agent
        self._forget_token(cluster, report.problem)
        return report

    async def drain(self, group: Manifest, addresses: tuple[str, ...]) -> None:
        """Ask for workers of a group's cluster to be drained; what fails is asked again."""
        cluster, place = await self._find(group)
        if cluster is not None and place is not None:
            has_agent = self._has_agent.get(cluster, True)
            async with self._aside():
                problem = await self._schedulers.drain(place, addresses, has_agent=has_agent)
            self._forget_token(cluster, problem)

    async def undrain(self, group: Manifest, addresses: tuple[str, ...]) -> None:
        """Ask for workers of a group's cluster to be given work again."""
        cluster, place = await self._find(group)
        if cluster is not None and place is not None:
            async with self._aside():
                problem = await self._schedulers.undrain(place, addresses)
            self._forget_token(cluster, problem)

    async def idle_s(self, cluster: Manifest) -> Answer:
        """Ask how long a cluster has been without work."""
        uid, place = await self._find(cluster)
        if uid is None or place is None:
            return Answer(problem=_ABSENT)
        async with self._aside():
            answer = await self._schedulers.idle_s(place)
        self._forget_token(uid, answer.problem)
        return answer

    async def adaptive_target(self, autoscaler: Manifest) -> Answer:
        """Ask how many workers an autoscaler's cluster could use."""
        uid, place = await self._find(autoscaler)
        if uid is None or place is None:
            return Answer(problem=_ABSENT)
        async with self._aside():
            answer = await self._schedulers.adaptive_target(place)
        self._forget_token(uid, answer.problem)
        return answer

    async def tls_texts(self, cluster: Manifest) -> dict[str, str] | None:
        """Read the certificates that a cluster owns, None when there are none."""
        namespace, name = cluster["metadata"]["namespace"], cluster["metadata"]["name"]
        try:
            secret = await self._client.get(SECRETS, tls_name(name), namespace)
        except NotFoundError:
            return None
        if not is_owned_by(secret, cluster):
            return None  # of a namesake on its way out: making ours says so until it has gone
        encoded = secret.get("data") or {}
        return {k: base64.b64decode(v).decode("utf-8", "replace") for k, v in encoded.items()}

    async def _find(
        self, item: Manifest, *, now: bool = False
    ) -> tuple[str | None, SchedulerPlace | None]:
        """Find the scheduler of an item's cluster; ``now`` as the API knows it."""
        namespace = item["metadata"]["namespace"]
        name = item["spec"].get("cluster")
        name = name if isinstance(name, str) else item["metadata"]["name"]
        cluster = self._cache.get(DASK_CLUSTERS, namespace, name)
        pod = await self._look(namespace, scheduler_name(name), now=now)
        url = scheduler_url(pod)
        if cluster is None or pod is None or url is None:
            return None, None
        if standing(pod) in ("leaving", "ended") or not has_started(pod):
            return None, None
        uid = str(cluster["metadata"]["uid"])
        return uid, SchedulerPlace(url, await self._token(uid, namespace, name))

    async def _look(self, namespace: str, pod: str, *, now: bool) -> Manifest | None:
        if not now:
            return self._cache.get(PODS, namespace, pod)
        try:
            return await self._client.get(PODS, pod, namespace)
        except NotFoundError:
            return None

    async def _token(self, uid: str, namespace: str, cluster: str) -> str:
        if uid not in self._tokens:
            try:
                secret = await self._client.get(SECRETS, agent_name(cluster), namespace)
            except NotFoundError:
                return ""  # a cluster without our agent
            encoded = (secret.get("data") or {}).get(AGENT_TOKEN_KEY, "")
            self._tokens[uid] = base64.b64decode(encoded).decode()
        return self._tokens[uid]

    def _forget_token(self, cluster: str, problem: str | None) -> None:
        if problem:
            self._tokens.pop(cluster, None)
