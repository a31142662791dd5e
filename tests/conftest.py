"""Options and marks that every lane of the tests knows."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kube",
        choices=("local", "current", "inside"),
        default="local",
        help="local: the embedded Kubernetes; current: whatever KUBECONFIG points at; "
        "inside: the one whose Pod this is",
    )


def pytest_configure(config: pytest.Config) -> None:
    # Whatever runs in the background of a shell ignores Ctrl-C, and its children would do so too.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for mark in ("local_only", "current_only", "outside_only"):
        config.addinivalue_line("markers", f"{mark}(reason): runs on one kind of Kubernetes only")
    config.addinivalue_line("markers", "alone(reason): no other test of the Kubernetes runs beside")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    others = {
        "local": ["current"],
        "current": ["local"],
        "inside": ["local", "current", "outside"],
    }
    for other in others[config.getoption("--kube")]:
        for item in items:
            for mark in item.iter_markers(f"{other}_only"):
                item.add_marker(pytest.mark.skip(reason=f"{other} Kubernetes only: {mark.args[0]}"))


@pytest.fixture(scope="session")
def helm_program() -> str:
    """A helm: the variable HELM, on the PATH, or beside a Kubernetes that was built here."""
    built = sorted(Path.home().glob(".cache/real-kube/*/bin/helm"))
    found = os.environ.get("HELM") or shutil.which("helm") or (str(built[0]) if built else None)
    if found is None:
        pytest.skip("there is no helm on the PATH, nor named by the variable HELM")
    return found
