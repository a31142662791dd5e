"""The managers' own tests, told once more by a Pod inside, whose account has the user's role alone.

What prepares and looks after a test (namespaces, kubectl) has an administrator's kubeconfig there.
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from roles import build_binding

from dask_k8s_operator.resources.kinds import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    PODS,
    SERVICE_ACCOUNTS,
)

ROOT = Path(__file__).parents[2]
PATIENCE_S = 900
# Half of what a worker costs by default, which the tests outside say themselves.
PLAIN_WORKER = "dask worker --no-nanny --no-dashboard"
NEEDED = ("pyproject.toml", "tests/conftest.py", "tests/integration", "tests/inputs")
# What docs/moving-over.md and docs/from-classic.md say that an account needs, and a look at
# Secrets, which say what a release of another chart is. The others have the user's role.
READ_ALL = ["get", "list", "watch"]
HELM = [
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["list"]},
    {"apiGroups": ["apps"], "resources": ["deployments/scale"], "verbs": ["patch"]},
    {"apiGroups": [""], "resources": ["services", "secrets"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch", "patch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]
CLASSIC = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": [*READ_ALL, "create", "delete"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
]
STORIES = {
    "test_kubecluster_story.py": None,
    "test_kubecluster_failures.py": None,
    "test_kubecluster_steering.py": None,
    "test_kubecluster_promises.py": None,
    "test_kubecluster_services.py": None,
    "test_kubecluster_encrypted.py": None,
    "test_kubecluster_exits.py": None,
    "test_kubecluster_discovery.py": None,
    "test_kubecluster_traffic.py": None,
    "test_cli_clusters.py": None,
    "test_helm_release.py": HELM,
    "test_classic_story.py": CLASSIC,
    "test_classic_exits.py": CLASSIC,
}
# The API has another address inside, and no file of the administrator's is there. A connection that
# is made just as Dask gives it up is left to the garbage collector: for what a process leaves like
# that, the same tests are told off outside.
UNPACK_AND_TEST = """
cd "$(mktemp -d)" && base64 -d | tar -xz
sed -i "s|https://outside|https://$KUBERNETES_SERVICE_HOST:$KUBERNETES_SERVICE_PORT|" administrator
export DASK_TEST_ADMINISTRATOR="$PWD/administrator"
exec python -m pytest -p no:cacheprovider --kube=inside "tests/integration/$1" \\
    -W ignore::pytest.PytestUnraisableExceptionWarning
"""


def _pack(administrator: str) -> str:
    """Pack the tests and a kubeconfig into the base64 text of a tar file."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path in NEEDED:
            tar.add(ROOT / path, path, filter=lambda each: each if _is_source(each.name) else None)
        entry = tarfile.TarInfo("administrator")
        entry.size = len(administrator.encode())
        tar.addfile(entry, io.BytesIO(administrator.encode()))
    return base64.b64encode(packed.getvalue()).decode()


def _is_source(name: str) -> bool:
    return "__pycache__" not in name


def _build_kubeconfig(kubeconfig: Path, token: str) -> str:
    """Build a kubeconfig that trusts the same API as another one and has a token."""
    trusted = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    cluster = {**trusted, "server": "https://outside"}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "inside",
            "contexts": [{"name": "inside", "context": {"cluster": "inside", "user": "admin"}}],
            "clusters": [{"name": "inside", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": token}}],
        }
    )


@pytest.fixture
def role(in_api: Callable[..., Any], namespace: str, stories: str) -> Iterator[str]:
    """Name of the ClusterRole that the scientist has in the namespace of each test."""
    rules = STORIES[stories]
    if rules is None:
        yield "dask-user"
        return
    name = f"{namespace}-stories"
    in_api("create", CLUSTER_ROLES, {"metadata": {"name": name}, "rules": rules})
    yield name
    in_api("delete", CLUSTER_ROLES, name)


@pytest.fixture
def accounts(in_api: Callable[..., Any], namespace: str) -> Iterator[None]:
    """The ServiceAccounts of a scientist, who may nothing here, and of an administrator."""
    for account in ("scientist", "administrator"):
        in_api("create", SERVICE_ACCOUNTS, {"metadata": {"name": account}}, namespace)
    binding = build_binding("administrator", namespace, "cluster-admin", f"{namespace}-admin")
    in_api("create", CLUSTER_ROLE_BINDINGS, binding)
    yield
    in_api("delete", CLUSTER_ROLE_BINDINGS, f"{namespace}-admin")


@pytest.fixture
def notebook(
    accounts: None,
    role: str,
    in_api: Callable[..., Any],
    kubectl: Callable[..., str],
    namespace: str,
    dask_image: str,
) -> str:
    """Name of a Pod that waits, with the scientist's account and a kubectl."""
    passed_on = {
        "DASK_TEST_IMAGE": dask_image,
        "DASK_TEST_ROLE": role,
        "DASK_TEST_HOME": namespace,
        "DASK_KUBERNETES__WORKER_COMMAND": PLAIN_WORKER,
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    container = {
        "name": "notebook",
        "image": dask_image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "infinity"],
        "env": [{"name": name, "value": value} for name, value in passed_on.items()],
    }
    pod = {
        "metadata": {"name": "notebook"},
        "spec": {
            "serviceAccountName": "scientist",
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }
    in_api("create", PODS, pod, namespace)
    kubectl("wait", "--for=condition=Ready", "pod/notebook", "--timeout=60s")
    has_kubectl = "command -v kubectl || true"
    if not kubectl("exec", "notebook", "--", "sh", "-c", has_kubectl).strip():
        program = os.path.realpath(str(shutil.which("kubectl")))
        kubectl("cp", program, "notebook:/usr/local/bin/kubectl")
    return "notebook"


@pytest.mark.parametrize("stories", STORIES)
def test_a_pod_with_the_users_role_tells_the_same_stories(
    stories: str,
    notebook: str,
    kubectl: Callable[..., str],
    kubeconfig: Path,
) -> None:
    token = kubectl("create", "token", "administrator").strip()
    packed = _pack(_build_kubeconfig(kubeconfig, token))
    command = ("exec", "-i", notebook, "--", "sh", "-euc", UNPACK_AND_TEST, "sh", stories)
    try:
        told = kubectl(*command, stdin=packed, timeout_s=PATIENCE_S)
    except subprocess.TimeoutExpired as late:
        said = b"".join(filter(None, (late.stdout, late.stderr))).decode(errors="replace")
        pytest.fail(f"{stories} takes longer than {PATIENCE_S} s: {said}")
    print(told)
    summary = told.splitlines()[-1]
    assert " passed" in summary and "failed" not in summary
