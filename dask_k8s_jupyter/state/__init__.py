"""What is, one picture a cluster: ClusterView (pure), and ClusterStore, which keeps them live.

Sidebar, notebook panel, command line and exceptions all speak from here, so that they tell one
story.
"""

from .observe import observe_cluster, observe_clusters
from .problem import Problem, build_operator_silent_problem, build_problem
from .store import Change, ClusterChanged, ClusterRemoved, ClusterStore, ProblemChanged
from .view import AdaptiveRange, ClusterView, GroupView, WorkerCounts, build_cluster_view
from .words import (
    format_age,
    format_cores,
    format_memory,
    format_workers,
    parse_quantity,
    parse_time,
)

__all__ = [
    "AdaptiveRange",
    "Change",
    "ClusterChanged",
    "ClusterRemoved",
    "ClusterStore",
    "ClusterView",
    "GroupView",
    "Problem",
    "ProblemChanged",
    "WorkerCounts",
    "build_cluster_view",
    "build_operator_silent_problem",
    "build_problem",
    "format_age",
    "format_cores",
    "format_memory",
    "format_workers",
    "observe_cluster",
    "observe_clusters",
    "parse_quantity",
    "parse_time",
]
