"""A day with ``dask-k8s`` on any Kubernetes.

Most commands run inside the test's own process, as each interpreter costs a second; what a process
adds (signals, exit codes, streams) is tested with real ones.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
import yaml
from click.testing import CliRunner, Result

from dask_k8s_jupyter.cli import main

DASK_K8S = str(Path(sys.executable).with_name("dask-k8s"))
DASK = str(Path(sys.executable).with_name("dask"))
PATIENCE_S = 120
SMALL = ("--cpu", "400m", "--memory", "512Mi")

Run = Callable[..., Result]
RunProcess = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(kubeconfig: Path, dask_image: str, namespace: str) -> dict[str, str]:
    """That of a person who has set namespace and image once."""
    return {
        **os.environ,
        "DASK_KUBERNETES__IMAGE": dask_image,
        "DASK_KUBERNETES__NAMESPACE": namespace,
    }


@pytest.fixture
def run(environment: dict[str, str], dask_image: str, namespace: str) -> Iterator[Run]:
    """Run ``dask-k8s`` in this process; fails unless it ends with ``code``."""

    def run(*arguments: str, code: int = 0, stdin: str = "") -> Result:
        ended = CliRunner(env={"KUBECONFIG": environment.get("KUBECONFIG")}).invoke(
            main, arguments, input=stdin, catch_exceptions=False
        )
        assert ended.exit_code == code, f"{arguments}: {ended.output}"
        return ended

    # Dask reads its environment when it is imported.
    with dask.config.set({"kubernetes.image": dask_image, "kubernetes.namespace": namespace}):
        yield run


@pytest.fixture
def run_process(environment: dict[str, str]) -> RunProcess:
    """Run ``dask-k8s`` as a person does; fails unless it ends with ``code``."""

    def run(*arguments: str, code: int = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [DASK_K8S, *arguments],
            env=environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert ended.returncode == code, f"{arguments}: {ended.stdout}{ended.stderr}"
        assert "Traceback" not in ended.stderr
        return ended

    return run


def wait_for_lines(read: Callable[[], Result], word: str, count: int = 1) -> list[str]:
    """What a command prints, once a word is among it so many times.

    A container runs, and a worker counts as ready, a moment before its program has said a thing.
    """
    deadline = time.monotonic() + PATIENCE_S
    while (text := read().stdout).count(word) < count:
        assert time.monotonic() < deadline, f"no {count} {word!r} in {text}"
        time.sleep(0.2)
    return text.splitlines()


def test_a_day_with_a_cluster(
    run: Run, run_process: RunProcess, namespace: str, is_inside: bool
) -> None:
    created = run_process("create", "demo", "--n-workers", "1", *SMALL)
    assert re.search(rf"{namespace} +demo +running +1/1", created.stdout), created.stdout
    assert f"Starting {namespace}/demo: " in created.stderr

    assert "demo exists already" in run("create", "demo", code=1).stderr

    scaled = json.loads(run("scale", "demo", "2", "-o", "json").stdout)
    assert (scaled["state"], scaled["workers"]["ready"]) == ("running", 2)

    [listed] = yaml.safe_load(run("list", "-o", "yaml").stdout)
    assert (listed["name"], listed["workers"]["desired"]) == ("demo", 2)
    everywhere = run("list", "--all-namespaces", code=1 if is_inside else 0)
    expected = "You may not list daskclusters" if is_inside else f"{namespace}  demo"
    assert expected in everywhere.stdout + everywhere.stderr

    _check_logs(run)

    happened = "\n".join(wait_for_lines(lambda: run("events", "demo"), "ScaledUp"))
    assert "DaskWorkerGroup/demo-default" in happened
    assert json.loads(run("events", "demo", "-o", "json").stdout)[-1]["object"]

    # Nobody answers.
    asked = run("scale", "demo", "0", code=1)
    assert "results held there are lost" in asked.stderr
    assert "Add --yes" in asked.stderr

    adapted = json.loads(
        run("adapt", "demo", "--minimum", "1", "--maximum", "3", "-o", "json").stdout
    )
    assert adapted["adaptive"] == {"minimum": 1, "maximum": 3}
    unknown = run("adapt", "demo", "--group", "gpu", "--maximum", "3", code=1)
    assert f"{namespace}/demo has no worker group 'gpu'" in unknown.stderr
    run("adapt", "demo", "--group", "default", "--maximum", "2")
    [listed] = json.loads(run("list", "-o", "json").stdout)
    assert listed["adaptive"] == {"minimum": 0, "maximum": 2}

    refused = run("delete", "demo", code=1, stdin="n\n")
    assert "is lost." in refused.stderr
    assert "Nothing was changed" in refused.stderr
    # A worker whose scheduler ends beside it takes its whole grace period for that.
    emptied = json.loads(run("scale", "demo", "0", "--yes", "-o", "json").stdout)
    assert (emptied["adaptive"], emptied["workers"]["desired"]) == (None, 0)
    assert f"{namespace}/demo is gone" in run_process("delete", "demo", stdin="y\n").stdout
    assert "dask-k8s create" in run("list").stderr


def _check_logs(run: Run) -> None:
    wait_for_lines(lambda: run("logs", "demo"), "Scheduler at")
    # A worker that is told to end before it has joined takes its whole grace period for that.
    of_workers = ("logs", "demo", "--component", "worker")
    lines = wait_for_lines(lambda: run(*of_workers), "Registered to", 2)
    assert {line[: len("demo-default-worker")] for line in lines} == {"demo-default-worker"}
    assert len(run(*of_workers, "--tail", "1").stdout.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("scale", "nothing", "2"),
        ("adapt", "nothing", "--maximum", "2"),
        ("logs", "nothing"),
        ("events", "nothing"),
        ("delete", "nothing", "--yes"),
        ("port-forward", "nothing"),
    ],
)
def test_a_cluster_that_is_not_there_is_one_sentence(
    arguments: tuple[str, ...], run: Run, namespace: str
) -> None:
    said = run(*arguments, code=1).stderr
    assert f"There is no DaskCluster {namespace}/nothing" in said


def test_a_cluster_that_cannot_start_says_why_and_stays(
    run: Run, missing_image: str, namespace: str
) -> None:
    failed = run("create", "demo", "--image", missing_image, code=1)
    assert "Error: " in failed.stderr
    assert missing_image in failed.stderr
    assert f"`dask-k8s delete demo -n {namespace}` removes it" in failed.stderr
    wait_for_lines(lambda: run("list"), f"{namespace}  demo  failing")
    assert "demo is gone" in run("delete", "demo", "--yes").stdout


def test_the_doctor_makes_a_cluster_reaches_it_and_is_content(run: Run) -> None:
    said = json.loads(run("doctor", "-o", "json").stdout)
    outcomes = {found["check"]: found["outcome"] for found in said["findings"]}
    # Whoever has the user's role alone does not see whether an operator leads.
    needed = ("connection", "version", "permissions", "cluster", "name resolution", "image")
    assert {outcomes[check] for check in (*needed, "dashboard")} == {"ok"}
    assert said["ok"]


def test_a_namespace_that_is_not_there_is_named(run: Run) -> None:
    assert "no-such-namespace" in run("create", "demo", "-n", "no-such-namespace", code=1).stderr


def test_what_gen_writes_is_accepted(
    run: Run, kubectl: Callable[..., str], environment: dict[str, str]
) -> None:
    written = [
        run("gen", "cluster", "--name", "demo", "-e", "A=b=c", *SMALL).stdout,
        run("gen", "worker", "--cluster", "demo", "--name", "big", *SMALL).stdout,
        run("gen", "job", "--name", "nightly", "--n-workers", "0", "--", "python", "x.py").stdout,
    ]
    for manifest in written:
        kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=manifest)
    # The same through Dask's own command.
    theirs = subprocess.run(
        [DASK, "kubernetes", "gen", "cluster", "--name", "demo", "-e", "A=b=c", *SMALL],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert theirs.stdout == written[0]


def test_a_scheduler_is_reached_named_followed_and_forwarded(
    run: Run, environment: dict[str, str], namespace: str
) -> None:
    run("create", "demo", "--n-workers", "0")
    assert "has no worker group 'gpu'" in run("scale", "demo", "1", "-g", "gpu", code=1).stderr
    _check_completion(environment)
    _check_forwarding(environment)
    following = _start([DASK_K8S, "logs", "demo", "--follow"], environment)
    try:
        assert following.stdout is not None
        assert following.stdout.readline()
        run("delete", "demo", "--yes")
        # The stream ends with the scheduler.
        assert following.wait(PATIENCE_S) is not None
    finally:
        following.kill()
        following.communicate()


def _check_completion(environment: dict[str, str]) -> None:
    asked = {
        "_DASK_K8S_COMPLETE": "bash_complete",
        "COMP_WORDS": "dask-k8s scale de",
        "COMP_CWORD": "2",
    }
    completing = _start([DASK_K8S], {**environment, **asked})
    assert completing.communicate(timeout=PATIENCE_S)[0].split() == ["plain,demo"]


def _check_forwarding(environment: dict[str, str]) -> None:
    forwarding = _start(
        [DASK, "kubernetes", "port-forward", "demo"], {**environment, "PYTHONWARNINGS": "ignore"}
    )
    try:
        assert forwarding.stdout is not None
        scheduler, dashboard = (forwarding.stdout.readline() for _ in range(2))
        assert re.fullmatch(r"Scheduler at: tcp://127\.0\.0\.1:\d+\n", scheduler)
        address = dashboard.removeprefix("Dashboard at: ").strip()
        with urllib.request.urlopen(address, timeout=90) as page:  # noqa: S310  it is http
            assert page.status == 200
        forwarding.send_signal(signal.SIGINT)
        assert forwarding.wait(90) == 0
    finally:
        forwarding.kill()
        forwarding.communicate()


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_without_a_kubeconfig_every_command_says_what_to_do(
    run: Run, environment: dict[str, Any], tmp_path: Path
) -> None:
    environment["KUBECONFIG"] = str(tmp_path / "nothing")
    for command in (["list"], ["create", "demo"], ["operator", "status"]):
        said = run(*command, code=1).stderr
        assert str(tmp_path / "nothing") in said
        assert "dask-k8s up" in said
