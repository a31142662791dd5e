"""Reads kubeconfig files as kubectl does: several merged, one context chosen.

The common ways to authenticate (token, token file, certificates, password) are read here, since
importing kubernetes_asyncio costs two seconds and 75 MB; credential plugins are left to it (see
``auth``).

Guarantees that paths in a file are taken relative to that file, and that the first file to name a
thing wins. Refuses to write: a kubeconfig belongs to a person.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .errors import NoKubeconfigError

DEFAULT_PATH = Path("~/.kube/config")


@dataclass(frozen=True)
class KubeconfigContext:
    """One context of a kubeconfig, with its cluster and its user.

    Parameters
    ----------
    name
        Name of the context.
    namespace
        Its namespace; None when it names none.
    cluster, user
        The sections that it points at, with paths made absolute.
    sources
        The files that were read.
    """

    name: str
    namespace: str | None
    cluster: dict[str, Any]
    user: dict[str, Any]
    sources: tuple[Path, ...] = field(default=())

    @property
    def server(self) -> str:
        """URL of the API, without a slash at its end."""
        return str(self.cluster["server"]).rstrip("/")

    @property
    def server_name(self) -> str | None:
        """Name that the API's certificate is for, where it is not that of the address."""
        return self.cluster.get("tls-server-name") or None

    @property
    def has_credential_plugin(self) -> bool:
        """Whether a program or a provider has to be asked for credentials."""
        return "exec" in self.user or "auth-provider" in self.user


def kubeconfig_paths(explicit: str | os.PathLike[str] | None = None) -> list[Path]:
    """Say which files to read: the explicit one, those of KUBECONFIG, or the default."""
    if explicit is not None:
        return [Path(explicit).expanduser()]
    named = [part for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return [Path(part).expanduser() for part in named] or [DEFAULT_PATH.expanduser()]


def read_context(
    explicit: str | os.PathLike[str] | None = None, context: str | None = None
) -> KubeconfigContext:
    """Read the chosen context, or raise NoKubeconfigError that says what is missing and where.

    Parameters
    ----------
    explicit
        A file; None for those of KUBECONFIG, or ``~/.kube/config``.
    context
        Name of a context; None for the current one.
    """
    wanted = kubeconfig_paths(explicit)
    paths = [path for path in wanted if path.is_file()]
    if not paths:
        raise NoKubeconfigError(f"no kubeconfig: {_listed(wanted)} does not exist")
    merged = _merge(paths)
    name = context or merged["current-context"]
    if not name:
        raise NoKubeconfigError(f"{_listed(paths)} has no current-context, and none was named")
    chosen = _find(merged, "contexts", name, paths)
    cluster = _find(merged, "clusters", chosen.get("cluster"), paths)
    if not cluster.get("server"):
        raise NoKubeconfigError(
            f"cluster {chosen.get('cluster')!r} in {_listed(paths)} has no server"
        )
    user = _find(merged, "users", chosen["user"], paths) if chosen.get("user") else {}
    return KubeconfigContext(name, chosen.get("namespace"), cluster, user, tuple(paths))


def read_material(section: dict[str, Any], key: str) -> bytes | None:
    """Read what a section holds in base64 (``key-data``) or points at (``key``), if either."""
    inline = section.get(f"{key}-data")
    try:
        if inline:
            return base64.b64decode(inline, validate=False)
        return Path(section[key]).read_bytes() if section.get(key) else None
    except (OSError, binascii.Error) as error:
        raise NoKubeconfigError(f"{key} of the kubeconfig cannot be read: {error}") from error


_SINGULAR = {"contexts": "context", "clusters": "cluster", "users": "user"}
_PATH_KEYS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def _merge(paths: list[Path]) -> dict[str, Any]:
    merged: dict[str, Any] = {"current-context": None, "contexts": {}, "clusters": {}, "users": {}}
    for path in paths:
        document = _read(path)
        merged["current-context"] = merged["current-context"] or document.get("current-context")
        for plural, singular in _SINGULAR.items():
            for entry in document.get(plural) or []:
                section = _with_absolute_paths(entry.get(singular) or {}, path.parent)
                merged[plural].setdefault(entry.get("name"), section)
    return merged


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise NoKubeconfigError(f"kubeconfig {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise NoKubeconfigError(f"kubeconfig {path} holds no configuration")
    return document


def _with_absolute_paths(section: dict[str, Any], folder: Path) -> dict[str, Any]:
    absolute = {
        key: str(folder / Path(section[key]).expanduser()) for key in _PATH_KEYS if section.get(key)
    }
    return {**section, **absolute}


def _find(merged: dict[str, Any], plural: str, name: Any, paths: list[Path]) -> dict[str, Any]:
    found = merged[plural].get(name)
    if found is None:
        known = ", ".join(sorted(map(str, merged[plural]))) or "none"
        raise NoKubeconfigError(
            f"{_listed(paths)} has no {_SINGULAR[plural]} {name!r} (it has: {known})"
        )
    return dict(found)


def _listed(paths: list[Path]) -> str:
    return ", ".join(map(str, paths))
