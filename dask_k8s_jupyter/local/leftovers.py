"""The folders of embedded clusters: who owns one, and cleaning up what a crash left behind.

Guarantees to touch only folders of this user whose owner is no longer alive, and only processes
that carry the mark of such a folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import guard, processes

_PREFIX = "dask-k8s-"
_OWNER_FILE = "owner"


def create_folder() -> Path:
    """Create the folder of a cluster, the user's alone; its name is the cluster's mark."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    pid = os.getpid()
    (folder / _OWNER_FILE).write_text(f"{pid} {processes.read_start_time(pid)}")
    return folder


def start_guard(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process that cleans up should this one be killed."""
    command = [sys.executable, "-I", "-S", str(Path(guard.__file__)), folder.name, str(folder)]
    environment = {k: v for k, v in os.environ.items() if k != processes.CLUSTER_MARK}
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=environment,
    )


def find_abandoned() -> list[Path]:
    """Folders of clusters whose owner has died without cleaning up."""
    found = []
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            is_ours = folder.is_dir() and folder.stat().st_uid == os.getuid()
            pid, _, started = (folder / _OWNER_FILE).read_text().partition(" ")
        except OSError:
            continue
        if is_ours and pid.isdigit() and processes.read_start_time(int(pid)) != started:
            found.append(folder)
    return found


def remove_abandoned() -> list[Path]:
    """End the processes of abandoned clusters and remove their folders; returns the folders."""
    found = find_abandoned()
    for folder in found:
        processes.end_marked(processes.CLUSTER_MARK, folder.name, grace_s=1.0)
        shutil.rmtree(folder, ignore_errors=True)
    return found
