"""A world in which a test says what happens: good weather, no accidents but those it asks for.

Guarantees the rules of every history, also after the test's last word, until all has settled.
Refuses to hurry the operator: the test waits in virtual time.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from dask_k8s_operator.resources.kinds import DASK_CLUSTERS, PODS, SECRETS
from dask_k8s_operator.resources.names import CLUSTER_NAME_LABEL, COMPONENT_LABEL, WORKER, tls_name

from .api import Manifest
from .books import is_marked
from .dask import Scheduler
from .history import History
from .weather import Weather

NAMESPACE = "a"
LOOK_S = 0.02

Play = Callable[["Stage"], Awaitable[None]]


class Stage(History):
    """Let a test direct a world.

    Parameters
    ----------
    seed
        Where what is left to chance is drawn from.
    play
        What happens.
    writes_to_live
        After ``doom`` the operator dies around its write with this number; None: it lives.
    """

    def __init__(self, seed: int, play: Play, writes_to_live: int | None = None) -> None:
        lots = random.Random(seed)  # noqa: S311  the same at every run, on purpose
        super().__init__(seed, Weather(lots, duration_s=1e6))
        self.node.is_calm = True
        self.has_agent = True
        self.dask.draw_has_agent = lambda: self.has_agent  # type: ignore[method-assign]
        self._play = play
        self._writes_to_live = writes_to_live

    async def _live(self) -> None:
        try:
            self.operators.start()
            await self._play(self)
            self._calm_down()
            await self._settle()
        finally:
            await self.operators.close()

    def doom(self) -> None:
        """From now on the operator has so many writes to live."""
        if self._writes_to_live is not None:
            self.operators.doom(self._writes_to_live)

    def create(self, name: str, replicas: int, *, tls: bool = False) -> None:
        """Make a cluster."""
        spec: Manifest = {
            **({"tls": True} if tls else {}),
            "scheduler": {"spec": _containers("scheduler", 1), "service": {"type": "ClusterIP"}},
            "worker": {"replicas": replicas, "spec": _containers("worker", 1)},
        }
        body = {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
        self._wish(self.api.create(DASK_CLUSTERS, body, "user"), replicas)

    def scale(self, name: str, replicas: int) -> None:
        """Ask for another number of workers."""
        self._wish(self._edit(name, {"worker": {"replicas": replicas}}), replicas)

    def change_workers(self, name: str, version: int) -> None:
        """Give the workers another image."""
        self._edit(name, {"worker": {"spec": _containers("worker", version)}})

    def lose_certificates(self, name: str) -> None:
        """Have somebody delete the Secret of an encrypted cluster."""
        self.api.delete(SECRETS, NAMESPACE, tls_name(name), "user")

    def refuse_creations(self) -> None:
        """Let the API refuse to create anything, until it becomes calm."""
        self.weather.refusing = [(self.loop.time(), 1e9)]

    def start_within(self, seconds: float) -> None:
        """Let nodes take up to so long to start a Pod."""
        self.node.start_s = (0.1, seconds)

    def lose_answers(self) -> None:
        """Let writes take effect and their answers get lost, until it becomes calm."""
        self.weather.requests = {"lost": 1.0}

    def workers(self, name: str) -> list[Manifest]:
        """Worker Pods of a cluster."""
        labels = {CLUSTER_NAME_LABEL: name, COMPONENT_LABEL: WORKER}
        pods = self.api.all(PODS)
        return [pod for pod in pods if labels.items() <= pod["metadata"]["labels"].items()]

    def marked(self, name: str) -> int:
        """How many workers are meant to go."""
        return sum(is_marked(pod) for pod in self.workers(name))

    def scheduler(self, name: str) -> Scheduler:
        """The scheduler process of a cluster."""
        return self.dask.schedulers[(NAMESPACE, name)]

    def is_ready(self, name: str, replicas: int) -> bool:
        """Whether a cluster says that it has all its workers, and they are at work."""
        cluster = self.api.get(DASK_CLUSTERS, NAMESPACE, name)
        has_scheduler = (NAMESPACE, name) in self.dask.schedulers
        at_work = len(self.scheduler(name).workers) if has_scheduler else 0
        said = (cluster.get("status") or {}).get("ready")
        is_exact = len(self.workers(name)) == replicas == at_work
        return is_exact and said == f"{replicas}/{replicas}"

    def complaint(self, name: str) -> str:
        """What a cluster says is wrong with it."""
        status = self.api.get(DASK_CLUSTERS, NAMESPACE, name).get("status") or {}
        return str(status.get("message", ""))

    async def until(self, happens: Callable[[], object], within_s: float, what: str) -> float:
        """Wait for something; returns the seconds it took."""
        began = self.loop.time()
        while not happens():
            if self.loop.time() - began > within_s:
                raise AssertionError(f"{what}: not within {within_s} s")
            await self._pass(LOOK_S)
        return self.loop.time() - began

    async def pass_time(self, seconds: float) -> None:
        """Let some time go by."""
        await self._pass(seconds)

    def _edit(self, name: str, spec: Manifest) -> Manifest:
        return self.api.patch(DASK_CLUSTERS, NAMESPACE, name, {"spec": spec}, "user")

    def _wish(self, cluster: Manifest, replicas: int) -> None:
        wishes = self.users.wishes.setdefault(cluster["metadata"]["uid"], [])
        wishes.append((self.loop.time(), replicas))


def _containers(name: str, version: int) -> Manifest:
    return {"containers": [{"name": name, "image": f"dask:{version}"}]}
