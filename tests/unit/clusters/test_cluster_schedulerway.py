"""The way to a scheduler: what its Service offers where that answers, and a tunnel otherwise."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from dask_k8s_jupyter.clusters.schedulerway import answers, find_direct_address
from dask_k8s_operator.kube.errors import ForbiddenError, Target
from dask_k8s_operator.resources.kinds import NODES, SERVICES, Kind


class Kubernetes:
    """Knows one Service and some nodes, or may not show them."""

    def __init__(self, service: dict[str, Any], nodes: list[str] | None) -> None:
        self.service, self.nodes = service, nodes

    async def get(self, kind: Kind, name: str, namespace: str) -> dict[str, Any]:
        assert (kind, name) == (SERVICES, "demo-scheduler")
        return {"metadata": {"name": name, "namespace": namespace}, **self.service}

    async def list(self, kind: Kind) -> Any:
        assert kind is NODES
        if self.nodes is None:
            target = Target("list", "nodes", "", None, None)
            raise ForbiddenError(403, "Forbidden", "nodes is forbidden", None, target)
        listed = [
            {"status": {"addresses": [{"type": "InternalIP", "address": address}]}}
            for address in self.nodes
        ]
        return type("Listed", (), {"items": listed})


def _service(kind: str, port: int, ingress: str | None = None) -> dict[str, Any]:
    listed = [{"ip": ingress}] if ingress else []
    entry = {"name": "tcp-comm", "port": port, "targetPort": "tcp-comm", "nodePort": port}
    return {
        "spec": {"type": kind, "ports": [entry]},
        "status": {"loadBalancer": {"ingress": listed}},
    }


@pytest.mark.parametrize(
    ("kind", "ingress", "nodes", "is_direct"),
    [
        ("NodePort", None, ["127.0.0.1"], True),
        ("NodePort", None, [], False),
        ("NodePort", None, None, False),
        ("LoadBalancer", "127.0.0.1", [], True),
        ("LoadBalancer", None, [], False),
        ("ClusterIP", None, [], False),
    ],
)
async def test_what_a_service_offers(
    kind: str, ingress: str | None, nodes: list[str] | None, is_direct: bool
) -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        kubernetes: Any = Kubernetes(_service(kind, port, ingress), nodes)
        address = await find_direct_address(kubernetes, "default", "demo")
    assert address == (("127.0.0.1", port) if is_direct else None)


async def test_an_address_that_nobody_answers_at_is_no_way() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and never listening
        port = taken.getsockname()[1]
        kubernetes: Any = Kubernetes(_service("NodePort", port), ["127.0.0.1"])
        assert await find_direct_address(kubernetes, "default", "demo", timeout_s=0.01) is None
        assert not await answers(("127.0.0.1", port), timeout_s=0.01)


async def test_a_node_that_has_yet_to_hear_of_the_scheduler_is_asked_again() -> None:
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        asking = asyncio.ensure_future(answers(late.getsockname(), timeout_s=60))
        await asyncio.sleep(0)
        late.listen()
        assert await asking
