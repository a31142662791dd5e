"""Faults are asked for from any thread: what goes wrong meanwhile is the caller's to know."""

import asyncio
from types import SimpleNamespace

import pytest

from dask_k8s_jupyter.local.api.faults import Faults


async def test_what_goes_wrong_in_the_servers_thread_is_raised_where_it_was_asked_for():
    def fail():
        raise KeyError("no such watch")

    faults = Faults(SimpleNamespace(drop_watches=fail), SimpleNamespace())
    faults.bind(asyncio.get_running_loop())
    with pytest.raises(KeyError, match="no such watch"):
        await asyncio.wait_for(asyncio.to_thread(faults.drop_watches), 60)
