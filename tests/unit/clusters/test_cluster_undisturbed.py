"""What has to be done whole is done whole, however often its caller is told to stop."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from dask_k8s_jupyter.clusters.kubecluster import KubeCluster
from dask_k8s_jupyter.clusters.undisturbed import finish


@pytest.mark.parametrize("cancellations", [1, 2, 3])
async def test_work_ends_by_itself_and_the_caller_hears_of_the_cancellation(
    cancellations: int,
) -> None:
    answered, known = asyncio.Event(), []

    async def create() -> None:
        await answered.wait()
        known.append("pod")

    caller = asyncio.ensure_future(finish(create()))
    for _ in range(cancellations):
        await asyncio.sleep(0)
        caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    answered.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert known == ["pod"]


async def test_what_failed_meanwhile_is_the_cause_of_the_cancellation() -> None:
    answered = asyncio.Event()

    async def create() -> None:
        await answered.wait()
        raise ValueError("the name is taken")

    caller = asyncio.ensure_future(finish(create()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    answered.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await caller
    assert str(caught.value.__cause__) == "the name is taken"


async def test_undisturbed_work_gives_its_result_or_raises_its_error() -> None:
    async def fail() -> None:
        raise ValueError("no")

    assert await finish(asyncio.sleep(0, "done")) == "done"
    with pytest.raises(ValueError, match="no"):
        await finish(fail())


@pytest.mark.parametrize("trouble", [OSError("cut"), RuntimeError("a panel that does not close")])
async def test_a_clean_up_that_fails_says_what_may_be_left(trouble, caplog) -> None:
    async def end(state: str, *, delete: bool) -> None:
        assert (state, delete) == ("failed", True)
        raise trouble

    start = SimpleNamespace(_end=end, _takes_back=lambda error: True, namespace="team", name="demo")
    await KubeCluster._undo(start, KeyboardInterrupt())
    assert "team/demo may still be there: `dask-k8s delete demo --namespace team`" in caplog.text
