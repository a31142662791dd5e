"""The Kubernetes API: client over raw dictionaries, informer, work-queue, port-forward."""

from .client import KubeClient, ObjectList
from .election import LeaderElection
from .informer import Informer
from .portforward import PortForward
from .stream import WatchEvent
from .workqueue import WorkQueue, WorkQueueClosed

__all__ = [
    "Informer",
    "KubeClient",
    "LeaderElection",
    "ObjectList",
    "PortForward",
    "WatchEvent",
    "WorkQueue",
    "WorkQueueClosed",
]
