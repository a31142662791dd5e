"""What the panel shows, word by word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dask_k8s_jupyter.state import AdaptiveRange, ClusterView, GroupView, Problem, WorkerCounts
from dask_k8s_jupyter.widget.render import (
    render_details,
    render_head,
    render_log,
    render_progress,
    render_said,
)

VIEW = ClusterView(
    namespace="team-a",
    name="demo",
    uid="u1",
    created="2026-11-20T10:00:00Z",
    state="running",
    reason=None,
    workers=WorkerCounts(desired=6, ready=2),
    cores=12.0,
    memory_bytes=48 * 2**30,
    groups=(),
    adaptive=None,
    scheduler_ready=True,
    scheduler_address="tcp://demo-scheduler.team-a.svc.cluster.local:8786",
    dashboard_path="dask-k8s/dashboard/team-a/demo/status",
    image="dask:1",
    connect_code="",
)
LOST = Problem("api-unreachable", "Kubernetes cannot be reached", "it timed out", "Check the VPN")


@pytest.mark.parametrize(
    ("state", "colour"),
    [
        ("running", "success"),
        ("waiting", "warn"),
        ("failing", "error"),
        ("deleting", "font-color3"),
    ],
)
def test_a_colour_always_has_its_word(state, colour):
    head = render_head("demo", replace(VIEW, state=state), None)
    assert f'aria-label="{state}"' in head
    assert colour in head
    assert "2 of 6 workers" in head


def test_what_is_over_says_so_and_counts_no_more():
    head = render_head("demo", VIEW, "closed")
    assert 'aria-label="closed"' in head
    assert ">closed<" in head
    assert "workers" not in head


def test_what_is_not_known_yet_is_being_asked():
    assert 'aria-label="waiting"' in render_head("demo", None, None)
    assert "Asking Kubernetes" in render_details(None, None)


def test_the_details_have_units_and_the_way_to_the_dashboard():
    details = render_details(VIEW, "/base/dask-k8s/dashboard/team-a/demo/status")
    for part in ("team-a", "12 cores", "48 GiB", "tcp://demo-scheduler", 'href="/base/dask-k8s'):
        assert part in details


def test_the_dashboard_is_offered_once_it_can_answer():
    assert "href" not in render_details(replace(VIEW, scheduler_ready=False), "/x")
    assert "href" not in render_details(VIEW, None)


def test_amounts_that_nobody_named_are_left_out_and_adaptive_is_said():
    view = replace(VIEW, cores=0.0, memory_bytes=0, adaptive=AdaptiveRange(2, 40))
    details = render_details(view, None)
    assert "core" not in details
    assert "adaptive 2–40" in details


def test_each_group_that_adapts_is_named():
    gpu = GroupView("demo-gpu", "g&pu", False, WorkerCounts(), 0.0, 0, None, AdaptiveRange(0, 8))
    still = GroupView("demo-big", "big", False, WorkerCounts(), 0.0, 0, None)
    view = replace(VIEW, groups=(gpu, still))
    assert "adaptive g&amp;pu 0–8 ·" in render_details(view, None)
    view = replace(view, adaptive=AdaptiveRange(1, 4))
    assert "adaptive 1–4, g&amp;pu 0–8 ·" in render_details(view, None)


@pytest.mark.parametrize(
    ("workers", "shares"),
    [
        (WorkerCounts(desired=4, ready=1), ("25.0%", "75.0%")),
        (WorkerCounts(desired=0, ready=0), ("0.0%", "0.0%")),
        (WorkerCounts(desired=2, ready=2, retiring=2), ("50.0%", "0.0%")),
        (WorkerCounts(desired=2, ready=5), ("100.0%", "0.0%")),
    ],
)
def test_the_bar_never_overflows(workers, shares):
    bar = render_progress(workers)
    for share in shares:
        assert f"width: {share}" in bar


@pytest.mark.parametrize(
    ("view", "problem", "failure", "said"),
    [
        (VIEW, None, None, ""),
        (None, None, None, ""),
        (replace(VIEW, reason="2 Pods do not fit"), None, None, "2 Pods do not fit"),
        (VIEW, LOST, None, "Kubernetes cannot be reached: it timed out. Check the VPN"),
        (VIEW, LOST, "You may not scale", "You may not scale"),
    ],
)
def test_the_nearest_trouble_is_said(view, problem, failure, said):
    assert f">{said}</div>" in render_said(view, problem, failure)


def test_words_from_elsewhere_stay_words():
    evil = "<img src=x onerror=alert(1)>"
    view = replace(VIEW, reason=evil, namespace=evil, scheduler_address=evil)
    shown = (
        render_head(evil, view, evil)
        + render_details(view, f'"{evil}')
        + render_said(view, None, None)
        + render_said(None, None, evil)
        + render_log(evil)
    )
    assert "<img" not in shown
    assert 'href=""' not in shown
