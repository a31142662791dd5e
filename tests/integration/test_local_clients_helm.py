"""helm installs, upgrades and removes our chart, where helm is to be had."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

CHART = Path(__file__).parents[2] / "operator" / "chart"


@pytest.fixture
def helm(helm_program, kubeconfig, namespace, tmp_path):
    """Run helm in the test's namespace; returns what it prints."""
    folders = {f"HELM_{name}_HOME": str(tmp_path) for name in ("CACHE", "CONFIG", "DATA")}

    def run(*arguments: str) -> str:
        command = [
            helm_program,
            f"--kubeconfig={kubeconfig}",
            f"--namespace={namespace}",
            *arguments,
        ]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=os.environ | folders
        )
        assert ended.returncode == 0, f"helm {' '.join(arguments)}: {ended.stderr}{ended.stdout}"
        return ended.stdout

    return run


def test_the_chart_is_installed_upgraded_and_removed(helm, kubectl_json, namespace):
    # For one namespace, beside the operator that already runs: and with no Pod of its own.
    own = ("--skip-crds", "--set=replicaCount=0", "--set=rbac.cluster=false")
    helm("install", "ours", str(CHART), *own, "--wait", "--timeout=60s")
    release = json.loads(helm("status", "ours", "--output=json"))
    assert release["info"]["status"] == "deployed"
    assert kubectl_json("get", "deployments")["items"]
    assert kubectl_json("get", "secrets", "-l", "owner=helm")["items"]

    helm("upgrade", "ours", str(CHART), *own, "--set=podAnnotations.changed=yes")
    assert json.loads(helm("history", "ours", "--output=json"))[-1]["revision"] == 2
    helm("uninstall", "ours", "--wait", "--timeout=60s")
    assert not kubectl_json(
        "get", "deployments,serviceaccounts", "-l", "app.kubernetes.io/managed-by=Helm"
    )["items"]
