"""Cleans up behind an embedded cluster that was killed.

Runs as a process of its own. It reads its standard input, which ends when the cluster's process
ends, however that happens; then it ends every process with the cluster's mark and removes its
folder and the links that lead into it, as far as they can be. After a clean stop there is nothing
left for it to do. Standard library only.

    python -I -S guard.py MARK FOLDER
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
from importlib import import_module
from pathlib import Path

_LOG = logging.getLogger(__name__)


def main(mark: str, folder: str) -> None:
    """Wait for the end of the input, then clean up."""
    # A Ctrl-C goes to every process of the terminal; the guard ends last.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    # Started with -I, which leaves this folder off the path, as it is meant to.
    sys.path.insert(0, str(Path(__file__).parent))
    processes = import_module("processes")
    processes.end_marked(processes.CLUSTER_MARK, mark, grace_s=1.0)
    remove_links(folder)
    shutil.rmtree(folder, ignore_errors=True)


def remove_links(folder: str) -> None:
    """Remove the links that a cluster made for volumes of its Pods, where they are its own.

    What cannot be removed is logged and left: it must not keep anybody from the rest, least of all
    from removing the folder with its tokens.
    """
    register = Path(folder) / "node" / "links"
    try:
        # Names of files are bytes: what they mean is nobody's business here.
        paths = os.fsdecode(register.read_bytes()).splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        _LOG.warning("links of %s are left, their register cannot be read: %s", folder, error)
        return
    for path in paths:
        _remove_link(Path(path), folder)


def _remove_link(link: Path, folder: str) -> None:
    try:
        if link.is_symlink() and str(link.readlink()).startswith(f"{folder}/"):
            link.unlink()
    except (OSError, ValueError) as error:
        _LOG.warning("the link %s of an ended cluster is left: %s", link, error)


if __name__ == "__main__":
    main(*sys.argv[1:])
