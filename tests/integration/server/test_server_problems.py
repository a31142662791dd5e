"""Whatever is wrong is said in words, as a Problem: in the context, the stream and the answers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from dask_k8s_jupyter.local import LocalKubernetes
from dask_k8s_operator.resources.crds import build_crds


def kubectl_at(kubeconfig: Path, *arguments: str, stdin: str | None = None) -> str:
    return subprocess.run(
        ["kubectl", f"--kubeconfig={kubeconfig}", *arguments],
        input=stdin,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


async def read_problems(browser: Any, namespace: str) -> list[dict[str, Any]]:
    """The problem as the context tells it, and as the stream does."""
    status, context = await browser.call("GET", f"api/context?namespace={namespace}")
    assert status == 200
    async with browser.stream(namespace) as stream:
        told = await stream.wait(lambda told: told.get("problem"))
    return [context["problem"], told["problem"]]


@pytest.fixture(scope="module")
def bare_kubernetes() -> Iterator[Path]:
    """A Kubernetes of our own where nobody has installed anything."""
    with LocalKubernetes.in_thread(operator=False) as kube:
        yield kube.kubeconfig


async def test_no_kubeconfig(
    start_server: Callable[..., Any], open_browser: Callable[..., Any], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("HOME", str(tmp_path))
    browser = await open_browser(start_server(tmp_path / "missing"))
    for problem in await read_problems(browser, "default"):
        assert problem["code"] == "no-kubeconfig"
        assert "dask-k8s up" in problem["fix"]
    status, content = await browser.call("GET", "api/clusters?namespace=default")
    assert (status, content["problem"]["code"]) == (503, "no-kubeconfig")


async def test_an_api_that_nobody_answers(
    start_server: Callable[..., Any], open_browser: Callable[..., Any], tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    # Port 9 is "discard": nobody listens there.
    build_kubeconfig(kubeconfig, {"server": "https://127.0.0.1:9"}, "x")
    browser = await open_browser(start_server(kubeconfig))
    for problem in await read_problems(browser, "default"):
        assert problem["code"] == "api-unreachable"
        assert "127.0.0.1:9" in problem["message"]


async def test_definitions_that_are_missing_and_an_operator_that_is_silent(
    bare_kubernetes: Path, start_server: Callable[..., Any], open_browser: Callable[..., Any]
) -> None:
    browser = await open_browser(start_server(bare_kubernetes))
    for problem in await read_problems(browser, "default"):
        assert problem["code"] == "crds-missing"
        assert problem["fix"]

    definitions = yaml.safe_dump_all(build_crds())
    kubectl_at(bare_kubernetes, "apply", "--server-side", "-f", "-", stdin=definitions)
    async with browser.stream("default") as stream:
        await stream.wait(lambda told: not told.get("problem"))
        body = {"namespace": "default", "name": "demo", "n_workers": 1}
        status, made = await browser.call("POST", "api/clusters", body)
        assert (status, made["state"]) == (201, "waiting")
        silent = await stream.wait(lambda told: told["type"] == "problem" and told["problem"])
    assert silent["problem"]["code"] == "operator-silent"
    assert "default/demo" in silent["problem"]["message"]
    status, content = await browser.call("GET", "api/clusters?namespace=default")
    assert content["clusters"][0]["reason"] == "No operator has acted on this cluster"
    assert content["problem"]["code"] == "operator-silent"


async def test_a_permission_that_is_missing(
    kubeconfig: Path, namespace: str, kubectl: Callable[..., str], tmp_path: Path,
    start_server: Callable[..., Any], open_browser: Callable[..., Any],
) -> None:  # fmt: skip
    kubectl("create", "serviceaccount", "nobody")
    token = kubectl("create", "token", "nobody").strip()
    build_kubeconfig(tmp_path / "nobody", read_cluster(kubeconfig), token)
    browser = await open_browser(start_server(tmp_path / "nobody"))
    context, streamed = await read_problems(browser, namespace)
    assert context["code"] == streamed["code"] == "forbidden"
    assert "daskclusters" in context["message"]
    assert namespace in context["message"]
    assert "dask-user" in context["fix"]
    body = {"namespace": namespace, "name": "demo", "n_workers": 1}
    status, content = await browser.call("POST", "api/clusters", body)
    assert (status, content["problem"]["code"]) == (403, "forbidden")


async def test_a_name_that_is_taken_and_one_that_is_not_valid(browser: Any, namespace: str) -> None:
    body = {"namespace": namespace, "name": "demo", "n_workers": 0}
    assert (await browser.call("POST", "api/clusters", body))[0] == 201
    status, content = await browser.call("POST", "api/clusters", body)
    assert (status, content["problem"]["code"], content["field"]) == (409, "name-taken", "name")
    status, content = await browser.call("POST", "api/clusters", {**body, "name": "My Cluster"})
    assert (status, content["problem"]["code"], content["field"]) == (400, "invalid", "name")
    assert "lower-case" in content["problem"]["message"]


async def test_a_cluster_that_is_not_there(browser: Any, namespace: str) -> None:
    for method, action, body in (
        ("DELETE", "", None),
        ("PUT", "/scale", {"replicas": 1}),
        ("PUT", "/adapt", {"minimum": 1, "maximum": 2}),
    ):
        path = f"api/clusters/{namespace}/gone{action}"
        status, content = await browser.call(method, path, body)
        assert (status, content["problem"]["code"]) == (404, "not-found")
        assert f"{namespace}/gone" in content["problem"]["message"]


def read_cluster(kubeconfig: Path) -> dict[str, Any]:
    cluster: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    return cluster


def build_kubeconfig(path: Path, cluster: dict[str, Any], token: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": {"token": token}}],
    }
    path.write_text(yaml.safe_dump(config))
