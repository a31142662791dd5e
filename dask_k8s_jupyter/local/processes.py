"""Finds and ends processes by a mark in their environment.

Every process that an embedded cluster starts, and all that those start, carry the cluster's mark,
so that they are found whatever sessions and groups they made. Standard library only: the guard, a
process of its own, runs this file. Linux only; elsewhere nothing is found.

Guarantees to touch only processes of this user with exactly the mark.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

CLUSTER_MARK = "DASK_K8S_LOCAL_CLUSTER"
POD_MARK = "DASK_K8S_LOCAL_POD"

_PROC = Path("/proc")


def find_marked(variable: str, value: str) -> list[int]:
    """Ids of the processes whose environment has ``variable=value``, without the caller's own."""
    wanted = f"{variable}={value}".encode()
    found = []
    for entry in _PROC.iterdir() if _PROC.is_dir() else ():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if entry.stat().st_uid == os.getuid():
                environment = (entry / "environ").read_bytes()
                if wanted in environment.split(b"\0"):
                    found.append(int(entry.name))
        except OSError:
            # It ended meanwhile, or is not ours to read.
            continue
    return found


def signal_marked(variable: str, value: str, number: signal.Signals) -> list[int]:
    """Send a signal to the processes with a mark; returns their ids."""
    found = find_marked(variable, value)
    for pid in found:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    return found


def end_marked(variable: str, value: str, grace_s: float) -> None:
    """End the processes with a mark: politely at first, then surely."""
    deadline = time.monotonic() + grace_s
    signal_marked(variable, value, signal.SIGTERM)
    while time.monotonic() < deadline and find_marked(variable, value):
        time.sleep(0.05)
    # A process that forks while it is looked for is met in the next round.
    for _ in range(20):
        if not signal_marked(variable, value, signal.SIGKILL):
            return
        time.sleep(0.05)


def is_process(pid: int) -> bool:
    """Whether there is a process of this number, of whatever user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def read_pid_scope() -> str:
    """Which boot and PID namespace process numbers belong to; "" where the kernel does not say."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def read_start_time(pid: int) -> str:
    """When a process started, as the kernel counts; "" when there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return ""
    # The second field is a name in parentheses that may hold anything.
    return text.rpartition(")")[2].split()[19]
