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
from ..reconcile.plan import Manifest
from ..reconcile.pods import has_started, standing
from ..resources.agent_protocol import Answer, SchedulerReport
from ..resources.kinds import DASK_CLUSTERS, PODS, SECRETS
from ..resources.names import AGENT_TOKEN_KEY, agent_name, scheduler_name, tls_name
from ..resources.owners import is_owned_by
from ..scheduler import SchedulerClient, SchedulerPlace, scheduler_url
from .cache import Cache
from .doubts import get_if_there

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
        # Those to be read again: their scheduler did not answer, and may be another one by now.
        self._doubted: set[str] = set()
        self._has_agent: dict[str, bool] = {}

    async def report(self, group: Manifest) -> SchedulerReport:
        """Ask for all workers of the cluster that a group belongs to."""
        cluster, place = await self._find_surely(group)
        if cluster is None or place is None:
            return SchedulerReport(problem=_ABSENT, is_absent=True)
        async with self._aside():
            report = await self._schedulers.report(place)
        self._has_agent[cluster] = report.has_agent
        self._doubt_token(cluster, report.problem)
        return report

    async def drain(self, group: Manifest, addresses: tuple[str, ...]) -> None:
        """Ask for workers of a group's cluster to be drained; what fails is asked again."""
        cluster, place = await self._find_surely(group)
        if cluster is not None and place is not None:
            has_agent = self._has_agent.get(cluster, True)
            async with self._aside():
                problem = await self._schedulers.drain(place, addresses, has_agent=has_agent)
            self._doubt_token(cluster, problem)

    async def undrain(self, group: Manifest, addresses: tuple[str, ...]) -> None:
        """Ask for workers of a group's cluster to be given work again."""
        cluster, place = await self._find_surely(group)
        if cluster is not None and place is not None:
            async with self._aside():
                problem = await self._schedulers.undrain(place, addresses)
            self._doubt_token(cluster, problem)

    async def idle_s(self, cluster: Manifest) -> Answer:
        """Ask how long a cluster has been without work."""
        uid, place = await self._find(cluster)
        if uid is None or place is None:
            return Answer(problem=_ABSENT)
        async with self._aside():
            answer = await self._schedulers.idle_s(place)
        self._doubt_token(uid, answer.problem)
        return answer

    async def adaptive_target(self, autoscaler: Manifest) -> Answer:
        """Ask how many workers an autoscaler's cluster could use."""
        uid, place = await self._find(autoscaler)
        if uid is None or place is None:
            return Answer(problem=_ABSENT)
        async with self._aside():
            answer = await self._schedulers.adaptive_target(place)
        self._doubt_token(uid, answer.problem)
        return answer

    async def tls_texts(self, cluster: Manifest) -> dict[str, str] | None:
        """Read the certificates that a cluster owns, None when there are none."""
        namespace, name = cluster["metadata"]["namespace"], cluster["metadata"]["name"]
        secret = await get_if_there(self._client, SECRETS, namespace, tls_name(name))
        if secret is None or not is_owned_by(secret, cluster):
            return None  # of a namesake on its way out: making ours says so until it has gone
        encoded = secret.get("data") or {}
        return {k: base64.b64decode(v).decode("utf-8", "replace") for k, v in encoded.items()}

    async def _find_surely(self, item: Manifest) -> tuple[str | None, SchedulerPlace | None]:
        """Find a scheduler that workers depend on.

        They go without a word where none runs, so that no watch has told of one is not enough.
        """
        cluster, place = await self._find(item)
        return (cluster, place) if place else await self._find(item, is_asked=True)

    async def _find(
        self, item: Manifest, *, is_asked: bool = False
    ) -> tuple[str | None, SchedulerPlace | None]:
        """Find the scheduler of an item's cluster in the cache, or ``is_asked`` for at the API."""
        namespace = item["metadata"]["namespace"]
        name = item["spec"].get("cluster")
        name = name if isinstance(name, str) else item["metadata"]["name"]
        cluster = self._cache.get(DASK_CLUSTERS, namespace, name)
        where = (PODS, namespace, scheduler_name(name))
        pod = await get_if_there(self._client, *where) if is_asked else self._cache.get(*where)
        url = scheduler_url(pod)
        if cluster is None or pod is None or url is None:
            return None, None
        if standing(pod) in ("leaving", "ended") or not has_started(pod):
            return None, None
        uid = str(cluster["metadata"]["uid"])
        return uid, SchedulerPlace(url, await self._token(uid, namespace, name))

    async def _token(self, uid: str, namespace: str, cluster: str) -> str:
        if uid not in self._tokens or uid in self._doubted:
            secret = await get_if_there(self._client, SECRETS, namespace, agent_name(cluster))
            if secret is None:
                # A cluster without our agent; or one that has lost its Secret, and the scheduler
                # still knows the token that was in it.
                return self._tokens.get(uid, "")
            encoded = (secret.get("data") or {}).get(AGENT_TOKEN_KEY, "")
            self._tokens[uid] = base64.b64decode(encoded).decode()
            self._doubted.discard(uid)
        return self._tokens[uid]

    def _doubt_token(self, cluster: str, problem: str | None) -> None:
        if problem:
            self._doubted.add(cluster)
