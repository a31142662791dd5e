"""What a container is started with: its command, its variables, its folder, its mounts.

Guarantees that nothing has been started when a container cannot be configured, and that the reason
is the kubelet's: ``CreateContainerConfigError`` for what may come yet, ``CreateContainerError`` for
what this node cannot do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .environment import ConfigError, build_command
from .mounts import Mount, MountError, build_mount_variables, find_mounts, translate
from .scene import PodScene
from .settings import join_python_path
from .starting import StartFailure, explain_unsupported


@dataclass(frozen=True)
class Configuration:
    """What a container is started with."""

    command: list[str] = field(default_factory=list)
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    mounts: Sequence[Mount] = ()

    def translate(self, command: Sequence[str]) -> list[str]:
        """A further command for the container, with the paths of its mounts as they are here."""
        return [translate(word, self.mounts) for word in command]


async def configure(spec: Mapping[str, Any], scene: PodScene) -> Configuration:
    """Find out what a container is started with, or raise StartFailure."""
    if unsupported := explain_unsupported(spec, scene.pod):
        raise StartFailure("CreateContainerError", unsupported)
    try:
        own = await scene.build_variables(spec)
    except ConfigError as error:
        raise StartFailure("CreateContainerConfigError", str(error)) from error
    try:
        mounts = find_mounts(spec, scene.pod, scene.volumes, own)
    except MountError as error:
        raise StartFailure("CreateContainerError", str(error)) from error
    variables = _join_variables(own, mounts, scene)
    command = [translate(word, mounts) for word in build_command(spec, variables)]
    if not command:
        why = "failed to generate container spec: no command specified"
        raise StartFailure("CreateContainerError", why)
    _prepare_targets(mounts, scene)
    folder = _find_folder(spec, mounts, scene)
    return Configuration(command, variables, folder, mounts)


def _join_variables(
    own: Mapping[str, str], mounts: Sequence[Mount], scene: PodScene
) -> dict[str, str]:
    translated = {name: translate(value, mounts) for name, value in own.items()}
    variables = {**scene.base_variables, **build_mount_variables(mounts), **translated}
    if own.get("PYTHONPATH"):
        base_path = scene.base_variables.get("PYTHONPATH")
        variables["PYTHONPATH"] = join_python_path(base_path, translated["PYTHONPATH"])
    return variables


def _prepare_targets(mounts: Sequence[Mount], scene: PodScene) -> None:
    """Make the folders that a ``subPath`` names, and links where they may be."""
    for mount in mounts:
        if mount.target.is_relative_to(scene.volumes):
            # There already, unless a subPath names what the volume does not hold yet.
            if not mount.target.exists():
                mount.target.mkdir(parents=True, mode=0o700)
            if scene.links is not None:
                scene.links.claim(str(scene.pod["metadata"]["uid"]), mount)


def _find_folder(spec: Mapping[str, Any], mounts: Sequence[Mount], scene: PodScene) -> Path:
    wanted = spec.get("workingDir")
    if not wanted:
        return scene.folder
    folder = Path(translate(wanted, mounts))
    if folder.is_relative_to(scene.volumes):
        # A container runtime makes it; elsewhere on this machine nothing is made.
        folder.mkdir(parents=True, exist_ok=True)
    return folder
