"""watch -> queue -> observe -> decide -> apply: joins the decisions to a Kubernetes API."""

from ..reconcile.workergroup import Allocation
from .loop import Controller

__all__ = ["Allocation", "Controller"]
