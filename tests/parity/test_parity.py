"""The embedded API server answers as a real one does: code, reason, shape and effect."""

from __future__ import annotations

from typing import Any

import pytest
from parity_cases import SCENARIOS
from parity_normal import comparable
from parity_releases import find_difference

STEPS = [(scenario.name, step) for scenario in SCENARIOS for step in scenario.steps]


@pytest.mark.parametrize(
    ("scenario", "step"), STEPS, ids=[f"{scenario}/{step.name}" for scenario, step in STEPS]
)
def test_a_request_is_answered_as_a_real_api_server_answers_it(
    scenario: str, step: Any, embedded_answers: Any, real_answers: Any, real_version: str
) -> None:
    ours = embedded_answers[scenario][step.name]
    theirs = real_answers[scenario][step.name]
    if name := find_difference(real_version, scenario, step):
        assert comparable(ours) != comparable(theirs), f"no longer differs: {name}"
        return
    assert comparable(ours) == comparable(theirs), (ours.get("message"), theirs.get("message"))
