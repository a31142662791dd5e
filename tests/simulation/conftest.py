"""Options of the simulation: which histories, and how many."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The simulator is a package of its own; `python tests/simulation` finds it the same way.
sys.path.insert(0, str(Path(__file__).parent))

HISTORIES = 1000
AT_ONCE = 50


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="run the history of this seed only")
    parser.addoption("--histories", type=int, default=HISTORIES, help="how many histories to run")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" not in metafunc.fixturenames:
        return
    seed = metafunc.config.getoption("seed", default=None)
    last = metafunc.config.getoption("histories", default=HISTORIES)
    if seed is not None:
        chunks = [range(seed, seed + 1)]
    else:
        chunks = [range(n, min(n + AT_ONCE, last)) for n in range(0, last, AT_ONCE)]
    metafunc.parametrize("seeds", chunks, ids=[f"{c.start}-{c.stop - 1}" for c in chunks])
