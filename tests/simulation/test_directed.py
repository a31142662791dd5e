"""What a test directs: operators killed at every write in between, schedulers that are silent."""

from __future__ import annotations

import pytest
from simulator.mutations import hasty_return
from simulator.stage import Stage

from dask_k8s_operator.controller.loop import LONGEST_PATIENCE_S, WARY_S

# More writes than any of the plays takes.
WRITES = 100


async def set_up(stage, replicas):
    """Workers that hold results and are busy; from now on the operator may die."""
    stage.create("x", replicas)
    await stage.until(lambda: stage.is_ready("x", replicas), 120, "the cluster")
    stage.scheduler("x").submit(3 * replicas, 4.0)
    await stage.pass_time(5.0)
    stage.doom()


async def shrink(stage):
    """Four workers become one."""
    await set_up(stage, 4)
    stage.scale("x", 1)
    await stage.until(lambda: stage.is_ready("x", 1), 120, "one worker")


async def take_back(stage):
    """Of four workers three have to go, and two of them may stay after all."""
    await set_up(stage, 4)
    stage.scale("x", 1)
    await stage.until(lambda: stage.marked("x") >= 3, 60, "marks")
    stage.scale("x", 3)
    await stage.until(lambda: stage.is_ready("x", 3), 120, "three workers")


async def roll(stage):
    """A new image reaches two busy workers, one at a time."""
    await set_up(stage, 2)
    stage.change_workers("x", 2)

    def has_rolled():
        images = {pod["spec"]["containers"][0]["image"] for pod in stage.workers("x")}
        return images == {"dask:2"} and stage.is_ready("x", 2)

    await stage.until(has_rolled, 300, "the new image")


async def lose_certificates(stage):
    """Somebody deletes the Secret of an encrypted cluster, and it grows."""
    stage.create("x", 1, tls=True)
    await stage.until(lambda: stage.is_ready("x", 1), 120, "the cluster")
    stage.doom()
    stage.lose_certificates("x")
    stage.scale("x", 2)
    await stage.until(lambda: stage.is_ready("x", 2), 200, "two workers that trust each other")


def kill_at_every_write(play):
    """Run a play once for each write that the operator may die around; tell what broke."""
    for write in range(1, WRITES):
        # By lot the last write takes effect, or it does not.
        stage = Stage(write, play, writes_to_live=write)
        outcome = stage.run()
        if outcome.broken:
            return outcome.describe()
        if stage.operators.started == 1:
            return None  # it outlived the play
    return f"the play takes {WRITES} writes or more"


PLAYS = [shrink, take_back, roll, lose_certificates]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__)
def test_an_operator_killed_at_any_write_in_between_resumes_and_loses_nothing(play):
    broken = kill_at_every_write(play)
    assert broken is None, broken


def test_that_bites():
    with hasty_return():
        assert "take no work" in (kill_at_every_write(take_back) or "")


SILENT = 40


@pytest.mark.parametrize("has_agent", [True, False])
def test_silent_schedulers_hold_up_no_other_cluster(has_agent):
    seconds = []

    async def play(stage):
        stage.has_agent = has_agent
        names = [f"silent-{number}" for number in range(SILENT)]
        for name in names:
            stage.create(name, 2)
        stage.create("x", 1)
        for name in names:
            await stage.until(lambda name=name: stage.is_ready(name, 2), 300, name)
        for name in names:
            stage.scheduler(name).stalled_until_s = 1e9
            stage.scale(name, 1)
        for replicas in range(2, 8):
            await stage.pass_time(1.3)
            stage.scale("x", replicas)
            made = await stage.until(
                lambda n=replicas: len(stage.workers("x")) == n, 60, "the other cluster"
            )
            seconds.append(made)

    outcome = Stage(7, play).run()
    assert not outcome.broken, outcome.describe()
    assert max(seconds) < 1.0


def test_a_refusal_is_taken_back_though_the_answer_to_its_last_word_was_lost():
    async def play(stage):
        stage.create("x", 1)
        await stage.until(lambda: stage.is_ready("x", 1), 120, "the cluster")
        stage.refuse_creations()
        stage.scale("x", 2)
        await stage.until(lambda: "was refused" in stage.complaint("x"), 60, "a refusal")
        stage.lose_answers()
        stage.scale("x", 1)
        await stage.until(lambda: stage.is_ready("x", 1), 60, "one worker")
        await stage.until(lambda: not stage.complaint("x"), 60, "no complaint")

    outcome = Stage(7, play).run()
    assert not outcome.broken, outcome.describe()


@pytest.mark.parametrize("seconds", [3.0, 8.0, 30.0])
def test_a_thousand_workers_cost_a_write_each_and_statuses_that_one_can_read(seconds):
    costs = []

    async def play(stage):
        stage.create("x", 1)
        await stage.until(lambda: stage.is_ready("x", 1), 120, "the cluster")
        stage.start_within(seconds)
        before, began = stage.outcome.writes, stage.loop.time()
        stage.scale("x", 1000)
        # Not looked at all the time: a look at a thousand Pods costs the test.
        await stage.pass_time(seconds + 3.0)
        await stage.until(lambda: stage.is_ready("x", 1000), 10, "a thousand workers")
        costs.append((stage.outcome.writes - before, stage.loop.time() - began))

    outcome = Stage(7, play).run()
    assert not outcome.broken, outcome.describe()
    writes, took_s = costs[0]
    if seconds < 10.0:
        assert writes <= 1050
    # Group and cluster each have theirs, and a few more as it begins and ends.
    assert writes - 1000 <= 2 * (took_s / LONGEST_PATIENCE_S + 6)


def test_a_worker_that_the_operator_of_before_drained_without_a_mark_works_again():
    async def play(stage):
        stage.create("x", 2)
        await stage.until(lambda: stage.is_ready("x", 2), 20, "the cluster")
        scheduler = stage.scheduler("x")
        scheduler.drain(tuple(scheduler.workers)[:1])
        await stage.until(lambda: not scheduler.drains, WARY_S + 5.0, "all at work")

    outcome = Stage(7, play).run()
    assert not outcome.broken, outcome.describe()
