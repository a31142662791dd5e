"""The names that ``dask_kubernetes.exceptions`` has, for code that catches them and moves over.

New code takes ``dask_k8s_jupyter.errors``: one tree. A crash is one of the failures to start there,
so that ``except CrashLoopBackOffError`` goes before ``except SchedulerStartupError``.
"""

from __future__ import annotations

from .errors import ClusterStartError, InvalidSpecError, PodCrashedError

CrashLoopBackOffError = PodCrashedError
SchedulerStartupError = ClusterStartError
ValidationError = InvalidSpecError

__all__ = ["CrashLoopBackOffError", "SchedulerStartupError", "ValidationError"]
