"""Tells when this process and a cluster run different versions of Dask or Python.

Guarantees one warning a cluster, with both numbers and what to change, and one question a worker
group: workers of a group share an image. Refuses to judge what distributed itself only mentions,
such as the last digit of Python's version.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from distributed.versions import get_versions

from dask_k8s_jupyter.errors import VersionMismatchWarning

Packages = Mapping[str, str | None]

SCHEDULER = "the scheduler"
_COMPARED = ("dask", "distributed")


def describe_mismatch(ours: Packages, theirs: Mapping[str, Packages]) -> str | None:
    """Say what differs, and what to change; None when nothing that matters does.

    Parameters
    ----------
    ours
        Versions of this process, by package; Python is the package "python".
    theirs
        Versions of each part of the cluster, by what it is called.

    Examples
    --------
    >>> here = {"python": "3.11.7.final.0", "dask": "2026.8.0", "distributed": "2026.8.0"}
    >>> describe_mismatch(here, {"the scheduler": {**here, "python": "3.11.9.final.0"}}) is None
    True
    """
    differences: list[str] = []
    for package in ("python", *_COMPARED):
        here = _shorten(package, ours.get(package))
        for role, packages in theirs.items():
            there = _shorten(package, packages.get(package))
            if here and there and here != there:
                called = package.capitalize() if package == "python" else package
                differences.append(f"{called} {here} here, {there} in {role}")
    if not differences:
        return None
    return f"{'; '.join(differences)}. {_advise(ours, theirs.values())}"


def _advise(ours: Packages, theirs: Iterable[Packages]) -> str:
    python, dask = _shorten("python", ours.get("python")), ours.get("dask")
    image = f'image="ghcr.io/dask/dask:{dask}-py{python}"'
    advice = f"Tasks may fail on it: use an image with the versions of here, such as {image}"
    for packages in theirs:
        wanted = [
            f"{name}=={packages[name]}"
            for name in _COMPARED
            if packages.get(name) and packages[name] != ours.get(name)
        ]
        if wanted:
            return f"{advice}, or change here: `pip install {' '.join(wanted)}`"
    return advice


def _shorten(package: str, version: str | None) -> str | None:
    """A version as far as it has to agree: Python's pickles agree within 3.x."""
    if version is None or package != "python":
        return version
    return ".".join(version.split(".")[:2])


class VersionCheck:
    """Compares this process with a cluster, each part once.

    Parameters
    ----------
    cluster
        What it is called: ``namespace/name``.
    say
        Told what differs, for the display.

    Examples
    --------
    >>> async def check(scheduler, workers):
    ...     await VersionCheck("default/demo", print).check(scheduler, workers)
    """

    def __init__(self, cluster: str, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._say = say
        self._asked: set[str] = set()
        self._has_warned = False
        self._task: asyncio.Task[None] | None = None

    async def check(self, scheduler: Any, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """Ask the parts that were not asked before, and warn once when they differ.

        Parameters
        ----------
        scheduler
            ``distributed.core.rpc`` of the scheduler.
        workers
            What it says of its workers, by address.
        """
        unasked = self._take_unasked(workers)
        try:
            theirs = await _observe(scheduler, unasked, ask_scheduler=SCHEDULER not in self._asked)
        except OSError:  # gone meanwhile: whoever uses the cluster hears of that
            return
        self._asked.add(SCHEDULER)
        mismatch = describe_mismatch(get_versions()["packages"], theirs)
        if mismatch and not self._has_warned:
            self._has_warned = True
            self._say(mismatch)
            warnings.warn(
                f"DaskCluster {self._cluster}: {mismatch}", VersionMismatchWarning, stacklevel=2
            )

    def follow(self, scheduler: Any, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """Check workers that joined later, beside everything else."""
        is_news = any(_group_of(info) not in self._asked for info in workers.values())
        if is_news and not self._has_warned and (self._task is None or self._task.done()):
            self._task = asyncio.ensure_future(self.check(scheduler, dict(workers)))

    async def close(self) -> None:
        """Stop asking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _take_unasked(self, workers: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """One worker of each group that was not asked yet: group by address."""
        unasked: dict[str, str] = {}
        for address, info in workers.items():
            group = _group_of(info)
            if group not in self._asked:
                self._asked.add(group)
                unasked[address] = group
        return unasked


async def _observe(
    scheduler: Any, groups: Mapping[str, str], *, ask_scheduler: bool
) -> dict[str, Packages]:
    """Versions by what each part is called."""
    theirs: dict[str, Packages] = {}
    if ask_scheduler:
        theirs[SCHEDULER] = (await scheduler.versions(packages=[]))["packages"]
    if groups:
        message = {"op": "versions", "packages": []}
        told = await scheduler.broadcast(msg=message, workers=list(groups))
        for address, versions in told.items():
            theirs[f"the workers of {groups[address]}"] = versions["packages"]
    return theirs


def _group_of(worker: Mapping[str, Any]) -> str:
    name = str(worker.get("name", ""))
    return name.rpartition("-worker-")[0] or name
