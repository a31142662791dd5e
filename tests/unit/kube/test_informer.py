"""The informer against a scripted API: what it tells, and how it recovers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from dask_k8s_operator.kube import Informer, ObjectList, WatchEvent
from dask_k8s_operator.kube.errors import (
    ApiUnreachableError,
    ForbiddenError,
    GoneError,
    KubeError,
    TooManyRequestsError,
)
from dask_k8s_operator.resources.kinds import PODS

Step = list[WatchEvent] | KubeError


def pod(name: str, version: int, uid: str = "1") -> dict[str, Any]:
    metadata = {"namespace": "default", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"metadata": metadata}


def bookmark(version: int) -> WatchEvent:
    return WatchEvent("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


class ScriptedApi:
    """Answers lists and watches from a script; a watch with nothing left to say stays open."""

    def __init__(self, lists: list[ObjectList | KubeError], watches: list[Step]) -> None:
        self.lists = lists
        self.watches = watches
        self.watched_from: list[str] = []
        self.is_exhausted = asyncio.Event()

    async def list(self, kind: object, namespace: object, **_: object) -> ObjectList:
        answer = self.lists.pop(0)
        if isinstance(answer, KubeError):
            raise answer
        return answer

    async def watch(
        self,
        kind: object,
        namespace: object,
        *,
        resource_version: str,
        on_open: Callable[[], None],
        **_: object,
    ) -> AsyncIterator[WatchEvent]:
        self.watched_from.append(resource_version)
        if not self.watches:
            self.is_exhausted.set()
            on_open()
            await asyncio.Event().wait()
        step = self.watches.pop(0)
        if isinstance(step, KubeError):
            raise step
        on_open()
        for event in step:
            yield event


class Told:
    """Collects what the informer tells, and how long it paused."""

    def __init__(self) -> None:
        self.changes: list[tuple[str | None, str | None]] = []
        self.errors: list[KubeError | None] = []
        self.pauses_s: list[float] = []

    def on_change(self, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
        self.changes.append((_short(old), _short(new)))

    async def sleep(self, seconds: float) -> None:
        self.pauses_s.append(seconds)
        await asyncio.sleep(0)


def _short(item: dict[str, Any] | None) -> str | None:
    return item and f"{item['metadata']['name']}@{item['metadata']['resourceVersion']}"


async def play(api: ScriptedApi) -> tuple[Informer, Told]:
    told = Told()
    informer = Informer(
        api,  # type: ignore[arg-type]
        PODS,
        "default",
        on_change=told.on_change,
        on_error=told.errors.append,
        sleep=told.sleep,
        random_fraction=lambda: 1.0,
    )
    task = asyncio.ensure_future(informer.run())
    await asyncio.wait_for(api.is_exhausted.wait(), 60)
    task.cancel()
    return informer, told


async def test_changes_are_told_with_what_was_before() -> None:
    events = [
        WatchEvent("ADDED", pod("b", 2)),
        WatchEvent("MODIFIED", pod("b", 3)),
        WatchEvent("DELETED", pod("a", 4)),
    ]
    api = ScriptedApi([ObjectList([pod("a", 1)], "1")], [events])
    informer, told = await play(api)
    assert told.changes == [(None, "a@1"), (None, "b@2"), ("b@2", "b@3"), ("a@4", None)]
    assert set(informer.objects) == {("default", "b")}


async def test_a_watch_resumes_where_the_last_one_ended_bookmarks_included() -> None:
    api = ScriptedApi(
        [ObjectList([], "1")], [[WatchEvent("ADDED", pod("a", 5))], [bookmark(9)], []]
    )
    _, told = await play(api)
    assert api.watched_from == ["1", "5", "9", "9"]
    assert told.changes == [(None, "a@5")]


async def test_an_object_that_did_not_change_is_not_told_again() -> None:
    api = ScriptedApi([ObjectList([pod("a", 1)], "1")], [[WatchEvent("ADDED", pod("a", 1))]])
    _, told = await play(api)
    assert told.changes == [(None, "a@1")]


async def test_a_repeated_event_does_not_bring_the_past_back() -> None:
    events = [
        WatchEvent("ADDED", pod("a", 2)),
        WatchEvent("MODIFIED", pod("a", 3)),
        WatchEvent("DELETED", pod("a", 4)),
        WatchEvent("MODIFIED", pod("a", 3)),
    ]
    api = ScriptedApi([ObjectList([], "1")], [events])
    _, told = await play(api)
    assert told.changes == [(None, "a@2"), ("a@2", "a@3"), ("a@4", None)]
    assert api.watched_from[:2] == ["1", "4"]


async def test_listing_again_tells_only_the_differences() -> None:
    first = ObjectList([pod("same", 1), pod("changed", 1), pod("gone", 1)], "1")
    second = ObjectList([pod("same", 1), pod("changed", 7), pod("new", 8)], "9")
    api = ScriptedApi([first, second], [GoneError(410, "Expired", "too old")])
    _, told = await play(api)
    assert told.changes[3:] == [
        ("gone@1", None),
        ("changed@1", "changed@7"),
        (None, "new@8"),
    ]
    assert told.errors == []


async def test_a_successor_of_the_same_name_is_a_change() -> None:
    first, second = ObjectList([pod("a", 1, "old")], "1"), ObjectList([pod("a", 1, "new")], "2")
    api = ScriptedApi([first, second], [GoneError(410, "Expired", "too old")])
    _, told = await play(api)
    assert told.changes == [(None, "a@1"), ("a@1", "a@1")]


@pytest.mark.parametrize(
    "error",
    [
        ApiUnreachableError("https://x", "nobody answers"),
        ForbiddenError(403, "Forbidden", "no"),
    ],
)
async def test_failures_are_told_and_taken_back(error: KubeError) -> None:
    api = ScriptedApi([error, error, ObjectList([], "1")], [error])
    informer, told = await play(api)
    assert told.errors == [error, error, None, error, None]
    assert informer.error is None
    assert informer.is_synced


async def test_pauses_grow_while_nothing_works_and_start_anew_after_an_event() -> None:
    error = ApiUnreachableError("https://x", "nobody answers")
    api = ScriptedApi(
        [error, error, error, ObjectList([], "1")], [[WatchEvent("ADDED", pod("a", 2))], error]
    )
    _, told = await play(api)
    assert told.pauses_s == pytest.approx([0.2, 0.4, 0.8, 0.2])


async def test_the_api_says_how_long_to_pause() -> None:
    error = TooManyRequestsError(429, "TooManyRequests", "slow down")
    error.retry_after_s = 12.0
    _, told = await play(ScriptedApi([error, ObjectList([], "1")], []))
    assert told.pauses_s == [12.0]


async def test_a_watch_that_ends_at_once_is_not_asked_for_in_a_busy_loop() -> None:
    _, told = await play(ScriptedApi([ObjectList([], "1")], [[], [], []]))
    assert len(told.pauses_s) == 3


async def test_a_listener_that_fails_does_not_end_the_watch(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = ScriptedApi([ObjectList([pod("a", 1)], "1")], [[WatchEvent("ADDED", pod("b", 2))]])

    def fail(old: object, new: object) -> None:
        raise RuntimeError("listener")

    informer = Informer(api, PODS, "default", on_change=fail)  # type: ignore[arg-type]
    task = asyncio.ensure_future(informer.run())
    await asyncio.wait_for(api.is_exhausted.wait(), 60)
    task.cancel()
    assert len(informer.objects) == 2
    assert "on_change failed for Pod default/b" in caplog.text
