"""One time for the end of a whole Pod: shared, never put off, and never quite used up."""

import pytest

from dask_k8s_jupyter.local.node.grace import Grace, find_grace_s


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, 30.0),
        ({"terminationGracePeriodSeconds": None}, 30.0),
        ({"terminationGracePeriodSeconds": 0}, 0.0),
        ({"terminationGracePeriodSeconds": 5}, 5.0),
    ],
)
def test_a_pod_has_half_a_minute_unless_it_says_otherwise(spec, seconds):
    assert find_grace_s({"spec": spec}) == seconds


@pytest.mark.parametrize(
    ("seconds", "left"), [(30, [30.0, 10.0, 2.0]), (1, [2.0, 2.0, 2.0]), (0, [0.0, 0.0, 0.0])]
)
def test_containers_that_end_one_after_the_other_share_the_time(seconds, left):
    grace = Grace(seconds)
    found = []
    for now in (100, 120, 140):
        grace.begin(now)
        found.append(grace.find_left_s(now))
    assert found == left


@pytest.mark.parametrize(
    ("seconds", "now", "is_sooner", "left"),
    [
        (5, 110, True, 5.0),
        # The same deletion, told again; and one with more time.
        (30, 110, False, 20.0),
        (60, 110, False, 20.0),
        (0, 110, True, 0.0),
        # Also when the time was over and the last has its moment.
        (0, 140, True, 0.0),
    ],
)
def test_an_end_that_has_begun_can_only_come_sooner(seconds, now, is_sooner, left):
    grace = Grace(30)
    grace.begin(100)
    assert grace.change(seconds, now) is is_sooner
    assert grace.find_left_s(now) == left
    assert not grace.change(seconds, now + 1)


def test_what_is_said_before_the_end_begins_is_what_there_is():
    grace = Grace(30)
    assert not grace.change(5, 100)
    grace.begin(200)
    assert grace.find_left_s(200) == 5.0
