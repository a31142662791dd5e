"""Quantities are said and read one way."""

from __future__ import annotations

import pytest

from dask_k8s_jupyter.state.words import (
    format_age,
    format_cores,
    format_memory,
    format_workers,
    parse_quantity,
    parse_time,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        (2, 2),
        (0.5, 0.5),
        ("500m", 0.5),
        ("1.5", 1.5),
        ("4Gi", 4 * 2**30),
        ("4G", 4e9),
        ("128974848", 128974848),
        ("129e6", 129e6),
        ("129M", 129e6),
        ("123Mi", 123 * 2**20),
        ("1Ki", 1024),
        ("1k", 1000),
        ("100n", 1e-7),
        ("", None),
        (None, None),
        ("two", None),
        ("4GB", None),
        ("4ki", None),
        ("Gi", None),
        ("1K", None),
        (".5", 0.5),
        ("-1", -1),
        ("1e999", None),
        ("1e-999", 0),
        ("1e30", None),
        ("9" * 400, None),
        ("1e" + "9" * 5000, None),
        ("\u0662", None),
    ],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(text, value):
    assert parse_quantity(text) == (pytest.approx(value) if value is not None else None)


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 KiB"), (2**20, "1 MiB"), (2.5 * 2**30, "2.5 GiB"),
     (48 * 2**30, "48 GiB"), (1000 * 2**30, "1 TiB")],
)  # fmt: skip
def test_memory_is_said_with_its_unit(size, said):
    assert format_memory(size) == said


@pytest.mark.parametrize(("cores", "said"), [(0, "0 cores"), (1, "1 core"), (1.5, "1.5 cores")])
def test_cores_are_said_in_the_right_number(cores, said):
    assert format_cores(cores) == said


def test_workers_are_said_as_how_many_of_how_many():
    assert format_workers(0, 1) == "0 of 1 worker"
    assert format_workers(7, 20) == "7 of 20 workers"


@pytest.mark.parametrize(
    ("age_s", "said"),
    [
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (172800, "2 days"),
    ],
)
def test_an_age_is_said_in_its_largest_unit(age_s, said):
    assert format_age(age_s) == said


def test_a_time_without_zone_is_utc_and_nonsense_is_none():
    assert parse_time("2026-11-20T10:00:00") == parse_time("2026-11-20T10:00:00Z")
    assert parse_time("2026-11-20T10:00:00.123456Z") is not None
    assert parse_time(None) is None
    assert parse_time("soon") is None
