"""Hosts plugins: kopf handlers of other packages, run unchanged beside the operator.

A plugin is a package with an entry point in the group ``dask_operator_plugin``; loading it
registers its kopf handlers. kopf comes with the extra ``dask-k8s-operator[plugins]`` and is
imported only where there is a plugin.

Guarantees that a plugin that cannot be loaded is named in the log and in ``/readyz``, and stops
neither the operator nor the other plugins; that handlers run in a thread and an event loop of
their own, where one that blocks does not hold the operator up, and only while this operator has
its turn: a handler that does not end in time then ends the process. Refuses to judge what handlers
do.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from .kube.election import StillWorkingError

logger = logging.getLogger("dask_k8s_operator")

GROUP = "dask_operator_plugin"
RETRY_S = 30.0
END_S = 10.0
# What kopf needs to end beside its handlers: they get the rest.
KOPF_END_S = 0.5


class PluginsStuckError(StillWorkingError):
    """A handler goes on although its operator's turn is over; a thread cannot be ended."""


@dataclass(frozen=True)
class Plugin:
    """One entry point; ``problem`` says why it could not be loaded."""

    name: str
    problem: str | None = None

    def __str__(self) -> str:
        return f"plugin {self.name}: {self.problem or 'ok'}"


class Plugins:
    """All plugins of this environment.

    Parameters
    ----------
    plugins
        What was found, with problems.
    namespaces
        Namespaces to serve; empty for all.
    """

    def __init__(self, plugins: Iterable[Plugin] = (), namespaces: tuple[str, ...] = ()) -> None:
        self.plugins = tuple(plugins)
        self._namespaces = namespaces
        self._host_problem: str | None = None

    def describe(self) -> list[str]:
        """Say how each plugin stands, a line each."""
        lines = [str(plugin) for plugin in self.plugins]
        return [*lines, f"plugins: {self._host_problem}"] if self._host_problem else lines

    async def run(self, grace_s: Callable[[], float] = lambda: END_S) -> None:
        """Run the handlers until cancelled; return at once where there are none.

        ``grace_s`` is asked then how long they may take to end.

        Raises
        ------
        PluginsStuckError
            When they take longer: nothing but the end of the process ends them.
        """
        if all(plugin.problem for plugin in self.plugins):
            return
        while True:
            host = _Host(self._namespaces)
            try:
                await host.run(grace_s)
                self._host_problem = "kopf has ended"
            except PluginsStuckError:
                raise
            except Exception as error:
                self._host_problem = f"kopf failed: {error}"
                logger.exception("plugins: kopf failed; again in %.0f s", RETRY_S)
            await asyncio.sleep(RETRY_S)
            self._host_problem = None


class _Host:
    """kopf in a thread of its own."""

    def __init__(self, namespaces: tuple[str, ...]) -> None:
        self._namespaces = namespaces
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        # kopf's own, which it looks at again when it ends.
        self._settings: Any = None

    async def run(self, grace_s: Callable[[], float]) -> None:
        """Run until cancelled; raise what kopf raised."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def work() -> None:
            try:
                self._run_kopf()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - raised by run()
                self._failure = error
            finally:
                loop.call_soon_threadsafe(ended.set)

        # A daemon: a handler that never returns must not keep the process alive.
        threading.Thread(target=work, name="kopf", daemon=True).start()
        try:
            await ended.wait()
        except asyncio.CancelledError:
            given_s = grace_s()
            if self._settings is not None:
                # Its own two seconds are too many when the lease is lost, and too few otherwise.
                self._settings.queueing.exit_timeout = max(0.0, given_s - KOPF_END_S)
            self._stop.set()
            try:
                await asyncio.wait_for(ended.wait(), given_s)
            except asyncio.TimeoutError:  # the builtin one only from Python 3.11
                message = f"a plugin's handler did not end within {given_s:.1f} s"
                raise PluginsStuckError(message) from None
            raise
        if self._failure is not None:
            raise RuntimeError(f"{type(self._failure).__name__}: {self._failure}")

    def _run_kopf(self) -> None:
        import kopf

        scope: dict[str, Any] = {"clusterwide": True}
        if self._namespaces:
            scope = {"namespaces": list(self._namespaces)}
        settings = self._settings = kopf.OperatorSettings()
        # Else kopf lists namespaces and definitions, which the operator may not; forbidden to, it
        # tries for a minute before any handler runs. A plugin may set it back at its startup.
        settings.scanning.disabled = True
        # Our lease decides who works: kopf's own peering would only add another one.
        kopf.run(standalone=True, settings=settings, stop_flag=self._stop, **scope)


def load_plugins(
    namespaces: tuple[str, ...] = (), found: Iterable[EntryPoint] | None = None
) -> Plugins:
    """Load every plugin of this environment, which registers its handlers.

    Parameters
    ----------
    namespaces
        Namespaces to serve; empty for all.
    found
        Entry points in place of those that are installed.

    Examples
    --------
    >>> load_plugins(found=[EntryPoint("x", "no_such_module", GROUP)]).describe()
    ["plugin x: ModuleNotFoundError: No module named 'no_such_module'"]
    """
    points = entry_points(group=GROUP) if found is None else found
    return Plugins([_load(point) for point in points], namespaces)


def _load(point: EntryPoint) -> Plugin:
    try:
        point.load()
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        if isinstance(error, ModuleNotFoundError) and error.name == "kopf":
            problem += "; install dask-k8s-operator[plugins]"
        logger.exception("plugin %s (%s) cannot be loaded", point.name, point.value)
        return Plugin(point.name, problem)
    logger.info("plugin %s (%s) is loaded", point.name, point.value)
    return Plugin(point.name)
