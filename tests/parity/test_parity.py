"""The embedded API server answers as a real one does: code, reason, shape and effect."""

from __future__ import annotations

from typing import Any

import pytest
from parity_cases import SCENARIOS
from parity_releases import OLDER, UNSURE, comparable_with, find_difference

STEPS = [(scenario.name, step) for scenario in SCENARIOS for step in scenario.steps]


@pytest.mark.parametrize(
    ("scenario", "step"), STEPS, ids=[f"{scenario}/{step.name}" for scenario, step in STEPS]
)
def test_a_request_is_answered_as_a_real_api_server_answers_it(
    scenario: str, step: Any, embedded_answers: Any, real_answers: Any, real_version: str
) -> None:
    ours = embedded_answers[scenario][step.name]
    theirs = real_answers[scenario][step.name]
    pair = [comparable_with(real_version, answer) for answer in (ours, theirs)]
    if name := find_difference(real_version, scenario, step):
        assert pair[0] != pair[1] or name in UNSURE, f"no longer differs: {name}"
        return
    assert pair[0] == pair[1], (ours.get("message"), theirs.get("message"))


@pytest.mark.parametrize("release", OLDER)
def test_an_older_release_answers_otherwise_only_where_the_documentation_says_so(
    release: str, embedded_answers: Any, read_recorded: Any
) -> None:
    theirs = read_recorded(release)
    wrong = []
    for scenario, step in STEPS:
        answers = (embedded_answers[scenario][step.name], theirs[scenario][step.name])
        ours, recorded = (comparable_with(release, answer) for answer in answers)
        name = find_difference(release, scenario, step)
        if (ours == recorded) is bool(name) and name not in UNSURE:
            wrong.append(f"{scenario}/{step.name}: {name or 'differs'}")
    assert not wrong
