"""Tells Prometheus how the operator does.

Guarantees that a scrape reads what is in memory and asks nobody; that no label grows with the
number of clusters. Refuses to decide what is healthy: that is ``health``'s.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from . import __version__
from .controller import Controller
from .kube.usage import ApiUsage
from .resources.kinds import DASK_KINDS, DASK_WORKER_GROUPS, PODS, SERVICES, Kind

PREFIX = "dask_k8s_operator_"
WORKER_STATES = ("desired", "pending", "running", "ready", "failed", "retiring")
# A look at an idle object takes a millisecond, a thousand creations some seconds.
_BUCKETS_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)


class Observed(Protocol):
    """What the numbers are read from, at every scrape."""

    @property
    def controller(self) -> Controller | None:
        """The working controller, None while another operator leads."""

    @property
    def usages(self) -> Sequence[ApiUsage]:
        """What each connection to the API has asked."""


class Metrics:
    """The operator's numbers.

    Parameters
    ----------
    observed
        What to read at a scrape.
    monotonic
        Seconds that never go backwards.
    """

    def __init__(self, observed: Observed, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._registry = CollectorRegistry()
        self._reconciles = Histogram(
            f"{PREFIX}reconcile_seconds",
            "Time that one look at an object took, with the writes that followed.",
            ("kind", "outcome"),
            registry=self._registry,
            buckets=_BUCKETS_S,
        )
        self._registry.register(_Collector(observed, monotonic))
        ProcessCollector(registry=self._registry)

    def note_reconcile(self, kind: Kind, outcome: str, seconds: float) -> None:
        """Take in one look at an object."""
        self._reconciles.labels(kind.kind, outcome).observe(seconds)

    def write(self) -> bytes:
        """Write all numbers in Prometheus' text format."""
        return generate_latest(self._registry)


class _Collector:
    def __init__(self, observed: Observed, monotonic: Callable[[], float]) -> None:
        self._observed = observed
        self._monotonic = monotonic

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        controller = self._observed.controller
        yield _gauge("info", "Version of the operator.", ("version",), [((__version__,), 1)])
        leading = [((), 0 if controller is None else 1)]
        yield _gauge("leading", "1 where this operator works, 0 where it waits.", (), leading)
        yield from _api(self._observed.usages)
        if controller is not None:
            yield from _queue(controller)
            yield from _objects(controller)
            yield from _watches(controller, self._monotonic())


def _api(usages: Sequence[ApiUsage]) -> Iterator[Metric]:
    answers: Counter[tuple[str, str, int]] = Counter()
    for usage in usages:
        answers.update(usage.answers)
    calls = CounterMetricFamily(
        f"{PREFIX}api_calls", "Answers of the Kubernetes API.", labels=("verb", "resource", "code")
    )
    for (verb, resource, code), count in sorted(answers.items()):
        calls.add_metric((verb, resource, str(code)), count)
    yield calls
    yield CounterMetricFamily(
        f"{PREFIX}api_throttled",
        "How often the API asked for patience.",
        value=sum(usage.throttled for usage in usages),
    )
    yield CounterMetricFamily(
        f"{PREFIX}api_throttled_seconds",
        "For how long the API asked for patience.",
        value=sum(usage.throttled_s for usage in usages),
    )


def _queue(controller: Controller) -> Iterator[Metric]:
    queue = controller.queue
    states = {"due": len(queue), "held": len(queue.held), "delayed": queue.delayed}
    samples = [((state,), count) for state, count in states.items()]
    yield _gauge(
        "queue_depth", "Objects to look at: due now, looked at, or later.", ("state",), samples
    )


def _objects(controller: Controller) -> Iterator[Metric]:
    kinds = (*DASK_KINDS, PODS, SERVICES)
    counts = {
        kind.kind: sum(len(i.objects) for i in controller.informers if i.kind == kind)
        for kind in kinds
    }
    yield _gauge("objects", "Objects that the operator knows.", ("kind",), _labelled(counts))
    workers: Counter[str] = Counter(dict.fromkeys(WORKER_STATES, 0))
    for informer in controller.informers:
        if informer.kind == DASK_WORKER_GROUPS:
            for group in informer.objects.values():
                told = (group.get("status") or {}).get("workers") or {}
                workers.update({state: int(told.get(state, 0)) for state in WORKER_STATES})
    yield _gauge("workers", "Workers by state, of all groups.", ("state",), _labelled(workers))


def _watches(controller: Controller, now_s: float) -> Iterator[Metric]:
    silent: dict[str, float] = {}
    connected: dict[str, float] = {}
    for informer in controller.informers:
        kind = informer.kind.kind
        silent[kind] = max(silent.get(kind, 0.0), now_s - informer.last_progress)
        connected[kind] = min(connected.get(kind, 1.0), float(informer.error is None))
    yield _gauge(
        "watch_silent_seconds", "Time since a watch last moved.", ("kind",), _labelled(silent)
    )
    yield _gauge(
        "watch_connected", "1 where the watch of a kind is well.", ("kind",), _labelled(connected)
    )


def _labelled(
    values: dict[str, int] | dict[str, float] | Counter[str],
) -> Iterator[tuple[tuple[str, ...], float]]:
    return (((label,), float(value)) for label, value in values.items())


def _gauge(
    name: str,
    help_: str,
    labels: tuple[str, ...],
    samples: Iterable[tuple[tuple[str, ...], float]],
) -> Metric:
    gauge = GaugeMetricFamily(f"{PREFIX}{name}", help_, labels=labels)
    for values, value in samples:
        gauge.add_metric(values, value)
    return gauge
