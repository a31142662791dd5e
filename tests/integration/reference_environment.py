"""Environments with packages that ours is compared with, built once and kept in a folder.

Guarantees that a folder that is there is whole, for it is built under another name and renamed at
the end, and that what is wanted otherwise has another folder. Refuses to upgrade: what is wanted
names its versions, and a folder that is there needs no network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dask-k8s-tests"
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))


def name_folder(title: str, wanted: Sequence[str]) -> str:
    """A title, and a hash of the requirements and of the Python that they are installed for."""
    asked = "\n".join([sys.version, *wanted])
    return f"{title}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"


def provide_environment(title: str, wanted: Sequence[str], cache: Path = CACHE) -> Path:
    """The Python of an environment with what is wanted, built where there is none yet.

    Raises
    ------
    OSError
        When there is no uv, or no room.
    subprocess.SubprocessError
        When something cannot be installed, or not in time; ``stderr`` says what.
    """
    folder = cache / name_folder(title, wanted)
    python = folder / "bin" / "python"
    if python.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)  # its Python is gone
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".building-") as building:
        made = Path(building) / "environment"
        _install(made, wanted)
        try:
            made.rename(folder)
        except OSError:
            if not python.exists():  # nobody else was faster
                raise
    return python


def _install(folder: Path, wanted: Sequence[str]) -> None:
    install = [UV, "pip", "install", "--quiet", "--compile-bytecode"]
    for command in (
        [UV, "venv", "--quiet", "--python", sys.executable, folder],
        [*install, "--python", folder / "bin" / "python", *wanted],
    ):
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=240)
