"""How a container finds its volumes where nothing can be mounted.

A process of this machine sees this machine's files, so a ``mountPath`` stands for a folder of the
Pod's own, in three ways: in the container's own spec (command, arguments, environment, working
folder) and in commands that are run in it, the path is replaced by the folder; a variable
``DASK_K8S_LOCAL_MOUNT_<PATH>`` names the folder; and where the source is the same for every Pod
that could ask (ConfigMaps, Secrets), a link is made at the path itself, if nothing is there and
this user may. It leads to the newest Pod's files: after an edit of the source all find what it
holds now, as those do, in a while, whose volumes a kubelet keeps up to date.

Guarantees that nothing is ever replaced that is not a link of its own, and that a link goes with
the last Pod that needs it. Refuses to mount over the root.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .environment import expand
from .volumes import KNOWN, find_kind

_LOG = logging.getLogger(__name__)
Object = Mapping[str, Any]
_VARIABLE = "DASK_K8S_LOCAL_MOUNT_"
_SHARED = ("configMap", "secret")


class MountError(Exception):
    """A mount that cannot be had on this node."""


@dataclass(frozen=True)
class Mount:
    """A path that a container knows, and the folder or file that stands for it.

    Parameters
    ----------
    path, target
        The ``mountPath``, and where it really is.
    identity
        What has the same source under the same identity; "" is like no other.
    """

    path: str
    target: Path
    identity: str = ""

    @property
    def variable(self) -> str:
        """Name of the variable that says where it is."""
        return _VARIABLE + re.sub(r"\W+", "_", self.path.strip("/")).upper()


def find_mounts(
    container: Object, pod: Object, folder: Path, variables: Mapping[str, str]
) -> list[Mount]:
    """The mounts of a container, the longest path first.

    Parameters
    ----------
    folder
        Where the Pod's volumes are, each in a folder of its name.
    variables
        For ``subPathExpr``.

    Raises
    ------
    MountError
        Saying what of it cannot be had.
    """
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    mounts = [
        _find_mount(mount, volumes[mount["name"]], pod, folder, variables)
        for mount in container.get("volumeMounts") or ()
    ]
    return sorted(mounts, key=lambda mount: -len(mount.path))


def _find_mount(
    mount: Object, volume: Object, pod: Object, folder: Path, variables: Mapping[str, str]
) -> Mount:
    path, kind = "/" + mount["mountPath"].strip("/"), find_kind(volume)
    where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    if path == "/":
        raise MountError(f"volume {volume['name']!r} of {where}: the root cannot be mounted over")
    if kind not in KNOWN:
        raise MountError(
            f"the embedded node has no volumes of the kind {kind} (volume {volume['name']!r} of "
            f"{where}); it has {', '.join(KNOWN)}"
        )
    sub_path = mount.get("subPath") or expand(mount.get("subPathExpr") or "", variables)
    parts = PurePosixPath(sub_path)
    if parts.is_absolute() or ".." in parts.parts:
        raise MountError(f"subPath {sub_path!r} of volume {volume['name']!r} of {where} leads out")
    root = Path(volume[kind]["path"]) if kind == "hostPath" else folder / volume["name"]
    identity = ""
    if kind in _SHARED:
        identity = json.dumps([pod["metadata"]["namespace"], volume[kind], sub_path])
    return Mount(path, root / sub_path, identity)


def translate(text: str, mounts: Sequence[Mount]) -> str:
    """Replace the paths of mounts in a text by where they really are.

    Examples
    --------
    >>> translate("cat /etc/dask/a /etc/daskx", [Mount("/etc/dask", Path("/pods/1/conf"))])
    'cat /pods/1/conf/a /etc/daskx'
    """
    if not mounts:
        return text
    targets = {mount.path: str(mount.target) for mount in mounts}
    paths = "|".join(re.escape(mount.path) for mount in mounts)
    # A path begins where no name goes on, and ends where none does.
    return re.sub(
        rf"(?<![\w./-])({paths})(?=/|[^\w.-]|\.?$)", lambda match: targets[match[1]], text
    )


def build_mount_variables(mounts: Iterable[Mount]) -> dict[str, str]:
    """The variables that say where mounts are."""
    return {mount.variable: str(mount.target) for mount in mounts}


class MountLinks:
    """Links at the paths of mounts, shared by the Pods whose source is the same.

    Parameters
    ----------
    register
        File in which every link is noted before it is made, for who cleans up after a crash.
    """

    def __init__(self, register: Path) -> None:
        self._register = register
        self._noted: set[Path] = set()
        # The newest Pod is the last.
        self._claims: dict[str, list[tuple[str, Mount]]] = {}

    def claim(self, owner: str, mount: Mount) -> bool:
        """Let a Pod find its mount at the path itself; returns whether it does."""
        claims = self._claims.get(mount.path, [])
        if not mount.identity or (claims and claims[0][1].identity != mount.identity):
            return False
        is_own = _leads_to(mount.path, claims)
        if (owner, mount) in claims:
            # A container of it begins again: that makes no older files the newest.
            return is_own
        if not is_own and not _is_free(mount.path):
            return False
        try:
            self._point(mount.path, mount.target, is_there=is_own)
        except OSError:
            return False
        self._claims.setdefault(mount.path, []).append((owner, mount))
        return True

    def _point(self, path: str, target: Path, *, is_there: bool) -> None:
        """Make a link, or let one that is there lead elsewhere from one moment to the next."""
        link = Path(path)
        place = link.with_name(f".{link.name}.dask-k8s") if is_there else link
        self._note(place)
        place.symlink_to(target)
        if is_there:
            try:
                place.replace(link)
            except OSError:
                place.unlink()
                raise

    def _note(self, link: Path) -> None:
        if link not in self._noted:
            with self._register.open("a") as register:
                register.write(f"{link}\n")
            self._noted.add(link)

    def release(self, owner: str) -> None:
        """Take back what a Pod claimed; what has come in the place of a link stays."""
        for path, claims in list(self._claims.items()):
            left = [claim for claim in claims if claim[0] != owner]
            if len(left) == len(claims):
                continue
            is_own = _leads_to(path, claims)
            if left:
                self._claims[path] = left
            else:
                del self._claims[path]
            try:
                if is_own and not left:
                    Path(path).unlink()
                elif is_own and left[-1] != claims[-1]:
                    self._point(path, left[-1][1].target, is_there=True)
            except OSError as error:
                _LOG.warning("the link %s of an ended Pod is left: %s", path, error)


def _leads_to(path: str, claims: Sequence[tuple[str, Mount]]) -> bool:
    """Whether what is at a path is still the link that was made for these claims."""
    link = Path(path)
    try:
        return link.is_symlink() and link.readlink() in [mount.target for _, mount in claims]
    except OSError:
        return False


def _is_free(path: str) -> bool:
    parent = os.path.dirname(path)  # noqa: PTH120
    return os.path.isdir(parent) and os.access(parent, os.W_OK) and not os.path.lexists(path)  # noqa: PTH112
