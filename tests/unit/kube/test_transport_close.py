"""The end of a session with an API."""

from __future__ import annotations

import asyncio

import pytest

from dask_k8s_operator.kube import KubeClient, transport
from dask_k8s_operator.kube.auth import Credentials


async def test_a_connection_that_never_ends_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "GOODBYE_S", 0.01)
    client = KubeClient(Credentials(host="http://127.0.0.1:1"))
    session = client._transport._session
    close = session.close
    monkeypatch.setattr(session, "close", asyncio.Event().wait)
    await asyncio.wait_for(client.close(), 60)
    await close()
