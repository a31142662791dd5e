"""What the volumes of a Pod hold: nothing yet, or files from ConfigMaps, Secrets and the Pod.

A volume is a folder of the Pod's own. Guarantees that files are written before a container starts,
with the mode that was asked for, and never outside their folder; and that a volume can be written
again. Files are as their sources were when the Pod began; later edits of a source do not reach
them. Refuses kinds of volumes that need storage or a driver.
"""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .environment import ConfigError, Downward, Lookup, read_field, read_resource

Object = Mapping[str, Any]
# Name of a file below the volume's folder, its content and its mode.
Files = dict[str, tuple[bytes, int]]

KNOWN = ("emptyDir", "hostPath", "configMap", "secret", "projected", "downwardAPI")
_DEFAULT_MODE = 0o644


class VolumeError(Exception):
    """A volume that cannot be made now: a source or a key is missing, or a file not to be had."""


@dataclass(frozen=True)
class VolumeScene:
    """Where the files of a Pod's volumes come from.

    Parameters
    ----------
    pod, downward
        The Pod, and what only its node knows of it.
    lookup
        Finds an object by kind (``ConfigMap`` or ``Secret``) and name; None when it is missing.
    token
        What a projected ServiceAccount token holds; "" when there is none to be had.
    """

    pod: Object
    downward: Downward
    lookup: Lookup
    token: str = ""


def find_kind(volume: Object) -> str:
    """Kind of a volume, such as ``configMap``; a volume that says nothing is an ``emptyDir``."""
    return next((key for key in volume if key != "name"), "emptyDir")


def list_volume_sources(pod: Object) -> list[tuple[str, str]]:
    """The ConfigMaps and Secrets that the volumes of a Pod come from, by kind and name."""
    found = []
    for volume in pod["spec"].get("volumes") or ():
        for kind, source in _iterate_sources(volume):
            if kind in ("configMap", "secret"):
                found.append(_name_source(kind, source))
    return list(dict.fromkeys(found))


def has_token(pod: Object) -> bool:
    """Whether a volume of the Pod holds a token of its ServiceAccount."""
    volumes = pod["spec"].get("volumes") or ()
    return any(kind == "serviceAccountToken" for v in volumes for kind, _ in _iterate_sources(v))


def _iterate_sources(volume: Object) -> Iterator[tuple[str, Object]]:
    kind = find_kind(volume)
    if kind != "projected":
        yield kind, volume.get(kind) or {}
        return
    for source in (volume["projected"] or {}).get("sources") or ():
        yield from source.items()


def _name_source(kind: str, source: Object) -> tuple[str, str]:
    if kind == "configMap":
        return "ConfigMap", str(source.get("name"))
    return "Secret", str(source.get("secretName") or source.get("name"))


def build_files(volume: Object, scene: VolumeScene) -> Files:
    """The files of a volume.

    Raises
    ------
    VolumeError
        In the words of a kubelet, when something that the volume needs is not there.

    Examples
    --------
    >>> pod = {"metadata": {"name": "p", "namespace": "n", "uid": "u"}, "spec": {}}
    >>> known = {"data": {"dask.yaml": "a: 1"}}
    >>> scene = VolumeScene(pod, Downward("", "", "", {}), lambda kind, name: known)
    >>> build_files({"name": "v", "configMap": {"name": "c"}}, scene)
    {'dask.yaml': (b'a: 1', 420)}
    """
    kind = find_kind(volume)
    outer = (volume.get(kind) or {}).get("defaultMode") or _DEFAULT_MODE
    files: Files = {}
    for source_kind, source in _iterate_sources(volume):
        build = _BUILDERS.get(source_kind)
        found = build(source_kind, source, outer, scene) if build else {}
        for path, content in found.items():
            files[_check_path(path)] = content
    return files


def _build_from_object(kind: str, source: Object, mode: int, scene: VolumeScene) -> Files:
    object_kind, name = _name_source(kind, source)
    found = scene.lookup(object_kind, name)
    if found is None and source.get("optional"):
        return {}
    if found is None:
        raise VolumeError(f'{object_kind.lower()} "{name}" not found')
    contents = _read_contents(object_kind, found)
    items = source.get("items")
    if items is None:
        return {key: (content, mode) for key, content in contents.items()}
    files: Files = {}
    for item in items:
        if item["key"] in contents:
            files[item["path"]] = (contents[item["key"]], item.get("mode") or mode)
        elif not source.get("optional"):
            what = "configmap references non-existent config key"
            what = what if kind == "configMap" else "references non-existent secret key"
            raise VolumeError(f"{what}: {item['key']}")
    return files


def _read_contents(kind: str, found: Object) -> dict[str, bytes]:
    encoded = found.get("data" if kind == "Secret" else "binaryData") or {}
    contents = {key: base64.b64decode(text) for key, text in encoded.items()}
    if kind == "ConfigMap":
        contents |= {key: text.encode() for key, text in (found.get("data") or {}).items()}
    return contents


def _build_from_pod(kind: str, source: Object, mode: int, scene: VolumeScene) -> Files:
    files: Files = {}
    for item in source.get("items") or ():
        try:
            text = _read_item(item, scene)
        except ConfigError as error:
            raise VolumeError(str(error)) from error
        files[item["path"]] = (text.encode(), item.get("mode") or mode)
    return files


def _read_item(item: Object, scene: VolumeScene) -> str:
    if reference := item.get("resourceFieldRef"):
        wanted = reference.get("containerName")
        containers = scene.pod["spec"].get("containers") or ()
        container: Object = next((c for c in containers if c["name"] == wanted), {})
        return read_resource(container, reference, scene.downward)
    path = item["fieldRef"]["fieldPath"]
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = scene.pod["metadata"].get(path.partition(".")[2]) or {}
        return "\n".join(f'{key}="{value}"' for key, value in sorted(pairs.items()))
    return read_field(scene.pod, path, scene.downward)


def _build_token(kind: str, source: Object, mode: int, scene: VolumeScene) -> Files:
    if not scene.token:
        raise VolumeError("failed to fetch token: the API gave none")
    return {source["path"]: (scene.token.encode(), mode)}


_BUILDERS: dict[str, Callable[[str, Object, int, VolumeScene], Files]] = {
    "configMap": _build_from_object,
    "secret": _build_from_object,
    "downwardAPI": _build_from_pod,
    "serviceAccountToken": _build_token,
}


def _check_path(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        raise VolumeError(f"invalid path {path}: it leads out of the volume")
    return path


def write_volume(folder: Path, files: Files) -> None:
    """Make the folder of a volume, with its files; one that is there is replaced as a whole.

    Raises
    ------
    VolumeError
        Saying which file cannot be written, and why.
    """
    for name in files:
        for parent in PurePosixPath(name).parents:
            if str(parent) in files:
                raise VolumeError(f"conflicting paths: {parent} is a file, and {name} is below it")
    path = folder
    try:
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
        for name, (content, mode) in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            # Written beside the volume, where no file of it can be in the way.
            _write_file(path, folder.parent, content, mode)
    except OSError as error:
        raise VolumeError(f"cannot write {path}: {error.strerror or error}") from error


def _write_file(path: Path, beside: Path, content: bytes, mode: int) -> None:
    # A file of mode 0400 that an attempt before has left cannot be opened, but it can be replaced.
    handle, fresh = tempfile.mkstemp(prefix=".", dir=beside)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # The user alone, as every file of a cluster; of the mode, what that leaves.
        Path(fresh).chmod(mode & 0o700)
        Path(fresh).replace(path)
    except OSError:
        Path(fresh).unlink(missing_ok=True)
        raise
