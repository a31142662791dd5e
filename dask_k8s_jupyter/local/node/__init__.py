"""The embedded node: schedules Pods, runs them as processes, reports their status.

It knows the Kubernetes API only, as a kubelet does, and nothing of the server behind it.
"""
