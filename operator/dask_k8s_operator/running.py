"""One operator: waits for its turn, works, waits again when the turn is over.

Guarantees that a controller works only while the lease is held (or none is wanted), that every
turn begins with a fresh picture of the world, and that plugins run only beside a working
controller: both are told to end at once, and have done so before somebody else may lead. Refuses to
outlive a failure of the controller, or a plugin that does not end: that is raised.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from .controller import Allocation, Controller
from .health import explain_ill, explain_unready
from .kube import KubeClient, LeaderElection
from .kube.usage import ApiUsage
from .metrics import Metrics
from .plugins import Plugins
from .scheduler import SchedulerClient
from .settings import Settings

# A lease that was lost may be somebody else's three seconds later.
LOST_GRACE_S = 1.0


class Operator:
    """Joins controller, election, plugins and what is told of them.

    Parameters
    ----------
    settings
        What the administrator chose.
    clients
        Connections to the API; the first one is the controller's.
    schedulers
        Speaks with schedulers.
    election
        Decides when to work; None to work at once.
    plugins
        What runs beside the controller.
    """

    def __init__(
        self,
        settings: Settings,
        clients: Sequence[KubeClient],
        schedulers: SchedulerClient,
        election: LeaderElection | None,
        plugins: Plugins,
    ) -> None:
        self.controller: Controller | None = None
        self.metrics = Metrics(self)
        self._settings = settings
        self._clients = clients
        self._schedulers = schedulers
        self._election = election
        self._plugins = plugins

    @property
    def usages(self) -> Sequence[ApiUsage]:
        """What each connection to the API has asked."""
        return [client.usage for client in self._clients]

    async def run(self) -> None:
        """Work, whenever it is our turn, until cancelled."""
        if self._election is None:
            await self._work()
            return
        while True:
            await self._election.lead(self._work)

    def explain_ill(self) -> str | None:
        """Say why the operator should be started again, None when it is well."""
        informers = self.controller.informers if self.controller else ()
        return explain_ill(informers, time.monotonic(), self._settings.watch_timeout_s)

    def explain_unready(self) -> str | None:
        """Say why the operator is not ready; one that waits for another one's lease is."""
        if self.controller is not None:
            return explain_unready(self.controller.informers)
        if self._election is not None and self._election.holder is None:
            return "the lease has not been read yet"
        return None

    def write_metrics(self) -> bytes:
        """Write the numbers for Prometheus."""
        return self.metrics.write()

    def describe(self) -> list[str]:
        """Say in detail how it stands, a line each."""
        lines = []
        if self._election is None:
            lines.append("works without a lease")
        elif self.controller is None:
            lines.append(f"waits for its turn; {self._election.holder or 'nobody'} has the lease")
        else:
            lines.append(f"leads as {self._election.identity}")
        for informer in self.controller.informers if self.controller else ():
            where = f" in {informer.namespace}" if informer.namespace else ""
            state = informer.error or ("ok" if informer.is_synced else "reading")
            lines.append(f"watch of {informer.kind.plural}{where}: {state}")
        return [*lines, *self._plugins.describe()]

    async def _work(self) -> None:
        self.controller = controller = self.build_controller()
        plugins = asyncio.ensure_future(self._plugins.run(self._grace_s))
        working = asyncio.ensure_future(controller.run(self._grace_s))
        try:
            await asyncio.wait((working,))
        finally:
            working.cancel()
            plugins.cancel()
            await asyncio.wait((working, plugins))
            self.controller = None
            # First what only the end of the process ends, whatever else has failed.
            for task in (plugins, working):
                if not task.cancelled():
                    task.result()

    def build_controller(self) -> Controller:
        """Build the controller of one turn."""
        return Controller(
            self._clients[0],
            self._schedulers,
            self._settings.namespaces,
            on_reconciled=self.metrics.note_reconcile,
            allocation=Allocation(
                self._settings.worker_batch_size, self._settings.worker_batch_delay_s
            ),
        )

    def _grace_s(self) -> float:
        is_lost = self._election is not None and not self._election.is_leading
        return LOST_GRACE_S if is_lost else self._settings.end_grace_s
