"""A tunnel in channels whose API says what no API says."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from dask_k8s_operator.kube.channels import ChannelTunnel
from dask_k8s_operator.kube.errors import Target


class _Broken:
    """A websocket whose first message is too short to hold a port."""

    async def __aiter__(self):
        yield SimpleNamespace(data=b"\x00\x01")


async def test_what_nobody_expected_is_logged_with_the_pod(caplog):
    target = Target("get", "pods/portforward", "", "default", "server")
    tunnel = ChannelTunnel(_Broken(), target, linger_s=0.0)
    await tunnel.carry(asyncio.StreamReader(), SimpleNamespace())
    assert "a tunnel broke (get pods/portforward default/server)" in caplog.text
    assert "struct.error" in caplog.text
