"""Runs the operator: ``python -m dask_k8s_operator``.

Guarantees a clean end at SIGTERM and SIGINT: what is being written is finished, nothing new begins.
Refuses to start on a flag it does not know.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator

from . import __version__
from .health import HealthServer
from .kube import KubeClient, LeaderElection
from .kube.errors import KubeError
from .plugins import PluginsStuckError, load_plugins
from .resources.times import format_time
from .running import Operator
from .scheduler import SchedulerClient
from .settings import Settings, parse_settings

logger = logging.getLogger("dask_k8s_operator")


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        entry = {
            "time": format_time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logging(settings: Settings) -> None:
    """Send the log to standard error, as text or as JSON."""
    handler = logging.StreamHandler()
    if settings.log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)


async def operate(settings: Settings) -> None:
    """Run the operator until it is told to stop."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with (
        await KubeClient.connect(concurrency=settings.concurrency) as client,
        # Renewals of the lease must not queue behind a thousand creations.
        await KubeClient.connect(concurrency=1) as lease_client,
        SchedulerClient() as schedulers,
    ):
        scope = ", ".join(settings.namespaces) or "all namespaces"
        logger.info("dask-k8s-operator %s for %s at %s", __version__, scope, client.host)
        operator = Operator(
            settings,
            (client, lease_client),
            schedulers,
            build_election(lease_client, settings) if settings.leader_election else None,
            load_plugins(settings.namespaces),
        )
        async with serve_health(operator, settings):
            await run_until(operator, stop)
    logger.info("stopped")


def build_election(client: KubeClient, settings: Settings) -> LeaderElection:
    """Build the candidate for the lease that the settings name."""
    namespace = settings.lease_namespace or client.namespace
    identity = settings.identity or f"{socket.gethostname()}-{secrets.token_hex(4)}"
    return LeaderElection(client, namespace, settings.lease_name, identity)


@contextlib.asynccontextmanager
async def serve_health(operator: Operator, settings: Settings) -> AsyncIterator[None]:
    """Serve the probes and the numbers while the block runs."""
    server = HealthServer(operator)
    if settings.health_port:
        await server.start(settings.health_host, settings.health_port)
    try:
        yield
    finally:
        await server.close()


async def run_until(operator: Operator, stop: asyncio.Event) -> None:
    """Run the operator until ``stop``; a failure of it is raised."""
    work = asyncio.ensure_future(operator.run())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await work


def main() -> None:
    """Entry point of the command."""
    settings = parse_settings(sys.argv[1:], os.environ)
    configure_logging(settings)
    try:
        asyncio.run(operate(settings))
    except KubeError as error:
        sys.exit(f"dask-k8s-operator: {error}")
    except PluginsStuckError as error:
        logger.critical("%s: ending the process, so that another operator can lead", error)
        logging.shutdown()
        # Not sys.exit: that would wait for the handler's thread.
        os._exit(1)


if __name__ == "__main__":
    main()
