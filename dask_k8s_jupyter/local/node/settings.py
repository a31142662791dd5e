"""What a node is told about itself, and the environment that it gives to Pods."""

from __future__ import annotations

import os
import shutil
import site
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..processes import CLUSTER_MARK, POD_MARK

SITE_FOLDER = Path(__file__).parent / "pod_site"
# What a process needs of its surroundings to run the node's own Python environment.
_PASSED_ON = (
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "TZ",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
# distributed 2026.6 dropped these commands; manifests go on using them.
_OLD_COMMANDS = {"dask-scheduler": "scheduler", "dask-worker": "worker"}


@dataclass(frozen=True)
class NodeSettings:
    """One node.

    Parameters
    ----------
    name, address
        Of the node.
    folder
        For the files of its Pods.
    mark
        What every process of the cluster carries in its environment.
    api_url, authority
        Where Pods find the API, and the PEM of the authority that they trust.
    pod_addresses
        The first address for Pods and how many there are.
    capacity
        Room for requests: ``cpu``, ``memory`` in bytes, ``pods``.
    missing_images
        Images that cannot be pulled.
    restart_backoff_s
        First pause of a container that keeps ending; doubles up to five minutes.
    """

    name: str
    address: str
    folder: Path
    mark: str
    api_url: str
    authority: bytes
    pod_addresses: tuple[str, int]
    capacity: Mapping[str, float]
    missing_images: frozenset[str] = frozenset()
    restart_backoff_s: float = 10.0
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def services_file(self) -> Path:
        """File of Service names and addresses."""
        return self.folder / "services"

    @property
    def shim_folder(self) -> Path:
        """Commands that the environment lacks and Pods may call."""
        return self.folder / "bin"

    @property
    def search_path(self) -> str:
        """PATH of Pods."""
        system = os.environ.get("PATH", os.defpath)
        return os.pathsep.join([str(Path(sys.executable).parent), system, str(self.shim_folder)])


def write_shims(settings: NodeSettings) -> None:
    """Keep the old names of Dask's commands alive where the environment lacks them."""
    settings.shim_folder.mkdir(mode=0o700, exist_ok=True)
    for name, subcommand in _OLD_COMMANDS.items():
        if shutil.which(name, path=settings.search_path):
            continue
        shim = settings.shim_folder / name
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dask {subcommand} "$@"\n')
        shim.chmod(stat.S_IRWXU)


def join_python_path(*parts: str | None) -> str:
    """Join parts of PYTHONPATH, leaving out the empty ones."""
    return os.pathsep.join(part for part in parts if part)


def build_service_variables(services_file: Path, mark: str, namespace: str = "") -> dict[str, str]:
    """Variables with which a process of the host reaches Services by name."""
    return {
        CLUSTER_MARK: mark,
        "DASK_K8S_LOCAL_SERVICES": str(services_file),
        "DASK_K8S_LOCAL_NAMESPACE": namespace,
        "PYTHONPATH": join_python_path(str(SITE_FOLDER), os.environ.get("PYTHONPATH")),
    }


def build_pod_variables(
    settings: NodeSettings, namespace: str, pod_uid: str, pod_ip: str, folder: Path
) -> dict[str, str]:
    """Variables that every process of a Pod gets before those of its container."""
    host, _, port = settings.api_url.removeprefix("https://").partition(":")
    variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    variables |= build_service_variables(settings.services_file, settings.mark, namespace)
    return variables | {
        POD_MARK: pod_uid,
        "DASK_K8S_LOCAL_POD_IP": pod_ip,
        "PATH": settings.search_path,
        "HOME": str(folder),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONUSERBASE": site.getuserbase(),
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": port,
    }
