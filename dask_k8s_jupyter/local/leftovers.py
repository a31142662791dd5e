"""The folders of embedded clusters: who owns one, and cleaning up what a crash left behind.

Guarantees to touch only folders of this user whose owner is no longer alive, and only processes
that carry the mark of such a folder. Leaves alone what it cannot judge: in a temporary folder that
hosts or containers share, those of another boot or another PID namespace.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from . import guard, processes

_PREFIX = "dask-k8s-"
_OWNER_FILE = "owner"


def create_folder() -> Path:
    """Create the folder of a cluster, the user's alone; its name is the cluster's mark."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    pid = os.getpid()
    owner = f"{pid} {processes.read_start_time(pid)} {processes.read_pid_scope()}"
    (folder / _OWNER_FILE).write_text(owner)
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
            owner = (folder / _OWNER_FILE).read_text()
        except (OSError, UnicodeDecodeError):
            continue
        if is_ours and is_abandoned(owner, processes.read_pid_scope(), processes.read_start_time):
            found.append(folder)
    return found


def is_abandoned(owner: str, scope: str, read_start_time: Callable[[int], str]) -> bool:
    """Whether a folder's owner has surely died.

    Parameters
    ----------
    owner
        Process, start time and scope, as the owner wrote them.
    scope
        Where the numbers of processes that can be seen from here mean something.
    read_start_time
        Start time of a process by its number; "" when there is none.

    Examples
    --------
    >>> is_abandoned("7 100 here", "here", lambda pid: ""), is_abandoned("7 100 x", "y", str)
    (True, False)
    """
    fields = owner.split(" ")
    if len(fields) != 3 or not fields[0].isdigit() or fields[2] != scope:
        return False
    return read_start_time(int(fields[0])) != fields[1]


def remove_abandoned() -> list[Path]:
    """End the processes of abandoned clusters and remove their folders; returns the folders."""
    found = find_abandoned()
    for folder in found:
        processes.end_marked(processes.CLUSTER_MARK, folder.name, grace_s=1.0)
        guard.remove_links(str(folder))
        shutil.rmtree(folder, ignore_errors=True)
    return found
