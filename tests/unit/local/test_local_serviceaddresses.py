"""Addresses and node ports of Services that a client chooses: given out once, and only ours."""

import asyncio
import re

import pytest

from dask_k8s_jupyter.local.api.statuses import StatusError
from dask_k8s_jupyter.local.node.serviceproxy import ServiceProxy

EVERY = ".".join("0000")
RANGE = "is not in the valid range. The range of valid IPs is 127.64.128.0/17"


def _service(name, node_port=None, **spec):
    port = {"port": 80} if node_port is None else {"port": 80, "nodePort": node_port}
    kind = {} if node_port is None else {"type": "NodePort"}
    return {"metadata": {"name": name}, "spec": {"ports": [port], **kind, **spec}}


@pytest.mark.parametrize(
    ("address", "field", "why"),
    [
        (
            EVERY,
            "clusterIPs",
            f"failed to allocate IP {EVERY}: the provided IP ({EVERY}) {RANGE}",
        ),
        ("192.0.2.7", "clusterIPs", RANGE),
        # Of the cluster's loopback network, but its node's.
        ("127.64.0.1", "clusterIPs", RANGE),
        ("127.64.128.0", "clusterIPs", RANGE),
        ("127.64.255.255", "clusterIPs", RANGE),
        ("::1", "clusterIPs[0]", "IPv6 is not configured on this cluster"),
        (
            "127.64.129.9",
            "clusterIPs",
            "failed to allocate IP 127.64.129.9: provided IP is already a",
        ),
    ],
)
def test_an_address_that_is_not_to_be_had_is_refused(api, address, field, why):
    api.create("services", _service("first", clusterIP="127.64.129.9"))
    start = f'spec.{field}: Invalid value: ["{address}"]: '
    with pytest.raises(StatusError, match=f"{re.escape(start)}.*{re.escape(why)}") as refused:
        api.create("services", _service("second", clusterIP=address))
    assert refused.value.code == 422


def test_an_address_is_to_be_had_again_when_its_service_has_gone(api):
    api.create("services", _service("first", clusterIP="127.64.129.9"))
    api.delete("services", "first")
    api.create("services", _service("second", clusterIP="127.64.129.9"))
    changed = api.patch("services", "second", {"metadata": {"labels": {"a": "b"}}})
    assert changed["spec"]["clusterIP"] == "127.64.129.9"


def test_a_node_port_is_given_out_once(api):
    api.create("services", _service("first", 30100))
    with pytest.raises(
        StatusError, match=r"ports\[0\]\.nodePort: Invalid value: 30100: provided po"
    ):
        api.create("services", _service("second", 30100))
    changed = api.patch("services", "first", {"metadata": {"labels": {"a": "b"}}})
    assert changed["spec"]["ports"][0]["nodePort"] == 30100


@pytest.mark.parametrize("address", [EVERY, "::", "192.0.2.7", "localhost", ""])
async def test_nobody_listens_where_other_machines_connect(address, monkeypatch, caplog):
    async def start_server(*_, **__):
        raise AssertionError(f"listens on {address}")

    monkeypatch.setattr(asyncio, "start_server", start_server)
    await ServiceProxy().set_routes({(address, 80): [("127.0.0.1", 1)]})
    assert f"not listening on {address}:80" in caplog.text
