"""What can keep a container from starting, found out beforehand, in the words of kubelet and runc.

Pure but for a look at the file system. Guarantees that nothing has been started when it refuses.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

# Type, reason and message of an Event about the container.
Record = Callable[[str, str, str], None]

_IMAGE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?"
    r"(?:@[a-z0-9]+:[0-9a-f]{32,})?"
)
_RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc "
    "create failed: unable to start container process: error during container init: "
)


class StartFailure(Exception):
    """A container that could not be started: the kubelet's reason and message."""

    def __init__(self, reason: str, message: str, is_of_image: bool = False) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.is_of_image = is_of_image


def check_image(spec: Mapping[str, Any], missing: Collection[str], record: Record) -> None:
    """Say that the image is there, or raise StartFailure with why it cannot be had."""
    image = str(spec.get("image", ""))
    if not _IMAGE.fullmatch(image):
        message = (
            f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": '
            "invalid reference format"
        )
        record("Warning", "InspectFailed", message)
        raise StartFailure("InvalidImageName", message, is_of_image=True)
    if image not in missing:
        record("Normal", "Pulled", f'Container image "{image}" already present on machine')
        return
    if spec.get("imagePullPolicy") == "Never":
        message = f'Container image "{image}" is not present with pull policy of Never'
        record("Warning", "ErrImageNeverPull", message)
        raise StartFailure("ErrImageNeverPull", message, is_of_image=True)
    message = f'failed to pull and unpack image "{image}": failed to resolve reference: not found'
    record("Normal", "Pulling", f'Pulling image "{image}"')
    record("Warning", "Failed", f'Failed to pull image "{image}": {message}')
    record("Warning", "Failed", "Error: ErrImagePull")
    raise StartFailure("ErrImagePull", message, is_of_image=True)


def find_executable(name: str, search_path: str) -> str:
    """Find a command's file, or raise OSError with what runc would say."""
    found = shutil.which(name, path=search_path)
    if found:
        return found
    if "/" not in name:
        raise FileNotFoundError(errno.ENOENT, "executable file not found in $PATH", name)
    if Path(name).is_file():
        raise PermissionError(errno.EACCES, "permission denied", name)
    raise FileNotFoundError(errno.ENOENT, f"stat {name}: no such file or directory", name)


def explain_start_error(error: OSError | ValueError) -> str:
    """The sentence that a container runtime makes of a command that cannot be executed."""
    if isinstance(error, ValueError):
        # A zero byte, or half a character, in the command, a variable or the working folder.
        return f"{_RUNC}exec: invalid argument: {error}: unknown"
    why = error.strerror or str(error)
    return f'{_RUNC}exec: "{error.filename}": {why[:1].lower()}{why[1:]}: unknown'


def explain_unsupported(container: Mapping[str, Any], pod: Mapping[str, Any]) -> str | None:
    """Say what of a container's spec the node cannot do, or None."""
    policy, place = container.get("restartPolicy"), pod["metadata"]
    init = [each["name"] for each in pod["spec"].get("initContainers") or ()]
    if policy and (policy != "Always" or container["name"] not in init):
        return (
            f"of single containers, the embedded node restarts init containers that are to go on "
            f"only (container {container['name']!r} of {place['namespace']}/{place['name']} has "
            f"restartPolicy {policy})"
        )
    if container.get("volumeDevices"):
        return (
            f"the embedded node has no block devices (container {container['name']!r} of "
            f"{place['namespace']}/{place['name']})"
        )
    return None
