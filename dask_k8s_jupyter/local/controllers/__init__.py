"""What makes workloads and Services true on the embedded Kubernetes; it knows the API only."""

from .running import Controllers

__all__ = ["Controllers"]
