"""Loopback addresses of one embedded cluster.

Each cluster has a network 127.X.0.0/16 of its own, so that two of them side by side, each with a
scheduler on port 8786, never meet. It is claimed by listening on its node's address: the claim ends
with the process, however that ends.
"""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network

NODE_PORT = 10250
API_PORT = 6443
# 127.0.0.0/16 is everybody's; Debian puts the host name on 127.0.1.1.
_SECOND_BYTES = range(64, 224)


class NoLoopbackError(OSError):
    """The machine has no loopback network for a cluster."""


@dataclass(frozen=True)
class ClusterNetwork:
    """The addresses of one cluster, and the socket that claims them."""

    network: IPv4Network
    claim: socket.socket

    @property
    def node_address(self) -> str:
        """Address of the node and of the API server."""
        return str(self.network[1])

    @property
    def pods(self) -> IPv4Network:
        """Addresses for Pods; the first 257 are the node's own."""
        return next(self.network.subnets(prefixlen_diff=1))

    @property
    def services(self) -> IPv4Network:
        """Addresses for Services."""
        return list(self.network.subnets(prefixlen_diff=1))[1]

    @property
    def first_pod_address(self) -> IPv4Address:
        """Where Pod addresses begin."""
        return self.network[257]


def claim_network() -> ClusterNetwork:
    """Claim a loopback network that no other cluster of this machine uses."""
    count = len(_SECOND_BYTES)
    for offset in range(count):
        second = _SECOND_BYTES[(os.getpid() + offset) % count]
        network = ip_network(f"127.{second}.0.0/16")
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind((str(network[1]), NODE_PORT))
            claim.listen(128)
        except OSError as error:
            claim.close()
            if error.errno == errno.EADDRINUSE:
                continue
            raise NoLoopbackError(_explain(str(network[1]), error)) from error
        claim.setblocking(False)
        return ClusterNetwork(IPv4Network(network), claim)
    raise NoLoopbackError(f"all {count} loopback networks for embedded clusters are in use")


def _explain(address: str, error: OSError) -> str:
    return (
        f"cannot listen on {address} ({error.strerror}). The embedded Kubernetes gives every Pod a "
        "loopback address of its own, which Linux has and macOS has not. On macOS use a Linux "
        "machine, a container (`docker run -it python:3.12 bash`) or any Kubernetes that "
        "KUBECONFIG points at."
    )
