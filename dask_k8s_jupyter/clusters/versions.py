"""Tells when this process and a cluster run different versions of Dask or Python.

Guarantees one warning a cluster, with both numbers and what to change, and one question a worker
group: workers of a group share an image. What distributed's own client would say of just these
differences is silenced from then on. Refuses to warn of what distributed itself only mentions, such
as the last digit of Python's version, unless beside something that matters.
"""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import distributed.versions
from distributed.versions import get_versions

from dask_k8s_jupyter.errors import VersionMismatchWarning

Packages = Mapping[str, str | None]

SCHEDULER = "the scheduler"
_COMPARED = ("dask", "distributed")


@dataclass(frozen=True)
class Difference:
    """A package of which a part of the cluster has another version.

    Parameters
    ----------
    package
        Its name; Python is the package "python".
    here, there
        Its version in this process and in that part; None where it is not installed.
    role
        What that part is called.
    """

    package: str
    here: str | None
    there: str | None
    role: str

    @property
    def matters(self) -> bool:
        """Whether tasks may fail on it."""
        if not self.here or not self.there:
            return False
        if self.package == "python":
            return _minor(self.here) != _minor(self.there)
        return self.package in _COMPARED

    def __str__(self) -> str:
        here, there = self.here or "none", self.there or "none"
        if self.package == "python":
            digits = 2 if self.matters else 3
            return f"Python {_shorten(here, digits)} here, {_shorten(there, digits)} in {self.role}"
        return f"{self.package} {here} here, {there} in {self.role}"


def find_differences(ours: Packages, theirs: Mapping[str, Packages]) -> list[Difference]:
    """Find what differs between this process and the parts of a cluster.

    Examples
    --------
    >>> [str(each) for each in find_differences({"dask": "2"}, {"the scheduler": {"dask": "1"}})]
    ['dask 2 here, 1 in the scheduler']
    """
    order = [*("python", *_COMPARED), *sorted(set(ours) - {"python", *_COMPARED})]
    found: list[Difference] = []
    for package in order:
        here = ours.get(package)
        for role, packages in theirs.items():
            # A release that does not look for a package says nothing of it.
            if package in packages and here != packages[package]:
                found.append(Difference(package, here, packages[package], role))
    return found


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
    differences = find_differences(ours, theirs)
    serious = [str(each) for each in differences if each.matters]
    if not serious:
        return None
    others = [str(each) for each in differences if not each.matters]
    beside = f" (beside it: {'; '.join(others)})" if others else ""
    return f"{'; '.join(serious)}{beside}. {_advise(ours, theirs.values())}"


def silence_distributed(differences: Iterable[Difference]) -> None:
    """Let distributed's client not say again what was said of these differences.

    Its warning names no cluster but has a table of versions: what is silenced is a table in which
    every row is one of these packages, in these versions alone.
    """
    versions: dict[str, set[str]] = {}
    for each in differences:
        versions.setdefault(each.package, set()).update((str(each.here), str(each.there)))
    rows = [_match_row(package, sorted(those)) for package, those in versions.items()]
    lines = "|".join((r"\+[-+]+\+", r"\| Package [^\n]*", *rows))
    warnings.filterwarnings(
        "ignore",
        message=rf"Mismatched versions found\n\n(?:(?:{lines})(?:\n|\Z))+(?:Notes:[\s\S]*)?\Z",
        category=distributed.versions.VersionMismatchWarning,
    )


def _match_row(package: str, versions: list[str]) -> str:
    """Match a row of distributed's table: here, in the scheduler, in the workers."""
    one = "|".join(map(re.escape, versions))
    several = rf"\{{(?:'?(?:{one})'?(?:, )?)+\}}"
    no_workers = "None"
    return (
        rf"\| {re.escape(package)} +\| (?:{one}) +\| (?:{one}) +"
        rf"\| (?:{one}|{several}|{no_workers}) +\|"
    )


def _advise(ours: Packages, theirs: Iterable[Packages]) -> str:
    python, dask = _minor(ours.get("python") or ""), ours.get("dask")
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


def _minor(version: str) -> str:
    """Python's version as far as it has to agree: pickles agree within 3.x."""
    return _shorten(version, 2)


def _shorten(version: str, digits: int) -> str:
    return ".".join(version.split(".")[:digits])


class VersionCheck:
    """Compares this process with a cluster, each part once.

    Parameters
    ----------
    cluster
        What it is called: ``namespace/name``.
    say
        Told what differs in one line, for the display; the warning says what to change as well.

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
        ours = get_versions()["packages"]
        mismatch = describe_mismatch(ours, theirs)
        if mismatch and not self._has_warned:
            self._has_warned = True
            differences = find_differences(ours, theirs)
            silence_distributed(differences)
            self._say(f"Versions differ: {'; '.join(str(d) for d in differences if d.matters)}")
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
