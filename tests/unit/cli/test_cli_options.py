"""What is typed becomes resources, or is refused with the name of what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from dask_k8s_jupyter.cli import COMMANDS, main
from dask_k8s_jupyter.cli.options import parse_env, parse_resources


def invoke(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


def generate(*arguments: str) -> dict[str, Any]:
    result = invoke("gen", *arguments)
    assert result.exit_code == 0, result.output
    manifest: dict[str, Any] = yaml.safe_load(result.stdout)
    return manifest


@pytest.mark.parametrize(
    ("items", "env"),
    [
        ([], {}),
        (["A=b"], {"A": "b"}),
        (["A=b=c"], {"A": "b=c"}),
        (["A==", "B="], {"A": "=", "B": ""}),
        (["URL=postgres://u:p@h/db?a=b&c=d"], {"URL": "postgres://u:p@h/db?a=b&c=d"}),
        (["A=1", "A=2"], {"A": "2"}),
    ],
)
def test_a_variable_keeps_every_equals_sign_after_the_first(
    items: list[str], env: dict[str, str]
) -> None:
    assert parse_env(items) == env


@pytest.mark.parametrize("item", ["", "A", "=b", " =b"])
def test_a_variable_without_a_name_or_a_value_is_refused(item: str) -> None:
    with pytest.raises(ValueError, match="NAME=VALUE"):
        parse_env([item])


@pytest.mark.parametrize("text", ["", "{", "[]", "2", '"cpu"'])
def test_resources_have_to_be_a_json_object(text: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        parse_resources(text)


def test_a_generated_cluster_has_what_was_asked_for() -> None:
    cluster = generate(
        "cluster",
        *("--name", "demo", "--image", "acme/dask:7", "--n-workers", "4", "-e", "A=b=c"),
        *("--cpu", "2", "--memory", "4Gi", "--worker-command", "dask cuda worker"),
        *("--scheduler-service-type", "LoadBalancer", "--idle-timeout", "60", "--jupyter"),
    )
    spec = cluster["spec"]
    worker = spec["worker"]["spec"]["containers"][0]
    scheduler = spec["scheduler"]["spec"]["containers"][0]
    assert (cluster["kind"], cluster["metadata"]["name"]) == ("DaskCluster", "demo")
    assert spec["worker"]["replicas"] == 4
    assert spec["idleTimeout"] == 60
    assert spec["scheduler"]["service"]["type"] == "LoadBalancer"
    assert worker["args"][:3] == ["dask", "cuda", "worker"]
    assert worker["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}
    assert worker["env"] == scheduler["env"] == [{"name": "A", "value": "b=c"}]
    assert worker["image"] == scheduler["image"] == "acme/dask:7"
    assert "--jupyter" in scheduler["args"]
    # --cpu and --memory are a worker's.
    assert not scheduler["resources"]


def test_resources_in_json_are_the_scheduler_s_too() -> None:
    resources = {"limits": {"memory": "4Gi"}}
    spec = generate("cluster", "--name", "demo", "--resources", json.dumps(resources))["spec"]
    for role in ("worker", "scheduler"):
        assert spec[role]["spec"]["containers"][0]["resources"] == resources


def test_a_generated_group_belongs_to_its_cluster() -> None:
    group = generate("worker", "--cluster", "demo", "--name", "gpu", "--n-workers", "1")
    assert group["kind"] == "DaskWorkerGroup"
    assert group["metadata"]["name"] == "demo-gpu"
    assert group["spec"]["cluster"] == "demo"
    assert group["spec"]["worker"]["replicas"] == 1


def test_a_generated_job_runs_the_command_with_its_own_options() -> None:
    job = generate("job", "--name", "nightly", "-e", "A=1", "--", "python", "x.py", "--fast")
    runner = job["spec"]["job"]["spec"]["containers"][0]
    assert job["kind"] == "DaskJob"
    assert runner["args"] == ["python", "x.py", "--fast"]
    assert runner["env"] == [{"name": "A", "value": "1"}]
    selector = job["spec"]["cluster"]["spec"]["scheduler"]["service"]["selector"]
    assert selector["dask.org/cluster-name"] == "nightly"


def test_json_and_yaml_are_the_same() -> None:
    written = invoke("gen", "cluster", "--name", "demo", "-o", "json").stdout
    assert json.loads(written) == generate("cluster", "--name", "demo")


def test_yaml_has_no_aliases_that_a_reader_would_have_to_follow() -> None:
    written = invoke("gen", "cluster", "--name", "demo", "-e", "A=1", "--cpu", "1").stdout
    assert "&id" not in written
    assert "*id" not in written


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gen", "cluster"], 2, "--name"),
        (["gen", "cluster", "--name", "My"], 1, "'My' is not a valid name"),
        (["gen", "cluster", "--name", "x" * 54], 1, "at most 53"),
        (["gen", "cluster", "--name", "x", "--cpu", "much"], 1, "'much'"),
        (["gen", "cluster", "--name", "x", "--n-workers", "-1"], 2, "--n-workers"),
        (["gen", "cluster", "--name", "x", "-e", "A"], 2, "'A' is not NAME=VALUE"),
        (["gen", "cluster", "--name", "x", "--resources", "lots"], 2, "is not JSON"),
        (["gen", "cluster", "--name", "x", "--resources", '{"limit": {}}'], 1, "'limit'"),
        (
            ["gen", "cluster", "--name", "x", "--resources", "{}", "--cpu", "1"],
            1,
            "give that, or --cpu and --memory",
        ),
        (["gen", "cluster", "--name", "x", "--scheduler-service-type", "Ingress"], 2, "ClusterIP"),
        (["gen", "worker", "--cluster", "demo", "--name", "x" * 60], 1, "--name"),
        (["gen", "job", "--name", "x"], 2, "COMMAND"),
        (["gen", "nothing"], 2, "No such command"),
        (["create", "My"], 1, "'My' is not a valid name"),
        (["create", "x", "--adapt", "4", "1"], 2, "the minimum 4 is above the maximum 1"),
        (["scale", "x", "-1"], 2, "-1"),
        (["scale", "x", "many"], 2, "'many'"),
        (["adapt", "x", "--minimum", "4", "--maximum", "1"], 2, "--minimum 4 is above"),
        (["adapt", "x"], 2, "--maximum"),
        (["list", "-o", "xml"], 2, "xml"),
        (["list", "-n", "a", "-A"], 2, "not both"),
        (["delete"], 2, "NAMES"),
        (["completion", "tcsh"], 2, "tcsh"),
    ],
)
def test_bad_input_is_one_sentence_and_no_traceback(
    arguments: list[str], code: int, said: str
) -> None:
    result = invoke(*arguments)
    assert result.exit_code == code, result.output
    assert said in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0, result.output
    assert COMMANDS[name][1]


def find_imported(statement: str, *modules: str) -> str:
    """Which of some modules a fresh interpreter has imported after a statement."""
    program = f"import sys; {statement}; print([m for m in {modules!r} if m in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()[-1]


def test_help_is_quick_as_it_imports_nothing_that_is_slow() -> None:
    shown = "from dask_k8s_jupyter.cli import main; main(['--help'], standalone_mode=False)"
    assert find_imported(shown, "distributed", "dask", "aiohttp", "yaml", "rich") == "[]"


def test_no_command_imports_distributed_before_it_needs_it() -> None:
    modules = {home.partition(":")[0] for home, _ in COMMANDS.values()}
    # up brings JupyterLab with the embedded Kubernetes, and has other worries.
    modules.discard("dask_k8s_jupyter.cli.up")
    statement = f"import {', '.join(sorted(modules))}"
    assert find_imported(statement, "distributed", "kubernetes_asyncio") == "[]"


@pytest.mark.parametrize(
    ("typed", "incomplete", "found"),
    [
        ([], "po", ["port-forward"]),
        ([], "de", ["delete"]),
        (["gen"], "", ["cluster", "job", "worker"]),
        (["completion"], "z", ["zsh"]),
        (["list"], "--out", ["--output"]),
        (["list", "--output"], "y", ["yaml"]),
        ([], "--ver", ["--version"]),
    ],
)
def test_shells_complete_commands_and_options(
    typed: list[str], incomplete: str, found: list[str]
) -> None:
    completes = ShellComplete(main, {}, "dask-k8s", "_DASK_K8S_COMPLETE")
    assert [item.value for item in completes.get_completions(typed, incomplete)] == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_a_shell_needs_is_printed(shell: str) -> None:
    result = invoke("completion", shell)
    assert result.exit_code == 0, result.output
    assert "_DASK_K8S_COMPLETE" in result.stdout
