"""What an administrator can choose, by flag or by environment variable.

Guarantees that every setting says its unit and its default. Refuses a value that cannot work,
whichever way it came, by the name of its flag.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .resources.manifests import HEALTH_PORT, LEASE_NAME

PREFIX = "DASK_K8S_OPERATOR_"
# As dask.config reads kubernetes.controller.worker-allocation.
ALLOCATION_PREFIX = "DASK_KUBERNETES__CONTROLLER__WORKER_ALLOCATION__"

# The last two are kopf's words for text.
LOG_FORMATS = ("text", "json", "plain", "full")
LOG_LEVELS = ("debug", "info", "warning", "error")
_SWITCHES = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Settings:
    """Settings of one operator.

    Parameters
    ----------
    namespaces
        Namespaces to serve; empty means all of them, which needs a ClusterRole.
    log_format
        ``"text"`` for people, ``"json"`` for collectors: one object a line.
    log_level
        As Python's logging names it.
    health_host, health_port
        Where ``/healthz``, ``/readyz`` and ``/metrics`` are served; port 0 serves them nowhere.
    concurrency
        How many requests to the Kubernetes API are under way at once, watches apart.
    watch_timeout_s
        Seconds without progress of a watch after which ``/healthz`` fails. The API server ends a
        watch after five to ten minutes, so silence for longer means that it is dead.
    leader_election
        Whether to work only while holding the Lease; without, a second operator would interfere.
    lease_namespace, lease_name
        The Lease; the namespace None is that of the Pod, or of the kubeconfig's context.
    identity
        What tells this operator from others; the Pod's name, as a Pod runs one at a time. None
        draws one.
    worker_batch_size
        How many worker Pods of a group are made at once; None or 0 for all that are missing.
    worker_batch_delay_s
        Seconds between one such batch and the next.
    end_grace_s
        Seconds that writes under way may take to finish at the end; Kubernetes kills after 30.
    """

    namespaces: tuple[str, ...] = ()
    log_format: Literal["text", "json"] = "text"
    log_level: str = "INFO"
    health_host: str = "0.0.0.0"  # noqa: S104  probes come from the node
    health_port: int = HEALTH_PORT
    concurrency: int = 50
    watch_timeout_s: float = 900.0
    leader_election: bool = True
    lease_namespace: str | None = None
    lease_name: str = LEASE_NAME
    identity: str | None = None
    end_grace_s: float = 10.0
    worker_batch_size: int | None = None
    worker_batch_delay_s: float = 0.0


def parse_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read flags, and for those not given the variables ``DASK_K8S_OPERATOR_…``.

    Examples
    --------
    >>> parse_settings(["--namespace", "a"], {"DASK_K8S_OPERATOR_LOG_FORMAT": "json"}).log_format
    'json'
    """
    parser = _build_parser(environment)
    given = parser.parse_args(arguments)
    in_environment = environment.get(f"{PREFIX}NAMESPACES", "")
    namespaces = given.namespace or [n.strip() for n in in_environment.split(",") if n.strip()]
    if given.all_namespaces:
        if given.namespace:
            parser.error("--all-namespaces and --namespace exclude each other")
        namespaces = []
    _refuse_what_cannot_work(parser, given)
    return Settings(
        namespaces=tuple(dict.fromkeys(namespaces)),
        log_format="json" if given.log_format == "json" else "text",
        log_level=(given.shorthand or given.log_level.lower()).upper(),
        health_host=given.health_host,
        health_port=given.health_port,
        concurrency=given.concurrency,
        leader_election=_SWITCHES.get(given.leader_election, given.leader_election),
        lease_namespace=given.lease_namespace or environment.get("POD_NAMESPACE") or None,
        lease_name=given.lease_name,
        identity=environment.get("POD_NAME") or None,
        worker_batch_size=given.worker_batch_size or None,
        worker_batch_delay_s=given.worker_batch_delay,
    )


def _refuse_what_cannot_work(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    # argparse itself does not look at defaults, which the environment may have given.
    for flag, value, choices in (
        ("--log-format", given.log_format, LOG_FORMATS),
        ("--log-level", given.log_level, LOG_LEVELS),
        ("--leader-election", given.leader_election, (*_SWITCHES, True, False)),
    ):
        if value not in choices:
            words = ", ".join(choice for choice in choices if isinstance(choice, str))
            parser.error(f"{flag} cannot be {value!r}: choose from {words}")
    if given.concurrency < 1:
        parser.error("--concurrency must be at least 1")
    if not 0 <= given.health_port <= 65535:
        parser.error("--health-port must be from 0 to 65535")
    if given.worker_batch_size < 0 or given.worker_batch_delay < 0:
        parser.error("--worker-batch-size and --worker-batch-delay must not be negative")


def _build_parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dask-k8s-operator",
        description="Makes DaskClusters and their kin real, on the Kubernetes it runs in.",
        epilog=f"Each flag has a variable, such as {PREFIX}LOG_FORMAT; the flag wins.",
    )
    _add_scope_flags(parser)
    _add_log_flags(parser, environment)
    _add_limit_flags(parser, environment)
    _add_election_flags(parser, environment)
    add_allocation_flags(parser, environment)
    return parser


def _default(environment: Mapping[str, str], name: str, otherwise: str) -> str:
    return environment.get(PREFIX + name, otherwise)


def _add_scope_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-A", "--all-namespaces", action="store_true", help="serve all namespaces (the default)"
    )
    parser.add_argument(
        "-n",
        "--namespace",
        action="append",
        metavar="NAME",
        help=f"serve this namespace; may be repeated; all if absent ({PREFIX}NAMESPACES=a,b)",
    )


def _add_log_flags(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    parser.add_argument(
        "--log-format", choices=LOG_FORMATS, default=_default(environment, "LOG_FORMAT", "text")
    )
    parser.add_argument(
        "--log-level",
        choices=LOG_LEVELS,
        type=str.lower,
        default=_default(environment, "LOG_LEVEL", "info"),
    )
    # As kopf's command line has them, which charts and manifests for dask-kubernetes may pass.
    for flag, level in (("verbose", "info"), ("debug", "debug"), ("quiet", "warning")):
        parser.add_argument(
            f"-{flag[0]}",
            f"--{flag}",
            dest="shorthand",
            action="store_const",
            const=level,
            help=f"as --log-level {level}",
        )


def _add_limit_flags(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    parser.add_argument(
        "--health-host",
        default=_default(environment, "HEALTH_HOST", Settings.health_host),
        metavar="ADDRESS",
    )
    parser.add_argument(
        "--health-port",
        type=int,
        default=_default(environment, "HEALTH_PORT", str(Settings.health_port)),
        help="port of /healthz, /readyz and /metrics; 0 serves none",
    )
    parser.add_argument(
        "--concurrency",
        type=int,
        default=_default(environment, "CONCURRENCY", str(Settings.concurrency)),
        help="requests to the Kubernetes API under way at once, watches apart",
    )


def _add_election_flags(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    parser.add_argument(
        "--leader-election",
        action=argparse.BooleanOptionalAction,
        default=_default(environment, "LEADER_ELECTION", "true").lower(),
        help="work only while holding the Lease, so that several operators do not interfere",
    )
    parser.add_argument(
        "--lease-namespace",
        default=environment.get(f"{PREFIX}LEASE_NAMESPACE"),
        metavar="NAME",
        help="namespace of the Lease; that of the Pod, or of the kubeconfig's context, if absent",
    )
    parser.add_argument(
        "--lease-name",
        default=_default(environment, "LEASE_NAME", Settings.lease_name),
        metavar="NAME",
    )


def add_allocation_flags(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """Add the flags about new worker Pods; Dask's own variables for them count too."""

    def default(name: str, dask_name: str) -> str:
        dask = environment.get(ALLOCATION_PREFIX + dask_name, "")
        value = environment.get(PREFIX + name) or dask
        return "0" if value.strip().lower() in ("", "none", "null") else value

    parser.add_argument(
        "--worker-batch-size",
        type=int,
        default=default("WORKER_BATCH_SIZE", "BATCH_SIZE"),
        metavar="PODS",
        help=f"worker Pods of a group made at once; 0 for all (also {ALLOCATION_PREFIX}BATCH_SIZE)",
    )
    parser.add_argument(
        "--worker-batch-delay",
        type=float,
        default=default("WORKER_BATCH_DELAY", "DELAY"),
        metavar="SECONDS",
        help=f"pause between batches (also {ALLOCATION_PREFIX}DELAY)",
    )
