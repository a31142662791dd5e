"""Who may do what in the tests."""

from __future__ import annotations

from typing import Any


def build_binding(account: str, home: str, role: str, name: str) -> dict[str, Any]:
    """Build what gives a ServiceAccount of the namespace ``home`` a ClusterRole."""
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home}],
    }
