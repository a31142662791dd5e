"""Makes a process on the embedded node see Services, and a Pod's process its own address.

Comes first on PYTHONPATH of Pods and of whatever else is to reach Services by name. Standard
library only, and little of it: this runs at every start of Python.

DASK_K8S_LOCAL_SERVICES    file of Services; names in it resolve
DASK_K8S_LOCAL_NAMESPACE   namespace in which bare Service names are looked up
DASK_K8S_LOCAL_POD_IP      address of the Pod; what binds to all addresses binds to it
"""

from __future__ import annotations

import os
import sys

# The types of this file are for its reader; importing typing would cost every start of Python.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_SERVICES = os.environ.get("DASK_K8S_LOCAL_SERVICES", "")
_NAMESPACE = os.environ.get("DASK_K8S_LOCAL_NAMESPACE", "")
_POD_IP = os.environ.get("DASK_K8S_LOCAL_POD_IP", "")
_SUFFIXES = (".svc.cluster.local", ".svc")
_ANY_ADDRESS = ("", "0.0.0.0")  # noqa: S104


def _split_name(host: str) -> tuple[str, str, bool] | None:
    """Read a host as (name, namespace, is certainly a Service); None when it cannot be one."""
    name = host.rstrip(".")
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            parts = name[: -len(suffix)].split(".")
            return (parts[0], parts[1], True) if len(parts) == 2 else None
    parts = name.split(".")
    if len(parts) == 1 and _NAMESPACE and name:
        return name, _NAMESPACE, False
    return (parts[0], parts[1], False) if len(parts) == 2 else None


def _find_service(name: str, namespace: str) -> tuple[list[str], dict[str, str]] | None:
    """Find a Service's addresses and ports; lines are ``NAMESPACE NAME IP,IP PORT=TARGET,...``."""
    try:
        with open(_SERVICES, encoding="utf-8") as file:  # noqa: PTH123  (pathlib costs 5 ms)
            for line in file:
                fields = line.rstrip("\n").split(" ")
                if fields[0] == namespace and fields[1] == name:
                    ports = dict(pair.split("=") for pair in fields[3].split(",") if pair)
                    return fields[2].split(","), ports
    except (OSError, IndexError, ValueError):
        pass
    return None


def _patch_lookups(socket: ModuleType) -> None:
    original = socket.getaddrinfo

    def getaddrinfo(
        host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> list[Any]:
        if _POD_IP and family == socket.AF_INET6:
            raise socket.gaierror(socket.EAI_FAMILY, "a Pod of the embedded node has IPv4 only")
        if _POD_IP and family == socket.AF_UNSPEC:
            family = socket.AF_INET
        text = host.decode() if isinstance(host, bytes) else host
        split = _split_name(text) if isinstance(text, str) else None
        found = _find_service(split[0], split[1]) if split else None
        if found is None:
            if split and split[2]:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            answers: list[Any] = original(host, port, family, type, proto, flags)
            return answers
        addresses, ports = found
        target = ports.get(str(port), port)
        return [
            answer
            for address in addresses
            for answer in original(address, target, family, type, proto, flags)
        ]

    def gethostbyname(host: str) -> str:
        return str(getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])

    socket.getaddrinfo = getaddrinfo  # type: ignore[attr-defined]
    socket.gethostbyname = gethostbyname  # type: ignore[attr-defined]


def _patch_addresses(socket: ModuleType) -> None:
    original_bind = socket.socket.bind
    original_connect = socket.socket.connect

    def bind(self: Any, address: Any) -> None:
        if self.family == socket.AF_INET and address[0] in _ANY_ADDRESS:
            address = (_POD_IP, *address[1:])
        original_bind(self, address)

    def connect(self: Any, address: Any) -> None:
        # A datagram socket that leaves the machine asks for its own address more often than not,
        # and the answer has to be that of the Pod.
        asks = self.family == socket.AF_INET and self.type == socket.SOCK_DGRAM
        if asks and not str(address[0]).startswith("127."):
            if self.getsockname()[1] == 0:
                original_bind(self, (_POD_IP, 0))
            address = (_POD_IP, *address[1:])
        original_connect(self, address)

    socket.socket.bind = bind
    socket.socket.connect = connect
    socket.has_ipv6 = False  # type: ignore[attr-defined]


def _run_next() -> None:
    """Run the sitecustomize that would have been found without this one."""
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    others = [path for path in sys.path if os.path.abspath(path or ".") != here]  # noqa: PTH100
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        # Under its own name, as Python would have it.
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


if _SERVICES or _POD_IP:
    import socket as _socket

    if _SERVICES:
        _patch_lookups(_socket)
    if _POD_IP:
        _patch_addresses(_socket)
_run_next()
