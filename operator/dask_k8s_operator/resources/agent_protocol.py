"""What the operator and the agent inside a scheduler say to each other.

Guarantees that paths, variables and answers are named once; the agent itself is text (see
``dask_k8s_operator.agent``) and a test holds it to these names. Refuses to carry anything of a
user's work: only counts, sizes, names and addresses of workers cross the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

# The preload is logged by name, so it is one short line; the text comes by a variable.
SOURCE_VARIABLE = "DASK_K8S_AGENT"
TOKEN_VARIABLE = "DASK_K8S_AGENT_TOKEN"  # noqa: S105  a variable's name, not a token
PRELOAD_VARIABLE = "DASK_DISTRIBUTED__SCHEDULER__PRELOAD"
PRELOAD_ARGV_VARIABLE = "DASK_DISTRIBUTED__SCHEDULER__PRELOAD_ARGV"
PRELOAD = f"exec(__import__('os').environ['{SOURCE_VARIABLE}'], globals())"

WORKERS_PATH = "/dask-k8s/workers"
DRAIN_PATH = "/dask-k8s/drain"
UNDRAIN_PATH = "/dask-k8s/undrain"
IDLE_PATH = "/dask-k8s/idle"
ADAPTIVE_PATH = "/dask-k8s/adaptive-target"

DRAINING = "draining"
DRAINED = "drained"
# Results that no other worker can take: none runs, or all are full.
NO_RECIPIENTS = "no-recipients"


@dataclass(frozen=True)
class WorkerLoad:
    """One worker process as its scheduler sees it.

    Parameters
    ----------
    address
        Such as ``tcp://10.0.0.5:40331``.
    name
        What it was started with as ``--name``, or its address; "" from an older agent.
    processing
        Tasks assigned to it, those that run included.
    occupancy_s
        Expected seconds of work assigned to it.
    stored_bytes
        Size of the results that it holds.
    drain
        ``"draining"``, ``"drained"``, ``"no-recipients"`` or None when it is not meant to go.

    Examples
    --------
    >>> WorkerLoad("tcp://10.0.0.5:40331").host
    '10.0.0.5'
    """

    address: str
    processing: int = 0
    occupancy_s: float = 0.0
    stored_bytes: int = 0
    drain: str | None = None
    name: str = ""

    @property
    def host(self) -> str:
        """What it listens on, by which a worker without a name of ours is matched to its Pod."""
        return urlsplit(self.address).hostname or ""


@dataclass(frozen=True)
class SchedulerReport:
    """What a scheduler answered, or why it did not.

    Parameters
    ----------
    workers
        All workers that it knows.
    has_agent
        Whether the agent answered; without it ``workers`` tells addresses only.
    problem
        Why there is no answer at all, None when there is one.
    may_recover
        Whether asking again later can help. A scheduler that answers, but routes neither the agent
        nor ``/api/v1``, will not change its mind.
    is_absent
        Whether no scheduler runs at all, so that there is no work to lose.
    knows_token
        Whether the agent takes our token; one that does not is well, and its workers may work.
    """

    workers: tuple[WorkerLoad, ...] = ()
    has_agent: bool = True
    problem: str | None = None
    may_recover: bool = True
    is_absent: bool = False
    knows_token: bool = True


@dataclass(frozen=True)
class Answer:
    """One number that a scheduler was asked for, or why it was not given.

    Parameters
    ----------
    value
        The number.
    problem
        Why there is none.
    tasks
        Tasks that the scheduler knows, results that somebody may still want among them.
    """

    value: float | None = None
    problem: str | None = None
    tasks: int = 0


def parse_worker(worker: dict[str, Any]) -> WorkerLoad:
    """Read one entry of the agent's (or of ``/api/v1/get_workers``') list of workers.

    Examples
    --------
    >>> parse_worker({"address": "tcp://10.0.0.5:1", "name": "x"}).name
    'x'
    """
    return WorkerLoad(
        address=str(worker["address"]),
        processing=int(worker.get("processing", 0)),
        occupancy_s=float(worker.get("occupancy_s", 0.0)),
        stored_bytes=int(worker.get("stored_bytes", 0)),
        drain=worker.get("drain"),
        name=str(worker.get("name", "")),
    )
