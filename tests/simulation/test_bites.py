"""The simulation bites: an operator with one rule broken is found out within a few histories."""

from __future__ import annotations

import pytest
from simulator.history import run_history
from simulator.mutations import MUTATIONS

WITHIN = 300


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_broken_rule_is_found(mutation, record_property):
    with mutation():
        found = next((seed for seed in range(WITHIN) if run_history(seed).broken), None)
    assert found is not None, f"{mutation.__doc__} was not noticed in {WITHIN} histories"
    record_property("found_by_history", found + 1)
