"""The embedded Kubernetes and, on request, a real one; both asked the whole table once.

``pytest tests/parity``                  compares with the recorded answers of a real API server;
``pytest tests/parity --kube=current``   compares with the one that KUBECONFIG points at;
``… --kube=current --record``            records its answers, by release.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from parity_cases import SCENARIOS
from parity_normal import normalize
from parity_releases import NEWEST
from parity_step import Api, Run, Scenario, Step

Answers = dict[str, dict[str, Any]]
ANSWERS = Path(__file__).parent / "answers"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record", action="store_true", help="keep the answers of a real API server")


def ask_everything(kubeconfig: Path, folder: Path) -> Answers:
    """Send the whole table to one Kubernetes, some scenarios at a time: most of it is waiting."""
    tag = secrets.token_hex(2)

    def ask(scenario: Scenario) -> dict[str, Any]:
        api = Api(kubeconfig, folder)
        try:
            run = Run(api, scenario, tag)
            answers = run.run()
        finally:
            api.close()
        return {name: normalize(answer, run.namespace) for name, answer in answers.items()}

    with ThreadPoolExecutor(12) as pool:
        return dict(zip([s.name for s in SCENARIOS], pool.map(ask, SCENARIOS), strict=True))


def read_version(kubeconfig: Path, folder: Path) -> str:
    """Version of a Kubernetes, such as ``1.36``."""
    api = Api(kubeconfig, folder)
    try:
        version = api.send(Step("", "GET", "/version")).value
        return f"{version['major']}.{version['minor']}"
    finally:
        api.close()


def _read_recorded(release: str) -> Answers:
    found: Answers = json.loads((ANSWERS / f"{release}.json").read_text())
    return found


def write_recorded(release: str, answers: Answers) -> None:
    """One line a request, so that a change can be read."""
    lines = []
    for scenario, steps in answers.items():
        inner = [
            f"{json.dumps(name)}:{json.dumps(step, separators=(',', ':'), sort_keys=True)}"
            for name, step in steps.items()
        ]
        lines.append(f"{json.dumps(scenario)}:{{\n" + ",\n".join(inner) + "\n}")
    (ANSWERS / f"{release}.json").write_text("{" + ",\n".join(lines) + "}\n")


@pytest.fixture(scope="session")
def embedded_answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the embedded Kubernetes answers."""
    from dask_k8s_jupyter.local import LocalKubernetes

    folder = tmp_path_factory.mktemp("embedded")
    with LocalKubernetes.in_thread(operator=False) as kube:
        return ask_everything(kube.kubeconfig, folder)


@pytest.fixture(scope="session")
def real_version(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Version of the real Kubernetes that is compared with."""
    if request.config.getoption("--kube") == "local":
        return NEWEST
    return read_version(Path(os.environ["KUBECONFIG"]), tmp_path_factory.mktemp("version"))


@pytest.fixture(scope="session")
def real_answers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, real_version: str
) -> Answers:
    """What a real Kubernetes answers, now or when it was recorded."""
    if request.config.getoption("--kube") == "local":
        return _read_recorded(real_version)
    folder = tmp_path_factory.mktemp("real")
    answers = ask_everything(Path(os.environ["KUBECONFIG"]), folder)
    if request.config.getoption("--record", default=False):
        write_recorded(real_version, answers)
    return answers


@pytest.fixture(scope="session")
def read_recorded() -> Callable[[str], Answers]:
    """Reads the answers that were recorded from a real API server of a release."""
    return _read_recorded
