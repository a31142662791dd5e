"""A plugin of the Dask operator: notes on every new DaskCluster which team pays for it.

Loading this module registers its handlers with kopf; the operator runs them beside its own work.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import kopf


@kopf.on.create("kubernetes.dask.org", "v1", "daskclusters")
async def note_cost_centre(
    namespace: str | None, name: str | None, patch: kopf.Patch, logger: logging.Logger, **_: Any
) -> None:
    """Write the cost centre of a cluster's namespace into an annotation."""
    centre = os.environ.get("COST_CENTRE", "research")
    patch.metadata.annotations["example.org/cost-centre"] = centre
    logger.info("%s/%s is paid by %s", namespace, name, centre)
