"""watch -> queue -> observe -> decide -> apply: joins the decisions to a Kubernetes API."""

from .loop import Controller

__all__ = ["Controller"]
