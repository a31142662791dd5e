"""What cluster managers have in common whose workers somebody else makes.

Guarantees the attributes that every cluster manager of distributed has, and adaptive bounds in the
shape that dask-labextension reads. Refuses to pretend a plan: which workers there will be is known
to Kubernetes alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from inspect import isawaitable
from typing import Any

from .dashboard import build_jupyter_link
from .session import Session


class ObservedWorkers:
    """A cluster manager that knows the workers which the scheduler knows."""

    observed: set[Any]
    get_logs: Callable[..., Any]

    @property
    def plan(self) -> set[Any]:
        """Names of the workers that the scheduler knows."""
        return set(self.observed)

    @property
    def requested(self) -> set[Any]:
        """Names of the workers that the scheduler knows."""
        return set(self.observed)

    def logs(self, *args: Any, **kwargs: Any) -> Any:
        """Get the logs by Pod; the older name of ``get_logs``."""
        return self.get_logs(*args, **kwargs)


class SchedulerJupyter:
    """A cluster manager whose scheduler may run a Jupyter server too (``jupyter=True``)."""

    session: Session

    @property
    def jupyter_link(self) -> str:
        """Where a browser on this machine finds the scheduler's Jupyter server."""
        return build_jupyter_link(self.session.dashboard_address)


class Adaptivity:
    """The bounds between which a cluster is scaled by its load.

    Parameters
    ----------
    minimum, maximum
        Workers at least and at most.
    applied
        What writes the bounds down, None where that is done. It is done though nobody awaits it.

    Examples
    --------
    >>> Adaptivity(1, 10)
    <Adaptivity: 1 to 10 workers>
    """

    def __init__(self, minimum: int, maximum: int, applied: Awaitable[Any] | None = None) -> None:
        self.minimum = minimum
        self.maximum = maximum
        self._applied = asyncio.ensure_future(applied) if isawaitable(applied) else None

    def __await__(self) -> Generator[Any, Any, Adaptivity]:
        async def wait() -> Adaptivity:
            if self._applied is not None:
                await self._applied
            return self

        return wait().__await__()

    def __repr__(self) -> str:
        return f"<Adaptivity: {self.minimum} to {self.maximum} workers>"
