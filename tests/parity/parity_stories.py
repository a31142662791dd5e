"""Requests about what only some kinds have: subresources, ownership, access, quotas, discovery."""

from __future__ import annotations

from parity_access import ACCESS, QUOTA
from parity_applying import APPLYING
from parity_definitions import DEFINITIONS, NAMESPACES, discovery_steps
from parity_garbage import GARBAGE
from parity_pods import PODS, SCALES
from parity_step import Scenario
from parity_strategic import STRATEGIC_PATCHES
from parity_watches import LEASE, WATCHES

STORIES: list[Scenario] = [
    PODS,
    *SCALES,
    GARBAGE,
    ACCESS,
    QUOTA,
    Scenario("discovery", discovery_steps()),
    APPLYING,
    STRATEGIC_PATCHES,
    DEFINITIONS,
    NAMESPACES,
    WATCHES,
    LEASE,
]
