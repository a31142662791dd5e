"""What each kind adds to the common life of an object: defaults, checks, effects.

A kind without particulars uses ``Strategy`` as it is.
"""

from __future__ import annotations

from ..resources import Resource
from .core import NamespaceStrategy, ServiceAccountStrategy
from .custom import CustomResourceStrategy, DefinitionStrategy
from .plain import (
    ClaimStrategy,
    ConfigMapStrategy,
    EndpointsStrategy,
    EventStrategy,
    LeaseStrategy,
    SecretStrategy,
    SliceStrategy,
)
from .pods import PodStrategy
from .quotas import QuotaStrategy
from .rbac import BindingStrategy, RoleStrategy
from .services import ServiceStrategy
from .strategy import Context, Strategy
from .workloads import DeploymentStrategy, JobStrategy, ReplicaSetStrategy

__all__ = ["Context", "Strategies", "Strategy"]


class Strategies:
    """The strategy of every resource."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._plain = Strategy(context)
        events = EventStrategy(context)
        self.event_expiry = events.expiry
        self._by_plural: dict[str, Strategy] = {
            "namespaces": NamespaceStrategy(context),
            "serviceaccounts": ServiceAccountStrategy(context),
            "pods": PodStrategy(context),
            "services": ServiceStrategy(context),
            "customresourcedefinitions": DefinitionStrategy(context),
            "configmaps": ConfigMapStrategy(context),
            "secrets": SecretStrategy(context),
            "events": events,
            "endpoints": EndpointsStrategy(context),
            "endpointslices": SliceStrategy(context),
            "leases": LeaseStrategy(context),
            "persistentvolumeclaims": ClaimStrategy(context),
            "resourcequotas": QuotaStrategy(context),
            "deployments": DeploymentStrategy(context),
            "replicasets": ReplicaSetStrategy(context),
            "jobs": JobStrategy(context),
            "roles": RoleStrategy(context),
            "clusterroles": RoleStrategy(context),
            "rolebindings": BindingStrategy(context),
            "clusterrolebindings": BindingStrategy(context),
        }
        self._custom = CustomResourceStrategy(context)

    def find(self, resource: Resource) -> Strategy:
        """Strategy of a resource."""
        if resource.is_custom:
            return self._custom
        return self._by_plural.get(resource.plural, self._plain)
