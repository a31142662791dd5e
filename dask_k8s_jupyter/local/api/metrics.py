"""Counts what was asked of the server, for Prometheus, in the API's own metric.

Guarantees that a request that was answered is counted once, with the code of its answer; a watch
when it ends. Refuses to count what is asked of no resource, such as discovery.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily

from .reading import APPLY_PATCH

if TYPE_CHECKING:
    from .requests import Target

_NAME = "apiserver_request_total"
_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "code")
_VERBS = {"create": "POST", "update": "PUT"}


class RequestCounts:
    """How many requests there were, by verb, resource and answer.

    Examples
    --------
    >>> counts = RequestCounts()
    >>> b"# TYPE apiserver_request_total counter" in counts.build_page()
    True
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def count(self, target: Target, content_type: str, code: int) -> None:
        """Count a request that was answered with an HTTP status."""
        is_apply = target.verb == "patch" and content_type == APPLY_PATCH
        is_stream = target.subresource in ("exec", "portforward")
        verb = "APPLY" if is_apply else _VERBS.get(target.verb, target.verb.upper())
        resource = target.resource
        scope = "namespace" if target.namespace else "cluster"
        is_of_one = bool(target.name) or target.verb == "create"
        self._counts[
            "CONNECT" if is_stream else verb,
            resource.group,
            resource.version,
            resource.plural,
            target.subresource,
            "resource" if is_of_one else scope,
            str(code),
        ] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counts, as Prometheus' library asks for them."""
        family = CounterMetricFamily(_NAME, "Requests to resources.", labels=_LABELS)
        for labels, number in self._counts.items():
            family.add_metric(labels, number)
        yield family

    def build_page(self) -> bytes:
        """Build the text that Prometheus reads."""
        return generate_latest(self._registry)
