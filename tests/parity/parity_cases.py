"""The whole table."""

from __future__ import annotations

from parity_kinds import KINDS, build_scenarios
from parity_stories import STORIES

SCENARIOS = [*build_scenarios(KINDS), *STORIES]
