"""What the containers of a Pod share: the Pod, its address, its folder, and whom they tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from .events import EventRecorder
from .mounts import MountLinks
from .settings import NodeSettings


@dataclass(frozen=True)
class PodScene:
    """What the containers of a Pod share.

    Parameters
    ----------
    ip, folder
        The Pod's address, and the folder for its files.
    base_variables
        What every process of the Pod gets before the variables of its container.
    build_variables
        Reads what a container's ``env`` and ``envFrom`` set.
    on_change
        Called when the status of a container has changed.
    links
        Where paths of volumes can be found; None makes no links.
    """

    settings: NodeSettings
    pod: Mapping[str, Any]
    ip: str
    folder: Path
    events: EventRecorder
    session: aiohttp.ClientSession
    base_variables: Mapping[str, str]
    build_variables: Callable[[Mapping[str, Any]], Any]
    on_change: Callable[[], None]
    links: MountLinks | None = None

    @property
    def volumes(self) -> Path:
        """Folder of the Pod's volumes."""
        return self.folder / "volumes"

    def record(self, type_: str, reason: str, message: str, container: str) -> None:
        """Record an Event about a container."""
        self.events.record(dict(self.pod), type_, reason, message, container)
