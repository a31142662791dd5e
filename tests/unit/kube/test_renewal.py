"""Credentials are read again when they may have changed, by one at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dask_k8s_operator.kube.auth import Credentials, load_kubeconfig
from dask_k8s_operator.kube.errors import NoKubeconfigError
from dask_k8s_operator.kube.kubeconfig import KubeconfigContext

HOST = "http://10.0.0.1"
CONTEXT = KubeconfigContext("c", None, {"server": HOST}, {"token": "old"})


class Plugin:
    """Gives a new token each time."""

    def __init__(self):
        self.asked = 0

    async def __call__(self):
        self.asked += 1
        await asyncio.sleep(0)
        return f"Bearer {self.asked}"


async def test_all_who_ask_at_once_get_one_reading():
    plugin = Plugin()
    credentials = Credentials(HOST, read_authorization=plugin)
    assert set(await asyncio.gather(*(credentials.authorization() for _ in range(50)))) == {
        "Bearer 1"
    }
    refused = (credentials.authorization(renew=True) for _ in range(50))
    assert set(await asyncio.gather(*refused)) == {"Bearer 2"}
    assert plugin.asked == 2


async def test_an_answer_is_used_as_long_as_its_source_says():
    plugin, age_s = Plugin(), float("inf")
    credentials = Credentials(HOST, read_authorization=plugin, max_age_s=lambda: age_s)
    assert await credentials.authorization() == await credentials.authorization() == "Bearer 1"
    age_s = -1.0
    assert await credentials.authorization() == "Bearer 2"


async def test_a_name_for_the_certificate_that_is_empty_is_none():
    named = replace(CONTEXT, cluster={"server": HOST, "tls-server-name": "api.example.org"})
    assert (await load_kubeconfig(named)).server_name == "api.example.org"
    empty = replace(CONTEXT, cluster={"server": HOST, "tls-server-name": ""})
    assert (await load_kubeconfig(empty)).server_name is None


async def test_a_new_token_in_the_kubeconfig_is_used_when_the_old_one_is_refused():
    now = CONTEXT
    credentials = await load_kubeconfig(CONTEXT, reread=lambda: now)
    assert await credentials.authorization() == "Bearer old"
    now = replace(CONTEXT, user={"token": "new"})
    assert await credentials.authorization() == "Bearer old"
    assert await credentials.authorization(renew=True) == "Bearer new"


@pytest.mark.parametrize(
    "cluster", [{"server": "http://10.0.0.2"}, {"server": HOST, "tls-server-name": "another"}]
)
async def test_another_servers_token_goes_nowhere(cluster):
    other = replace(CONTEXT, cluster=cluster, user={"token": "secret"})
    credentials = await load_kubeconfig(CONTEXT, reread=lambda: other)
    assert await credentials.authorization(renew=True) == "Bearer old"


async def test_a_kubeconfig_that_is_being_written_changes_nothing():
    def reread():
        raise NoKubeconfigError("it holds no configuration")

    credentials = await load_kubeconfig(CONTEXT, reread=reread)
    assert await credentials.authorization(renew=True) == "Bearer old"
