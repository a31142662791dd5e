"""The integration tests know a Kubernetes only as a kubeconfig and the name of an image with Dask.

``--kube=local`` starts the embedded one; ``--kube=current`` takes what KUBECONFIG points at, with
the image that DASK_TEST_IMAGE names, and installs the operator there from its own manifests.
``--kube=inside`` is how test_all_from_inside.py calls them in a Pod.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from company import in_company
from dask import config as dask_config
from dask_resources import Dask
from roles import build_binding, may_list_pods

from dask_k8s_operator.kube import KubeClient
from dask_k8s_operator.kube.errors import NotFoundError
from dask_k8s_operator.resources.crds import build_crds
from dask_k8s_operator.resources.kinds import LEASES, NAMESPACES, ROLE_BINDINGS
from dask_k8s_operator.resources.manifests import LEASE_NAME, NAME, build_operator_manifests

MISSING_IMAGE = "registry.invalid/no-such-image:1"
OPERATOR_NAMESPACE = "dask-operator"


def _kubectl_at(
    kubeconfig: Path, *arguments: str, stdin: str | None = None, timeout_s: float = 120
) -> str:
    result = subprocess.run(
        ["kubectl", f"--kubeconfig={kubeconfig}", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    if result.returncode:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {result.stderr}{result.stdout}")
    return result.stdout


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Path of a kubeconfig of an administrator; KUBECONFIG is set to it for the whole run.

    Not so inside: whatever is tested there has the account of its Pod.
    """
    if request.config.getoption("--kube") == "inside":
        yield Path(os.environ["DASK_TEST_ADMINISTRATOR"])
        return
    before = os.environ.get("KUBECONFIG")
    if request.config.getoption("--kube") == "current":
        if not before:
            pytest.exit("--kube=current needs KUBECONFIG", returncode=2)
        yield Path(before)
        return
    from dask_k8s_jupyter.local import LocalKubernetes

    # What fits must not depend on the machine; nobody is held to what he requests.
    options: dict[str, Any] = {"missing_images": {MISSING_IMAGE}, "cpus": 8}
    with LocalKubernetes.in_thread(operator=True, **options) as kube:
        os.environ["KUBECONFIG"] = str(kube.kubeconfig)
        yield kube.kubeconfig
    if before is None:
        del os.environ["KUBECONFIG"]
    else:
        os.environ["KUBECONFIG"] = before


@pytest.fixture(scope="session")
def dask_image(request: pytest.FixtureRequest) -> str:
    """Name of an image that holds this checkout and Dask."""
    kube = request.config.getoption("--kube")
    if kube == "local":
        return "ghcr.io/dask/dask:latest"
    image = os.environ.get("DASK_TEST_IMAGE")
    if not image:
        pytest.exit(f"--kube={kube} needs DASK_TEST_IMAGE, the name of an image with Dask", 2)
    return image


@pytest.fixture(scope="session")
def missing_image() -> str:
    """Name of an image that cannot be pulled."""
    return MISSING_IMAGE


def _deploy_operator(kubeconfig: Path, image: str) -> None:
    """The operator as an administrator installs it: its own manifests, its own ServiceAccount."""
    manifests = [*build_crds(), *build_operator_manifests(OPERATOR_NAMESPACE, image=image)]
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            for container in manifest["spec"]["template"]["spec"]["containers"]:
                container["imagePullPolicy"] = "IfNotPresent"
    text = yaml.safe_dump_all(manifests)
    _kubectl_at(kubeconfig, "apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
    place = f"--namespace={OPERATOR_NAMESPACE}"
    _kubectl_at(kubeconfig, "rollout", "status", place, "--timeout=110s", f"deployment/{NAME}")
    # One of before works on until it has ended: what it made in a test would be its, not ours.
    deadline = time.monotonic() + 120
    while len(_kubectl_at(kubeconfig, "get", "pods", place, "--output=name").split()) > 1:
        if time.monotonic() > deadline:
            raise AssertionError("an operator of before does not end")
        time.sleep(0.5)


@pytest.fixture(scope="session", autouse=True)
def operator(
    request: pytest.FixtureRequest, kubeconfig: Path, dask_image: str, in_api: Callable[..., Any]
) -> None:
    """Make sure that the operator works; the embedded Kubernetes starts its own."""
    if request.config.getoption("--kube") == "current":
        _deploy_operator(kubeconfig, dask_image)
        return
    # Where it takes long to start, whoever makes a cluster meanwhile would take it for silent.
    deadline = time.monotonic() + 120
    while not _is_led(in_api):
        assert time.monotonic() < deadline, "no operator has begun to work"
        time.sleep(0.1)


def _is_led(in_api: Callable[..., Any]) -> bool:
    try:
        lease = in_api("get", LEASES, LEASE_NAME, OPERATOR_NAMESPACE)
    except NotFoundError:
        return False
    return bool(lease["spec"].get("holderIdentity"))


@pytest.fixture(scope="session", autouse=True)
def plain_workers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where the tests' own cores carry the workers, they do without nanny and dashboard.

    That is half of what a worker costs; what the command is by default, a test says itself.
    """
    if request.config.getoption("--kube") != "local":
        yield
        return
    command = "dask worker --no-nanny --no-dashboard"
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DASK_KUBERNETES__WORKER_COMMAND", command)
        with dask_config.set({"kubernetes.worker-command": command}):
            yield


@pytest.fixture(scope="session")
def in_api(kubeconfig: Path) -> Iterator[Callable[..., Any]]:
    """Call a method of one client, in a loop of its own; for fixtures that need no kubectl."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def wait_for(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    client = wait_for(KubeClient.connect(kubeconfig=str(kubeconfig)))
    yield lambda method, *arguments: wait_for(getattr(client, method)(*arguments))
    wait_for(client.close())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(autouse=True)
def company(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """On a Kubernetes that the workers of xdist share, keep apart whoever has to be alone."""
    if request.config.getoption("--kube") != "current":
        yield
        return
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with in_company(folder, alone=request.node.get_closest_marker("alone") is not None):
        yield


@pytest.fixture
def namespace(is_inside: bool, in_api: Callable[..., Any]) -> Iterator[str]:
    """A fresh namespace, deleted with all that is in it when the test ends."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    in_api("create", NAMESPACES, {"metadata": {"name": name}})
    try:
        if is_inside:
            let_insider_in(in_api, name)
        yield name
    finally:
        in_api("delete", NAMESPACES, name)


def let_insider_in(in_api: Callable[..., Any], namespace: str) -> None:
    """Give our Pod's account its role where the test is, and nowhere else."""
    role, home = os.environ["DASK_TEST_ROLE"], os.environ["DASK_TEST_HOME"]
    in_api("create", ROLE_BINDINGS, build_binding("scientist", home, role, "insider"), namespace)
    account, deadline = f"system:serviceaccount:{home}:scientist", time.monotonic() + 60
    while not may_list_pods(in_api, account, namespace):
        assert time.monotonic() < deadline, f"{account} may list no Pods in {namespace} after 60 s"
        time.sleep(0.05)


@pytest.fixture
async def kube_client(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    """A client of the API, as the administrator."""
    async with await KubeClient.connect(kubeconfig=str(kubeconfig)) as client:
        yield client


@pytest.fixture
def is_inside(request: pytest.FixtureRequest) -> bool:
    """Whether this is a Pod, whose account has a role in the test's namespace and nowhere else."""
    return bool(request.config.getoption("--kube") == "inside")


@pytest.fixture
def scheduler_host(is_inside: bool, namespace: str) -> str:
    """How this process reaches the scheduler of the cluster ``demo``: a tunnel, or its Service."""
    return f"demo-scheduler.{namespace}.svc.cluster.local" if is_inside else "127.0.0.1"


@pytest.fixture
def kubectl(kubeconfig: Path, namespace: str) -> Callable[..., str]:
    """The real kubectl in the test's namespace; ``kubectl("get", "pods")`` returns its output."""
    if not shutil.which("kubectl"):
        pytest.fail("kubectl is not installed; `make test` installs it where it can")

    def run(*arguments: str, **options: Any) -> str:
        return _kubectl_at(kubeconfig, f"--namespace={namespace}", *arguments, **options)

    return run


@pytest.fixture
def kubectl_json(kubectl: Callable[..., str]) -> Callable[..., Any]:
    """What ``kubectl … -o json`` says, parsed."""

    def run(*arguments: str) -> Any:
        return json.loads(kubectl(*arguments, "-o", "json"))

    return run


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[Any]]:
    """Wait until a callable (or coroutine function) returns something true, and return that."""

    async def wait(
        predicate: Callable[[], Any], timeout_s: float = 90, what: str | None = None
    ) -> Any:
        deadline = time.monotonic() + timeout_s
        while True:
            began = time.monotonic()
            value = predicate()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return value
            ended = time.monotonic()
            if ended > deadline:
                raise AssertionError(
                    f"not within {timeout_s} s: {what or predicate}; last {value!r}"
                )
            # A program that is started only to ask takes the processors from what is waited for.
            await asyncio.sleep(max(0.1, 2 * (ended - began)))

    return wait


def _build_inside(
    namespace: str, image: str, script: str, role: str | list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Build a Pod that runs a script, its account, and what that account may do."""
    rbac = "rbac.authorization.k8s.io"
    account = {"name": "scientist", "namespace": namespace}
    kind, name = ("ClusterRole", role) if isinstance(role, str) else ("Role", "scientist")
    own_role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": account, "rules": role}
    container = {
        "name": "notebook",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", script],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account},
        *([] if isinstance(role, str) else [own_role]),
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": account,
            "roleRef": {"apiGroup": rbac, "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", **account}],
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "notebook", "namespace": namespace},
            "spec": {
                "serviceAccountName": "scientist",
                "restartPolicy": "Never",
                "containers": [container],
            },
        },
    ]


@pytest.fixture
def run_inside(
    kubectl: Callable[..., str],
    kubectl_json: Callable[..., Any],
    namespace: str,
    dask_image: str,
    wait_until: Callable[..., Awaitable[Any]],
) -> Callable[[str, Any], Awaitable[str]]:
    """Run a script in a Pod ``notebook`` whose account has a ClusterRole, or rules; gives its log.

    The script fails the test unless it ends well.
    """

    async def run(script: str, role: str | list[dict[str, Any]]) -> str:
        manifests = _build_inside(namespace, dask_image, script, role)
        kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))

        def phase() -> str:
            found = kubectl_json("get", "pod", "notebook")["status"].get("phase", "")
            return found if found in ("Succeeded", "Failed") else ""

        ended = await wait_until(phase, 240, "the script's end")
        log = kubectl("logs", "notebook")
        assert ended == "Succeeded", log
        return log

    return run


@pytest.fixture
def dask(
    kube_client: KubeClient,
    namespace: str,
    dask_image: str,
    wait_until: Callable[..., Awaitable[Any]],
) -> Dask:
    """Dask resources in the test's namespace."""
    return Dask(kube_client, namespace, dask_image, wait_until)
