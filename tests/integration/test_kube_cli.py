"""``dask-k8s list`` and ``dask-k8s doctor``, on a healthy Kubernetes and without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from dask_k8s_jupyter.cli import main

CLUSTER = """
apiVersion: kubernetes.dask.org/v1
kind: DaskCluster
metadata: {name: demo}
spec:
  worker: {replicas: 0, spec: {containers: [{name: worker, image: IMAGE}]}}
  scheduler: {spec: {containers: [{name: scheduler, image: IMAGE}]}, service: {}}
"""


def test_list_shows_clusters_however_they_were_made(
    kubeconfig: Path, namespace: str, kubectl: Callable[..., str], missing_image: str
) -> None:
    kubectl("apply", "-f", "-", stdin=CLUSTER.replace("IMAGE", missing_image))
    result = CliRunner().invoke(main, ["list", "-n", namespace, "-o", "json"])
    assert result.exit_code == 0, result.output
    assert [cluster["name"] for cluster in json.loads(result.output)] == ["demo"]
    result = CliRunner().invoke(main, ["list", "--all-namespaces"])
    assert "demo" in result.output


def test_doctor_finds_nothing_wrong_where_nothing_is(kubeconfig: Path, namespace: str) -> None:
    result = CliRunner().invoke(main, ["doctor", "-n", namespace])
    assert result.exit_code == 0, result.output
    assert "✗" not in result.output
    assert f"You may create and use clusters in namespace {namespace}" in result.output


@pytest.mark.parametrize("command", ["list", "doctor"])
def test_without_a_kubeconfig_both_say_what_to_do(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    result = CliRunner().invoke(main, [command])
    assert result.exit_code == 1
    assert "dask-k8s up" in result.output
