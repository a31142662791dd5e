"""What each kind adds to the common life of an object: defaults, checks, effects.

A kind without particulars uses ``Strategy`` as it is.
"""

from __future__ import annotations

from ..resources import Resource
from .core import NamespaceStrategy, PlainStrategy, ServiceAccountStrategy
from .custom import CustomResourceStrategy, DefinitionStrategy
from .pods import PodStrategy
from .services import ServiceStrategy
from .strategy import Context, Strategy

__all__ = ["Context", "Strategies", "Strategy"]


class Strategies:
    """The strategy of every resource."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._plain = PlainStrategy(context)
        self._by_plural: dict[str, Strategy] = {
            "namespaces": NamespaceStrategy(context),
            "serviceaccounts": ServiceAccountStrategy(context),
            "pods": PodStrategy(context),
            "services": ServiceStrategy(context),
            "customresourcedefinitions": DefinitionStrategy(context),
        }
        self._custom = CustomResourceStrategy(context)

    def find(self, resource: Resource) -> Strategy:
        """Strategy of a resource."""
        if resource.is_custom:
            return self._custom
        return self._by_plural.get(resource.plural, self._plain)
