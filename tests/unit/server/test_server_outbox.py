"""A slow browser costs little and misses nothing."""

from __future__ import annotations

import asyncio

from dask_k8s_jupyter.server.outbox import Outbox
from dask_k8s_jupyter.state import (
    ClusterChanged,
    ClusterRemoved,
    ProblemChanged,
    build_cluster_view,
    build_problem,
    parse_time,
)

NOW = parse_time("2026-11-20T10:00:00Z")


def make_change(name="demo", uid="u1", replicas=1):
    metadata = {"namespace": "team-a", "name": name, "uid": uid}
    worker = {"replicas": replicas, "spec": {}}
    cluster = {"metadata": metadata, "spec": {"worker": worker}}
    return ClusterChanged(build_cluster_view(cluster, [], None, NOW))


def test_of_two_pictures_of_a_cluster_the_newer_waits():
    outbox = Outbox()
    for replicas in range(1000):
        outbox.put(make_change("a", replicas=replicas))
        outbox.put(make_change("b"))
    first, second = outbox.take()
    assert first["cluster"]["workers"]["desired"] == 999
    assert second["cluster"]["name"] == "b"
    assert outbox.take() == []


def test_what_is_gone_overtakes_its_last_picture():
    outbox = Outbox()
    outbox.put(make_change())
    outbox.put(ClusterRemoved("team-a", "demo", "u1"))
    assert [message["type"] for message in outbox.take()] == ["remove"]


def test_a_name_used_again_is_told_after_the_end_of_the_old_one():
    outbox = Outbox()
    outbox.put(ClusterRemoved("team-a", "demo", "u1"))
    outbox.put(make_change(uid="u2"))
    assert [message["type"] for message in outbox.take()] == ["remove", "upsert"]


def test_only_the_last_problem_counts():
    outbox = Outbox()
    outbox.put(ProblemChanged(build_problem(ValueError("x"))))
    outbox.put(ProblemChanged(None))
    assert outbox.take() == [{"type": "problem", "problem": None}]


async def test_waiting_ends_with_the_first_message_and_begins_anew():
    outbox = Outbox()
    waiting = asyncio.ensure_future(outbox.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.put(ProblemChanged(None))
    await waiting
    outbox.take()
    waiting = asyncio.ensure_future(outbox.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
