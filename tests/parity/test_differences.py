"""Every difference to a real API server stands in the documentation, and none that is gone."""

from __future__ import annotations

import re
from pathlib import Path

from parity_cases import SCENARIOS
from parity_normal import LEFT_OUT
from parity_releases import NEWER_FIELDS, RELEASES

PAGE = Path(__file__).parents[2] / "docs" / "embedded-kubernetes.md"


def test_the_documentation_lists_exactly_the_differences_that_the_comparison_expects() -> None:
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(), re.MULTILINE))
    marked = {step.differs for scenario in SCENARIOS for step in scenario.steps}
    marked |= {name for differences in RELEASES.values() for name in differences.values()}
    assert listed == (marked | set(LEFT_OUT) | set(NEWER_FIELDS)) - {""}


def test_every_request_has_a_name_of_its_own() -> None:
    names = [(scenario.name, step.name) for scenario in SCENARIOS for step in scenario.steps]
    assert len(names) == len(set(names))
