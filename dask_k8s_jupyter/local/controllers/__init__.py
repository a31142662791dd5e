"""What makes Deployments true on the embedded Kubernetes; it knows the API only."""

from .workloads import WorkloadController

__all__ = ["WorkloadController"]
