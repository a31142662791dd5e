"""A classic cluster is asked for a number of workers, or its workers stay and an error says why."""

from __future__ import annotations

import math
from typing import Any

import dask
import pytest
from anything import ANYTHING
from hypothesis import given
from hypothesis import strategies as st

from dask_k8s_jupyter.classic import KubeCluster
from dask_k8s_jupyter.classic.sizing import Sizing
from dask_k8s_jupyter.errors import InvalidSpecError


class Workers:
    """In place of SpecCluster: remembers what it was asked for."""

    asked: Any = None

    def scale(self, n: int) -> None:
        self.asked = n

    def adapt(self, **bounds: Any) -> None:
        self.asked = bounds


class Cluster(Sizing, Workers):
    """Workers of 2 threads and 4 GiB."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._memory_per_worker = lambda: 4 * 2**30
        self._threads_per_worker = lambda: 2
        self._note = self.notes.append


def test_the_classic_cluster_checks_before_spec_cluster_acts() -> None:
    assert KubeCluster.scale is KubeCluster.scale_up is Sizing.scale
    assert KubeCluster.adapt is Sizing.adapt


@pytest.mark.parametrize(
    ("asked", "n"),
    [
        ({}, 0),
        ({"n": 3}, 3),
        ({"memory": "9 GiB"}, 3),
        ({"memory": 2**33, "n": 1}, 2),
        ({"cores": 5}, 3),
        ({"n": 4, "cores": 1.5}, 4),
    ],
)
def test_a_number_may_be_said_in_workers_memory_or_cores(asked: dict[str, Any], n: int) -> None:
    cluster = Cluster()
    cluster.scale(**asked)
    assert cluster.asked == n
    assert not cluster.notes


@pytest.mark.parametrize("asked", [{"n": 9}, {"cores": 18}, {"memory": "36 GiB"}])
def test_the_most_is_the_configurations_however_it_is_said(asked: dict[str, Any]) -> None:
    cluster = Cluster()
    with dask.config.set({"kubernetes.count.max": 4}):
        cluster.scale(**asked)
    assert cluster.asked == 4
    assert cluster.notes == ["9 workers were asked for, kubernetes.count.max allows 4"]


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("n", [-1, "3", 1.5, True, None]),
        ("memory", ["lots", -1, True, [], math.nan, math.inf, "inf"]),
        ("cores", ["2", -1, True, math.nan, math.inf]),
    ],
)
def test_a_bad_number_is_named_and_no_worker_goes(argument: str, values: list[Any]) -> None:
    for value in values:
        cluster = Cluster()
        with pytest.raises(InvalidSpecError, match=rf"^{argument}: "):
            cluster.scale(**{argument: value})
        assert cluster.asked is None


@pytest.mark.parametrize("bounds", [{}, {"minimum": 1, "maximum": math.inf}, {"maximum": None}])
def test_bounds_are_handed_on_as_they_are(bounds: dict[str, Any]) -> None:
    cluster = Cluster()
    cluster.adapt(interval="1s", **bounds)
    assert cluster.asked == {"interval": "1s", **bounds}


@pytest.mark.parametrize(
    ("bounds", "named"),
    [
        ({"minimum": -1}, "minimum"),
        ({"minimum": 1.5}, "minimum"),
        ({"minimum": math.inf}, "minimum"),
        ({"minimum": 5, "maximum": 4}, "minimum"),
        ({"maximum": "10"}, "maximum"),
        ({"maximum": math.nan}, "maximum"),
    ],
)
def test_bad_bounds_are_named(bounds: dict[str, Any], named: str) -> None:
    cluster = Cluster()
    with pytest.raises(InvalidSpecError, match=rf"^{named}: "):
        cluster.adapt(**bounds)
    assert cluster.asked is None


@given(argument=st.sampled_from(["n", "memory", "cores"]), value=ANYTHING)
def test_whatever_is_asked_for_is_a_number_or_an_error_that_names_it(
    argument: str, value: Any
) -> None:
    cluster = Cluster()
    try:
        cluster.scale(**{argument: value})
    except InvalidSpecError as error:
        assert str(error).startswith(f"{argument}: ")
        assert cluster.asked is None
    else:
        assert isinstance(cluster.asked, int)
        assert cluster.asked >= 0


@given(minimum=ANYTHING, maximum=ANYTHING)
def test_whatever_the_bounds_are_they_are_whole_or_an_error_names_one(
    minimum: Any, maximum: Any
) -> None:
    cluster = Cluster()
    try:
        cluster.adapt(minimum=minimum, maximum=maximum)
    except InvalidSpecError as error:
        assert str(error).startswith(("minimum: ", "maximum: "))
        assert cluster.asked is None
    else:
        assert (minimum or 0) <= (math.inf if maximum is None else maximum)
